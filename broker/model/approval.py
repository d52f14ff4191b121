"""Approvals: who has to agree before something runs, and under which conditions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from broker.model.pattern import fits


class ClockStart(StrEnum):
    """When the time of an approved window begins."""

    APPROVAL = "approval"
    FIRST_USE = "first-use"


@dataclass(frozen=True, slots=True)
class Panel:
    """People of whom `needed` distinct ones have to agree: named, in a group, on call, or the target's
    owner."""

    needed: int = 1
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    owner: bool = False
    owned_by: str = ""
    """Whom the target's tag `owner` names, a user or a group; empty: the target has none, or it is not
    looked up yet."""
    on_call: frozenset[str] = frozenset()
    """Lists of people on call. In a decision those on them at that moment are in `users` and `groups`."""

    @property
    def text(self) -> str:
        """For people: `1 of bob, carol, group dba (on call: sre), the target's owner (web)`."""
        names = ", ".join([*sorted(self.users), *(f"group {name}" for name in sorted(self.groups))])
        duty = f"on call: {', '.join(sorted(self.on_call))}" if self.on_call else ""
        people = f"{names} ({duty})" if names and duty else names or duty
        owner = "the target's owner" if self.owner else ""
        owner += f" ({self.owned_by})" if owner and self.owned_by else ""
        return f"{self.needed} of {', '.join(filter(None, (people, owner)))}"

    def seats(self, user: str, groups: Collection[str]) -> bool:
        """True if the user, who is in these groups, may decide. Who asked, and who is no human, is not
        asked here."""
        if user in self.users or not self.groups.isdisjoint(groups):
            return True
        return bool(self.owned_by) and (user == self.owned_by or self.owned_by in groups)

    def leaves(self, requester: str) -> bool:
        """True if enough people are left once the requester does not count, as far as names tell: who is
        in a group is not known here."""
        return bool(self.groups or self.owned_by) or len(self.users - {requester}) >= self.needed


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

    def lacks(self, reason: str) -> str | None:
        """What the requester still has to say: `a reason`, `a ticket that fits …`; None: nothing."""
        if self.ticket is not None and not any(fits(self.ticket, word) for word in _words(reason)):
            return f"a ticket that fits {self.ticket}"
        if self.reason and not any(character.isalnum() for character in reason):
            return "a reason"
        return None

    def unmet(self, requester: str) -> str | None:
        """Why nobody could approve for this requester, as far as names tell; None: somebody could."""
        for panel in self.panels:
            if not panel.leaves(requester):
                return f"of those who could approve ({panel.text}) nobody is left beside who asks"
        return None if self.panels else "nobody is named who could approve"


def _words(text: str) -> list[str]:
    """The words of a reason, also without the punctuation around them: `(INC-7),` gives `INC-7` too."""
    words = text.split()
    return [*words, *(word.strip("()[]{}<>.,;:!?'\"") for word in words)]


def merged(several: Sequence[ApprovalTerms]) -> ApprovalTerms | None:
    """All of them at once: every panel, the shortest times, whatever one of them asks for. None if no one
    ticket could satisfy them. Their order does not matter."""
    tickets = {terms.ticket for terms in several} - {None}
    if not several or len(tickets) > 1:
        return None
    lasting = [terms for terms in several if terms.lasts_s is not None]
    first_use = bool(lasting) and all(terms.starts is ClockStart.FIRST_USE for terms in lasting)
    return ApprovalTerms(
        panels=_all_panels(panel for terms in several for panel in terms.panels),
        within_s=_least(terms.within_s for terms in several),
        lasts_s=_least(terms.lasts_s for terms in several),
        starts=ClockStart.FIRST_USE if first_use else ClockStart.APPROVAL,
        reason=any(terms.reason for terms in several),
        ticket=next(iter(tickets), None),
        mfa_age_s=_least(terms.mfa_age_s for terms in several),
        notify=tuple(sorted({name for terms in several for name in terms.notify})),
    )


def _all_panels(panels: Iterable[Panel]) -> tuple[Panel, ...]:
    """Each once; of the same people as many as the most demanding asks for."""
    most: dict[Panel, int] = {}
    for panel in panels:
        people = replace(panel, needed=1)
        most[people] = max(most.get(people, 0), panel.needed)
    every = [replace(people, needed=needed) for people, needed in most.items()]
    return tuple(sorted(every, key=lambda panel: panel.text))


def _least(times: Iterable[int | None]) -> int | None:
    return min((time for time in times if time is not None), default=None)
