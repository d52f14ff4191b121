"""Command lines and the rules for them: what `gate` judges and `policy` carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from broker.model.access import Rule, Verdict


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """One program that a line would start, quotes removed. `program` is empty for a bare redirection."""

    program: str
    args: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    """Files its redirections write to (not `/dev/null`, not copies of descriptors)."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """All that a line could start, wrappers and what they start each on their own.

    `opaque` says why more than `commands` could run; None: nothing else can.
    """

    commands: tuple[SimpleCommand, ...]
    opaque: str | None = None


@dataclass(frozen=True, slots=True)
class CommandRule:
    """One rule of a policy. It matches a command that fits all of its parts."""

    effect: Verdict
    """ALLOW or DENY."""
    rule: Rule
    programs: tuple[str, ...]
    """Names or globs; with a `/` the whole path is compared, else the last component."""
    args: tuple[str, ...] = ()
    """Each must occur among the arguments; short options in any clustering."""
    only: tuple[str, ...] | None = None
    """Globs: each argument must fit one. Empty: no arguments at all. None: any."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CommandRules:
    """What one policy says about command lines. `rule` names the policy itself."""

    rule: Rule
    rules: tuple[CommandRule, ...]
    default: Verdict
    """For a command that no rule matches."""
    opaque: Verdict = Verdict.DENY
    """For what cannot be read."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer to a command line: ALLOW or DENY, by which rule, and why."""

    verdict: Verdict
    rule: Rule
    reason: str


Judge = Callable[[CommandRules, bytes], Judgement]
"""Judges one line; total, without I/O."""
