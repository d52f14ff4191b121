"""Approvals: who has to agree before something runs, and under which conditions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ClockStart(StrEnum):
    """When the time of an approved window begins."""

    APPROVAL = "approval"
    FIRST_USE = "first-use"


@dataclass(frozen=True, slots=True)
class Panel:
    """People of whom `needed` distinct ones have to agree: named, in a group, or the target's owner."""

    needed: int = 1
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    owner: bool = False

    @property
    def text(self) -> str:
        """For people: `1 of bob, group dba, the target's owner`."""
        names = [*sorted(self.users), *(f"group {name}" for name in sorted(self.groups))]
        names += ["the target's owner"] if self.owner else []
        return f"{self.needed} of {', '.join(names)}"


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """What a policy asks for before it lets something through. Times in seconds; None: the broker's
    default."""

    panels: tuple[Panel, ...]
    """Every one of them has to agree; one person counts once in each."""
    within_s: int | None = None
    """How long a request waits before it expires."""
    lasts_s: int | None = None
    """How long a granted session or window lasts; not for a single command."""
    starts: ClockStart = ClockStart.APPROVAL
    reason: bool = False
    """The requester has to say why."""
    ticket: str | None = None
    """A regular expression (RE2 syntax) that some word of the reason fits as a whole."""
    mfa_age_s: int | None = None
    """Who decides has shown a second factor no longer ago."""
    notify: tuple[str, ...] = ()
    """Names of notifiers of the configuration."""

    @property
    def text(self) -> str:
        return " and ".join(panel.text for panel in self.panels)
