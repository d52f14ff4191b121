"""Who may decide a request, and when enough people have. Pure: it is asked again at every decision, so that
who lost a role or was locked meanwhile counts no longer (lessons 17 and 19)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker.model.approval import Panel
from broker.model.identity import Kind, User
from broker.model.requests import ApprovalRequest, RequestKind, RiskLevel, Vote

SECOND = 1_000_000

People = Mapping[str, User]
"""Every account, by name, as it is now."""


@dataclass(frozen=True, slots=True)
class Tally:
    """One panel, and the accounts on it that have agreed, one for each person."""

    panel: Panel
    agreed: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return len(self.agreed) >= self.panel.needed


def on_a_panel(request: ApprovalRequest, user: User) -> bool:
    return any(panel.seats(user.name, user.groups) for panel in request.matter.terms.panels)


def same_person(one: User, name: str, people: People) -> bool:
    """Whether the account `name` is the same person's, under whatever name, or an agent that he owns."""
    other = people.get(name)
    return one.name == name or (other is not None and one.human == other.human)


def cannot_decide(request: ApprovalRequest, user: User, people: People) -> str:
    """Why this account's word does not count on this request, whatever its state; empty if it does."""
    if user.locked_at is not None:
        return "this user is locked"
    if user.kind is not Kind.HUMAN:
        return "agents do not decide"
    if same_person(user, request.matter.user, people):
        return "you cannot decide your own requests"
    if not on_a_panel(request, user):
        return f"it is decided by {request.matter.terms.text}"
    return ""


def why_not(
    request: ApprovalRequest,
    user: User,
    people: People,
    votes: Sequence[Vote],
    *,
    now: int,
    mfa_at: int | None,
) -> str:
    """Why this user may not decide it now, in words for him; empty if he may."""
    if reason := cannot_decide(request, user, people):
        return reason
    if not request.pending:
        return f"it is {request.state.value} already"
    if any(vote.by == user.name and vote.approve and vote.withdrawn_at is None for vote in votes):
        return "you have approved it already"
    age = request.matter.terms.mfa_age_s
    if age is not None and (mfa_at is None or now - mfa_at > age * SECOND):
        known = "none is known" if mfa_at is None else "yours is older"
        return f"a second factor no older than {age} s is needed, and {known}"
    return ""


def counting(request: ApprovalRequest, votes: Sequence[Vote], people: People) -> list[Vote]:
    """The votes that count now: not taken back, of those who may still decide."""
    found = []
    for vote in votes:
        user = people.get(vote.by)
        if vote.withdrawn_at is None and user is not None and not cannot_decide(request, user, people):
            found.append(vote)
    return found


def tallies(request: ApprovalRequest, votes: Sequence[Vote], people: People) -> list[Tally]:
    """Each panel with those who agreed. One person counts once in each, under however many accounts."""
    agreeing = [people[vote.by] for vote in counting(request, votes, people) if vote.approve]
    found = []
    for panel in request.matter.terms.panels:
        persons: dict[str, str] = {}
        for user in agreeing:
            if panel.seats(user.name, user.groups):
                persons.setdefault(user.human, user.name)
        found.append(Tally(panel, tuple(persons.values())))
    return found


def agreed(request: ApprovalRequest, votes: Sequence[Vote], people: People) -> bool:
    """Whether every panel has the people that it needs. No panel at all is no agreement (lesson 3)."""
    found = tallies(request, votes, people)
    return bool(found) and all(tally.complete and tally.panel.needed > 0 for tally in found)


def may_see(request: ApprovalRequest, user: User, people: People) -> bool:
    """Its requester, whom a panel names, and admins. For everybody else it does not exist."""
    return user.admin or request.matter.user == user.name or on_a_panel(request, user)


def confirmation(request: ApprovalRequest) -> str:
    """What has to be typed to approve it; empty: nothing."""
    return request.matter.target if request.setting.level is RiskLevel.HIGH else ""


def effect(request: ApprovalRequest, run_within_s: int) -> str:
    """What happens if it is approved, in words."""
    matter = request.matter
    once = "It is used once, within its time."
    if matter.kind is RequestKind.REVIEW:
        return "The session was justified. Nothing is granted."
    if matter.kind is RequestKind.COMMAND:
        return f"Runs once, in this session, within {run_within_s} s. Else nothing is sent."
    if matter.lasts_s is None:
        what = "This command runs once" if matter.content else "One session opens"
        return f"{what}, for this user, target and account. {once}"
    what = (
        "Commands that fit the pattern run without being held" if matter.content else "Sessions may be opened"
    )
    return f"{what} for {matter.lasts_s // 60} min, by this user, on this target and account; then they end."
