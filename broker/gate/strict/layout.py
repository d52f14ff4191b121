"""Where prompt and line stand on the screen: rows of cells, as a terminal wraps them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from recorder.screen import char_width

_UNPRINTED = re.compile(
    r"\x01([^\x02]*)\x02"  # what readline's prompts mark as invisible
    r"|(\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~])"
)
_HARMFUL = re.compile(r"\x1b\[[0-?]*[ -/]*[A-HJKLMPSTXZ@`adefhlnrsu]")
"""Sequences that would move the cursor or erase: a line that is edited has to know where it is."""
TAB = 8
MOST_PROMPT = 4096


class Cell(NamedTuple):
    """`before`: bytes without width that come first (colours). `width`: columns."""

    text: str
    width: int
    before: str = ""


@dataclass(slots=True)
class Row:
    """`wraps`: the text goes on in the next row without a line break."""

    cells: list[Cell] = field(default_factory=list)
    width: int = 0
    wraps: bool = False


class Picture(NamedTuple):
    """All rows, and where the cursor is in them. `tail`: what switches the line's colour off again."""

    rows: list[Row]
    y: int
    x: int
    tail: str = ""


class Prompt(NamedTuple):
    """`above`: rows that come before the one that the line begins in."""

    above: str
    cells: list[Cell]


def prompt_of(text: str) -> Prompt:
    """A prompt as the shell expands it, with its colours and without anything that moves the cursor."""
    head, _, last = text[:MOST_PROMPT].replace("\r", "").rpartition("\n")
    cells: list[Cell] = []
    before = ""
    at = 0
    for match in [*_UNPRINTED.finditer(last), None]:
        piece = last[at : match.start() if match else len(last)]
        for cell in _cells(piece):
            cells.append(cell._replace(before=before + cell.before))
            before = ""
        if match is not None:
            before += _harmless(match[1] if match[1] is not None else match[2])
            at = match.end()
    if before and cells:
        cells[-1] = cells[-1]._replace(text=cells[-1].text + before)
    above = _harmless(head.replace("\x01", "").replace("\x02", ""))
    return Prompt(above.replace("\n", "\r\n") + "\r\n" if head else "", cells)


def _harmless(escape: str) -> str:
    return _HARMFUL.sub("", escape)


def layout(prompt: Prompt, more: list[Cell], text: str, at: int, cols: int, style: str = "") -> Picture:
    """The prompt with the line behind it. `more`: cells in front of each further row of the line.

    `style`: a colour for the line (parameters of SGR); it is switched off at the end.
    """
    cols = max(cols, 2)
    rows, place = [Row()], (0, 0)
    _place_all(rows, prompt.cells, cols)
    opening = f"\x1b[{style}m" if style else ""
    cells = _line_cells(text)
    for number, (index, char) in enumerate(cells):
        if index == at:
            place = _next_place(rows, cols)
        if char.text == "\n":
            rows.append(Row())
            _place_all(rows, more, cols)
            continue
        cell = char._replace(before=opening) if number == 0 else char
        _put(rows, _tab(rows[-1], cell), cols)
    if at >= len(text):
        place = _next_place(rows, cols)
    if rows[-1].width >= cols:
        rows[-1].wraps = True
        rows.append(Row())
        place = place if at < len(text) else (len(rows) - 1, 0)
    y, x = place
    return Picture(rows, y, x, "\x1b[0m" if style else "")


def _line_cells(text: str) -> list[tuple[int, Cell]]:
    """The cells of the line, each with the index of its character."""
    found: list[tuple[int, Cell]] = []
    for index, char in enumerate(text):
        if char in "\n\t":
            found.append((index, Cell(char, 0)))
            continue
        cell = cell_of(char)
        if cell.width == 0 and found and 0 < found[-1][1].width <= 2:
            last, base = found[-1]
            found[-1] = (last, base._replace(text=base.text + char))
        else:
            found.append((index, cell if cell.width else Cell(inert(char), len(inert(char)))))
    return found


@lru_cache(maxsize=4096)
def cell_of(char: str) -> Cell:
    """One character as it is shown: what has no picture of its own, or could act on a terminal, by its number
    (lesson 13)."""
    width = char_width(char)
    if width > 0 and char.isprintable():
        return Cell(char, width)
    if width == 0 and unicodedata.category(char) in ("Mn", "Me") and not "\ufe00" <= char <= "\ufe0f":
        return Cell(char, 0)
    return Cell(inert(char), len(inert(char)))


def inert(char: str) -> str:
    return f"<U+{ord(char):04X}>"


def _cells(text: str) -> Iterator[Cell]:
    for _, cell in _line_cells(text.replace("\n", " ").replace("\t", " ")):
        yield cell


def _tab(row: Row, cell: Cell) -> Cell:
    if cell.text != "\t":
        return cell
    width = TAB - row.width % TAB
    return Cell(" " * width, width, cell.before)


def _place_all(rows: list[Row], cells: list[Cell], cols: int) -> None:
    for cell in cells:
        _put(rows, cell, cols)


def _put(rows: list[Row], cell: Cell, cols: int) -> None:
    """One cell; what is spelled out (wider than a character) may be parted at the right edge."""
    if cell.width > 2:
        for number, char in enumerate(cell.text):
            _put(rows, Cell(char, 1, cell.before if number == 0 else ""), cols)
        return
    if rows[-1].width + cell.width > cols:
        rows[-1].wraps = True
        rows.append(Row())
    rows[-1].cells.append(cell)
    rows[-1].width += cell.width


def _next_place(rows: list[Row], cols: int) -> tuple[int, int]:
    """Where the next cell begins."""
    if rows[-1].width >= cols:
        return len(rows), 0
    return len(rows) - 1, rows[-1].width
