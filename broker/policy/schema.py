"""The language of `policies/*.yaml`, version 1.

Everything that grants has to be said: no list may be empty, no key may lack its value, `"*"` and
`everyone: true` have to be written out. What a policy cannot mean is refused when it is loaded.
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_validator,
)

from broker.config.units import Duration, Name, Text, filled, matching, one_or_more
from broker.config.validate import Section
from broker.model.command import SqlKind
from broker.model.target import Channel
from broker.policy.window import DAYS

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)\Z")


class Effect(StrEnum):
    """A policy that denies wins over all that allow."""

    ALLOW = "allow"
    DENY = "deny"


class Does(StrEnum):
    """For `does`."""

    SHELL = "shell"
    SEND = "send"


class SqlMode(StrEnum):
    """For `sql` of a policy."""

    READ_ONLY = "read-only"


class Choice(StrEnum):
    """For `default` and `opaque`."""

    ALLOW = "allow"
    DENY = "deny"


class Reason(StrEnum):
    """Whether a session needs a reason."""

    REQUIRED = "required"
    OPTIONAL = "optional"


def _days(value: Any) -> Any:
    """`mon`, `mon-fri`, `fri-mon` as numbers, Monday 0."""
    items = one_or_more(value)
    if not isinstance(items, list) or not items:
        raise ValueError("expected days such as mon-fri or [mon, wed]")
    found: set[int] = set()
    for item in items:
        first, dash, last = str(item).lower().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"expected days such as mon-fri or [mon, wed], got {item!r}")
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        found |= {(start + n) % 7 for n in range(length + 1)}
    return frozenset(found)


def _hours(value: Any) -> Any:
    """`08:00-18:00` as minutes since midnight; the end may be on the next day."""
    items = one_or_more(value)
    if not isinstance(items, list) or not items:
        raise ValueError("expected hours such as 08:00-18:00")
    ranges = []
    for item in items:
        match = _HOURS.match(item) if isinstance(item, str) else None
        if match is None:
            raise ValueError(f"expected hours such as 08:00-18:00, got {item!r}")
        start = int(match[1]) * 60 + int(match[2])
        end = int(match[3]) * 60 + int(match[4]) if match[3] else 24 * 60
        if start == end:
            raise ValueError(f"the hours {item} are empty; for the whole day write 00:00-24:00")
        ranges.append((start, end))
    return tuple(ranges)


def _zone(value: Any) -> Any:
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError(
            f"expected a time zone such as Europe/Berlin, got {value!r} (is the system's tzdata installed?)"
        ) from None


def _date(value: Any) -> Any:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"expected a day such as 2026-12-31, got {value!r}") from None


def _version(value: int) -> int:
    if value != 1:
        raise ValueError(f"expected 1, got {value}")
    return value


def _channel(value: str) -> str:
    known = [*Channel, "*"]
    if value not in known:
        raise ValueError(f"expected one of {', '.join(known)}, got {value!r}")
    return value


def _whole_seconds(value: float) -> int:
    if value != int(value):
        raise ValueError("expected whole seconds")
    return int(value)


_LIST = BeforeValidator(one_or_more)
_FILLED = BeforeValidator(filled)
Pattern = Annotated[str, AfterValidator(matching(r"[a-z0-9._*?-]{1,64}", "a name, * and ? allowed"))]
Person = Annotated[str, AfterValidator(matching(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}", "a name"))]
Names = Annotated[tuple[Person, ...], _LIST, _FILLED]
AccountName = Annotated[
    str,
    AfterValidator(
        matching(r"\*|[A-Za-z_][A-Za-z0-9._-]{0,62}\$?", 'an account name, or "*" for every account')
    ),
]
ChannelName = Annotated[str, AfterValidator(_channel)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Words = Annotated[tuple[Word, ...], _LIST, _FILLED]
Seconds = Annotated[Duration, AfterValidator(_whole_seconds)]


class Who(Section):
    """Anyone of those named; at least one entry."""

    users: Names | None = None
    groups: Names | None = None
    agents: Names | None = None
    everyone: StrictBool | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names nobody: give users, groups, agents, or everyone: true")
        if self.everyone is False:
            raise ValueError("everyone can only be true: leave the key out")
        if self.everyone and len(self.model_fields_set) > 1:
            raise ValueError("everyone: true stands alone")
        return self


class Which(Section):
    """Targets that fit all criteria given; at least one."""

    names: Annotated[tuple[Pattern, ...], _LIST, _FILLED] | None = None
    tags: Annotated[dict[Name, Words], _FILLED] | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError('names no target: give names or tags (names: "*" for all)')
        return self


class When(Section):
    """Sessions may be opened on these days, in these hours, until this day (included)."""

    days: Annotated[frozenset[int], BeforeValidator(_days)] | None = None
    hours: Annotated[tuple[tuple[int, int], ...], BeforeValidator(_hours)] | None = None
    until: Annotated[date, BeforeValidator(_date)] | None = None
    zone: Annotated[Any, BeforeValidator(_zone)] = Field(default="UTC", validate_default=True)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.days is None and self.hours is None and self.until is None:
            raise ValueError("says no time: give days, hours or until")
        return self


class LimitsEntry(Section):
    idle: Seconds | None = None
    max: Seconds | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("limits nothing: give idle or max")
        return self


Option = Annotated[
    str,
    AfterValidator(
        matching(r"-[^\s|]+(?:\|-[^\s|]+)*", "an option, or its names joined by |, such as -r|-R|--recursive")
    ),
]
Options = Annotated[tuple[Option, ...], _LIST, _FILLED]


class AllowMatch(Section):
    """A command that fits all parts. `only: []` means no arguments."""

    program: Words
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


class DenyMatch(AllowMatch):
    """As for allow; it need not name a program, and may name what is never allowed."""

    program: Words | None = None  # type: ignore[assignment]  # a rule that denies may be broader
    writes: Words | None = None
    does: Annotated[tuple[Does, ...], _LIST, _FILLED] | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.model_fields_set <= {"without", "only"}:
            raise ValueError("matches too much: name a program or something else of the command")
        return self


_LATER = ("hold", "warn", "confirm")


class CommandEntry(Section):
    """One rule: `deny` or `allow`, not both. `reason` is what the user is told."""

    name: Name | None = None
    deny: DenyMatch | None = None
    allow: AllowMatch | None = None
    reason: Text | None = None
    observe: StrictBool | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_action(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for action in _LATER:
                if action in data:
                    raise ValueError(f"{action} is not enforced by this version: use deny or allow")
        return data

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.deny is None) == (self.allow is None):
            raise ValueError("expected exactly one of deny, allow")
        if self.observe is False:
            raise ValueError("observe can only be true: leave the key out")
        if self.observe and self.allow is not None:
            raise ValueError("observe is for deny: an allow rule that only watches would deny")
        return self


class PolicyEntry(Section):
    """One policy as written."""

    name: Name
    note: Text | None = None
    effect: Effect = Effect.ALLOW
    who: Who
    targets: Which
    accounts: Annotated[tuple[AccountName, ...], _LIST, _FILLED]
    channels: Annotated[tuple[ChannelName, ...], _LIST, _FILLED]
    when: When | None = None
    reason: Reason = Reason.OPTIONAL
    limits: LimitsEntry | None = None
    commands: Annotated[tuple[CommandEntry, ...], _FILLED] | None = None
    sql: SqlMode | None = None
    opaque: Choice | None = None
    default: Choice | None = None

    @model_validator(mode="after")
    def _meaningful(self) -> Self:
        if self.effect is Effect.DENY:
            extra = self.model_fields_set & {"reason", "limits", "commands", "sql", "opaque", "default"}
            if extra:
                raise ValueError(f"a policy with effect: deny has no {', '.join(sorted(extra))}")
        elif "*" in self.channels:
            raise ValueError('channels: "*" is for effect: deny only, name the channels that are granted')
        if self.commands is None and self.sql is None:
            if self.opaque or self.default:
                raise ValueError("opaque and default belong to commands, and there are none")
            return self
        self._check_commands(self.commands or ())
        return self

    def _check_commands(self, commands: tuple[CommandEntry, ...]) -> None:
        beyond = sorted(set(self.channels) - {Channel.EXEC, Channel.SHELL})
        if beyond:
            raise ValueError(
                f"commands are judged on exec and shell only: put {', '.join(beyond)} in a policy of its own"
            )
        allows = any(entry.allow for entry in commands)
        if allows and self.default is Choice.ALLOW:
            raise ValueError("allow rules have no effect with default: allow")
        if self.opaque is Choice.ALLOW and (allows or self.default is Choice.DENY):
            raise ValueError("opaque: allow would let through what the allow rules do not name")


class PolicyFile(Section):
    """A file of policies."""

    version: Annotated[StrictInt, AfterValidator(_version)]
    policies: Annotated[tuple[PolicyEntry, ...], _FILLED]
