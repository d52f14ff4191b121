"""All text that a recording's output wrote, in order, to be searched. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from recorder.cast import Event

_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_k][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|[\x00-\x08\x0b-\x1f\x7f]"
)
"""Control sequences and strings (ECMA-48) and single controls; a line feed and a tab are text."""


class Transcript:
    """Written, not seen: what a program painted out of order stands here in the order of its writing."""

    def __init__(self, events: Iterable[Event]) -> None:
        raw, starts, times, size = [], [], [], 0
        for event in events:
            if event.code == "o" and event.data:
                raw.append(event.data)
                starts.append(size)
                times.append(event.t)
                size += len(event.data)
        self._times = times
        self._text, self._starts = _stripped("".join(raw), starts)

    def find(self, words: str) -> list[tuple[int, str]]:
        """Times at which an occurrence was complete, and the line it stands in; case does not matter."""
        if not words:
            return []
        found = []
        for match in re.finditer(re.escape(words), self._text, re.IGNORECASE):
            index = bisect_right(self._starts, max(match.end() - 1, 0)) - 1
            found.append((self._times[index], self._line(match.start())))
        return found

    def _line(self, at: int) -> str:
        start = self._text.rfind("\n", 0, at) + 1
        end = self._text.find("\n", at)
        return self._text[start : end if end >= 0 else len(self._text)].strip()


def _stripped(raw: str, starts: list[int]) -> tuple[str, list[int]]:
    """Without control sequences, also those that are spread over events; `starts` moved accordingly."""
    parts: list[str] = []
    moved: list[int] = []
    at = size = 0
    pending = iter(starts)
    following = next(pending, None)
    for match in [*_SEQUENCES.finditer(raw), None]:
        stop = len(raw) if match is None else match.start()
        after = len(raw) + 1 if match is None else match.end()
        while following is not None and following < after:
            moved.append(size + min(following, stop) - at)
            following = next(pending, None)
        parts.append(raw[at:stop])
        size += stop - at
        at = after
    return "".join(parts), moved
