"""The screen of a live session, fed only when somebody looks."""

from __future__ import annotations

from recorder.screen import Screen

LIMIT = 64 << 10


class LazyScreen:
    """Collects output; `sync` brings the screen up to date."""

    def __init__(self, cols: int, rows: int) -> None:
        self._screen = Screen(cols, rows)
        self._pending: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """What the user's terminal was sent."""
        self._pending.append(data)
        self._size += len(data)
        if self._size > LIMIT:
            self.sync()

    def sync(self) -> Screen:
        """The screen as it is now."""
        if self._pending:
            self._screen.feed(b"".join(self._pending))
            self._pending, self._size = [], 0
        return self._screen

    def resize(self, cols: int, rows: int) -> None:
        self.sync().resize(cols, rows)
