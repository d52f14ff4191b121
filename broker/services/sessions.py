"""Sessions: who may open one (`authorize`, the one place that makes a `Grant`), and which are live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from broker.gate.shell import parse
from broker.gate.strict.readers import opened_by
from broker.model import exits
from broker.model.access import AccessRequest, Decision, Grant, Limits, Verdict
from broker.model.command import Answer, CommandLine, Judgement
from broker.model.errors import BartizanError
from broker.model.identity import Authenticated
from broker.model.ids import RequestId, SessionId, session_id
from broker.model.requests import ApprovalRequest, RequestKind
from broker.model.session import LineReport, SessionRow, SessionState
from broker.model.target import Channel, Mode
from broker.ports import Clock, PolicyEngine, SessionStore, TargetDirectory, UserStore
from broker.services.approvals.asking import Asking, Need, covers
from broker.services.approvals.board import Change
from broker.services.approvals.refusing import usage
from broker.services.approvals.service import ApprovalService
from broker.services.audit import AuditTrail, Remarks


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that comes to nothing, in words for the one who asked."""

    code: str
    message: str
    exit_status: int
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to open. `account` None: the target's default."""

    target: str
    account: str | None
    channel: Channel
    reason: str = ""
    command: bytes | None = None
    break_glass: bool = False
    """Go past the approval where the policy lets this user, to be reviewed afterwards."""


class Live(Protocol):
    """A running session as the registry sees it."""

    row: SessionRow

    @property
    def lines(self) -> LineReport | None:
        """How its command lines are judged, and how that went; None: they are not."""

    def kill(self, why: str, by: str, text: str) -> None:
        """End it at once; the user is told who and why."""


class SessionService:
    """Every door goes through `authorize`; every session through `opened` and `ended`."""

    def __init__(
        self,
        *,
        targets: TargetDirectory,
        policy: PolicyEngine,
        users: UserStore,
        store: SessionStore,
        trail: AuditTrail,
        clock: Clock,
        most: int,
        approvals: ApprovalService,
        asking: Asking,
    ) -> None:
        self._targets = targets
        self._policy = policy
        self._users = users
        self._store = store
        self._trail = trail
        self._clock = clock
        self._most = most
        self._live: dict[SessionId, Live] = {}
        self._closed_for: str = ""
        self._approvals = approvals
        self._asking = asking
        self._grants: dict[SessionId, Grant] = {}
        """Of sessions from their opening to their end."""
        self._revoked: dict[SessionId, tuple[str, str]] = {}
        """Sessions that are not registered yet and must not live: by whom, and why."""
        approvals.board.listen(self._grant_changed)

    # ------------------------------------------------------------ authorization

    def sees(self, who: Authenticated, name: str) -> bool:
        """Whether it is a target that exists to this user: one that some policy names for him."""
        target, user = self._targets.target(name), self._users.user(who.principal.name)
        if target is None or user is None:
            return False
        request = AccessRequest(
            user.principal(), target, target.accounts[0], Channel.SHELL, self._clock.now()
        )
        return self._policy.decide(request).visible

    async def nowhere(self, who: Authenticated, word: str) -> Refusal:
        """The answer to a word that is no target to this user, noted as any refusal."""
        refused = unknown(word)
        await self._note(
            who,
            Wish(word, None, Channel.SHELL),
            "session.refused",
            reason=refused.message,
            error=refused.code,
        )
        return refused

    async def authorize(self, who: Authenticated, wish: Wish) -> Grant | Refusal | Need:
        """Decide, and note the decision before anything comes of it. `Need`: somebody has to agree first, and
        nothing that is in force covers exactly this.

        Raises:
            Unavailable: the decision cannot be audited.
        """
        outcome = self._decide(who, wish)
        if isinstance(outcome, Grant):
            code, reason, rule = "session.granted", outcome.decision.reason, outcome.decision.rule
            under = {"approval": outcome.approval} if outcome.approval else {}
            code = "session.break-glass" if outcome.review is not None else code
            said = _said(outcome.decision) | under
            await self._note(who, wish, code, reason=reason, rule=rule.name, origin=rule.origin, **said)
        elif isinstance(outcome, Need):
            decision = outcome.decision
            await self._note(
                who, wish, "session.needs-approval", reason=decision.reason, rule=decision.rule.name
            )
        else:
            await self._note(who, wish, "session.refused", reason=outcome.message, error=outcome.code)
        return outcome

    def consider(self, who: Authenticated, wish: Wish) -> Refusal | Need:
        """What the policy says to it now; nothing is noted, and nothing granted."""
        user = self._users.user(who.principal.name)
        if user is None or user.locked_at is not None:
            return Refusal("E-DENIED", "this user is locked", exits.DENIED)
        if self._closed_for:
            return Refusal("E-UNAVAILABLE", self._closed_for, exits.UNREACHABLE)
        if len(self._live) >= self._most:
            return Refusal("E-BUSY", f"{self._most} sessions are open, as many as may be", exits.UNREACHABLE)
        target = self._targets.target(wish.target)
        if target is None:
            return unknown(wish.target)
        account = wish.account or target.accounts[0]
        now = replace(who, principal=user.principal())
        request = AccessRequest(
            now.principal, target, account, wish.channel, self._clock.now(), wish.reason, wish.command
        )
        decision = self._policy.decide(request)
        if not decision.visible:
            return unknown(wish.target)
        refused = None if decision.verdict is Verdict.DENY else reader_refused(request)
        if refused is not None:
            return refused
        return Need(now, target, account, wish.channel, wish.reason, wish.command, decision)

    def _decide(self, who: Authenticated, wish: Wish) -> Grant | Refusal | Need:
        found = self.consider(who, wish)
        if isinstance(found, Refusal):
            return found
        decision, approval, review = found.decision, "", None
        if decision.verdict is Verdict.NEED_APPROVAL:
            if (granted := self._granted(found)) is not None:
                approval, decision = granted.id, self._under(decision, granted)
            elif wish.break_glass and decision.break_glass is not None:
                review, decision = decision.break_glass, _past(decision)
                if (lacking := review.lacks(wish.reason)) is not None:
                    return Refusal("E-REASON", f"break-glass asks for {lacking}", exits.USAGE, "-r REASON")
            else:
                return found
        if not decision.allowed:
            return refusal(decision)
        return Grant(
            found.who, found.target, found.account, found.channel, decision, found.reason, found.command,
            approval, review,
        )  # fmt: skip

    def _granted(self, need: Need) -> ApprovalRequest | None:
        """A grant in force that is for exactly this."""
        in_force = self._approvals.in_force(need.who.principal.name, need.target.name)
        return next((request for request in in_force if covers(request, need)), None)

    def standing(self, need: Need) -> ApprovalRequest | None:
        """The request for exactly this that is in force, or else pending."""
        if need.decision.approval is None:
            return None
        matter = self._asking.matter(need, RequestKind.SESSION)
        return self._granted(need) or self._approvals.waiting(matter)

    def _under(self, decision: Decision, approval: ApprovalRequest) -> Decision:
        """The decision with an approval that covers it: the session ends with the grant."""
        text = f"{decision.reason}: approved by {approval.settled_by} ({approval.id})"
        allowed = replace(decision, verdict=Verdict.ALLOW, reason=text)
        return replace(allowed, limits=_shorter(decision.limits, self._approvals.remaining_s(approval)))

    def line_judge(self, grant: Grant) -> Callable[[bytes | CommandLine], Judgement | None]:
        """Judges lines typed in a granted session, by the policies in force when each is typed. The hours of
        a policy are those of the start, the hours of its rules those of the line."""
        request = self._as_started(grant)

        def judged(line: bytes | CommandLine) -> Judgement | None:
            return self._policy.judge_line(replace(request, line_at=self._clock.now()), line)

        return judged

    def doubt_judge(self, grant: Grant) -> Callable[[str], Judgement]:
        """Judges lines that cannot be read, as `line_judge` those that can."""
        request = self._as_started(grant)
        return lambda why: self._policy.judge_doubt(replace(request, line_at=self._clock.now()), why)

    def _as_started(self, grant: Grant) -> AccessRequest:
        return AccessRequest(
            grant.who.principal, grant.target, grant.account, grant.channel, self._clock.now(), grant.reason,
            grant.command,
        )  # fmt: skip

    async def _note(self, who: Authenticated, wish: Wish, code: str, **detail: str) -> None:
        subject = f"{wish.account or ''}+{wish.target}"[:300]
        command = (wish.command or b"").decode("utf-8", "backslashreplace")[:4096]
        await self._trail.note(
            code,
            who.principal.name,
            subject,
            channel=wish.channel.value,
            source=who.source.address,
            command=command,
            given=wish.reason[:1000],
            **detail,
        )

    # ------------------------------------------------------------ life

    async def opened(self, grant: Grant) -> SessionRow:
        """Store a session that is about to start; its id is the name of its recording."""
        command = (grant.command or b"").decode("utf-8", "replace")
        row = SessionRow(
            id=session_id(1),
            user=grant.who.principal.name,
            target=grant.target.name,
            account=grant.account,
            channel=grant.channel.value,
            command=command,
            source=grant.who.source.address,
            reason=grant.reason,
            started_at=self._clock.now(),
            ended_at=None,
            state=SessionState.LIVE,
            exit_status=None,
            end_reason="",
            recording="",
            size=0,
        )
        id = await asyncio.to_thread(self._store.open_session, row)
        row = replace(row, id=id)
        self._grants[id] = grant
        try:
            if grant.approval:
                await self._approvals.use(RequestId(grant.approval), id)
            if grant.review is not None:
                await self._asking.ask_review(row, grant, grant.review)
            await self._trail.note("session.opened", row.user, f"{row.account}+{row.target}", id)
        except BartizanError as exc:
            self._grants.pop(id)  # it never rested on its approval
            await self.ended(row, status=exc.exit_status, reason="refused", size=0, error=exc.message)
            raise
        return row

    def register(self, live: Live) -> None:
        """From now on the session is listed and can be killed."""
        self._live[live.row.id] = live
        if (revoked := self._revoked.pop(live.row.id, None)) is not None:
            live.kill("revoked", *revoked)

    def grant_of(self, id: SessionId) -> Grant | None:
        """What a session that is not over was opened with."""
        return self._grants.get(id)

    def _grant_changed(self, change: Change) -> None:
        """What rests on a grant ends with it, at once (lesson 17)."""
        if change.what not in ("withdrawn", "ended"):
            return
        request = change.request
        text = f"the approval {request.id} it rested on was taken back by {change.by}"
        if change.what == "ended":
            text = f"the approval {request.id} it rested on is over"
        for id, grant in list(self._grants.items()):
            if grant.approval != request.id:
                continue
            if (live := self._live.get(id)) is not None:
                live.kill("revoked", change.by, text)
            else:
                self._revoked[id] = (change.by, text)

    async def ended(self, row: SessionRow, *, status: int, reason: str, size: int, error: str = "") -> None:
        """The session is over and its recording closed. `error`: why it could not be opened or kept."""
        self._live.pop(row.id, None)
        self._revoked.pop(row.id, None)
        grant = self._grants.pop(row.id, None)
        await asyncio.to_thread(
            self._store.close_session,
            row.id,
            state=SessionState.ENDED,
            at=self._clock.now(),
            exit_status=status,
            end_reason=reason,
            size=size,
        )
        subject = f"{row.account}+{row.target}"
        why = {"error": error[:1000]} if error else {}
        await self._trail.note(
            "session.ended", row.user, subject, row.id, status=status, reason=reason, **why
        )
        if grant is not None and grant.approval:
            text = f"{row.id} ended ({reason}), exit {status}"
            await self._approvals.ran(RequestId(grant.approval), row.id, text)

    def remarks(self, row: SessionRow, failed: Callable[[str], None]) -> Remarks:
        """Notes in the audit what happens in a live session."""
        return Remarks(self._trail, row, failed)

    def lines(self, id: SessionId) -> LineReport | None:
        """How the lines of a live session are judged; None: they are not, or it is over."""
        live = self._live.get(id)
        return None if live is None else live.lines

    def live(self) -> list[SessionRow]:
        """Rows of the live sessions, newest first."""
        return [live.row for live in reversed(self._live.values())]

    async def kill(self, id: SessionId, by: str, text: str) -> bool:
        """End a live session; False if there is none of that id."""
        live = self._live.get(id)
        if live is None:
            return False
        await self._trail.note("session.killed", by, live.row.user, id, text=text)
        live.kill("killed", by, f'ended by {by}: "{text}"')
        return True

    def refuse_new(self, why: str) -> None:
        """From now on no session is granted (shutdown)."""
        self._closed_for = why

    def kill_all(self, why: str, text: str) -> None:
        for live in list(self._live.values()):
            live.kill(why, "bartizan", text)


def _said(decision: Decision) -> dict[str, str]:
    """What rules noted about a command that is let through: a warning, and those that only observe."""
    said = decision.judgement
    if said is None:
        return {}
    found = (
        {} if said.verdict is Answer.ALLOW else {"answer": said.verdict.value, "answered_by": said.rule.name}
    )
    if said.observed:
        found["observed"] = " ".join(rule.name for rule in said.observed)
    return found


def _past(decision: Decision) -> Decision:
    """Break-glass: as if it had been approved."""
    lasts_s = decision.break_glass.lasts_s if decision.break_glass is not None else None
    text = f"break-glass: {decision.reason}, and it was not waited for"
    return replace(decision, verdict=Verdict.ALLOW, reason=text, limits=_shorter(decision.limits, lasts_s))


def _shorter(limits: Limits, most_s: int | None) -> Limits:
    known = [bound for bound in (limits.max_s, most_s) if bound is not None]
    return replace(limits, max_s=min(known, default=None))


def resumed(request: ApprovalRequest) -> Wish:
    """What a request for a session was for. Raises RequestRefused where it was for something else."""
    matter = request.matter
    if matter.kind not in (RequestKind.SESSION, RequestKind.WINDOW) or matter.channel == "":
        raise usage(f"{request.id} opens no session: it is for a {matter.kind.value}")
    command = matter.content or None
    return Wish(matter.target, matter.account, Channel(matter.channel), matter.reason, command)


def unknown(name: str) -> Refusal:
    """One answer for a target that does not exist and one that this user may not see."""
    return Refusal(
        "E-UNKNOWN", f"no target {name!r} here for you", exits.UNKNOWN_TARGET, "bartizan ls lists them"
    )


def reader_refused(request: AccessRequest) -> Refusal | None:
    """The answer to a command that would read lines of its own, where only judged ones may be read."""
    target = request.target
    if target.mode is Mode.GUARD or request.channel is not Channel.EXEC or request.command is None:
        return None
    opened = opened_by(parse(request.command), target.readers)
    names = opened.refused + opened.taught
    if not names:
        return None
    text = f"{names[0]} would read lines that are not judged; {target.name} is in mode {target.mode.value}"
    hint = f"give it what it shall do, as in {names[0]} -c '...', or ask that it be listed under readers"
    return Refusal("E-DENIED", text, exits.DENIED, hint)


def refusal(decision: Decision) -> Refusal:
    """A decision against, in words: the reason, then the rule and where it stands."""
    if decision.verdict is Verdict.NEED_REASON:
        hint = "set LC_BARTIZAN_REASON (ssh -o SetEnv=LC_BARTIZAN_REASON=...) or use a terminal"
        text = "a reason is needed here" if decision.approval is None else decision.reason
        return Refusal("E-REASON", text, exits.USAGE, hint)
    rule = decision.rule
    where = f" (rule {rule.name}, {rule.origin})" if rule.origin else ""
    return Refusal("E-DENIED", f"{decision.reason}{where}", exits.DENIED)
