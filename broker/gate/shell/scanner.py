"""The small steps of reading a shell text: blanks, line ends, here-documents, keywords."""

from __future__ import annotations

import re
from collections.abc import Mapping

from broker.gate.shell.quoting import Incomplete, WordReader
from broker.gate.shell.tree import Literal, Node, Redirect, Word
from broker.gate.text import Unreadable

MAX_NESTING = 40
NAME = re.compile(r"[^ \t\n;&|<>()$`\"'\\#][^ \t\n;&|<>()$`\"'\\]*(?=[ \t\n;&|<>()]|\Z)")


class Scanner:
    """A text, the place in it, and what is still to be read."""

    def __init__(self, text: str, aliases: Mapping[str, str] | None = None, nesting: int = 0) -> None:
        if nesting > MAX_NESTING:
            raise Unreadable("commands within commands too deep")
        self.text = text
        self.at = 0
        self.aliases = aliases or {}
        self._nesting = nesting
        self._heredocs: list[tuple[Redirect, str, bool, bool]] = []
        self._aliased: set[str] = set()
        self._alias_end = -1
        self.keywords: list[str] = []

    def inner(self, text: str, at: int) -> tuple[tuple[Node, ...], str, int]:
        """Commands inside a word (`quoting.Commands`)."""
        raise NotImplementedError

    # ---- small steps ----

    def _blank(self, *, lines: bool = False) -> None:
        """Skip blanks and comments, and line ends too if asked."""
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if char in " \t" or text.startswith("\\\n", self.at):
                self.at += 1 if char != "\\" else 2
            elif char == "#" and (self.at == 0 or text[self.at - 1] in " \t\n;&|()<>"):
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif char == "\n" and lines:
                self._newline()
            else:
                return

    def _newline(self) -> None:
        """Step over a line's end, and over the here-documents that begin after it."""
        self.at += 1
        for number, (redirect, end, literal, tabs) in enumerate(self._heredocs):
            try:
                redirect.target = self._heredoc(end, literal, tabs)
            except Incomplete as error:
                raise Incomplete(str(error), tuple(doc[1] for doc in self._heredocs[number:])) from error
        self._heredocs = []

    def _heredoc(self, end: str, literal: bool, tabs: bool) -> Word:
        lines: list[str] = []
        while True:
            if self.at >= len(self.text):
                raise Incomplete("a here-document that does not end")
            stop = self.text.find("\n", self.at)
            line = self.text[self.at : stop if stop >= 0 else len(self.text)]
            self.at = len(self.text) if stop < 0 else stop + 1
            if tabs:
                line = line.lstrip("\t")
            if line == end:
                break
            lines.append(line + "\n")
        body = "".join(lines)
        if literal:
            return Word((Literal(body, True),))
        return WordReader(body, 0, self.inner).document()

    def _peek(self, *signs: str) -> str | None:
        for sign in signs:
            if self.text.startswith(sign, self.at):
                return sign
        return None

    def _expect(self, sign: str) -> None:
        self._blank(lines=True)
        if not self.text.startswith(sign, self.at):
            if self.at >= len(self.text):
                raise Incomplete(f"{sign} is missing")
            raise Unreadable(f"{sign} is missing")
        self.at += len(sign)

    def _keyword(self) -> str | None:
        """The bare name at this place."""
        self._blank()
        match = NAME.match(self.text, self.at)
        return match[0] if match else None

    def _take(self, keyword: str) -> None:
        self._blank(lines=True)
        if self._keyword() != keyword:
            if self.at >= len(self.text):
                raise Incomplete(f"{keyword} is missing")
            raise Unreadable(f"{keyword} is missing")
        self.at += len(keyword)
