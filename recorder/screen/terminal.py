"""The control functions of a terminal: erasing, editing, cursor movement, modes, alternate screen, sizes."""

from __future__ import annotations

import pyte.modes as mo
from pyte.screens import Margins

from recorder.screen.canvas import HOME, Canvas, SavedCursor, fitting
from recorder.screen.cells import PLAIN, Row, blank_row, pen

# Private modes that change nothing on the screen but are worth knowing: cursor keys, mouse, bracketed paste,
# left margins, synchronised output.
_NOTED = frozenset({1, 9, 12, 69, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 2004, 2026})
_ACTED_ON = frozenset({5, 6, 7, 25})


class Terminal(Canvas):
    """A canvas that obeys control functions."""

    # Erasing and editing inside a line

    def _at(self) -> tuple[Row, int]:
        """The cursor's row and column; what edits a line also cancels a wrap that is due."""
        self.cursor.x = min(self.cursor.x, self.columns - 1)
        return self.buffer[self.cursor.y], self.cursor.x

    def insert_characters(self, count: int | None = None) -> None:
        """ICH."""
        row, x = self._at()
        row.insert(x, count or 1, self.blank)

    def delete_characters(self, count: int | None = None) -> None:
        """DCH."""
        row, x = self._at()
        row.delete(x, count or 1, self.blank)

    def erase_characters(self, count: int | None = None) -> None:
        """ECH."""
        row, x = self._at()
        row.fill(x, min(x + (count or 1), self.columns), self.blank)

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        """EL; a line whose end is erased is no longer continued by the next.

        Where a wrap is due, nothing is right of the cursor: programs erase the rest of each line they have
        drawn, full ones too (tmux, VTE and Alacritty agree; xterm loses the last character).
        """
        if how in (0, 2) and self.cursor.y + 1 < self.lines:
            self.buffer[self.cursor.y + 1].joined = False
        if how == 0 and self.cursor.x == self.columns:
            return
        row, x = self._at()
        if how == 0:
            row.fill(x, self.columns, self.blank)
        elif how == 1:
            row.fill(0, x + 1, self.blank)
        elif how == 2:
            row.fill(0, self.columns, self.blank)
            row.joined = False

    def erase_in_display(self, how: int = 0, *args: object, **kwargs: object) -> None:
        """ED; 3 clears the scroll-back, which is not kept here."""
        y = self.cursor.y
        span = {0: range(y + 1, self.lines), 1: range(y), 2: range(self.lines)}.get(how)
        if span is None:
            return
        for line in span:
            self.buffer[line] = blank_row(self.columns, self.blank)
        if how == 2:
            self._at()
        else:
            self.erase_in_line(how)

    def alignment_display(self) -> None:
        """DECALN: a screen full of E."""
        self.margins = None
        self.buffer = [Row([pen(PLAIN)["E"]] * self.columns) for _ in range(self.lines)]
        self.move_to(0, 0)

    # Cursor

    def move_to(self, x: int, y: int) -> None:
        """An absolute position, 0-based, bounded by the margins in origin mode."""
        top, bottom = (self.top(), self.bottom()) if mo.DECOM in self.mode else (0, self.lines - 1)
        self.cursor.x = min(max(x, 0), self.columns - 1)
        self.cursor.y = min(max(y, top), bottom)

    def cursor_position(self, line: int | None = None, column: int | None = None) -> None:
        """CUP: 1-based, relative to the top margin in origin mode."""
        offset = self.top() if mo.DECOM in self.mode else 0
        self.move_to((column or 1) - 1, (line or 1) - 1 + offset)

    def cursor_to_line(self, line: int | None = None) -> None:
        """VPA."""
        self.cursor_position(line, self.cursor.x + 1)

    def cursor_up(self, count: int | None = None) -> None:
        """CUU: stops at the top margin when it starts below it."""
        y, top = self.cursor.y, self.top()
        self.move_to(self.cursor.x, max(y - (count or 1), top if y >= top else 0))

    def cursor_down(self, count: int | None = None) -> None:
        """CUD: stops at the bottom margin when it starts above it."""
        y, bottom = self.cursor.y, self.bottom()
        self.move_to(self.cursor.x, min(y + (count or 1), bottom if y <= bottom else self.lines - 1))

    def tab_back(self) -> None:
        """CBT, one stop."""
        self.cursor.x = max((stop for stop in self.tabstops if stop < self.cursor.x), default=0)

    def set_tab_stop(self) -> None:
        """HTS."""
        self.tabstops.add(min(self.cursor.x, self.columns - 1))

    def set_margins(self, top: int | None = None, bottom: int | None = None) -> None:
        """DECSTBM, 1-based; a region of less than two lines is refused."""
        first = max(top or 1, 1) - 1
        last = min(bottom or self.lines, self.lines) - 1
        if first < last:
            self.margins = None if (first, last) == (0, self.lines - 1) else Margins(first, last)
            self.cursor_position()

    def save_cursor(self) -> None:
        """DECSC: overwrites what was saved before."""
        cursor = self.cursor
        origin = mo.DECOM in self.mode
        self.saved = SavedCursor(cursor.x, cursor.y, self.style, self.charsets, self.shift, origin)

    def restore_cursor(self) -> None:
        """DECRC: the slot keeps its content."""
        saved = self.saved
        self.mode = self.mode | {mo.DECOM} if saved.origin else self.mode - {mo.DECOM}
        self.move_to(saved.x, saved.y)
        self.cursor.x = saved.x
        self.set_charsets(saved.charsets, saved.shift)
        self.set_style(saved.style)

    # Modes

    def set_mode(self, *modes: int, private: bool = False) -> None:  # type: ignore[override]
        """SM and DECSET."""
        for number in modes:
            if private:
                self._private_mode(number, True)
            elif number in (mo.IRM, mo.LNM):
                self.mode.add(number)

    def reset_mode(self, *modes: int, private: bool = False) -> None:  # type: ignore[override]
        """RM and DECRST."""
        for number in modes:
            if private:
                self._private_mode(number, False)
            else:
                self.mode.discard(number)

    def _private_mode(self, number: int, on: bool) -> None:
        if number in _ACTED_ON or number in _NOTED:
            (self.mode.add if on else self.mode.discard)(number << 5)
            if number == 6:
                self.cursor_position()
        elif number in (47, 1047):
            self._switch(on)
        elif number == 1048:
            (self.save_cursor if on else self.restore_cursor)()
        elif number == 1049 and on and self.main is None:
            self.save_cursor()
            self._switch(True)
        elif number == 1049 and not on:
            self._switch(False)
            self.restore_cursor()

    def _switch(self, alternate: bool) -> None:
        """To the alternate screen, always blank at first, or back; each screen has its own saved cursor."""
        if alternate and self.main is None:
            self.main, self.saved_main, self.saved = self.buffer, self.saved, HOME
            self.buffer = [blank_row(self.columns, self.blank) for _ in range(self.lines)]
        elif not alternate and self.main is not None:
            self.buffer, self.main = self.main, None
            self.saved = self.saved_main
            self.saved_main = HOME

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """A new size: text is cut at the right; rows go from below the cursor first, then from the top."""
        columns, lines = fitting(columns or self.columns, lines or self.lines)
        if (columns, lines) == (self.columns, self.lines):
            return
        cursor = self.cursor
        shift = _fit(self.buffer, columns, lines, cursor.y)
        cursor.x, cursor.y = min(cursor.x, columns - 1), min(cursor.y - shift, lines - 1)
        self.saved = _moved(self.saved, columns, lines, shift)
        if self.main is not None:
            shift = _fit(self.main, columns, lines, min(self.saved_main.y, len(self.main) - 1))
            self.saved_main = _moved(self.saved_main, columns, lines, shift)
        self.tabstops = {stop for stop in self.tabstops if stop < columns} | {
            stop for stop in range(8, columns, 8) if stop >= self.columns
        }
        self.columns, self.lines, self.margins = columns, lines, None


def _fit(rows: list[Row], columns: int, lines: int, keep: int) -> int:
    """Bring `rows` to the size, keeping row `keep`; returns by how many rows the text moved up."""
    del rows[max(lines, keep + 1) :]
    shift = max(len(rows) - lines, 0)
    del rows[:shift]
    for row in rows:
        row.fit(columns)
    rows.extend(blank_row(columns) for _ in range(lines - len(rows)))
    return shift


def _moved(saved: SavedCursor, columns: int, lines: int, shift: int) -> SavedCursor:
    return saved._replace(x=min(saved.x, columns - 1), y=min(max(saved.y - shift, 0), lines - 1))
