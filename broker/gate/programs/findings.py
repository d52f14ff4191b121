"""What looking at one command gives, and how options are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input
from broker.gate.text import known
from broker.model.command import Deed, FileRead, SqlText

ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")


@dataclass(slots=True)
class Findings:
    """What a command does beyond itself.

    `texts` are run by a shell, `commands` as they are; `doubt` says why more could run. `reads`: None for
    what its arguments suggest. `output` is what it prints, if that is known."""

    does: set[Deed] = field(default_factory=set)
    texts: list[tuple[str, Input]] = field(default_factory=list)
    commands: list[tuple[list[str], Flow]] = field(default_factory=list)
    assigns: list[str] = field(default_factory=list)
    positional: tuple[str, ...] = ()
    zero: str = "sh"
    doubt: str | None = None
    reads: list[FileRead] | None = None
    writes: list[str] = field(default_factory=list)
    sql: list[SqlText] = field(default_factory=list)
    output: str | None = None
    captures: bool = False
    """What it prints is what the command inside prints."""
    listens: str = ""
    """The language of the lines that it reads from the terminal."""

    def run(self, argv: list[str], stdin: Input) -> None:
        if argv:
            self.commands.append((argv, Flow(stdin)))

    def shell(self, name: str, flow: Flow) -> None:
        """It starts a shell without a command: for the person, or for its input."""
        if flow.stdin.terminal:
            self.does.add(Deed.SHELL)
            self.listens = "shell"
        elif flow.stdin.rest is not None:
            self.texts.append((flow.stdin.rest, Input()))
        else:
            self.does.add(Deed.SHELL)
            self.doubt = self.doubt or f"{name} runs its input, which is not known"

    def escape(self, text: str | None = None) -> Findings:
        """It starts a shell or a command although that is not its purpose."""
        self.does.add(Deed.SHELL)
        if text is not None:
            self.texts.append((text, Input()))
        return self


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a program that stand before its operands.

    `flags` and `valued` are letters; the long ones are without dashes. `single`: long options may have one
    dash (`-long`)."""

    flags: str = ""
    valued: str = ""
    long_flags: frozenset[str] = frozenset()
    long_valued: frozenset[str] = frozenset()
    optional: str = ""
    """Letters whose value, if any, is attached."""


@dataclass(slots=True)
class Split:
    """`options` with their values in order of appearance, and the index of the first operand."""

    options: list[tuple[str, str | None]]
    first: int
    unknown: str | None = None

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.options)

    def values(self, *names: str) -> list[str]:
        return [value for name, value in self.options if name in names and value is not None]


def leading(options: Options, args: list[str], start: int = 0) -> Split:
    """Options up to the first operand or `--` (POSIX utility syntax, with GNU's long options)."""
    found: list[tuple[str, str | None]] = []
    at, unknown = start, None
    while at < len(args) and args[at].startswith("-") and args[at] != "-":
        text = args[at]
        at += 1
        if text == "--":
            break
        if not known(text.partition("=")[0]):
            unknown = unknown or text
        if text.startswith("--"):
            name, equals, value = text[2:].partition("=")
            full = _completed(name, options)
            if equals:
                found.append((full, value))
                if full not in options.long_valued and full not in options.long_flags:
                    unknown = unknown or text
            elif full in options.long_valued:
                found.append((full, args[at] if at < len(args) else None))
                at += 1
            else:
                found.append((full, None))
                if full not in options.long_flags:
                    unknown = unknown or text
        else:
            at, bad = _cluster(options, text, args, at, found)
            unknown = unknown or bad
    return Split(found, at, unknown)


def _completed(name: str, options: Options) -> str:
    """A long option written in short (`--foreg`)."""
    names = options.long_flags | options.long_valued
    if name in names:
        return name
    near = [full for full in names if full.startswith(name)]
    return near[0] if len(near) == 1 and name else name


def _cluster(
    options: Options, text: str, args: list[str], at: int, found: list[tuple[str, str | None]]
) -> tuple[int, str | None]:
    for index, letter in enumerate(text[1:], 1):
        if letter in options.valued:
            rest = text[index + 1 :]
            if rest:
                found.append((letter, rest))
                return at, None
            found.append((letter, args[at] if at < len(args) else None))
            return at + 1, None
        if letter in options.optional:
            found.append((letter, text[index + 1 :]))
            return at, None
        found.append((letter, None))
        if letter not in options.flags:
            return at, text
    return at, None


def asks_only(args: Iterable[str]) -> bool:
    """True for `--help` or `--version` and nothing else."""
    given = list(args)
    return bool(given) and set(given) <= {
        "--help",
        "--version",
        "-h",
        "-V",
        "-help",
        "-version",
        "help",
        "version",
    }
