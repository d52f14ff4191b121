"""What a shell knows while it runs: variables, functions, aliases, the current folder.

A value holds signs of `broker.gate.text` where it is not known. A variable that is not here is not known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from broker.gate.shell.tree import Node
from broker.gate.text import ANY, WORDS, known

MAX_VALUE = 64 * 1024
"""A longer value is not followed."""
HOME = "/home/user"
"""Stands for the account's home folder, whose name is not known here."""
_USUAL = {
    "HOME": HOME,
    "IFS": " \t\n",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "OLDPWD": HOME,
    "USER": "user",
    "LOGNAME": "user",
    "SHELL": "/bin/bash",
}


@dataclass(slots=True)
class Input:
    """What a command reads from standard input: a text, or None if that is not known.

    `terminal`: the person types there. `at` is how far `read` came."""

    text: str | None = None
    terminal: bool = False
    at: int = 0
    content: bool = False
    """It is what a file holds, or was made of it."""

    def line(self) -> str | None:
        """The next line; None if it is not known or there is none."""
        if self.text is None or self.at >= len(self.text):
            return None
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        line = self.text[self.at : end]
        self.at = end + 1
        return line

    @property
    def rest(self) -> str | None:
        return None if self.text is None else self.text[self.at :]


@dataclass(slots=True)
class State:
    """One shell. `files` are texts behind descriptors, `created` names of programs that the session itself
    made, `hooks` texts that run again with every line."""

    variables: dict[str, str] = field(default_factory=lambda: dict(_USUAL))
    arrays: dict[str, tuple[str, ...]] = field(default_factory=dict)
    functions: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    positional: tuple[str, ...] = ()
    zero: str = "bash"
    folder: str = HOME
    files: dict[str, str | None] = field(default_factory=dict)
    created: frozenset[str] = frozenset()
    hooks: tuple[str, ...] = ()
    folded: dict[str, str] = field(default_factory=dict)
    """Variables whose values change case: `l`, `u`, or another letter for what is not worked out."""
    written: dict[str, str] = field(default_factory=dict)
    """What these lines have written to files. It may have changed since: what is read there stays a doubt."""
    copies: dict[str, str] = field(default_factory=dict)
    """Names that these lines gave to programs: the program that is meant."""
    content: frozenset[str] = frozenset()
    """Variables that hold what a file holds, or what was made of it."""

    def copy(self) -> State:
        """For a subshell or a branch."""
        return replace(
            self,
            variables=dict(self.variables),
            arrays=dict(self.arrays),
            functions=dict(self.functions),
            aliases=dict(self.aliases),
            files=dict(self.files),
            folded=dict(self.folded),
            written=dict(self.written),
            copies=dict(self.copies),
        )

    def child(self) -> State:
        """For a shell that is started as a program: only variables and descriptors pass over."""
        fresh = State(dict(self.variables), folder=self.folder, created=self.created)
        fresh.files = dict(self.files)
        fresh.written, fresh.copies, fresh.content = dict(self.written), dict(self.copies), self.content
        fresh.variables["IFS"] = _USUAL["IFS"]
        return fresh

    def take(self, other: State) -> None:
        """Become the other."""
        self.variables, self.arrays = other.variables, other.arrays
        self.functions, self.aliases = other.functions, other.aliases
        self.positional, self.folder, self.files = other.positional, other.folder, other.files
        self.created, self.hooks = other.created, other.hooks
        self.folded = other.folded
        self.written, self.copies, self.content = other.written, other.copies, other.content

    def merge(self, other: State) -> None:
        """Become what is certain of both: a branch was taken or not."""
        for name in [*self.variables, *other.variables]:
            if self.variables.get(name) != other.variables.get(name):
                self.variables[name] = ANY
        for name in [*self.arrays, *other.arrays]:
            if self.arrays.get(name) != other.arrays.get(name):
                self.arrays[name] = (WORDS,)
        for name, bodies in other.functions.items():
            mine = self.functions.get(name, ())
            self.functions[name] = mine + tuple(b for b in bodies if all(b is not m for m in mine))
        for name, text in other.aliases.items():
            if self.aliases.setdefault(name, text) != text:
                self.aliases[name] = ANY
        if self.positional != other.positional:
            self.positional = (WORDS,)
        if self.folder != other.folder:
            self.folder = ANY
        self.files.update(other.files)
        self.created |= other.created
        self.written, self.copies = other.written | self.written, other.copies | self.copies
        self.content |= other.content
        self.hooks = tuple(dict.fromkeys(self.hooks + other.hooks))

    def assign(self, name: str, value: str) -> None:
        self.arrays.pop(name, None)
        if len(value) > MAX_VALUE:
            value = ANY
        how = self.folded.get(name)
        if how is not None:
            value = value.lower() if how == "l" else value.upper() if how == "u" else ANY
        self.variables[name] = value

    def forget(self, name: str) -> None:
        """The variable's value is not known any more."""
        self.variables[name] = ANY
        self.arrays.pop(name, None)

    def ifs(self) -> str | None:
        """The separators of fields; None if they are not known."""
        value = self.variables.get("IFS")
        return value if value is not None and known(value) else None
