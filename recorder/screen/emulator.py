"""`Screen`: bytes in, a picture out."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import pyte.modes as mo

from recorder.screen.canvas import fitting
from recorder.screen.cells import Run, Style
from recorder.screen.dump import dump_terminal
from recorder.screen.parser import Parser
from recorder.screen.sgr import Params
from recorder.screen.terminal import Terminal

_PIECE = 65536
Counted = Callable[[int], object]


class Cursor(NamedTuple):
    """Where the cursor is, 0-based. `wraps`: the last column was drawn, the next character goes below."""

    x: int
    y: int
    visible: bool
    wraps: bool


class Screen:
    """A terminal of `cols` x `rows`. No input raises, and how it is cut into pieces makes no difference.

    Not thread-safe. Costs about 10 ms of CPU for 100 kB of text: never feed bulk output on an event loop.
    """

    def __init__(self, cols: int, rows: int) -> None:
        self._terminal = Terminal(*fitting(cols, rows))
        self._parser = Parser(_Interpreter(self._terminal))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> None:
        """Output of the program, in any pieces."""
        for start in range(0, len(data), _PIECE):
            self._parser.feed(self._decoder.decode(data[start : start + _PIECE]))

    def resize(self, cols: int, rows: int) -> None:
        """A new size, brought within 1x1 and 1000x500."""
        cols, rows = fitting(cols, rows)
        self._terminal.resize(lines=rows, columns=cols)

    @property
    def cols(self) -> int:
        """Columns."""
        return self._terminal.columns

    @property
    def rows(self) -> int:
        """Rows."""
        return self._terminal.lines

    @property
    def cursor(self) -> Cursor:
        """The cursor."""
        cursor, last = self._terminal.cursor, self.cols - 1
        return Cursor(min(cursor.x, last), cursor.y, mo.DECTCEM in self._terminal.mode, cursor.x > last)

    @property
    def title(self) -> str:
        """The window title the program set, at most 256 characters, free of controls."""
        return self._terminal.title

    @property
    def alternate(self) -> bool:
        """True while the alternate screen shows (full-screen programs)."""
        return self._terminal.main is not None

    @property
    def margins(self) -> tuple[int, int] | None:
        """First and last row of the scroll region, 0-based; None if it is the whole screen."""
        margins = self._terminal.margins
        return (margins.top, margins.bottom) if margins else None

    @property
    def saved_cursor(self) -> tuple[int, int]:
        """Column and row in the slot of DECSC."""
        return self._terminal.saved.x, self._terminal.saved.y

    def mode(self, number: int, private: bool = True) -> bool:
        """Whether a mode is set: private 1, 5, 6, 7, 25, 69, 2004 and mouse modes, or ANSI 4 (insert), 20."""
        return (number << 5 if private else number) in self._terminal.mode

    @property
    def scrolls_plainly(self) -> bool:
        """True between sequences and characters, where line feeds at the bottom scroll the whole screen."""
        plain = self._terminal.margins is None and not self.mode(6) and not self.mode(20, private=False)
        return plain and self.complete

    @property
    def complete(self) -> bool:
        """True between sequences and characters: something else could be drawn now."""
        return not self._parser.pending() and self._decoder.getstate() == (b"", 0)

    def joined(self, row: int) -> bool:
        """True if `row` continues the row above it: the text was one line, wrapped by the terminal."""
        return self._terminal.buffer[row].joined

    def display(self) -> list[str]:
        """The text: `rows` lines, each exactly `cols` columns wide (a wide character counts two)."""
        return ["".join([cell.text for cell in row.cells]) for row in self._terminal.buffer]

    def columns(self, row: int) -> list[str]:
        """One row by columns: a character with its marks; empty: the right half of a wide character."""
        return [cell.text for cell in self._terminal.buffer[row].cells]

    def cells(self, row: int) -> list[Run]:
        """One row for a renderer: runs of one style, left to right, screen-wide reverse applied."""
        runs = self._terminal.buffer[row].runs()
        if mo.DECSCNM not in self._terminal.mode:
            return runs
        return [run._replace(style=run.style._replace(reverse=not run.style.reverse)) for run in runs]

    @property
    def style(self) -> Style:
        """How the next character would be drawn."""
        return self._terminal.style

    def dump(self) -> bytes:
        """Bytes that bring any Screen of this size to this very state, unfinished sequences included."""
        unfinished = self._decoder.getstate()[0]
        return (dump_terminal(self._terminal) + self._parser.pending()).encode() + unfinished

    def fingerprint(self) -> str:
        """A digest of the whole state."""
        term = self._terminal
        grids = [[(row.joined, tuple(row.cells)) for row in rows] for rows in (term.buffer, term.main or [])]
        cursor = (term.cursor.x, term.cursor.y, term.style, term.charsets, term.shift)
        modes = (term.margins, sorted(term.mode), sorted(term.tabstops), term.title)
        unfinished = (self._parser.pending(), self._decoder.getstate())
        state = (term.columns, term.lines, grids, cursor, term.saved, term.saved_main, modes, unfinished)
        return hashlib.sha256(repr(state).encode()).hexdigest()


class _Interpreter:
    """Control functions to calls on the terminal; what is not listed has no effect on the picture."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.draw = terminal.draw
        self._controls: dict[str, Callable[[], object]] = {
            "\x08": terminal.backspace,
            "\t": terminal.tab,
            "\n": self._linefeed,
            "\v": self._linefeed,
            "\f": self._linefeed,
            "\r": terminal.carriage_return,
            "\x0e": terminal.shift_out,
            "\x0f": terminal.shift_in,
        }
        self._escapes: dict[str, Callable[[], object]] = {
            "7": terminal.save_cursor,
            "8": terminal.restore_cursor,
            "D": terminal.index,
            "E": self._next_line,
            "H": terminal.set_tab_stop,
            "M": terminal.reverse_index,
            "c": terminal.reset,
            "#8": terminal.alignment_display,
        }
        self._counted = _counted(terminal)

    def execute(self, control: str) -> None:
        if action := self._controls.get(control):
            action()

    def escape(self, intermediates: str, final: str) -> None:
        if intermediates and intermediates in "()":
            self._terminal.define_charset(final, intermediates)
        elif action := self._escapes.get(intermediates + final):
            action()

    def osc(self, text: str) -> None:
        number, _, value = text.partition(";")
        if number in ("0", "2"):
            self._terminal.set_title(value)

    def csi(self, prefix: str, params: Params, intermediates: str, final: str) -> None:
        terminal = self._terminal
        if prefix == "?" and not intermediates and final in "hlJK":
            self._private(params, final)
        elif intermediates == "!" and final == "p" and not prefix:
            terminal.soft_reset()
        elif prefix or intermediates:
            return
        elif final == "m":
            terminal.select_style(params)
        elif action := self._counted.get(final):
            action(params[0][0] if params else 0)
        else:
            self._positions(params, final)

    def _private(self, params: Params, final: str) -> None:
        numbers = [part[0] for part in params]
        if final in "hl":
            change = self._terminal.set_mode if final == "h" else self._terminal.reset_mode
            change(*numbers, private=True)
        else:  # selective erase: nothing can be protected here
            self._counted[final](numbers[0] if numbers else 0)

    def _positions(self, params: Params, final: str) -> None:
        terminal = self._terminal
        numbers = [part[0] for part in params]
        first, second = (*numbers, 0, 0)[:2]
        if final in "Hf":
            terminal.cursor_position(first, second)
        elif final == "r":
            terminal.set_margins(first, second)
        elif final == "h":
            terminal.set_mode(*numbers)
        elif final == "l":
            terminal.reset_mode(*numbers)
        elif final == "s" and not params:
            terminal.save_cursor()
        elif final == "u" and not params:
            terminal.restore_cursor()

    def _linefeed(self) -> None:
        self._terminal.index()
        if mo.LNM in self._terminal.mode:
            self._terminal.carriage_return()

    def _next_line(self) -> None:
        self._terminal.index()
        self._terminal.carriage_return()


def _counted(terminal: Terminal) -> dict[str, Counted]:
    """Control sequences with one number, by final character; the number is 0 when missing."""

    def line_start(move: Counted) -> Counted:
        def act(count: int) -> None:
            move(count)
            terminal.carriage_return()

        return act

    def times(step: Callable[[], object]) -> Counted:
        return lambda count: [step() for _ in range(min(max(count, 1), terminal.columns))]

    return {
        "@": terminal.insert_characters,
        "P": terminal.delete_characters,
        "X": terminal.erase_characters,
        "L": terminal.insert_lines,
        "M": terminal.delete_lines,
        "J": terminal.erase_in_display,
        "K": terminal.erase_in_line,
        "g": terminal.clear_tab_stop,
        "A": terminal.cursor_up,
        "B": terminal.cursor_down,
        "e": terminal.cursor_down,
        "C": terminal.cursor_forward,
        "a": terminal.cursor_forward,
        "D": terminal.cursor_back,
        "E": line_start(terminal.cursor_down),
        "F": line_start(terminal.cursor_up),
        "G": terminal.cursor_to_column,
        "`": terminal.cursor_to_column,
        "d": terminal.cursor_to_line,
        "S": lambda count: terminal.scroll(max(count, 1)),
        "T": lambda count: terminal.scroll(-max(count, 1)),
        "I": times(terminal.tab),
        "Z": times(terminal.tab_back),
        "b": lambda count: terminal.repeat(max(count, 1)),
    }
