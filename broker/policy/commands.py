"""How policies write rules for command lines, and the rules they become."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, StrictBool, model_validator

from broker.config.units import Name, Regex, Text, filled, matching, one_or_more
from broker.config.validate import Section
from broker.model import pattern
from broker.model.access import Rule
from broker.model.approval import ApprovalTerms
from broker.model.command import DIALECTS, Answer, CommandRule, Deed, SqlKind
from broker.policy.approval import TermsRef
from broker.policy.scope import AccountNames, ChannelNames, Scope, When, Which, Who, Word, Words

ACTIONS = (Answer.DENY, Answer.HOLD, Answer.CONFIRM, Answer.WARN, Answer.ALLOW)
"""What a rule may say; each is the key of its match."""


class Does(StrEnum):
    """For `does`."""

    SHELL = "shell"
    SEND = "send"


def _dialect(value: str) -> str:
    if value not in DIALECTS:
        raise ValueError(f"expected one of {', '.join(DIALECTS)}, got {value!r}")
    return value


def _selective(value: str) -> str:
    if pattern.found(value, ""):
        raise ValueError(f"is found in every line: {value!r}")
    return value


_LIST = BeforeValidator(one_or_more)
_FILLED = BeforeValidator(filled)
Option = Annotated[
    str,
    AfterValidator(
        matching(r"-[^\s|]+(?:\|-[^\s|]+)*", "an option, or its names joined by |, such as -r|-R|--recursive")
    ),
]
Options = Annotated[tuple[Option, ...], _LIST, _FILLED]
Dialects = Annotated[tuple[Annotated[str, AfterValidator(_dialect)], ...], _LIST, _FILLED]
Regexes = Annotated[tuple[Annotated[Regex, AfterValidator(_selective)], ...], _LIST, _FILLED]


class _Match(Section):
    """A command that fits all parts. `only: []` means no arguments."""

    program: Words | None = None
    args: Words | None = None
    only: Annotated[tuple[Word, ...], _LIST] | None = None
    options: Options | None = None
    without: Options | None = None
    verb: Words | None = None
    operands: Words | None = None
    outside: Words | None = None
    reads: Words | None = None
    sql: Annotated[tuple[SqlKind, ...], _LIST, _FILLED] | None = None
    tables: Words | None = None
    dialect: Dialects | None = None


class AllowMatch(_Match):
    """What is allowed names its programs, or is SQL of known kinds typed into a database client."""

    @model_validator(mode="after")
    def _narrow(self) -> Self:
        if self.program is not None:
            return self
        if self.dialect is None or "shell" in self.dialect:
            raise ValueError("names no program; only lines typed in SQL (dialect) do without")
        if self.sql is None and self.tables is None:
            raise ValueError("allows every statement: say which with sql or tables")
        return self


class Match(_Match):
    """As for allow; it need not name a program, and may name what is never allowed."""

    writes: Words | None = None
    does: Annotated[tuple[Does, ...], _LIST, _FILLED] | None = None
    regex: Regexes | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.model_fields_set <= {"without", "only"}:
            raise ValueError("matches too much: name a program or something else of the command")
        return self


class CommandEntry(Section):
    """One rule: exactly one action. `reason` is what the user is told; the keys behind it bound the rule."""

    name: Name | None = None
    deny: Match | None = None
    hold: Match | None = None
    confirm: Match | None = None
    warn: Match | None = None
    allow: AllowMatch | None = None
    reason: Text | None = None
    observe: StrictBool | None = None
    approval: TermsRef | None = None
    who: Who | None = None
    targets: Which | None = None
    accounts: AccountNames | None = None
    channels: ChannelNames | None = None
    when: When | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set & set(ACTIONS)) != 1:
            raise ValueError(f"expected exactly one of {', '.join(ACTIONS)}")
        if self.observe is False:
            raise ValueError("observe can only be true: leave the key out")
        if self.observe and self.allow is not None:
            raise ValueError("observe is not for allow: an allow rule that only watches would deny")
        if self.approval is not None and self.hold is None:
            raise ValueError("approval is for hold: no other rule asks anybody")
        return self

    @property
    def action(self) -> Answer:
        return next(action for action in ACTIONS if getattr(self, action) is not None)

    @property
    def match(self) -> AllowMatch | Match:
        match = getattr(self, self.action)
        assert isinstance(match, AllowMatch | Match), "the schema asks for one of them"
        return match

    def scope(self) -> Scope:
        return Scope(
            who=self.who,
            targets=self.targets,
            accounts=None if self.accounts is None else frozenset(self.accounts),
            channels=None if self.channels is None else frozenset(self.channels),
            window=self.when.window() if self.when else None,
        )

    def rule(self, rule: Rule, approval: ApprovalTerms | None) -> CommandRule:
        match = self.match
        return CommandRule(
            effect=self.action,
            rule=rule,
            programs=match.program or (),
            args=match.args or (),
            only=match.only,
            options=match.options or (),
            without=match.without or (),
            verb=match.verb or (),
            operands=match.operands or (),
            outside=match.outside or (),
            reads=match.reads or (),
            writes=(isinstance(match, Match) and match.writes) or (),
            does=frozenset(Deed(does.value) for does in (isinstance(match, Match) and match.does) or ()),
            sql=frozenset(match.sql or ()),
            tables=match.tables or (),
            dialects=frozenset(match.dialect or ()),
            regex=(isinstance(match, Match) and match.regex) or (),
            reason=self.reason or "",
            observe=bool(self.observe),
            approval=approval,
        )


def idle(commands: tuple[CommandEntry, ...], default: Answer) -> str | None:
    """Why some rule could never matter: what it names, `default` stops more strictly, and nothing allows."""
    allowed = [glob for entry in commands if entry.allow for glob in entry.allow.program or ()]
    for number, entry in enumerate(commands):
        programs = entry.match.program
        if entry.allow or entry.observe or not programs or entry.action.strictness >= default.strictness:
            continue
        if not any(_meet(mine, other) for mine in programs for other in allowed):
            name = entry.name or f"number {number + 1}"
            return (
                f"the rule {name} has no effect: default: {default} stops {programs[0]} before it; "
                f"allow {programs[0]} as well, and the {entry.action} holds beside it"
            )
    return None


def _meet(first: str, second: str) -> bool:
    """Whether the two names of programs could be the same, by the last part of a path."""
    first, second = (name.rpartition("/")[2] for name in (first, second))
    return fnmatchcase(first, second) or fnmatchcase(second, first)
