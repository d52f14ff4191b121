"""What a terminal holds and how it draws: a `pyte.Screen` whose buffer, drawing and scrolling are replaced.

From pyte come the cursor with its bounds, tab stops, the DEC graphics map and the mode numbers. Everything
that writes cells is ours, because pyte drops text after a zero-width character, keeps halves of wide
characters, has no alternate screen and a stack where a terminal has one slot for the saved cursor.
"""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import pyte
import pyte.charsets
import pyte.modes as mo
from pyte.screens import Cursor, wcwidth

from recorder.screen.cells import BLANK, PLAIN, Cell, Row, Style, blank_row, pen
from recorder.screen.sgr import Params, restyle

MAX_COLUMNS = 1000
MAX_LINES = 500
_TITLE_LIMIT = 256
_GRAPHICS = {
    ord(plain): drawn
    for plain, drawn in zip(map(chr, range(0x5F, 0x7F)), pyte.charsets.VT100_MAP[0x5F:0x7F], strict=True)
}
_MAPS: dict[str, dict[int, str]] = {"0": _GRAPHICS, "2": _GRAPHICS, "A": {ord("#"): "£"}}
_DEFAULT_MODES = frozenset({mo.DECAWM, mo.DECTCEM})


class SavedCursor(NamedTuple):
    """The one slot of DECSC."""

    x: int
    y: int
    style: Style
    charsets: tuple[str, str]
    shift: int
    origin: bool


HOME = SavedCursor(0, 0, PLAIN, ("B", "B"), 0, False)


def char_width(char: str) -> int:
    """Columns that a character takes: 0 for one that joins the cell before it, -1 for a control."""
    return wcwidth(char)


def fitting(columns: int, lines: int) -> tuple[int, int]:
    """A size within what the emulator holds (a client may claim any)."""
    return min(max(columns, 1), MAX_COLUMNS), min(max(lines, 1), MAX_LINES)


class Canvas(pyte.Screen):
    """Cells, cursor, modes. `cursor.x == columns`: the last column was drawn, the next character wraps."""

    buffer: list[Row]  # type: ignore[assignment]
    cursor: Cursor

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self.reset()

    def reset(self) -> None:
        """RIS: everything as at power-on."""
        self.buffer = [blank_row(self.columns) for _ in range(self.lines)]
        self.main: list[Row] | None = None
        """Rows of the main screen while the alternate one shows."""
        self.saved = self.saved_main = HOME
        self.margins = None
        self.mode = set(_DEFAULT_MODES)
        self.title = self.icon_name = ""
        self.tabstops = set(range(8, self.columns, 8))
        self.cursor = Cursor(0, 0)
        self.set_charsets(("B", "B"), 0)
        self.set_style(PLAIN)

    def soft_reset(self) -> None:
        """DECSTR: modes, margins and attributes, but neither text nor cursor position."""
        self.margins = None
        self.mode -= {mo.IRM, mo.DECOM}
        self.mode |= _DEFAULT_MODES
        self.saved = HOME
        self.set_charsets(("B", "B"), 0)
        self.set_style(PLAIN)

    def set_style(self, style: Style) -> None:
        """Select how characters are drawn, and with which background cells are erased."""
        self.style = style
        self._pen = pen(style)
        self.blank = BLANK if style.bg == PLAIN.bg else pen(Style(bg=style.bg))[" "]

    def select_style(self, params: Params) -> None:
        """SGR."""
        self.set_style(restyle(self.style, params))

    def set_title(self, param: str) -> None:
        """Window title, cut to a length a title can have."""
        self.title = param[:_TITLE_LIMIT]

    # Charsets

    def set_charsets(self, charsets: tuple[str, str], shift: int) -> None:
        """G0 and G1 by their designators, and which of them is in use."""
        self.charsets, self.shift = charsets, shift
        self._map = _MAPS.get(charsets[shift])

    def define_charset(self, code: str, mode: str) -> None:
        """`ESC ( code` and `ESC ) code`; unknown sets count as ASCII, G2 and G3 are never in use."""
        known = code if code in _MAPS else "B"
        if mode in "()":
            g0, g1 = self.charsets
            self.set_charsets((known, g1) if mode == "(" else (g0, known), self.shift)

    def shift_in(self) -> None:
        """Use G0."""
        self.set_charsets(self.charsets, 0)

    def shift_out(self) -> None:
        """Use G1."""
        self.set_charsets(self.charsets, 1)

    # Drawing

    def draw(self, data: str) -> None:
        """Put characters at the cursor, wrapping where autowrap says so."""
        if self._map is not None:
            data = data.translate(self._map)
        if data.isascii():
            self._draw_narrow(data)
            return
        for width, chars in groupby(data, wcwidth):
            if width == 1:
                self._draw_narrow("".join(chars))
            elif width == 2:
                for char in chars:
                    self._draw_wide(char)
            elif width == 0:
                for char in chars:
                    self._draw_mark(char)

    def _draw_narrow(self, text: str) -> None:
        cursor, columns = self.cursor, self.columns
        cells = list(map(self._pen.__getitem__, text))
        if mo.DECAWM not in self.mode and cursor.x + len(cells) > columns:
            cursor.x = min(cursor.x, columns - 1)
            cells[columns - cursor.x - 1 :] = cells[-1:]  # each overwrote the one before in the last column
        position, count = 0, len(cells)
        while position < count:
            self._wrap_if_due(1)
            take = min(columns - cursor.x, count - position)
            self._put(cells[position : position + take])
            position += take

    def _draw_wide(self, char: str) -> None:
        if self.columns < 2:
            self._draw_narrow("\ufffd")
            return
        self._wrap_if_due(2)
        self._put([self._pen[char], self._pen[""]])

    def _draw_mark(self, char: str) -> None:
        """A zero-width character joins the cell before the cursor, if need be that of the row above."""
        x, y = self.cursor.x, self.cursor.y
        if x:
            self.buffer[y].mark(x - 1, char)
        elif y and self.buffer[y].joined:
            self.buffer[y - 1].mark(self.columns - 1, char)

    def _put(self, cells: list[Cell]) -> None:
        """Cells that fit the row, at the cursor."""
        x, row, count = self.cursor.x, self.buffer[self.cursor.y], len(cells)
        if mo.IRM in self.mode:
            row.insert(x, count, self.blank)
        old = row.cells
        end = x + count
        if not old[x].text and x:
            old[x - 1] = Cell(" ", old[x - 1].style)
        if end < self.columns and not old[end].text:
            old[end] = Cell(" ", old[end].style)
        old[x:end] = cells
        self.cursor.x = end

    def _wrap_if_due(self, width: int) -> None:
        cursor = self.cursor
        if cursor.x + width <= self.columns:
            return
        if mo.DECAWM not in self.mode:
            cursor.x = self.columns - width
            return
        cursor.x = 0
        y = cursor.y
        if y == self.bottom():
            self.shift_lines(self.top(), y, 1)
        elif y < self.lines - 1:
            cursor.y = y + 1
        else:
            return  # below the margins on the last line: it is overwritten
        self.buffer[cursor.y].joined = True

    def backspace(self) -> None:
        """BS: one column left; where a wrap is due, to the column drawn last; from the first column to the
        end of the row above, if the line began there. So the kernel takes back a long line, on tmux, iTerm2.
        """
        cursor = self.cursor
        if cursor.x:
            cursor.x = min(cursor.x, self.columns) - 1
        elif cursor.y and self.buffer[cursor.y].joined:
            cursor.x, cursor.y = self.columns - 1, cursor.y - 1

    def repeat(self, count: int) -> None:
        """REP: the character left of the cursor again (ECMA-48 defines it only right after that one)."""
        x, cells = self.cursor.x, self.buffer[self.cursor.y].cells
        if x:
            cell = cells[x - 1] if cells[x - 1].text or x < 2 else cells[x - 2]
            self.draw((cell.text or " ")[0] * min(count, self.columns * self.lines))

    # Lines

    def top(self) -> int:
        """First row of the scroll region."""
        return self.margins.top if self.margins else 0

    def bottom(self) -> int:
        """Last row of the scroll region."""
        return self.margins.bottom if self.margins else self.lines - 1

    def shift_lines(self, top: int, bottom: int, count: int) -> None:
        """Scroll the rows `top` to `bottom` up by `count`, or down if negative; erased rows come in."""
        size = bottom - top + 1
        size = min(abs(count), size)
        fresh = [blank_row(self.columns, self.blank) for _ in range(size)]
        rows = self.buffer
        if count > 0:
            del rows[top : top + size]
            rows[bottom - size + 1 : bottom - size + 1] = fresh
            if top:
                rows[top].joined = False
        else:
            del rows[bottom - size + 1 : bottom + 1]
            rows[top:top] = fresh
            if top + size <= bottom:
                rows[top + size].joined = False
        if bottom + 1 < self.lines:
            rows[bottom + 1].joined = False

    def index(self) -> None:
        """IND: down one line, scrolling at the bottom margin."""
        cursor = self.cursor
        cursor.x = min(cursor.x, self.columns - 1)
        if cursor.y == self.bottom():
            self.shift_lines(self.top(), cursor.y, 1)
        elif cursor.y < self.lines - 1:
            cursor.y += 1

    def reverse_index(self) -> None:
        """RI: up one line, scrolling at the top margin."""
        cursor = self.cursor
        cursor.x = min(cursor.x, self.columns - 1)
        if cursor.y == self.top():
            self.shift_lines(cursor.y, self.bottom(), -1)
        elif cursor.y > 0:
            cursor.y -= 1

    def scroll(self, count: int) -> None:
        """SU, or SD if negative."""
        self.shift_lines(self.top(), self.bottom(), count)

    def insert_lines(self, count: int | None = None) -> None:
        """IL: lines at the cursor move down, inside the margins only."""
        if self.top() <= self.cursor.y <= self.bottom():
            self.shift_lines(self.cursor.y, self.bottom(), -(count or 1))
            self.cursor.x = 0

    def delete_lines(self, count: int | None = None) -> None:
        """DL: lines below the cursor move up, inside the margins only."""
        if self.top() <= self.cursor.y <= self.bottom():
            self.shift_lines(self.cursor.y, self.bottom(), count or 1)
            self.cursor.x = 0
