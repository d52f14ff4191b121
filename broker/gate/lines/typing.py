"""A line that another program reads: what was typed, what the screen shows, and what both say together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from broker.gate.lines.keys import Key, Kind
from broker.gate.lines.picture import Reading, Start, read, start_of
from broker.gate.lines.ruling import Candidate, Source
from broker.gate.lines.typed import CookedLine, EditorLine, decoded
from recorder.screen import Screen

MOST_SUFFIXES = 40
_WORD_START = re.compile(r"(?<![^\s$#%>:|;&(`'\"])[^\s]")
_HEREDOC = re.compile(r"<<-?\s*[\"']?\w")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the line. `agreed`: two sources say the same. `silent`: typed without echo.

    `readable`: what was typed stands on the screen in its order, so that nothing typed is unseen.
    """

    candidates: tuple[Candidate, ...]
    agreed: bool
    silent: bool
    readable: bool
    why: str = ""

    @property
    def text(self) -> str:
        return self.candidates[0].text if self.candidates else ""


class Typing:
    """Follows one line from its first key to its end."""

    def __init__(self) -> None:
        self.editor, self.cooked = EditorLine(), CookedLine()
        self.start: Start | None = None
        self.fresh = True
        """No key of this line has been sent yet."""
        self.earlier = ""
        """Lines accepted before that this one goes on with."""
        self._shown: list[str] = []
        """Characters typed and not taken back, as far as that is known."""

    def take(self, key: Key, screen: Screen | None) -> None:
        """A key is about to be sent. `screen`: up to date, needed for the first key of a line."""
        if self.fresh and screen is not None:
            self.start = start_of(screen)
            self.fresh = False
        self.editor.take(key)
        self.cooked.take(key)
        if key.kind is Kind.TEXT:
            self._shown += decoded(key.full)
        elif key.full in (b"\x03", b"\x1c", b"\x1a"):
            self.next_line()
            self.earlier = ""

    def next_line(self) -> None:
        """The line has ended: the next key begins another."""
        self.editor.clear()
        self.cooked.clear()
        self.start, self.fresh, self._shown = None, True, []

    def accepted(self, text: str) -> None:
        """The line went out; the next one may go on with it."""
        whole = f"{self.earlier}\n{text}" if self.earlier else text
        self.earlier = whole if continues(whole) and len(whole) < 1 << 16 else ""
        self.next_line()

    def evidence(self, screen: Screen) -> Evidence:
        """What the line is by all sources at hand."""
        begun = self.start or start_of(screen)
        reading = read(screen, begun)
        typed = [line.text for line in (self.editor, self.cooked) if line.known]
        if reading.text is not None and any(same(text, reading.text) for text in typed):
            text = next(text for text in typed if same(text, reading.text))
            return Evidence(self._joined(text, Source.AGREED), True, False, True)
        return self._disagreeing(reading, list(dict.fromkeys(typed)))

    def _disagreeing(self, reading: Reading, typed: list[str]) -> Evidence:
        shown = self._kept()
        silent = bool(shown) and reading.text is not None and not reading.text.strip() and bool(typed)
        found: list[Candidate] = []
        for text in typed:
            found += self._joined(text, Source.KEYS, silent)
        if silent:
            return Evidence(tuple(found), False, True, True)
        if reading.text is not None:
            found += self._joined(reading.text, Source.SCREEN)
        visible = reading.text if reading.text is not None else reading.rows
        seen = bool(visible) and _subsequence(shown, visible)
        if typed or reading.text is None:
            found += [Candidate(text, Source.ROWS) for text in suffixes(reading.rows)]
        readable = seen and (bool(typed) or reading.text is not None)
        return Evidence(tuple(found), False, False, readable, reading.why or "what was typed is not what shows")

    def _kept(self) -> str:
        """Typed characters that should be on the screen: all of them where nothing could take one back."""
        known = [line.text for line in (self.editor, self.cooked) if line.known]
        return min(known, key=len) if known else ""

    def _joined(self, text: str, source: Source, secret: bool = False) -> tuple[Candidate, ...]:
        alone = Candidate(text, source, secret)
        if not self.earlier:
            return (alone,)
        whole = Candidate(f"{self.earlier}\n{text}", source, secret)
        return (whole,) if in_heredoc(self.earlier) else (whole, alone)


def same(typed: str, shown: str) -> bool:
    """Equal but for blanks at the ends of rows, which a screen cannot show."""
    return _packed(typed) == _packed(shown)


def _packed(text: str) -> str:
    return text.replace("\n", "").rstrip()


def _subsequence(typed: str, shown: str) -> bool:
    rest = iter(shown)
    return all(char in rest for char in typed if not char.isspace())


def suffixes(row: str) -> list[str]:
    """A row as it is and from every place where a command could begin: a prompt may stand in front."""
    found = [row] + [row[match.start() :] for match in _WORD_START.finditer(row)]
    return list(dict.fromkeys(found))[:MOST_SUFFIXES]


def in_heredoc(text: str) -> bool:
    """True if the text has begun a here-document: what follows is its body."""
    return bool(_HEREDOC.search(text))


def continues(text: str) -> bool:
    """True if a shell would ask for more: a quote is open, a here-document begun, or it ends in `\\`."""
    quote, at = "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            if at + 1 == len(text):
                return True
            at += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char == "#" and (at == 0 or text[at - 1].isspace()):
            at = text.find("\n", at)
            if at < 0:
                break
        at += 1
    return bool(quote) or (in_heredoc(text) and not _heredoc_ended(text))


def _heredoc_ended(text: str) -> bool:
    match = re.search(r"<<-?\s*[\"']?(\w+)", text)
    lines = text.split("\n")
    return match is not None and any(line.strip() == match[1] for line in lines[1:])
