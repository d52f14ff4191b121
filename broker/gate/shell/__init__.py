"""What a shell command line would start, read from its text alone: no shell is run.

It is read as bash reads it. Two readers have to agree: our own, which follows the shell word by word, and
tree-sitter's grammar, which knows nothing of ours. It cannot know what the target's start files redefine,
and takes a program for what its name says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from broker.gate.programs.look import look
from broker.gate.shell.alike import FISH, ZSH, apart
from broker.gate.shell.builtins import builtin
from broker.gate.shell.history import expanded
from broker.gate.shell.quoting import Incomplete
from broker.gate.shell.reader import Reader
from broker.gate.shell.run import Runner
from broker.gate.shell.second import unseen
from broker.gate.shell.state import Input, State
from broker.gate.text import UNKNOWN, Unreadable, basename
from broker.model.command import CommandLine
from broker.model.target import Channel

BASH = "bash"
ANY_SHELL = "any"
"""It is not known which shell gets the text: what they read apart is a doubt."""
_APART = frozenset({ANY_SHELL, ZSH, FISH})
"""Shells that do not always read a text as bash does."""
MAX_LENGTH = 64 * 1024
_SCP_OPTION = re.compile(r"-[rpdvqtf]\Z")
"""Options of the remote side; none of them takes a value or names a program."""


def parse(command: bytes) -> CommandLine:
    """Everything the line could start, as the text of `sh -c`. Total: never raises, doubt is in `opaque`."""
    return Session(shell=ANY_SHELL).read(command)


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


class Session:
    """One shell that is typed into: what earlier lines set counts for later ones.

    Only lines that were let through may be given to `read`; a line that is judged and refused goes to a
    `copy`. `shell` is bash, zsh, fish, sh, or `ANY_SHELL`; `interactive`: the history is expanded; `typed`:
    a command that goes on in the next line is no doubt, for that line will be judged with it."""

    def __init__(self, *, shell: str = "bash", interactive: bool = False, typed: bool = False) -> None:
        self._shell, self._typed = shell, typed
        self._state = State()
        self._pending = ""
        self._history: list[str] | None = [] if interactive else None

    def copy(self, *, pending: bool = True, history: bool = True) -> Session:
        """A session that knows the same and goes its own way; without what a command has so far, or without
        history if asked."""
        other = Session(shell=self._shell, typed=self._typed)
        other._state, other._pending = self._state.copy(), self._pending if pending else ""
        other._history = list(self._history) if history and self._history is not None else None
        return other

    @property
    def pending(self) -> str:
        """What a command has so far that goes on in the next line."""
        return self._pending

    def wait_for_more(self, pending: str) -> None:
        """A command has that much so far."""
        self._pending = pending

    def read(self, command: bytes) -> CommandLine:
        """Everything the line (with those before it that it ends) could start. Never raises."""
        text = command.decode("utf-8", "replace")
        whole = f"{self._pending}\n{text}" if self._pending else text
        return replace(self._followed(command), text=whole)

    def _followed(self, command: bytes) -> CommandLine:
        if len(command) + len(self._pending) > MAX_LENGTH:
            return CommandLine((), f"it is longer than {MAX_LENGTH} bytes")
        if b"\0" in command:
            return CommandLine((), "it holds a NUL byte")
        try:
            text = command.decode("utf-8")
        except UnicodeDecodeError:
            return CommandLine((), "it is not UTF-8 text")
        if not UNKNOWN.isdisjoint(text):
            return CommandLine((), "it holds characters that are none")
        try:
            text = self._with_history(text)
        except Unreadable as error:
            return CommandLine((), str(error))
        return self._read(f"{self._pending}\n{text}" if self._pending else text)

    def _with_history(self, text: str) -> str:
        """The line as an interactive shell reads it, noted for later lines."""
        if self._history is None:
            return text
        text = expanded(text, self._history)
        if text.strip():
            self._history = [*self._history[-200:], text]
        return text

    def _read(self, text: str) -> CommandLine:
        runner = Runner(look, builtin)
        missing = self._missing(text)
        self._pending = text if missing is not None else ""
        state = self._state.copy() if missing is not None else self._state
        whole = text
        if missing is not None and self._typed:
            whole = self._cut_short(text, missing)
        self._run(runner, whole, state)
        if self._shell in _APART and (reason := apart(text, self._shell)) is not None:
            runner.doubt(reason)
        if not text.strip():
            runner.doubt("it is empty")
        if runner.opaque is None and missing is None:
            self._check_second_reader(text, runner)
        return CommandLine(tuple(runner.commands), runner.opaque, missing is not None)

    def _run(self, runner: Runner, text: str, state: State) -> None:
        try:
            runner.text(text, state, Input(terminal=True))
            for hook in state.hooks:
                runner.nested(hook, state.copy(), Input(terminal=True))
        except Unreadable as error:
            runner.doubt(str(error))
        except RecursionError:
            runner.doubt("commands within commands too deep")
        except Exception as error:  # a defect here must not let a line through
            runner.doubt(f"it could not be read ({type(error).__name__})")

    def _cut_short(self, text: str, missing: Incomplete) -> str:
        """What runs if the person ends the input here: the commands before the one that goes on, and that one
        too if only a here-document is open (POSIX.1-2024, 2.7.4)."""
        ended = "\n".join([text, *missing.ends])
        if missing.ends and self._missing(ended) is None:
            return ended
        return complete_part(text, self._state.aliases)

    def _check_second_reader(self, text: str, runner: Runner) -> None:
        seen = {command.program for command in runner.commands} | set(runner.keywords)
        seen |= set(self._state.functions) | set(self._state.aliases) | runner.words
        name = unseen(text, {basename(word) for word in seen} | seen)
        if name is not None:
            runner.doubt(f"two readers do not agree: one sees the command {name}")

    def _missing(self, text: str) -> Incomplete | None:
        """Why the shell would ask for more; None if it would not."""
        try:
            Reader(text, self._state.aliases).all()
        except Incomplete as error:
            return error
        except (Unreadable, RecursionError):
            return None
        return None


def complete_part(text: str, aliases: Mapping[str, str]) -> str:
    """The lines before the command that goes on behind the text's end."""
    reader = Reader(text, aliases)
    end = 0
    try:
        while reader.line() is not None:
            end = reader.at
    except (Unreadable, RecursionError):
        pass
    if reader.text == text:
        return text[:end]
    lines = text.split("\n")
    return next((part for part in _beginnings(lines) if not _goes_on(part, aliases)), "")


def _beginnings(lines: list[str]) -> Iterator[str]:
    return ("\n".join(lines[:count]) for count in range(len(lines) - 1, 0, -1))


def _goes_on(text: str, aliases: Mapping[str, str]) -> bool:
    try:
        Reader(text, aliases).all()
    except Incomplete:
        return True
    except (Unreadable, RecursionError):
        return False
    return False
