"""What a shell command line would start, read from its text alone: no shell is run.

A first, conservative form. It reads simple commands joined by `; & && || |` and newlines, looks through
well-known wrappers, and calls everything else opaque, which a policy refuses by default. It cannot know
what the target's start files redefine, and takes a program for what its name says.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from broker.gate.words import REDIRECTIONS, SEPARATORS, Lexer, Operator, Token, Unreadable, Word, shown
from broker.gate.wrappers import (
    ASSIGNMENT,
    KEYWORDS,
    SHELLS,
    WRAPPERS,
    check_variable,
    inner_command,
    shell_text,
    why_opaque,
)
from broker.model.command import CommandLine, SimpleCommand
from broker.model.target import Channel

MAX_LENGTH = 64 * 1024
MAX_DEPTH = 8
_SCP_OPTION = re.compile(r"-[rpdvqtf]\Z")
"""Options of the remote side; none of them takes a value or names a program."""
_NEEDS_COMMAND = frozenset({"&&", "||", "|", "|&"})
_HARMLESS_FILES = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr"})


def parse(command: bytes) -> CommandLine:
    """Everything the line could start. Total: never raises, doubt is in `opaque`."""
    reading = _Reading()
    if len(command) > MAX_LENGTH:
        return CommandLine((), f"it is longer than {MAX_LENGTH} bytes")
    if b"\0" in command:
        return CommandLine((), "it holds a NUL byte")
    try:
        reading.line(command.decode("utf-8"), 0)
    except UnicodeDecodeError:
        return CommandLine((), "it is not UTF-8 text")
    except Unreadable as error:
        reading.doubt(str(error))
    if not reading.commands:
        reading.doubt("it is empty")
    return CommandLine(tuple(reading.commands), reading.opaque)


def channel_of(command: bytes) -> Channel:
    """SCP for a line that starts the remote side of scp and nothing else, else EXEC (lesson 11)."""
    line = parse(command)
    if line.opaque is not None or len(line.commands) != 1:
        return Channel.EXEC
    only = line.commands[0]
    options = [arg for arg in only.args if arg.startswith("-") and arg != "--"]
    plain = all(_SCP_OPTION.match(option) for option in options)
    if only.program == "scp" and not only.writes and plain and {"-t", "-f"} & set(options):
        return Channel.SCP
    return Channel.EXEC


@dataclass(slots=True)
class _Part:
    """A simple command as it is read."""

    words: list[Word] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    redirected: bool = False

    @property
    def empty(self) -> bool:
        return not self.words and not self.redirected


@dataclass(slots=True)
class _Reading:
    """Collects the commands of a line and of the lines inside it."""

    commands: list[SimpleCommand] = field(default_factory=list)
    opaque: str | None = None

    def doubt(self, reason: str) -> None:
        """The first reason is kept."""
        self.opaque = self.opaque or shown(reason)

    def line(self, text: str, depth: int) -> None:
        """Read a whole line. Raises Unreadable, with what was read up to there in `commands`."""
        if depth > MAX_DEPTH:
            raise Unreadable("commands within commands too deep")
        lexer = Lexer(text)
        part, pending = _Part(), False
        try:
            while (token := lexer.next()) is not None:
                if isinstance(token, Operator) and token.text in SEPARATORS:
                    if part.empty and token.text != "\n":
                        raise Unreadable(f"nothing before {token.text}")
                    pending = token.text in _NEEDS_COMMAND or (pending and part.empty)
                    self._simple(part, depth)
                    part = _Part()
                else:
                    self._take(token, part, lexer)
            if pending and part.empty:
                raise Unreadable("it ends before the command does")
        finally:
            self._simple(part, depth)

    def _take(self, token: Token, part: _Part, lexer: Lexer) -> None:
        if isinstance(token, Word):
            part.words.append(token)
            return
        assert token.text in REDIRECTIONS, "the lexer gives no other operator"
        target = lexer.next()
        if not isinstance(target, Word):
            raise Unreadable("a redirection without a file")
        if target.text == "!":
            raise Unreadable(">! is not read alike by all shells")
        part.redirected = True
        self._redirect(token.text, target, part)

    def _redirect(self, operator: str, target: Word, part: _Part) -> None:
        path = posixpath.normpath(target.text) if target.text else ""
        if path.lstrip("/").startswith(("dev/tcp/", "dev/udp/")):
            raise Unreadable("a redirection to the network")
        copied = operator in {"<&", ">&"} and not target.quoted and target.text.rstrip("-").isdecimal()
        closed = operator in {"<&", ">&"} and target.text == "-"
        if operator == "<" or copied or closed or (path in _HARMLESS_FILES and not target.glob):
            return
        part.writes.append(target.text)

    def _simple(self, part: _Part, depth: int) -> None:
        try:
            self._command(self._without_prefix(part.words), tuple(part.writes), depth)
        except Unreadable as error:
            self.doubt(str(error))

    def _without_prefix(self, words: Sequence[Word]) -> Sequence[Word]:
        """The words without negation and assignments in front."""
        at = 0
        while at < len(words) and words[at].text == "!" and not words[at].quoted:
            at += 1
        while at < len(words):
            match = ASSIGNMENT.match(words[at].text)
            if match is None or match.end() > words[at].bare:
                break
            check_variable(match[1])
            at += 1
        return words[at:]

    def _command(self, words: Sequence[Word], writes: tuple[str, ...], depth: int) -> None:
        """Note the command, then look at what it runs."""
        if depth > MAX_DEPTH:
            raise Unreadable("commands within commands too deep")
        if not words:
            if writes:
                self.commands.append(SimpleCommand("", (), writes))
            return
        first, rest = words[0], words[1:]
        if first.text in KEYWORDS and not first.quoted:
            raise Unreadable(f"a compound command ({first.text})")
        if (first.glob and first.text != "[") or first.tilde or not first.text:
            raise Unreadable("the program's name is not known")
        self.commands.append(SimpleCommand(first.text, tuple(word.text for word in rest), writes))
        self._inside(posixpath.basename(first.text), rest, depth)

    def _inside(self, name: str, rest: Sequence[Word], depth: int) -> None:
        if name in WRAPPERS:
            inner = inner_command(name, rest)
            if name == "time":  # a keyword of bash and zsh: a whole pipeline follows it
                inner = self._without_prefix(inner)
            self._command(inner, (), depth + 1)
        elif name in SHELLS:
            self._text(shell_text(name, rest), depth)
        elif name == "eval":
            joined = " ".join(word.text for word in rest)
            self._text(Word(joined, glob=any(word.glob for word in rest)), depth)
        else:
            reason = why_opaque(name, rest)
            if reason is not None:
                raise Unreadable(reason)

    def _text(self, word: Word, depth: int) -> None:
        if word.glob or word.tilde:
            raise Unreadable("the text a shell is to run is not known")
        self.line(word.text, depth + 1)
