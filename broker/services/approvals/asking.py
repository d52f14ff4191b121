"""From what somebody wants to do to a request for it: what is decided on, and the moment it is asked in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from broker.model.access import AccessRequest, Decision, Grant, Rule
from broker.model.approval import ApprovalTerms
from broker.model.command import Answer
from broker.model.display import drawn_row
from broker.model.identity import Authenticated, Kind
from broker.model.names import MAX_TEXT
from broker.model.requests import ApprovalRequest, Matter, RequestKind, Setting
from broker.model.session import SessionRow
from broker.model.target import Channel, Target
from broker.policy import risk
from broker.ports import Clock, PolicyEngine, SessionStore, UserStore
from broker.services.approvals.facts import facts
from broker.services.approvals.patterns import fits, pattern_problem
from broker.services.approvals.refusing import refused, usage
from broker.services.approvals.service import SECOND, ApprovalService
from broker.session.actions import OpenApproval

MAX_ROWS, MAX_ROW = 200, 1000
"""Of the screen that is kept with a held line."""


@dataclass(frozen=True, slots=True)
class Need:
    """What somebody wants to open, with what the policy says to it; as an answer of `sessions.authorize`:
    others have to agree first."""

    who: Authenticated
    target: Target
    account: str
    channel: Channel
    reason: str
    command: bytes | None
    decision: Decision

    @property
    def terms(self) -> ApprovalTerms:
        """Raises ValueError where nobody is named who could agree."""
        if self.decision.approval is None:
            raise ValueError("an approval is asked for, and nobody could give it")
        return self.decision.approval


class Asking:
    """Makes requests. The times that somebody asks for may only be shorter than the policy's."""

    def __init__(
        self,
        approvals: ApprovalService,
        policy: PolicyEngine,
        users: UserStore,
        sessions: SessionStore,
        clock: Clock,
    ) -> None:
        self._approvals = approvals
        self._policy = policy
        self._users = users
        self._sessions = sessions
        self._clock = clock

    # ------------------------------------------------------------ sessions and windows

    def matter(self, need: Need, kind: RequestKind, *, for_s: int = 0, wait_s: int = 0) -> Matter:
        """A session, or one command without a terminal, exactly as it was asked for."""
        lasts = None if need.command is not None else self._lasts(need.terms, need.decision, for_s)
        return Matter(
            kind=kind,
            user=need.who.principal.name,
            target=need.target.name,
            account=need.account,
            channel=need.channel.value,
            rule=need.decision.rule,
            terms=need.terms,
            content=need.command or b"",
            reason=need.reason[:MAX_TEXT],
            lasts_s=lasts,
            expires_at=self._expires(need.terms, wait_s),
        )

    async def ask(
        self, need: Need, kind: RequestKind = RequestKind.SESSION, *, for_s: int = 0, wait_s: int = 0
    ) -> ApprovalRequest:
        """The request for it; the one that waits already, if there is one. `kind`: WINDOW for what is asked
        for before it is needed. Raises RequestRefused."""
        matter = self.matter(need, kind, for_s=for_s, wait_s=wait_s)
        return await self._open(matter, need.target, need.who, need.decision.reason)

    async def ask_window(self, need: Need, pattern: str, *, for_s: int, wait_s: int) -> ApprovalRequest:
        """A window for held commands that fit the pattern. `need`: for a shell there. Raises RequestRefused
        where no rule would hold such a command."""
        if why := pattern_problem(pattern):
            raise usage(f"{pattern[:80]!a} is no pattern: {why}", "e.g. 'systemctl restart *'")
        who = need.who
        request = AccessRequest(
            who.principal, need.target, need.account, Channel.SHELL, self._clock.now(), need.reason
        )
        said = await asyncio.to_thread(self._policy.judge_line, request, pattern.encode())
        if said is None or said.verdict is not Answer.HOLD or said.approval is None:
            answer = "is not held" if said is None or said.verdict.runs else f"gets the answer {said.verdict}"
            raise refused(f"no window for it: {pattern!a} {answer} on {need.target.name}")
        if lacking := said.approval.lacks(need.reason):
            raise usage(f"{said.rule.name} asks for {lacking}", "-r REASON")
        terms = said.approval
        matter = Matter(
            kind=RequestKind.WINDOW,
            user=who.principal.name,
            target=need.target.name,
            account=need.account,
            channel="",
            rule=said.rule,
            terms=terms,
            content=pattern.encode(),
            reason=need.reason[:MAX_TEXT],
            lasts_s=self._lasts(terms, need.decision, for_s),
            expires_at=self._expires(terms, wait_s),
        )
        return await self._open(matter, need.target, who, said.reason)

    def _lasts(self, terms: ApprovalTerms, decision: Decision, for_s: int) -> int:
        most = terms.lasts_s or decision.limits.max_s or self._approvals.settings.lasts_s
        return min(most, for_s) if for_s > 0 else most

    def _expires(self, terms: ApprovalTerms, wait_s: int) -> int:
        most = terms.within_s or self._approvals.settings.within_s
        return self._clock.now() + (min(most, wait_s) if wait_s > 0 else most) * SECOND

    # ------------------------------------------------------------ held lines, reviews

    async def ask_held(self, row: SessionRow, grant: Grant, ask: OpenApproval) -> ApprovalRequest:
        """A line that waits in a live session, with the screen that its user saw. Raises RequestRefused."""
        matter = Matter(
            kind=RequestKind.COMMAND,
            user=row.user,
            target=row.target,
            account=row.account,
            channel=row.channel,
            rule=Rule(ask.rule, ask.origin),
            terms=ask.terms,
            content=line_bytes(ask.line),
            session=row.id,
            reason=row.reason[:MAX_TEXT],
            expires_at=self._expires(ask.terms, 0),
        )
        screen = tuple(drawn_row(text[:MAX_ROW]) for text in ask.screen[-MAX_ROWS:])
        return await self._open(matter, grant.target, grant.who, ask.reason, row, screen)

    async def ask_review(self, row: SessionRow, grant: Grant, terms: ApprovalTerms) -> ApprovalRequest:
        """What was opened without an approval is looked at afterwards: open until it was decided."""
        matter = Matter(
            kind=RequestKind.REVIEW,
            user=row.user,
            target=row.target,
            account=row.account,
            channel=row.channel,
            rule=grant.decision.rule,
            terms=terms,
            content=grant.command or b"",
            session=row.id,
            reason=row.reason[:MAX_TEXT],
        )
        return await self._open(matter, grant.target, grant.who, "opened without the approval it needs", row)

    # ------------------------------------------------------------ the moment

    async def _open(
        self,
        matter: Matter,
        target: Target,
        who: Authenticated,
        why: str,
        row: SessionRow | None = None,
        screen: tuple[str, ...] = (),
    ) -> ApprovalRequest:
        setting = await asyncio.to_thread(self._setting, matter, target, who, why, row)
        return await self._approvals.open(matter, replace(setting, screen=screen))

    def _setting(
        self, matter: Matter, target: Target, who: Authenticated, why: str, row: SessionRow | None
    ) -> Setting:
        before = self._sessions.sessions(user=matter.user, limit=5000)
        first = not any(old.target == target.name and (row is None or old.id != row.id) for old in before)
        user = self._users.user(matter.user)
        found = risk.factors(
            facts(
                matter,
                target,
                at=self._clock.now(),
                hours=self._approvals.settings.hours,
                agent=user is not None and user.kind is Kind.AGENT,
                first_time=first,
            )
        )
        return Setting(
            agent=user is not None and user.kind is Kind.AGENT,
            groups=tuple(sorted(who.principal.groups)),
            source=who.source.address,
            credential=who.source.credential,
            mfa_at=self._approvals.mfa_at(matter.user),
            why=why,
            ticket=_ticket(matter),
            tags=dict(target.tags),
            note=target.note,
            factors=found,
            level=risk.level(found),
            session_started_at=row.started_at if row is not None else None,
        )


def line_bytes(line: str) -> bytes:
    """The exact bytes of a line that was read as UTF-8."""
    try:
        return line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return line.encode("utf-8", "backslashreplace")


def _ticket(matter: Matter) -> str:
    """The word of the reason that is the ticket, where the policy asks for one."""
    if matter.terms.ticket is None:
        return ""
    only = replace(matter.terms, reason=False)
    return next((word for word in matter.reason.split() if only.lacks(word) is None), "")


def covers(request: ApprovalRequest, need: Need) -> bool:
    """Whether a grant in force is for exactly this: user, target, account, door, command and rule
    (lesson 34)."""
    matter = request.matter
    same = (matter.user, matter.target, matter.account, matter.rule.name) == (
        need.who.principal.name,
        need.target.name,
        need.account,
        need.decision.rule.name,
    )
    if not same:
        return False
    if matter.kind is RequestKind.SESSION or not matter.content:
        return matter.channel == need.channel.value and matter.content == (need.command or b"")
    # Whoever agreed to the pattern has to be all who have to agree here: opening may need others as well.
    is_held = need.decision.judgement is not None and need.decision.judgement.verdict is Answer.HOLD
    same_people = set(need.terms.panels) <= set(matter.terms.panels)
    return is_held and same_people and covers_line(request, need.command or b"")


def covers_line(request: ApprovalRequest, line: bytes) -> bool:
    """Whether a window lets this line through without a hold."""
    matter = request.matter
    return (
        matter.kind is RequestKind.WINDOW
        and matter.content != b""
        and fits(matter.content.decode("ascii", "replace"), line)
    )
