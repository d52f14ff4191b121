"""A shell, with its aliases, functions and variables."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from broker.gate.reading.reader import without_earlier
from broker.gate.shell import ANY_SHELL, BASH, Session
from broker.gate.shell.alike import FISH, ZSH
from broker.gate.shell.fragments import fragments
from broker.model.command import CommandLine, SimpleCommand

_CLOSERS = re.compile(r"\A\s*(?:(?:do|then|else|elif|fi|done|esac|\}|;;)(?:\s+|\Z|(?=[;&|)>]))|[;)]\s*)+")
"""A line that begins with these goes on with another: alone it is no command in any shell."""
_BLOCK = re.compile(
    r"(?:\A|[;\n|&(]|\band\b|\bor\b)\s*(?:if|while|for|begin|switch|function|end|set|and|or)\b"
)
_COMMENT = re.compile(r"(?:\A|(?<=[\s;&|()]))#")


LONGEST_PENDING = 8 * 1024


class ShellLines:
    """`shell`: its name where it is known. `hooked`: it reports complete lines, its history put in."""

    language = "shell"

    def __init__(self, shell: str = ANY_SHELL, *, hooked: bool = False) -> None:
        self._shell = shell if shell in {BASH, ZSH, FISH} else ANY_SHELL
        self._hooked = hooked
        self._session = Session(shell=self._shell, interactive=not hooked, typed=True)

    def read(self, text: str, *, whole: bool = True) -> list[CommandLine]:
        session = self._session
        if self._shell == FISH and _BLOCK.search(text):
            return [_fish(session.copy(), text)]
        goes_on = without_earlier(text, session.pending) if session.pending else None
        if goes_on is not None:
            return self._each(goes_on)
        found = self._each(_CLOSERS.sub("", text, count=1), pending=False)
        if session.pending and not self._hooked:
            found += [replace(line, opaque=None) for line in self._each(text)]
        return found

    def take(self, text: str) -> list[CommandLine]:
        if self._shell == FISH and _BLOCK.search(text):
            return [_fish(self._session, text)]
        pending = self._session.pending
        goes_on = without_earlier(text, pending) if pending else None
        if goes_on is not None:
            return [self._session.read(_bytes(goes_on))]
        joined, self._session = self._session, self._session.copy(pending=False)
        found = [self._session.read(_bytes(_CLOSERS.sub("", text, count=1)))]
        if pending and not self._hooked:
            found.append(self._perhaps(joined, text))
        return found

    def _perhaps(self, joined: Session, text: str) -> CommandLine:
        """The line goes on with those before it, or an interrupt has ended them: both stay possible."""
        line = joined.read(_bytes(text))
        if line.incomplete and len(joined.pending) < LONGEST_PENDING:
            self._session.wait_for_more(joined.pending)
        elif line.opaque is None:
            self._session = joined
        return line

    def _each(self, text: str, *, pending: bool = True) -> list[CommandLine]:
        """The readings of one text: as it stands, without history, with a comment that is none."""
        if not text.strip() and not (pending and self._session.pending):
            return []
        session = self._session.copy(pending=pending)
        found = [self._once(session, text)]
        if self._shell == ANY_SHELL and re.search(r"!|\A\^", text):
            found.append(self._once(self._session.copy(pending=pending, history=False), text))
        if self._shell in {ZSH, ANY_SHELL} and _COMMENT.search(text):
            # A zsh that is typed into takes # for a word like any other (INTERACTIVE_COMMENTS is off).
            plain = self._session.copy(pending=pending, history=False)
            told = self._once(plain, _COMMENT.sub(r"\\#", text))
            found.append(told if self._shell == ZSH else replace(told, opaque=None))
        return found

    def _once(self, session: Session, text: str) -> CommandLine:
        line = session.read(_bytes(text))
        doubtful = line.opaque is not None or (line.incomplete and self._shell != BASH)
        return _with_fragments(line, text, self._session) if doubtful else line


def _with_fragments(line: CommandLine, text: str, session: Session) -> CommandLine:
    """Also what can be seen in the parts of a text that is not read as a whole."""
    more: list[SimpleCommand] = []
    opaque = line.opaque
    for fragment in fragments(text):
        if fragment == text.strip():
            continue
        part = session.copy(pending=False, history=False).read(_bytes(fragment))
        more += [command for command in part.commands if command not in line.commands]
        if part.opaque is not None and line.incomplete:
            opaque = opaque or part.opaque
    return CommandLine(line.commands + tuple(more), opaque, line.incomplete)


def _fish(session: Session, text: str) -> CommandLine:
    """fish's blocks end otherwise than those of other shells: their commands one by one."""
    lines = [session.read(_bytes(part)) for part in fragments(text, fish=True)]
    opaque = next((line.opaque for line in lines if line.opaque is not None), None)
    return CommandLine(tuple(command for line in lines for command in line.commands), opaque)


def handed_to_shell(text: str) -> CommandLine:
    """A text that a program gives to `sh -c`."""
    return Session(shell=ANY_SHELL).read(_bytes(text))


def started(words: list[str]) -> CommandLine:
    """A program that is started with these words, no shell in between."""
    return Session(shell=BASH).read(_bytes(shlex.join(words)))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
