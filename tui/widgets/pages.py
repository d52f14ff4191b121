"""Lines that may be more than the window shows, and how far they have been read."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.lines import Piece, strip


class Pages(Widget):
    """Scrolled by its screen."""

    DEFAULT_CSS = "Pages { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Sequence[Piece]] = ()
        self._top = 0
        self._seen = 0

    def show(self, lines: Sequence[Sequence[Piece]], *, anew: bool = False) -> None:
        """Draw these lines; `anew`: they are about something else, so from the top and unseen."""
        if anew:
            self._top = self._seen = 0
        self._lines = lines
        self.scroll_rows(0)
        self.refresh()

    @property
    def seen(self) -> int:
        """Lines that have been on the screen, from the top; a jump over some counts none behind them."""
        if self._top <= self._seen:
            self._seen = max(self._seen, min(len(self._lines), self._top + self.size.height))
        return self._seen

    @property
    def more(self) -> int:
        """Lines below what is shown."""
        return max(0, len(self._lines) - self._top - self.size.height)

    def scroll_rows(self, by: int) -> None:
        """`by` rows down, or up if negative."""
        top = max(0, min(self._top + by, len(self._lines) - self.size.height))
        if self.seen and top == self._top:
            return
        self._top = top
        self.refresh()

    def scroll_pages(self, pages: int) -> None:
        self.scroll_rows(pages * max(1, self.size.height - 1))

    def scroll_edge(self, last: bool) -> None:
        self.scroll_rows(len(self._lines) if last else -len(self._lines))

    def on_resize(self) -> None:
        self.scroll_rows(0)

    def render_line(self, y: int) -> Strip:
        index = self._top + y
        return strip(self._lines[index] if index < len(self._lines) else (), self.size.width)
