"""The tokens of a statement, stepped through."""

from __future__ import annotations

from collections.abc import Callable

from broker.gate.sql.lexer import Token
from broker.gate.sql.model import Verdict

Tokens = list[Token]
Read = Callable[[Tokens, int], Verdict]
"""Reads a statement: its tokens, and how deep it stands in others."""
END = Token("end", "")
QUERIES = frozenset({"select", "with", "values", "table"})
WRITES = frozenset({"insert", "update", "delete", "merge", "replace"})


class Cursor:
    """The tokens of a statement, one after the other."""

    def __init__(self, tokens: Tokens, read: Read | None = None) -> None:
        self.tokens = tokens
        self.at = 0
        self._read = read

    def inner(self, tokens: Tokens, depth: int) -> Verdict:
        """The verdict on a statement inside this one."""
        assert self._read is not None, "only a statement's own cursor reads statements"
        return self._read(tokens, depth)

    def peek(self, ahead: int = 0) -> Token:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else END

    def word(self, ahead: int = 0) -> str:
        token = self.peek(ahead)
        return token.text if token.kind == "word" else ""

    def skip(self, *words: str) -> bool:
        """Step over the next word if it is one of these."""
        if self.word() in words:
            self.at += 1
            return True
        return False

    def brackets(self) -> Tokens:
        """The tokens inside the brackets that open here; steps behind them."""
        depth, start = 0, self.at + 1
        while self.at < len(self.tokens):
            text = self.peek().text if self.peek().kind == "sign" else ""
            depth += {"(": 1, ")": -1}.get(text, 0)
            self.at += 1
            if depth == 0:
                break
        return self.tokens[start : self.at - 1]

    @property
    def rest(self) -> Tokens:
        return self.tokens[self.at :]


Handler = Callable[[str, Cursor, int], Verdict]
"""Reads what follows the first word: the dialect, the tokens, the depth."""


def handlers(handler: Handler, words: str) -> dict[str, Handler]:
    """The same handler for several first words."""
    return dict.fromkeys(words.split(), handler)
