"""What a shell command line would start, read from its text alone: no shell is run.

It is read as bash reads it. Two readers have to agree: our own, which follows the shell word by word, and
tree-sitter's grammar, which knows nothing of ours. It cannot know what the target's start files redefine,
and takes a program for what its name says.
"""

from __future__ import annotations

import re
from dataclasses import replace

from broker.gate.programs.look import look
from broker.gate.shell.alike import apart
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

ANY_SHELL = "any"
"""It is not known which shell gets the text: what they read apart is a doubt."""
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
    `copy`. `shell` is bash, sh, or `ANY_SHELL`; `interactive`: the history is expanded."""

    def __init__(self, *, shell: str = "bash", interactive: bool = False) -> None:
        self._shell = shell
        self._state = State()
        self._pending = ""
        self._history: list[str] | None = [] if interactive else None

    def copy(self) -> Session:
        """A session that knows the same and goes its own way."""
        other = Session(shell=self._shell)
        other._state, other._pending = self._state.copy(), self._pending
        other._history = None if self._history is None else list(self._history)
        return other

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
        incomplete = self._incomplete(text)
        self._pending = text if incomplete else ""
        state = self._state.copy() if incomplete else self._state
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
        if self._shell == ANY_SHELL and (reason := apart(text)) is not None:
            runner.doubt(reason)
        if not text.strip():
            runner.doubt("it is empty")
        if runner.opaque is None and not incomplete:
            self._check_second_reader(text, runner)
        return CommandLine(tuple(runner.commands), runner.opaque, incomplete)

    def _check_second_reader(self, text: str, runner: Runner) -> None:
        seen = {command.program for command in runner.commands} | set(runner.keywords)
        seen |= set(self._state.functions) | set(self._state.aliases) | runner.words
        name = unseen(text, {basename(word) for word in seen} | seen)
        if name is not None:
            runner.doubt(f"two readers do not agree: one sees the command {name}")

    def _incomplete(self, text: str) -> bool:
        try:
            Reader(text, self._state.aliases).all()
        except Incomplete:
            return True
        except (Unreadable, RecursionError):
            return False
        return False
