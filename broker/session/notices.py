"""The words the broker itself puts on the user's terminal or stderr during a session."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap

GLYPHS = {
    "live": ("●", "*"),
    "denied": ("■", "#"),
    "held": ("►", ">"),
    "ended": ("■", "#"),
    "warning": ("▲", "!"),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """How to speak to this client: on a terminal with a glyph (ASCII where it has no UTF-8), else by one
    plain line for stderr that scripts can read."""

    terminal: bool
    utf8: bool = True

    def say(self, glyph: str, word: str, text: str) -> bytes:
        """One notice. `word` is the state in capitals, or the code for scripts."""
        if not self.terminal:
            return f"bartizan: [{word}] {inert(text)}\n".encode()
        mark = GLYPHS[glyph][0 if self.utf8 else 1]
        line = f"\r\n{mark} {word}  {inert(text)}\r\n"
        return line.encode() if self.utf8 else line.encode("ascii", "replace")

    def blocked(self, glyph: str, word: str, text: str, line: str) -> bytes:
        """A line that was not sent, in place of the cursor's row; what follows begins on an empty row."""
        mark = GLYPHS[glyph][0 if self.utf8 else 1]
        again = f"\r\n  {line}\r\n  Arrow up brings it back to edit." if line else ""
        return self._encoded(f"\r\x1b[0m\x1b[K{mark} {word}  {inert(text)}{again}\r\n")

    def rows(self, glyph: str, word: str, text: str, hint: str = "", cols: int = 80) -> bytes:
        """A notice from one empty row to the next, wrapped by words; the hint has a row of its own."""
        mark = GLYPHS[glyph][0 if self.utf8 else 1]
        said = [f"{mark} {word}  {inert(text)}", *([f"  {hint}"] if hint else [])]
        wide = max(cols - 1, 20)
        rows = [row for one in said for row in wrap(one, wide, subsequent_indent="  ", drop_whitespace=True)]
        return self._encoded("".join(f"{row}\r\n" for row in rows))

    def overlay(self, glyph: str, word: str, text: str) -> bytes:
        """A notice on the last row, over a full-screen program; the cursor stays where it is. With a bell."""
        mark = GLYPHS[glyph][0 if self.utf8 else 1]
        return self._encoded(
            f"\x1b7\x1b[999;1H\x1b[0;7m\x1b[2K{mark} {word}  {inert(text)[:70]}\x1b[0m\x1b8\a"
        )

    def _encoded(self, text: str) -> bytes:
        return text.encode() if self.utf8 else text.encode("ascii", "replace")

    def banner(self, text: str) -> bytes:
        """The first line of an interactive session."""
        mark = GLYPHS["live"][0 if self.utf8 else 1]
        return f"{mark} bartizan  {inert(text)}\r\n".encode("utf-8" if self.utf8 else "ascii", "replace")


def inert(text: str) -> str:
    """The text with every control, invisible and direction-changing character spelled out, so that no
    name, reason or command can act on a terminal (lesson 13)."""
    return "".join(c if c.isprintable() else f"⟨U+{ord(c):04X}⟩" for c in text)
