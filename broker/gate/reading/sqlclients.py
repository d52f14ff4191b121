"""psql, mysql, mariadb, sqlite3: statements, perhaps over several lines, and the client's own commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from broker.gate.programs.findings import Findings
from broker.gate.programs.sqltexts import run_command
from broker.gate.reading.reader import without_earlier
from broker.gate.reading.shells import handed_to_shell
from broker.gate.shell.state import HOME
from broker.gate.sql import MYSQL, POSTGRESQL, Splitter
from broker.gate.sql.commands import NOTHING, effect_of
from broker.gate.sql.lexer import Piece, Token
from broker.gate.sql.statements import begins
from broker.model.command import CommandLine, Deed, SimpleCommand, SqlText

_WORDS = re.compile(r"\s*(?:quit|exit|help)\s*;?\s*\Z", re.IGNORECASE)
"""psql takes these for commands at the beginning of a statement."""
_FROM_INPUT = re.compile(r"\\?copy\b.*\bfrom\s+p?stdin\b", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class SqlLines:
    """`program` and `args`: as the client was started."""

    language: str
    program: str = ""
    args: tuple[str, ...] = ()
    _splitter: Splitter = field(init=False)
    _ghost: Splitter | None = None
    """What the server may have besides: data of a COPY that failed is read as SQL."""
    _data: bool = False
    """Data of a COPY are expected, up to `\\.`."""

    def __post_init__(self) -> None:
        self._splitter = Splitter(self.language)

    def read(self, text: str, *, whole: bool = True) -> list[CommandLine]:
        strict = whole and not self._data
        found = [self._line(self._splitter.copy(), self._rest(text), strict=strict)]
        if self._ghost is not None:
            found.append(self._line(self._ghost.copy(), text, strict=False))
        if self._splitter.begun:
            found.append(self._line(self._splitter.copy(pending=False), text, strict=False))
        return found

    def take(self, text: str) -> list[CommandLine]:
        found = self.read(text)
        if self._ghost is not None:
            self._ghost.feed(f"{text}\n")
            if not self._ghost.begun and not self._data:
                self._ghost = None
        if self._data:
            self._data = text.strip() != "\\."
            return found
        pieces = self._splitter.feed(f"{self._rest(text)}\n")
        if self._ended_by_word(text) or not self._splitter.begun:
            self._splitter = self._splitter.copy(pending=False)
        if self.language == POSTGRESQL and any(_FROM_INPUT.match(_told(piece)) for piece in pieces):
            self._data, self._ghost = True, self._splitter.copy(pending=False)
        return found

    def _rest(self, text: str) -> str:
        """The text without the lines that the client has already."""
        pending = self._splitter.pending.rstrip("\n")
        rest = without_earlier(text, pending) if pending.strip() else None
        return text if rest is None else rest

    def _ended_by_word(self, text: str) -> bool:
        return self.language == POSTGRESQL and _WORDS.match(text) is not None

    def _line(self, splitter: Splitter, text: str, *, strict: bool) -> CommandLine:
        if not splitter.begun and self._ended_by_word(text):
            return CommandLine((self._command(Findings()),))
        findings = Findings(reads=[])
        for piece in splitter.feed(f"{text}\n"):
            if strict or self._is_meant(piece):
                self._piece(piece, findings)
        if strict and splitter.begun and not begins(self.language, splitter.tokens):
            findings.doubt = findings.doubt or "it does not begin as SQL does"
        inner = [handed_to_shell(told) for told, _ in findings.texts]
        opaque = next((line.opaque for line in inner if line.opaque is not None), findings.doubt)
        commands = (self._command(findings), *(command for line in inner for command in line.commands))
        return CommandLine(commands, opaque, splitter.begun)

    def _piece(self, piece: Piece, findings: Findings) -> None:
        if piece.tokens and not begins(self.language, piece.tokens):
            findings.doubt = findings.doubt or "it does not begin as SQL does"
        if any(_is_shells(self.language, token) for token in piece.tokens):
            findings.doubt = findings.doubt or "it could be a shell's command"
        findings.sql.append(SqlText(self.language, piece.raw))
        if piece.command is not None:
            run_command(self.program, self.language, piece.command, HOME, findings, terminal=True)

    def _is_meant(self, piece: Piece) -> bool:
        """True for what surely is SQL, or a command that does something."""
        if piece.command is not None and not piece.tokens:
            effect = effect_of(self.language, piece.command)
            return effect != NOTHING and effect != replace(NOTHING, doubt=effect.doubt)
        return piece.doubt is None and begins(self.language, piece.tokens)

    def _command(self, findings: Findings) -> SimpleCommand:
        return SimpleCommand(
            self.program,
            self.args,
            tuple(findings.writes),
            tuple(findings.reads or ()),
            does=frozenset(findings.does & {Deed.SHELL}),
            sql=tuple(findings.sql),
            listens=findings.listens,
        )


def _is_shells(language: str, token: Token) -> bool:
    """True for what no SQL holds, and what a shell would run if the program is none of a database."""
    if token.kind == "sign":
        return token.text == "$" or (token.text == "`" and language == POSTGRESQL)
    return token.kind == "name" and (
        "$(" in token.text
        or "`" in token.text
        or (language == MYSQL and any(char.isspace() for char in token.text))
    )


def _told(piece: Piece) -> str:
    return piece.command if piece.command is not None else piece.text.lstrip()
