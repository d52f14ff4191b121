"""Cells, styles and rows: what one place on the screen holds."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from pyte.screens import wcwidth

DEFAULT = -1
RGB = 1 << 24
_MAX_PEN = 512
_MAX_MARKS = 8


class Style(NamedTuple):
    """How a cell is drawn. Colours: -1 the default, 0-255 the palette, `RGB | 0xrrggbb` a true colour."""

    fg: int = DEFAULT
    bg: int = DEFAULT
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    blink: bool = False
    reverse: bool = False
    conceal: bool = False
    strike: bool = False


class Cell(NamedTuple):
    """One column of a row: a character and its zero-width marks; empty: right half of a wide character."""

    text: str
    style: Style


class Run(NamedTuple):
    """Neighbouring cells of one style; `width` in columns."""

    text: str
    width: int
    style: Style


PLAIN = Style()


class Pen(dict[str, Cell]):
    """Cells of one style by character, made once and shared by every screen."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.style = style

    def __missing__(self, text: str) -> Cell:
        cell = Cell(text, self.style)
        if len(self) < _MAX_PEN:
            self[text] = cell
        return cell


@lru_cache(maxsize=256)
def pen(style: Style) -> Pen:
    """The pen of a style."""
    return Pen(style)


BLANK = pen(PLAIN)[" "]


class Row:
    """One line of the screen. `joined`: it continues the row above, which was full (automatic wrap)."""

    __slots__ = ("cells", "joined")

    def __init__(self, cells: list[Cell], joined: bool = False) -> None:
        self.cells = cells
        self.joined = joined

    def mend(self, at: int) -> None:
        """Blank the half of a wide character left alone on either side of the seam before column `at`."""
        cells = self.cells
        if 0 < at <= len(cells) and is_wide(cells[at - 1]) and (at == len(cells) or cells[at].text):
            cells[at - 1] = Cell(" ", cells[at - 1].style)
        if at < len(cells) and not cells[at].text and (at == 0 or not is_wide(cells[at - 1])):
            cells[at] = Cell(" ", cells[at].style)

    def fill(self, start: int, stop: int, blank: Cell) -> None:
        """Erase columns `start` to `stop` (exclusive)."""
        self.cells[start:stop] = [blank] * (stop - start)
        self.mend(start)
        self.mend(stop)

    def insert(self, at: int, count: int, blank: Cell) -> None:
        """Shift the cells from `at` right; what leaves the row is lost."""
        columns = len(self.cells)
        self.cells[at:at] = [blank] * min(count, columns - at)
        del self.cells[columns:]
        self.mend(at)
        self.mend(min(at + count, columns))
        self.mend(columns)

    def delete(self, at: int, count: int, blank: Cell) -> None:
        """Remove cells at `at`, shift the rest left, fill up with `blank`."""
        columns = len(self.cells)
        del self.cells[at : at + count]
        self.cells.extend([blank] * (columns - len(self.cells)))
        self.mend(at)

    def mark(self, at: int, char: str) -> None:
        """Add a zero-width character to the cell at `at`; a cell takes a few, the rest are dropped."""
        if not self.cells[at].text and at:
            at -= 1
        cell = self.cells[at]
        if len(cell.text) <= _MAX_MARKS:
            self.cells[at] = Cell(cell.text + char, cell.style)

    def fit(self, columns: int) -> None:
        """Cut or extend to `columns` cells."""
        del self.cells[columns:]
        self.cells.extend([BLANK] * (columns - len(self.cells)))
        self.mend(columns)

    def runs(self) -> list[Run]:
        """The cells grouped by style, left to right."""
        result: list[Run] = []
        texts: list[str] = []
        start, style = 0, self.cells[0].style
        for x, cell in enumerate(self.cells):
            if cell.style is not style and cell.style != style:
                result.append(Run("".join(texts), x - start, style))
                texts, start, style = [], x, cell.style
            texts.append(cell.text)
        result.append(Run("".join(texts), len(self.cells) - start, style))
        return result


def blank_row(columns: int, blank: Cell = BLANK) -> Row:
    """A row of erased cells."""
    return Row([blank] * columns)


def is_wide(cell: Cell) -> bool:
    """True for a character two columns wide."""
    text = cell.text
    return bool(text) and not text.isascii() and wcwidth(text[0]) == 2
