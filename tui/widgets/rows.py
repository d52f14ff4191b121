"""A list in columns: draws only the rows that are seen, so five thousand cost what twenty do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.cells import cell_len
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.lines import Piece, fit, strip, wrap

T = TypeVar("T")

_SAMPLE = 500
"""Rows that are measured for the widths of columns."""
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """`cap` bounds the width; columns of a higher `rank` number give way first in a narrow window."""

    title: str
    cell: Callable[[T], Piece]
    cap: int
    rank: int
    least: int = 10
    """Columns below which it is left out rather than cut further."""
    right: bool = False


class Rows(Widget, Generic[T], can_focus=True, inherit_bindings=False):
    """The keys are the screen's: it calls `move`, `page`, `edge`."""

    DEFAULT_CSS = "Rows { height: 1fr; width: 1fr; }"

    class Moved(Message):
        """Another row is under the cursor, or the rows changed."""

    def __init__(self, columns: Sequence[Column[T]], marker: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._marker = marker
        self._items: Sequence[T] = ()
        self._empty: Sequence[str] = ()
        self._cursor = 0
        self._top = 0
        self._natural: dict[str, int] = {}
        self._fitted: list[tuple[Column[T], int]] = []

    def show(self, items: Sequence[T], *, empty: Sequence[str] = (), cursor: int = 0) -> None:
        """Show these rows; `empty` are paragraphs shown if there are none."""
        self._items, self._empty = items, empty
        self._cursor = max(0, min(cursor, len(items) - 1))
        self._scroll()
        self.refresh()
        self.post_message(self.Moved())

    def measure(self, items: Sequence[T]) -> None:
        """Choose columns and widths for these rows; kept until the next call or another window size."""
        sample = items[:_SAMPLE]
        for column in self._columns:
            widths = [cell_len(column.title), *(cell_len(column.cell(item)[0]) for item in sample)]
            self._natural[column.title] = min(column.cap, max(widths))
        self._fit_columns()

    @property
    def selected(self) -> T | None:
        return self._items[self._cursor] if self._items else None

    @property
    def cursor(self) -> int:
        return self._cursor

    def move(self, by: int) -> None:
        self._go(self._cursor + by)

    def page(self, pages: int) -> None:
        self._go(self._cursor + pages * max(1, self._height - 1))

    def edge(self, last: bool) -> None:
        self._go(len(self._items) - 1 if last else 0)

    @property
    def _height(self) -> int:
        """Rows that can be seen below the titles."""
        return max(1, self.size.height - 1)

    def _go(self, to: int) -> None:
        to = max(0, min(to, len(self._items) - 1))
        if to == self._cursor:
            return
        before, self._cursor = self._cursor, to
        top = self._top
        self._scroll()
        if top == self._top:
            self._refresh_row(before)
            self._refresh_row(to)
        else:
            self.refresh()
        self.post_message(self.Moved())

    def _refresh_row(self, index: int) -> None:
        self.refresh(Region(0, index - self._top + 1, self.size.width, 1))

    def _scroll(self) -> None:
        height = self._height
        top = min(self._top, self._cursor)
        top = max(top, self._cursor - height + 1)
        self._top = max(0, min(top, len(self._items) - height))

    def on_resize(self, event: events.Resize) -> None:
        self._fit_columns()
        self._top = 0
        self._scroll()
        self.refresh()

    def on_focus(self) -> None:
        self._refresh_row(self._cursor)

    def on_blur(self) -> None:
        self._refresh_row(self._cursor)

    def _fit_columns(self) -> None:
        """Widest first in rank while there is room; what is left over goes to the last column."""
        room = self.size.width - 3
        taken: dict[str, int] = {}
        for column in sorted(self._columns, key=lambda c: c.rank):
            width = self._natural.get(column.title, cell_len(column.title))
            least = min(width, column.least)
            if room < least:
                continue
            taken[column.title] = min(width, room)
            room -= taken[column.title] + len(_GAP)
        self._fitted = [(c, taken[c.title]) for c in self._columns if c.title in taken]

    # ------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        if not self._items:
            return self._empty_line(y)
        if y == 0:
            return strip(self._titles(), self.size.width)
        index = self._top + y - 1
        if index >= len(self._items):
            return strip((), self.size.width)
        return self._row(self._items[index], index == self._cursor)

    def _titles(self) -> list[Piece]:
        pieces: list[Piece] = [("   ", "")]
        for column, width in self._fitted:
            title = column.title.rjust(width) if column.right else fit(column.title, width)
            pieces.append((title + _GAP, "bold"))
        return pieces

    def _row(self, item: T, selected: bool) -> Strip:
        pieces: list[Piece] = [(f" {self._marker} " if selected else "   ", "")]
        for column, width in self._fitted:
            text, words = column.cell(item)
            cell = fit(text.rjust(width) if column.right else text, width)
            pieces.append((cell.rstrip(), "" if selected else words))
            pieces.append((" " * (cell_len(cell) - cell_len(cell.rstrip())) + _GAP, ""))
        base = ("reverse bold" if self.has_focus else "reverse") if selected else ""
        return strip(pieces, self.size.width, base)

    def _empty_line(self, y: int) -> Strip:
        lines = [line for text in self._empty for line in ["", *wrap(text, self.size.width - 3)]]
        return strip([(f"  {lines[y]}" if y < len(lines) else "", "")], self.size.width)
