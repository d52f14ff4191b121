"""A line that another program reads: what was typed, what the screen shows, and what both say together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from broker.gate.lines.keys import Key, Kind
from broker.gate.lines.picture import Reading, Start, read, start_of
from broker.gate.lines.programs import starts_shell
from broker.gate.lines.ruling import Candidate, Source
from broker.gate.lines.typed import CookedLine, EditorLine
from recorder.screen import Screen

MOST_SUFFIXES = 40
MOST_LINES = 200
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
        self.prompt = ""
        """What stood in front of the last line that began after another had gone out: all that comes behind
        it on the row belongs to the line, whoever put it there."""
        self._begins = True
        self.plain = True
        """Nothing but characters was typed: once all of them show, no echo is missing."""
        self.earlier = ""
        """Lines accepted before that this one goes on with."""
        self._stale = ""
        """Keys that went to a program which took them for itself, it seems; the line may hold them yet."""

    def take(self, key: Key, screen: Screen | None) -> None:
        """A key is about to be sent. `screen`: up to date; None: nothing came since the last key."""
        if screen is not None:
            if self.fresh:
                self.start, self.fresh = start_of(screen), False
                if self._begins:
                    self.prompt, self._begins = self.start.prompt, False
            elif self._taken_away(screen):
                self._stale = (self._stale + self.editor.text)[-4096:]
                self.editor.clear()
                self.cooked.clear()
                self.start = start_of(screen)
        self.editor.take(key)
        self.cooked.take(key)
        self.plain = self.plain and key.kind is Kind.TEXT
        if key.full in (b"\x03", b"\x1c", b"\x1a"):
            self.next_line()
            self.plain, self.earlier = False, ""

    @property
    def everything(self) -> str:
        """All that was typed since the last line, also what a program seems to have taken for itself."""
        return self._stale + (self.cooked.text or self.editor.text)

    def next_line(self) -> None:
        """The line has ended: the next key begins another."""
        self.editor.clear()
        self.cooked.clear()
        self.start, self.fresh, self.plain, self._stale = None, True, True, ""

    def _taken_away(self, screen: Screen) -> bool:
        """True if what was typed so far left no trace while something else was printed. Only characters are
        given up like that: what a key of unknown effect brought into the line may not be forgotten."""
        typed = self.editor.text
        if not self.editor.known or not typed.strip() or self.start is None:
            return False
        reading = read(screen, self.start)
        moved = (screen.cursor.x, screen.cursor.y) != (self.start.x, self.start.y)
        return moved and (reading.text is None or not _subsequence(typed, reading.text))

    def accepted(self, text: str) -> None:
        """The line went out; the next one may go on with it."""
        whole = f"{self.earlier}\n{text}" if self.earlier else text
        self.earlier = whole if continues(whole) and len(whole) < 1 << 16 else ""
        self.next_line()
        self._begins = True

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
        return Evidence(
            tuple(found), False, False, readable, reading.why or "what was typed is not what shows"
        )

    def _kept(self) -> str:
        """Typed characters that should be on the screen: all of them where nothing could take one back."""
        known = [line.text for line in (self.editor, self.cooked) if line.known]
        return min(known, key=len) if known else ""

    def _joined(self, text: str, source: Source, secret: bool = False) -> tuple[Candidate, ...]:
        found = [Candidate(one, source, secret) for one in readings(text, self.earlier)]
        if self._stale:
            found.append(Candidate(self._stale + text, Source.KEYS, secret))
        return tuple(found)


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


def is_data(earlier: str) -> bool:
    """True if the next line is inside a quote or here-document that no shell reads: data, not a command."""
    return (in_heredoc(earlier) or bool(_open_quote(earlier)[0])) and not starts_shell(earlier)


def readings(text: str, earlier: str = "") -> list[str]:
    """A line as a shell gets it: with the lines it goes on with, and each line in it that is no data."""
    whole = f"{earlier}\n{text}" if earlier else text
    found = [whole]
    if "\n" in whole:
        lines = whole.split("\n")[:MOST_LINES]
        found += [line for at, line in enumerate(lines) if not is_data("\n".join(lines[:at]))]
    return list(dict.fromkeys(found))


def in_heredoc(text: str) -> bool:
    """True if the text has begun a here-document: what follows is its body."""
    return bool(_HEREDOC.search(text))


def continues(text: str) -> bool:
    """True if a shell would ask for more: a quote is open, a here-document begun, or it ends in `\\`."""
    quote, escaped = _open_quote(text)
    return bool(quote) or escaped or (in_heredoc(text) and not _heredoc_ended(text))


def _open_quote(text: str) -> tuple[str, bool]:
    """The quote that is open at the end, and whether the text ends in a backslash that acts."""
    quote, at = "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            if at + 1 == len(text):
                return quote, True
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
    return quote, False


def _heredoc_ended(text: str) -> bool:
    match = re.search(r"<<-?\s*[\"']?(\w+)", text)
    lines = text.split("\n")
    return match is not None and any(line.strip() == match[1] for line in lines[1:])
