"""The words and operators of a shell line, quotes removed (POSIX.1-2024, Shell Command Language, 2.2-2.3).

Read as sh, bash, dash, ksh and zsh agree on; what they (or fish) would read differently, and what only
the running shell could know, raises `Unreadable`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def shown(text: str) -> str:
    """A text from a client, short and inert: what does not print is escaped (lesson 13)."""
    safe = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:80])
    return safe if len(text) <= 80 else f"{safe}…"


class Unreadable(Exception):
    """The line means more than its text says. The argument is the reason, for people."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word after quote removal."""

    text: str
    quoted: bool = False
    """Some part of it was quoted, so it is neither a keyword nor a number before a redirection."""
    glob: bool = False
    """It holds an unquoted `*`, `?` or `[`: it may become other words."""
    tilde: bool = False
    """It starts with an unquoted `~`."""
    bare: int = 0
    """Length of the part of the text before the first quoting."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A separator or redirection. `fd` is the number written before a redirection, else empty."""

    text: str
    fd: str = ""


Token = Word | Operator

SEPARATORS = frozenset({";", "&", "&&", "||", "|", "|&", "\n"})
REDIRECTIONS = frozenset({"<", ">", ">>", ">|", "<>", "<&", ">&"})
_OPERATORS = (
    "&>>", "<<<", "<<-", "&>", "&&", "||", "|&", ";;", ";&", ";|", "<<", "<&", "<>", "<(", ">>", ">&", ">|",
    ">(", ">!", "&!", "&|", ";", "&", "|", "<", ">", "\n",
)  # fmt: skip
"""Longest first."""
_READABLE = SEPARATORS | REDIRECTIONS
_ENDS_WORD = frozenset(" \t\n;&|<>()")
_READ_APART = frozenset("abcefnortuvxUX01234567")
"""Characters after a backslash which fish takes for a code, the others for themselves."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v",
            "\\": "\\", '"': '"', "?": "?"}  # fmt: skip
_HEX = re.compile(r"[0-9A-Fa-f]{1,2}")
_OCTAL = re.compile(r"[0-7]{1,3}")


class Lexer:
    """Reads one line, token by token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._word_end = -1

    def next(self) -> Token | None:
        """The next token; None at the end. Raises Unreadable."""
        self._skip_blank()
        if self._at >= len(self._text):
            return None
        operator = self._operator()
        if operator is not None:
            return operator
        word = _WordReader(self._text, self._at)
        result = word.read()
        self._at = self._word_end = word.at
        following = self._text[self._at : self._at + 1]
        if following in {"<", ">"}:
            return self._numbered(result)
        return result

    def _skip_blank(self) -> None:
        text, continued = self._text, False
        while self._at < len(text):
            if text[self._at] in " \t":
                self._at += 1
            elif text.startswith("\\\n", self._at):
                continued = True
                self._at += 2
            elif text[self._at] == "#":
                if continued:
                    raise Unreadable("a comment after a broken line is not read alike by all shells")
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            else:
                return

    def _operator(self) -> Operator | None:
        for operator in _OPERATORS:
            if self._text.startswith(operator, self._at):
                if operator not in _READABLE:
                    raise Unreadable(
                        _WHY_OPERATOR.get(operator, f"{operator} is not read alike by all shells")
                    )
                touches_word = self._word_end == self._at
                self._at += len(operator)
                if operator in {"<&", ">&"} and re.match(r"-[^ \t\n;&|<>()]", self._text[self._at :]):
                    raise Unreadable(f"a word right after {operator}- is not read alike by all shells")
                after = self._text[self._at : self._at + 1]
                if operator == "&" and touches_word and after and after not in _ENDS_WORD:
                    raise Unreadable("& within a word is not read alike by all shells")
                return Operator(operator)
        if self._text[self._at] in "()":
            raise Unreadable("a subshell or function")
        return None

    def _numbered(self, word: Word) -> Token:
        """A number right before a redirection is its descriptor, not a word."""
        if word.quoted or not re.fullmatch("[0-9]+", word.text):
            return word
        if self._text[self._at - 1] == "\n":
            raise Unreadable("a broken line before a redirection is not read alike by all shells")
        if len(word.text) > 1:
            raise Unreadable("a descriptor above 9 is not read alike by all shells")
        operator = self._operator()
        assert operator is not None, "a redirection follows"
        return Operator(operator.text, word.text)


_WHY_OPERATOR = {
    "<<": "a here-document",
    "<<-": "a here-document",
    "<<<": "a here-string",
    "<(": "a process substitution",
    ">(": "a process substitution",
    ";;": "a case branch",
    ";&": "a case branch",
}


class _WordReader:
    """Reads one word from a position on."""

    def __init__(self, text: str, at: int) -> None:
        self.at = at
        self._text = text
        self._out: list[str] = []
        self._length = 0
        self._bare = -1
        self._glob = False
        self._open_bracket = False
        self._tilde = False

    def read(self) -> Word:
        while self.at < len(self._text) and self._text[self.at] not in _ENDS_WORD:
            self._part(self._text[self.at])
        if self._text[self.at : self.at + 1] in {"(", ")"}:
            raise Unreadable("a subshell, function or pattern in brackets")
        text = "".join(self._out)
        bare = self._bare if self._bare >= 0 else len(text)
        if self._glob and text[:1] in {"-", "[", "?"} and text != "[":
            raise Unreadable("a pattern that could become an option")
        if self._open_bracket and text != "[":
            raise Unreadable("a bracket that is not closed is not read alike by all shells")
        return Word(text, self._bare >= 0, self._glob, self._tilde, bare)

    def _part(self, char: str) -> None:
        if char == "\\":
            self._backslash()
        elif char == "'":
            self._single()
        elif char == '"':
            self._double()
        elif char == "$":
            self._dollar()
        elif char == "`":
            raise Unreadable("a command substitution")
        else:
            self._plain(char)

    def _plain(self, char: str) -> None:
        if char in "*?[":
            self._glob = True
        if char in "[]":
            self._open_bracket = char == "["
        if char in "{}":
            raise Unreadable("braces that are not quoted are not read alike by all shells")
        if char < " " or char == "\x7f":
            raise Unreadable("a control character that is not quoted is not read alike by all shells")
        if self._length == 0:
            if char == "=":
                raise Unreadable("a word that starts with = is not read alike by all shells")
            self._tilde = char == "~"
        self._add(char)
        self.at += 1

    def _add(self, text: str) -> None:
        self._out.append(text)
        self._length += len(text)

    def _quote(self) -> None:
        if self._bare < 0:
            self._bare = self._length

    def _backslash(self) -> None:
        following = self._text[self.at + 1 : self.at + 2]
        if not following:
            raise Unreadable("it ends in a backslash")
        self.at += 2
        if following == "\n":
            return
        if following in _READ_APART or not following.isprintable():
            raise Unreadable(f"a backslash before {following} is not read alike by all shells")
        self._quote()
        self._add(following)

    def _single(self) -> None:
        self._quote()
        end = self._text.find("'", self.at + 1)
        if end < 0:
            raise Unreadable("a quote that is not closed")
        content = self._text[self.at + 1 : end]
        if content.endswith("\\"):
            raise Unreadable("a backslash before a closing quote is not read alike by all shells")
        self._add(content)
        self.at = end + 1

    def _double(self) -> None:
        self._quote()
        self.at += 1
        while True:
            char = self._text[self.at : self.at + 1]
            if not char:
                raise Unreadable("a quote that is not closed")
            if char == '"':
                self.at += 1
                return
            if self._text.startswith("\\`", self.at):
                raise Unreadable("a backslash before ` in double quotes is not read alike by all shells")
            if char == "`" or (char == "$" and not self._literal_dollar('" \t\n')):
                raise Unreadable("an expansion ($ or `)")
            if char == "\\" and self._text[self.at + 1 : self.at + 2] in set('$"\\\n'):
                escaped = self._text[self.at + 1]
                self._add("" if escaped == "\n" else escaped)
                self.at += 2
                continue
            self._add(char)
            self.at += 1

    def _literal_dollar(self, before: str) -> bool:
        """A `$` at the end of a word stands for itself."""
        following = self._text[self.at + 1 : self.at + 2]
        return not following or following in before

    def _dollar(self) -> None:
        if self._text.startswith("$'", self.at):
            self._ansi()
        elif self._literal_dollar(" \t\n;&|"):
            self._add("$")
            self.at += 1
        else:
            raise Unreadable("an expansion ($)")

    def _ansi(self) -> None:
        """`$'…'` as bash and zsh read it; an escaped quote inside would end it elsewhere for other shells."""
        self._quote()
        self.at += 2
        while True:
            char = self._text[self.at : self.at + 1]
            if not char:
                raise Unreadable("a quote that is not closed")
            if char == "'":
                self.at += 1
                return
            if char == "\\":
                self._ansi_escape()
            else:
                self._add(char)
                self.at += 1

    def _ansi_escape(self) -> None:
        following = self._text[self.at + 1 : self.at + 2]
        if following in _ESCAPES and following:
            self._add(_ESCAPES[following])
            self.at += 2
            return
        hexadecimal = _HEX.match(self._text, self.at + 2) if following == "x" else None
        octal = _OCTAL.match(self._text, self.at + 1)
        digits, base = (hexadecimal, 16) if hexadecimal else (octal, 8)
        code = int(digits[0], base) if digits else 0
        if digits is None or not 0 < code < 0x80:
            raise Unreadable("an escape in $'…' that is not read alike by all shells")
        self._add(chr(code))
        self.at = digits.end()
