"""Which requests a policy, or one rule of it, is about: who, on which targets, as whom, how, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StringConstraints, model_validator

from broker.config.units import Name, duration, filled, matching, one_or_more
from broker.config.validate import Section
from broker.model.access import AccessRequest
from broker.model.identity import Kind, Principal
from broker.model.target import Channel, Target
from broker.policy.window import ALL_DAYS, DAYS, WHOLE_DAY, Window

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)\Z")


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


def _channel(value: str) -> str:
    known = [*Channel, "*"]
    if value not in known:
        raise ValueError(f"expected one of {', '.join(known)}, got {value!r}")
    return value


def _whole_seconds(value: object) -> int:
    seconds = duration(value)
    if seconds != int(seconds):
        raise ValueError("expected whole seconds")
    return int(seconds)


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
AccountNames = Annotated[tuple[AccountName, ...], _LIST, _FILLED]
ChannelNames = Annotated[tuple[ChannelName, ...], _LIST, _FILLED]
Seconds = Annotated[int, BeforeValidator(_whole_seconds)]


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

    def window(self) -> Window:
        return Window(
            zone=self.zone,
            days=ALL_DAYS if self.days is None else self.days,
            hours=(WHOLE_DAY,) if self.hours is None else self.hours,
            until=self.until,
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What one rule of a policy is bounded to, besides what the policy is; None: no further bound."""

    who: Who | None = None
    targets: Which | None = None
    accounts: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    window: Window | None = None

    def covers(self, request: AccessRequest) -> bool:
        """True if the rule is about a line of this request at the moment the line is typed."""
        typed_at = request.at if request.line_at is None else request.line_at
        return (
            (self.who is None or who_fits(self.who, request.principal))
            and (self.targets is None or target_fits(self.targets, request.target))
            and (self.accounts is None or not self.accounts.isdisjoint({request.account, "*"}))
            and (self.channels is None or request.channel.value in self.channels)
            and (self.window is None or self.window.closed(typed_at) is None)
        )


EVERYWHERE = Scope()


def who_fits(who: Who, principal: Principal) -> bool:
    """True if the entry names the principal: people by `users`, machine identities by `agents`."""
    if who.everyone:
        return True
    names = who.agents if principal.kind is Kind.AGENT else who.users
    return principal.name in (names or ()) or not principal.groups.isdisjoint(who.groups or ())


def target_fits(which: Which, target: Target) -> bool:
    """True if the target fits every criterion given."""
    if which.names is None and which.tags is None:
        return False
    if which.names is not None and not any(fnmatchcase(target.name, glob) for glob in which.names):
        return False
    return all(
        any(fnmatchcase(target.tags[key], glob) for glob in globs) if key in target.tags else False
        for key, globs in (which.tags or {}).items()
    )
