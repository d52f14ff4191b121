"""A terminal's whole state as the bytes that produce it: keyframes for seeking and for late watchers."""

from __future__ import annotations

import pyte.modes as mo

from recorder.screen.canvas import HOME, SavedCursor
from recorder.screen.cells import PLAIN, Row, Style
from recorder.screen.sgr import sgr
from recorder.screen.terminal import Terminal

_MODES = {mo.LNM: "20", mo.IRM: "4", mo.DECSCNM: "?5"}


def dump_terminal(term: Terminal) -> str:
    """Starts with a full reset, so the screen it is fed to may hold anything but must have the same size."""
    parts = ["\x1bc", _tabs(term)]
    if term.title:
        parts.append(f"\x1b]2;{term.title}\x1b\\")
    if term.main is not None:
        parts += [_paint(term.main, term.columns), _slot(term.main, term.saved_main, term.columns)]
        parts.append("\x1b[?47h")
    parts += [_paint(term.buffer, term.columns), _slot(term.buffer, term.saved, term.columns)]
    parts.append(_present(term))
    return "".join(parts)


def _tabs(term: Terminal) -> str:
    if term.tabstops == set(range(8, term.columns, 8)):
        return ""
    return "\x1b[3g" + "".join(f"\x1b[1;{stop + 1}H\x1bH" for stop in sorted(term.tabstops))


def _paint(rows: list[Row], columns: int) -> str:
    """Rows onto a blank screen. Leaves autowrap off and the style plain."""
    parts = ["\x1b[?7h", _joins(rows, columns), "\x1b[?7l"]
    style = PLAIN
    for y, row in enumerate(rows):
        runs = row.runs()
        if runs[-1].style == PLAIN:
            runs[-1] = runs[-1]._replace(text=runs[-1].text.rstrip(" "))
        if not any(run.text for run in runs):
            continue
        parts.append(f"\x1b[{y + 1}H")
        for run in runs:
            if run.style != style:
                parts.append(sgr(run.style))
                style = run.style
            parts.append(run.text)
    return "".join([*parts, sgr(PLAIN)])


def _joins(rows: list[Row], columns: int) -> str:
    """Mark the rows that continue others, by really wrapping blanks onto them."""
    parts = []
    if rows[0].joined:  # its beginning has left the screen at the top
        parts.append(f"\x1b[1;{columns}H  " + ("\x1b[S" if len(rows) > 1 else ""))
    parts += [f"\x1b[{y};{columns}H  " for y, row in enumerate(rows) if y and row.joined]
    return "".join(parts)


def _slot(rows: list[Row], saved: SavedCursor, columns: int) -> str:
    """The saved cursor. Expects no margins; leaves everything it touches as it found it."""
    if saved == HOME:
        return "\x1b[H"
    origin = "\x1b[?6h" if saved.origin else ""
    place = _place(rows, saved.x, saved.y, 0, columns)
    state = _attributes(saved.style, saved.charsets, saved.shift)
    return f"{origin}{place}{state}\x1b7\x1b[?6l{_attributes(PLAIN, ('B', 'B'), 0)}"


def _place(rows: list[Row], x: int, y: int, offset: int, columns: int) -> str:
    """Put the cursor at (x, y); where a wrap is due, by drawing the last character of the row again."""
    if x < columns:
        return f"\x1b[{y + 1 - offset};{x + 1}H"
    cells = rows[y].cells
    last = columns - 1 if cells[-1].text else columns - 2
    return f"\x1b[{y + 1 - offset};{last + 1}H{sgr(cells[last].style)}{cells[last].text}"


def _attributes(style: Style, charsets: tuple[str, str], shift: int) -> str:
    return f"{sgr(style)}\x1b({charsets[0]}\x1b){charsets[1]}{chr(14) if shift else chr(15)}"


def _present(term: Terminal) -> str:
    """Margins, modes, the cursor."""
    margins, origin, offset = "", "", 0
    if term.margins is not None:
        margins = f"\x1b[{term.margins.top + 1};{term.margins.bottom + 1}r"
    if mo.DECOM in term.mode:
        origin, offset = "\x1b[?6h", term.margins.top if term.margins else 0
    place = _place(term.buffer, term.cursor.x, term.cursor.y, offset, term.columns)
    modes = "\x1b[?7h" if mo.DECAWM in term.mode else ""
    modes += "".join(f"\x1b[{code}h" for mode, code in _MODES.items() if mode in term.mode)
    noted = sorted(mode >> 5 for mode in term.mode - {mo.DECAWM, mo.DECOM, mo.DECTCEM, *_MODES})
    modes += "".join(f"\x1b[?{number}h" for number in noted)
    modes += "" if mo.DECTCEM in term.mode else "\x1b[?25l"
    return margins + origin + place + _attributes(term.style, term.charsets, term.shift) + modes
