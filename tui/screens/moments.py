"""What happened in a recording, as places to jump to: commands, decisions, masks. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from recorder.cast import StreamEvent
from recorder.replay import Marker
from recorder.when import SECOND, from_clock

TYPED = "cXH"
"""Letters of what the user typed: run, blocked, held."""
ORDER = "c◊mTADHX"
"""Where several fall on one cell of the timeline the last of these is shown."""

_LINES = {"allow": "c", "warn": "c", "deny": "X", "doubt": "X"}
"""Held lines are told by an event of their own."""
_KINDS = {
    "held": "H",
    "approved": "A",
    "confirmed": "A",
    "denied": "D",
    "expired": "D",
    "cancelled": "D",
    "failed": "D",
    "gone": "D",
    "killed": "D",
    "masked": "◊",
    "note": "m",
    "transfer": "T",
}

_PLAIN = re.compile(r"(\d{1,6})(%?)\Z")
"""Seconds, or a part of the whole."""


class Moment(NamedTuple):
    """`letter` as on the timeline; `said`: what was decided, by which rule or whom."""

    t: int
    letter: str
    text: str
    said: str


def moments(markers: Iterable[Marker], events: Iterable[StreamEvent]) -> list[Moment]:
    """In the order of time. Markers count where the events tell of no line: in recordings of others."""
    found = [moment for event in events if (moment := _moment(event)) is not None]
    if not any(moment.letter in TYPED for moment in found):
        found += [Moment(marker.t, "c", marker.label, "") for marker in markers]
    return sorted(found, key=lambda moment: moment.t)


def _moment(event: StreamEvent) -> Moment | None:
    fields = event.fields
    if event.kind == "line":
        letter = _LINES.get(_text(fields, "verdict"))
        return None if letter is None else Moment(event.t, letter, _line(fields), _verdict(fields, letter))
    letter = _KINDS.get(event.kind)
    if letter is None:
        return None
    return Moment(event.t, letter, _line(fields) if event.kind == "held" else "", _decision(event))


def _line(fields: Any) -> str:
    return "(typed without echo)" if fields.get("secret") else _text(fields, "text")


def _verdict(fields: Any, letter: str) -> str:
    rule = _text(fields, "rule")
    return f"blocked by {rule or 'doubt'}" if letter == "X" else ""


def _decision(event: StreamEvent) -> str:
    """`held by prod-ddl`, `approved by bob R-4F2 "ok"`."""
    fields = event.fields
    by = _text(fields, "by") or _text(fields, "rule")
    comment = _text(fields, "comment")
    parts = [
        event.kind,
        f"by {by}" if by else "",
        _text(fields, "request"),
        f'"{comment}"' if comment else "",
    ]
    return " ".join(part for part in parts if part)


def _text(fields: Any, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def beside(
    found: Sequence[Moment], at: int, by: int, letters: str | None = None, but: str = ""
) -> Moment | None:
    """The next (1) or previous (-1) moment after `at`, of these letters, but none of those."""
    wanted = [m for m in found if (letters is None or m.letter in letters) and m.letter not in but]
    times = [moment.t for moment in wanted]
    index = bisect_right(times, at) if by > 0 else bisect_left(times, at) - 1
    return wanted[index] if 0 <= index < len(wanted) else None


def passed(found: Sequence[Moment], at: int) -> int:
    """How many lie at or before `at`."""
    return bisect_right([moment.t for moment in found], at)


def told(found: Sequence[Moment], at: int) -> str:
    """The last thing typed by then, and what was decided since: `cmd 5/11  DROP …   held by x, approved`."""
    typed = [moment for moment in found if moment.letter in TYPED]
    if not typed:
        return ""
    number = passed(typed, at)
    if not number:
        return f"cmd 0/{len(typed)}"
    last = typed[number - 1]
    since = [m.said for m in found if last.t <= m.t <= at and m.letter not in TYPED]
    said = ", ".join(part for part in (last.said, *since) if part)
    return f"cmd {number}/{len(typed)}  {last.text}" + (f"   {said}" if said else "")


def time_of(text: str, duration: int) -> int | None:
    """Microseconds for `6:41`, `1:02:03`, `90` (seconds) or `50%` of the duration; None if it is no time."""
    text = text.strip()
    if match := _PLAIN.match(text):
        number = int(match[1])
        return duration * number // 100 if match[2] else number * SECOND
    try:
        return from_clock(text)
    except ValueError:
        return None
