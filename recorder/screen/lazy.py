"""A screen that is fed only when somebody looks, and skips output that can no longer be seen.

The picture is the same as if every byte had been fed. What may be skipped is text with line ends, colours and
erasing to the end of a line, where nothing moves the cursor up: after twice as many line feeds as there are
rows, all that was there before has scrolled away, whatever it was and wherever the cursor stood. Of what is
skipped only the colours count. Anything else (`_WILD`) is fed in full.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from recorder.screen.emulator import Screen

T = TypeVar("T")

LIMIT = 256 << 10
"""Bytes that are collected at most."""
_WORTH = 8 << 10
_TAIL = 512
_WILD = re.compile(
    rb"\x1b(?!\[[0-9;:]*m|\[[0-2]?K)|[\x00-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]"
    rb"|(?<![!-~])\x08"  # which may go up a row, if not behind a character of its own
)
_SGR = re.compile(rb"\x1b\[[0-9;:]*m")


class LazyScreen:
    """Collects output; `sync` brings the screen up to date."""

    def __init__(self, cols: int, rows: int) -> None:
        self._screen = Screen(cols, rows)
        self._pending: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """Output of the program, in any pieces."""
        self._pending.append(data)
        self._size += len(data)
        if self._size > LIMIT:
            self.sync()

    def sync(self) -> Screen:
        """The screen as it is now."""
        if self._pending:
            data = b"".join(self._pending)
            self._pending, self._size = [], 0
            self._catch_up(data)
        return self._screen

    def before(self, tail: re.Pattern[bytes], look: Callable[[Screen], T]) -> T | None:
        """What `look` sees of the screen as it was before output that ends what came last and matches `tail`,
        a pattern that ends in `\\Z`. None: the output does not end so, or was drawn already."""
        data = b"".join(self._pending)
        at = max(len(data) - _TAIL, 0)
        match = tail.search(data, at)
        if match is None:
            return None
        self._pending, self._size = [], 0
        self._catch_up(data[: match.start()])
        found = look(self._screen)
        self.add(data[match.start() :])
        return found

    def resize(self, cols: int, rows: int) -> None:
        """A new size of the window."""
        self.sync().resize(cols, rows)

    def _catch_up(self, data: bytes) -> None:
        """Feed it, with long stretches of plain text shortened."""
        fed = last = 0
        if len(data) > _WORTH:
            stops = [match.start() for match in _WILD.finditer(data)]
            for stop in [*stops, len(data)]:
                if stop - last > _WORTH:
                    self._screen.feed(data[fed:last])
                    self._skip(data[last:stop])
                    fed = stop
                last = stop
        self._screen.feed(data[fed:])

    def _skip(self, data: bytes) -> None:
        """Feed the beginning, up to where the cursor is known to be, and the end."""
        screen = self._screen
        start = data.find(b"\r\n") + 2
        if start < 2:
            screen.feed(data)
            return
        screen.feed(data[:start])
        cut = _tail(data, 2 * screen.rows)
        if cut <= start or not screen.scrolls_plainly:
            screen.feed(data[start:])
            return
        head = data[start:cut]
        since = max(head.rfind(b"\x1b[0m"), head.rfind(b"\x1b[m"), 0)
        screen.feed(b"".join(_SGR.findall(head, since)))
        screen.feed(data[cut:])


def _tail(data: bytes, lines: int) -> int:
    """Where a tail begins, right after a CR LF, that has so many line feeds; 0 if there is none."""
    at = len(data)
    for _ in range(lines):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return 0
    found = data.rfind(b"\r\n", 0, at)
    return found + 2 if found >= 0 else 0
