"""What a shell text says, before anything is expanded (POSIX.1-2024, 2.9 and 2.10; bash's manual)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Literal:
    """Text as it stands; unquoted text is still open to braces, patterns and splitting."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$name` or `${name…}`. `operator` is empty for a plain one, `length` for `${#name}`, `indirect` for
    `${!name}`; `operand` is what follows the operator."""

    name: str
    quoted: bool
    operator: str = ""
    operand: Word | None = None
    index: Word | None = None


@dataclass(frozen=True, slots=True)
class Substitution:
    """`$(…)` or backquotes."""

    body: tuple[Node, ...]
    quoted: bool


@dataclass(frozen=True, slots=True)
class Process:
    """`<(…)` or `>(…)`."""

    body: tuple[Node, ...]
    reads: bool


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`$((…))` or `$[…]`."""

    text: Word


Part = Literal | Parameter | Substitution | Process | Arithmetic


@dataclass(frozen=True, slots=True)
class Word:
    parts: tuple[Part, ...]

    @property
    def bare(self) -> str | None:
        """The text if nothing in it is quoted or expanded."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Literal) and not self.parts[0].quoted:
            return self.parts[0].text
        return None


@dataclass(slots=True)
class Redirect:
    """`fd` is a number, a variable's name or empty. `target` is the here-document's body for `<<` once
    that was read."""

    operator: str
    target: Word
    fd: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    name: str
    value: Word | None
    values: tuple[Word, ...] = ()
    """Elements of `name=(…)`, if `value` is None."""
    index: Word | None = None
    append: bool = False


@dataclass(slots=True)
class Simple:
    assignments: list[Assignment] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pipeline:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """One command of a list. `maybe`: it runs or not, depending on the one before (`&&`, `||`)."""

    node: Node
    maybe: bool = False
    background: bool = False


@dataclass(frozen=True, slots=True)
class Compound:
    """`kind` is group, subshell, if, while, coproc. `parts` are bodies in the order in which they run;
    all but the first are only perhaps run for `if` and `while`."""

    kind: str
    parts: tuple[tuple[Node, ...], ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    name: str
    words: tuple[Word, ...] | None
    body: tuple[Node, ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    subject: Word
    items: tuple[tuple[tuple[Word, ...], tuple[Node, ...]], ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Words that are expanded and perhaps evaluated as arithmetic, nothing more: `((…))`, `[[ … ]]`."""

    words: tuple[Word, ...]
    body: tuple[Node, ...] = ()
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    body: Node


Node = Simple | Pipeline | Chain | Compound | For | Case | Evaluate | Function
