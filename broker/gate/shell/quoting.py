"""One word of a shell text: its quotes, parameters and substitutions, not yet expanded."""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.gate.shell.tree import (
    Arithmetic,
    Literal,
    Node,
    Parameter,
    Part,
    Process,
    Substitution,
    Word,
)
from broker.gate.text import ANY, Unreadable

Commands = Callable[[str, int], tuple[tuple[Node, ...], str, int]]
"""Reads commands from a place in a text up to the `)` that closes them; gives them, the text (aliases may
have changed it) and the place after the bracket. With -1: the whole text, no bracket."""

_ENDS = frozenset(" \t\n;&|<>()")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = re.compile(r"[0-9@*#?$!-]")
_BRACED = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])")
_OPERATOR = re.compile(r":[-=+?]|[-=+?]|##?|%%?|//?|\^\^?|,,?|@[A-Za-z]|:")
_CODES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f",
          "v": "\v", "\\": "\\", "'": "'", '"': '"', "?": "?"}  # fmt: skip
_NUMBERED = re.compile(r"x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})")


class Incomplete(Unreadable):
    """The shell would wait for more lines. `ends`: the words that would end the open here-documents; where
    the input ends instead, a shell runs the command with what it has."""

    def __init__(self, reason: str, ends: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.ends = ends


class WordReader:
    """Reads one word from a place on. `text` and `at` are valid afterwards."""

    def __init__(self, text: str, at: int, commands: Commands) -> None:
        self.text = text
        self.at = at
        self._commands = commands
        self._parts: list[Part] = []
        self._plain: list[str] = []

    # ---- the three kinds of words ----

    def read(self) -> Word:
        """Up to a blank or an operator."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in "<>" and self.text.startswith("(", self.at + 1):
                self._process()
            elif char in "?*+@!" and self.text.startswith("(", self.at + 1) and self._extended():
                continue
            elif char in _ENDS:
                break
            else:
                self._step(char)
        return self._word()

    def document(self) -> Word:
        """The whole text as the body of a here-document: quotes are plain."""
        while self.at < len(self.text):
            self._double_step(self.text[self.at], "$`\\\n")
        return self._word(quoted=True)

    def arithmetic(self, end: str) -> Word:
        """Up to the brackets `end`, with nested ones inside. Raises Unreadable if they are missing."""
        depth = 0
        opening = "[" if end == "]" else "("
        while True:
            if self.at >= len(self.text):
                raise Incomplete(f"{end} is missing")
            char = self.text[self.at]
            if depth == 0 and self.text.startswith(end, self.at):
                self.at += len(end)
                return self._word(quoted=True)
            if char == opening:
                depth += 1
            elif char == end[0]:
                depth -= 1
                if depth < 0:
                    raise Unreadable("a bracket that closes nothing")
            if char in "'\"$`\\":
                self._step(char)
            else:
                self._plain.append(char)
                self.at += 1

    # ---- parts ----

    def _word(self, *, quoted: bool = False) -> Word:
        self._flush(quoted=quoted)
        return Word(tuple(self._parts))

    def _flush(self, *, quoted: bool = False) -> None:
        if self._plain:
            self._parts.append(Literal("".join(self._plain), quoted))
            self._plain = []

    def _quoted(self, text: str) -> None:
        self._flush()
        self._parts.append(Literal(text, True))

    def _step(self, char: str) -> None:
        if char == "\\":
            self._backslash()
        elif char == "'":
            end = self._find("'", self.at + 1)
            self._quoted(self.text[self.at + 1 : end])
            self.at = end + 1
        elif char == '"':
            self._double()
        elif char == "$":
            self._dollar(quoted=False)
        elif char == "`":
            self._backquotes(quoted=False)
        else:
            self._plain.append(char)
            self.at += 1

    def _find(self, sign: str, start: int) -> int:
        end = self.text.find(sign, start)
        if end < 0:
            raise Incomplete("a quote that is not closed")
        return end

    def _backslash(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if not following:
            raise Incomplete("it ends in a backslash")
        self.at += 2
        if following != "\n":
            self._quoted(following)

    def _double(self) -> None:
        self._quoted("")
        self.at += 1
        while True:
            if self.at >= len(self.text):
                raise Incomplete("a quote that is not closed")
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                self._flush(quoted=True)
                return
            self._double_step(char, '$`"\\\n')

    def _double_step(self, char: str, escapable: str) -> None:
        """One sign inside double quotes."""
        if char == "\\" and self.text[self.at + 1 : self.at + 2] in set(escapable):
            escaped = self.text[self.at + 1]
            self._plain.append("" if escaped == "\n" else escaped)
            self.at += 2
        elif char == "$":
            self._flush(quoted=True)
            self._dollar(quoted=True)
        elif char == "`":
            self._flush(quoted=True)
            self._backquotes(quoted=True)
        else:
            self._plain.append(char)
            self.at += 1

    def _process(self) -> None:
        self._flush()
        reads = self.text[self.at] == "<"
        body, self.text, self.at = self._commands(self.text, self.at + 2)
        self._parts.append(Process(body, reads))

    def _extended(self) -> bool:
        """`@(a|b)`: a pattern if the shell has extglob on; its text is then not known."""
        depth, at = 0, self.at + 1
        while at < len(self.text) and self.text[at] not in "\n`$'\"\\":
            depth += {"(": 1, ")": -1}.get(self.text[at], 0)
            at += 1
            if depth == 0:
                self._flush()
                self._parts.append(Literal(ANY, True))
                self.at = at
                return True
        return False

    def _backquotes(self, *, quoted: bool) -> None:
        self._flush(quoted=quoted)
        out: list[str] = []
        at = self.at + 1
        while True:
            if at >= len(self.text):
                raise Incomplete("a backquote that is not closed")
            char = self.text[at]
            if char == "`":
                break
            following = self.text[at + 1 : at + 2]
            if char == "\\" and following in set('$`\\"' if quoted else "$`\\") and following:
                out.append(following)
                at += 2
            else:
                out.append(char)
                at += 1
        body, _, _ = self._commands("".join(out), -1)
        self.at = at + 1
        self._parts.append(Substitution(body, quoted))

    # ---- after a dollar sign ----

    def _dollar(self, *, quoted: bool) -> None:
        self._flush(quoted=quoted)
        text, at = self.text, self.at
        if text.startswith("$((", at) and self._double_brackets():
            return
        if text.startswith("$(", at):
            body, self.text, self.at = self._commands(text, at + 2)
            self._parts.append(Substitution(body, quoted))
        elif text.startswith("$[", at):
            self._arithmetic_part(at + 2, "]")
        elif text.startswith("${", at):
            self._braced(quoted=quoted)
        elif not quoted and text.startswith("$'", at):
            self._ansi()
        elif not quoted and text.startswith('$"', at):
            self.at += 1
            self._double()
        elif match := (_NAME.match(text, at + 1) or _SPECIAL.match(text, at + 1)):
            self.at = match.end()
            self._parts.append(Parameter(match[0], quoted))
        else:
            self._plain.append("$")
            self.at += 1

    def _double_brackets(self) -> bool:
        saved = self.at, self.text
        try:
            self._arithmetic_part(self.at + 3, "))")
        except Unreadable:
            self.at, self.text = saved
            return False
        return True

    def _arithmetic_part(self, start: int, end: str) -> None:
        inner = WordReader(self.text, start, self._commands)
        word = inner.arithmetic(end)
        self.text, self.at = inner.text, inner.at
        self._parts.append(Arithmetic(word))

    def _braced(self, *, quoted: bool) -> None:
        """`${…}`."""
        at = self.at + 2
        prefix = ""
        if self.text[at : at + 1] in {"#", "!"} and _BRACED.match(self.text, at + 1):
            prefix = "length" if self.text[at] == "#" else "indirect"
            at += 1
        match = _BRACED.match(self.text, at)
        if match is None:
            raise Unreadable("an expansion that is not read")
        at = match.end()
        index = None
        if self.text.startswith("[", at):
            inner = WordReader(self.text, at + 1, self._commands)
            index = inner.arithmetic("]")
            self.text, at = inner.text, inner.at
        operator = _OPERATOR.match(self.text, at)
        if operator is not None:
            at = operator.end()
        inner = WordReader(self.text, at, self._commands)
        operand = inner.brace_operand(quoted=quoted)
        self.text, self.at = inner.text, inner.at
        if operator is None and operand.parts:
            raise Unreadable("an expansion that is not read")
        sign = operator[0] if operator else ""
        self._parts.append(Parameter(match[0], quoted, prefix or sign, operand, index))

    def brace_operand(self, *, quoted: bool) -> Word:
        """Up to the `}` that closes `${`."""
        while True:
            if self.at >= len(self.text):
                raise Incomplete("} is missing")
            char = self.text[self.at]
            if char == "}":
                self.at += 1
                return self._word(quoted=quoted)
            if quoted and char == '"':
                self._double()
            elif quoted:
                self._double_step(char, '$`"\\}\n')
            else:
                self._step(char)

    def _ansi(self) -> None:
        """`$'…'`."""
        out: list[str] = []
        at = self.at + 2
        while True:
            char = self.text[at : at + 1]
            if not char:
                raise Incomplete("a quote that is not closed")
            at += 1
            if char == "'":
                break
            if char == "\\":
                escaped, at = self._ansi_escape(at)
                out.append(escaped)
            else:
                out.append(char)
        self.at = at
        self._quoted("".join(out).partition("\0")[0])

    def _ansi_escape(self, at: int) -> tuple[str, int]:
        following = self.text[at : at + 1]
        if not following:
            raise Incomplete("a quote that is not closed")
        if match := _NUMBERED.match(self.text, at):
            code = (
                int(match[1] or match[2] or match[3] or "0", 16) if not match[4] else int(match[4], 8) % 256
            )
            if (match[1] or match[4]) and code >= 0x80:
                raise Unreadable("bytes in $'…' that are no text")
            if code > 0x10FFFF:
                raise Unreadable("a character in $'…' that is none")
            return chr(code), match.end()
        if following == "c" and self.text[at + 1 : at + 2]:
            return chr(ord(self.text[at + 1]) & 0x1F), at + 2
        return _CODES.get(following, "\\" + following), at + 1
