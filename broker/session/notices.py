"""The words the broker itself puts on the user's terminal or stderr during a session."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from broker.gate.lines.doings import Spot
from broker.gate.lines.ruling import Ruling

GLYPHS = {
    "live": ("●", "*"),
    "approved": ("●", "+"),
    "denied": ("■", "#"),
    "held": ("►", ">"),
    "ended": ("■", "#"),
    "expired": ("○", "-"),
    "warning": ("▲", "!"),
}
INDENT = "  "
BELL = b"\a"


@dataclass(frozen=True, slots=True)
class Voice:
    """How to speak to this client: on a terminal with a glyph (ASCII where it has no UTF-8), else by one
    plain line for stderr that scripts can read."""

    terminal: bool
    utf8: bool = True

    def say(self, glyph: str, word: str, text: str) -> bytes:
        """One notice. `word` is the state in capitals, or the code for scripts."""
        if not self.terminal:
            return f"bartizan: [{inert(word)}] {inert(text)}\n".encode()
        return self.encoded(f"\r\n{self.words(glyph, word, text)}\r\n")

    def words(self, glyph: str, word: str, text: str) -> str:
        """A notice as text: the state by a glyph and in words, so that either is enough."""
        return f"{GLYPHS[glyph][0 if self.utf8 else 1]} {inert(word)}  {inert(text)}"

    def blocked(
        self, glyph: str, word: str, text: str, line: str, cols: int = 80, stands: bool = False
    ) -> bytes:
        """A line that was not sent, in place of the cursor's row; what follows begins on an empty row.
        `stands`: the line itself is seen above."""
        again = [] if stands or not line else [f"{INDENT}{line}"]
        again += wrapped(f"{INDENT}Arrow up brings it back to edit.", cols) if line else []
        rows = wrapped(self.words(glyph, word, text), cols) + again
        return self.encoded("\r\x1b[0m\x1b[K" + "".join(f"{row}\r\n" for row in rows))

    def block(self, glyph: str, word: str, text: str, hint: str = "", cols: int = 80) -> bytes:
        """A notice from one empty row to the next; the hint has rows of its own."""
        texts = [self.words(glyph, word, text), *([f"{INDENT}{hint}"] if hint else [])]
        rows = [row for one in texts for row in wrapped(one, max(cols - 1, 20))]
        return self.encoded("".join(f"{row}\r\n" for row in rows))

    def below(self, spot: Spot, texts: list[str]) -> bytes:
        """Texts on rows of their own below the line, wrapped; the cursor stays at the end of the last."""
        down = f"\x1b[{spot.down}B" if spot.down else ""
        lead = "\r\x1b[0m\x1b[K" if spot.bare else f"{down}\r\n\x1b[0m"
        return self.encoded(lead + self.rows(spot, texts))

    def rows(self, spot: Spot, texts: list[str]) -> str:
        """Texts as rows of the terminal."""
        return "\r\n".join(row for text in texts for row in wrapped(text, spot.cols))

    def overlay(self, glyph: str, word: str, text: str, cols: int = 80) -> bytes:
        """A notice on the last row, over a full-screen program; the cursor stays where it is."""
        row = cut(self.words(glyph, word, text), cols - 1)
        return self.encoded(f"\x1b7\x1b[999;1H\x1b[0;7m\x1b[2K{row}\x1b[0m\x1b8")

    def title(self, text: str) -> bytes:
        """Keep the window's title on the terminal's stack (XTWINOPS 22) and set another."""
        return self.encoded(f"\x1b[22;2t\x1b]2;{inert(text)}\a")

    def title_back(self, known: str) -> bytes:
        """The title as it was: `known` where the terminal has no such stack."""
        return self.encoded(f"\x1b]2;{inert(known)}\a\x1b[23;2t")

    def encoded(self, text: str) -> bytes:
        """For this client's terminal."""
        return text.encode() if self.utf8 else text.encode("ascii", "replace")

    def banner(self, text: str) -> bytes:
        """The first line of an interactive session."""
        return self.encoded(f"{self.words('live', 'bartizan', text)}\r\n")


def because(ruling: Ruling) -> str:
    """Why, by which rule, and where that stands."""
    where = ", ".join(part for part in (f"rule {ruling.rule}" if ruling.rule else "", ruling.origin) if part)
    reason = ruling.reason.rstrip(".")
    return f"{reason} ({where})" if where else reason


def inert(text: str) -> str:
    """The text with every control, invisible and direction-changing character spelled out, so that no
    name, reason or command can act on a terminal (lesson 13)."""
    return "".join(c if c.isprintable() else f"⟨U+{ord(c):04X}⟩" for c in text)


def shown(line: str) -> str:
    """A line as it may stand in a notice: one row, harmless, of bounded length."""
    text = inert(line.replace("\n", " ⏎ "))
    return text if len(text) <= 200 else text[:199] + "…"


def width(text: str) -> int:
    """Columns of a terminal that printable text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def cut(text: str, cols: int) -> str:
    """As much of the text as fits."""
    while width(text) > max(cols, 1):
        text = text[:-1]
    return text


def wrapped(text: str, cols: int) -> list[str]:
    """Rows of at most `cols` columns, broken at blanks where there are any; the later ones indented."""
    words = text.split(" ")
    rows, row = [], words[0]
    for word in words[1:]:
        if width(row) + 1 + width(word) > cols and row.strip():
            rows.append(row)
            row = INDENT + word
        else:
            row = f"{row} {word}"
    rows.append(row)
    return [piece for row in rows for piece in _broken(row, cols)]


def _broken(row: str, cols: int) -> list[str]:
    """A row without blanks to break it at."""
    pieces = []
    while width(row) > cols > len(INDENT) + 2:
        head = cut(row, cols)
        pieces.append(head)
        row = INDENT + row[len(head) :]
    return [*pieces, row]
