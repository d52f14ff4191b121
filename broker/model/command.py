"""Command lines and the rules for them: what `gate` judges and `policy` carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from broker.model.access import Rule
from broker.model.approval import ApprovalTerms, merged


class Answer(StrEnum):
    """The answer to a command line. Where rules differ the strictest holds: the later, the stricter."""

    ALLOW = "allow"
    WARN = "warn"
    """It runs, and its user is told why that is noteworthy."""
    CONFIRM = "confirm"
    """It runs once its user has said again that it shall."""
    HOLD = "hold"
    """It runs once somebody else has approved it."""
    DENY = "deny"

    @property
    def strictness(self) -> int:
        return list(Answer).index(self)

    @property
    def runs(self) -> bool:
        """True if nothing has to happen before the line may run."""
        return self in (Answer.ALLOW, Answer.WARN)


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file that a command may read, by its absolute path. `within`: whatever lies below it too."""

    path: str
    within: bool = False


class Deed(StrEnum):
    """What a command does besides what its name and arguments say."""

    SHELL = "shell"
    """Starts an interactive shell or interpreter, or a command although it is no wrapper."""
    SEND = "send"
    """Sends a file or its standard input to another host, or serves files."""
    MAYBE_SEND = "maybe-send"
    """Perhaps sends something: it cannot be known from the line."""


class SqlKind(StrEnum):
    """What a statement is at its most dangerous; the later, the more so."""

    SELECT = "select"
    SESSION = "session"
    META = "meta"
    DML = "dml"
    DDL = "ddl"
    DCL = "dcl"
    ADMIN = "admin"


DIALECTS = ("shell", "postgresql", "mysql", "sqlite", "python")
"""What lines and statements may be written in, as rules name it."""


@dataclass(frozen=True, slots=True)
class SqlText:
    """SQL that a client program is given. `text` is None if it is not on the line."""

    dialect: str
    """One of `DIALECTS`."""
    text: str | None


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """One program that a line would start, quotes removed.

    Texts hold the signs of `gate.text` where they are not known from the line. `program` is empty for a
    bare redirection, assignment or definition."""

    program: str
    args: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    """Files its redirections write to (not `/dev/null`, not copies of descriptors)."""
    reads: tuple[FileRead, ...] = ()
    sets: tuple[str, ...] = ()
    """Names of variables and functions that it sets."""
    does: frozenset[Deed] = frozenset()
    sql: tuple[SqlText, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandLine:
    """All that a line could start, wrappers and what they start each on their own.

    `opaque` says why more than `commands` could run; None: nothing else can. `incomplete`: the shell
    would ask for more, and what the next lines make of it is judged then; `opaque` is set as well.
    """

    commands: tuple[SimpleCommand, ...]
    opaque: str | None = None
    incomplete: bool = False
    text: str | None = None
    """Exactly what was typed or sent, for rules with `regex`; None: not known, which is a doubt for them."""
    dialect: str = "shell"
    """What it is written in: one of `DIALECTS`."""


@dataclass(frozen=True, slots=True)
class CommandRule:
    """One rule of a policy. It matches a command that fits all of its parts; empty or None: any.

    Patterns are globs in which `*` and `?` do not match a `/` and `**` matches everything."""

    effect: Answer
    rule: Rule
    programs: tuple[str, ...] = ()
    """Names or globs; with a `/` the whole path is compared, else the last component."""
    args: tuple[str, ...] = ()
    """Each must occur among the arguments; short options in any clustering."""
    only: tuple[str, ...] | None = None
    """Each argument must fit one. An empty tuple: no arguments at all."""
    options: tuple[str, ...] = ()
    """Each must be given, in any spelling; `-r|-R|--recursive` is one option with three names."""
    without: tuple[str, ...] = ()
    """None of these options may be given."""
    verb: tuple[str, ...] = ()
    """The first operand fits one."""
    operands: tuple[str, ...] = ()
    """Some operand fits one."""
    outside: tuple[str, ...] = ()
    """Some operand, as a path, fits none of these."""
    reads: tuple[str, ...] = ()
    """It reads a file that fits one."""
    writes: tuple[str, ...] = ()
    """A redirection writes to a file that fits one."""
    does: frozenset[Deed] = frozenset()
    """It does one of these."""
    sql: frozenset[SqlKind] = frozenset()
    """It runs a statement of one of these kinds."""
    tables: tuple[str, ...] = ()
    """It runs a statement that names one of these tables."""
    dialects: frozenset[str] = frozenset()
    """The line, or a statement in it, is written in one of these."""
    regex: tuple[str, ...] = ()
    """RE2 patterns, one of which is found in the line as typed or in the command with its quotes removed."""
    reason: str = ""
    observe: bool = False
    """A match is reported and nothing else."""
    approval: ApprovalTerms | None = None
    """For HOLD: who decides."""


@dataclass(frozen=True, slots=True)
class CommandRules:
    """What one policy says about command lines. `rule` names the policy itself."""

    rule: Rule
    rules: tuple[CommandRule, ...]
    default: Answer
    """For a command that no allow rule names."""
    opaque: Answer = Answer.DENY
    """For what cannot be read, and at most for what perhaps fits a rule."""
    sql_read_only: bool = False
    """SQL that a client program is given must be read-only."""
    approval: ApprovalTerms | None = None
    """Who decides where `default` or `opaque` is HOLD."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer to a command line, by which rule, and why."""

    verdict: Answer
    rule: Rule
    reason: str
    doubt: bool = False
    """Because something cannot be known, not because a rule surely fits."""
    observed: tuple[Rule, ...] = ()
    """Rules with `observe` that fit."""
    approval: ApprovalTerms | None = None
    """For HOLD: who decides."""


Judge = Callable[[CommandRules, bytes | CommandLine], Judgement]
"""Judges one line; total, without I/O."""


def strictest(judgements: Iterable[Judgement]) -> Judgement | None:
    """What all of them come to, of several commands, rules or policies; None for none.

    The strictest answer holds, and among equals one that is certain. A line held for several reasons
    needs everyone whom one of them names; where no approval could serve them all, it is denied."""
    found = list(judgements)
    if not found:
        return None
    worst = max(found, key=lambda one: (one.verdict.strictness, not one.doubt))
    observed = tuple(dict.fromkeys(rule for one in found for rule in one.observed))
    if worst.verdict is Answer.HOLD:
        worst = _held(worst, [one for one in found if one.verdict is Answer.HOLD])
    return replace(worst, observed=observed)


def _held(worst: Judgement, holding: list[Judgement]) -> Judgement:
    terms = [one.approval for one in holding if one.approval is not None]
    if len(terms) < len(holding):
        return replace(
            worst, verdict=Answer.DENY, reason=f"{worst.reason}: nobody is named who could approve"
        )
    together = merged(terms)
    if together is None:
        names = " and ".join(dict.fromkeys(one.rule.name for one in holding))
        text = f"{names} ask for different tickets: run the commands one at a time"
        return replace(worst, verdict=Answer.DENY, reason=text, approval=None)
    return replace(worst, approval=together)
