"""Sessions: who may open one (`authorize`, the one place that makes a `Grant`), and which are live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from broker.gate.shell import parse
from broker.gate.strict.readers import opened_by
from broker.model import exits
from broker.model.access import AccessRequest, Decision, Grant, Verdict
from broker.model.command import Judgement
from broker.model.identity import Authenticated
from broker.model.ids import SessionId, session_id
from broker.model.session import SessionRow, SessionState
from broker.model.target import Channel, Mode
from broker.ports import Clock, PolicyEngine, SessionStore, TargetDirectory, UserStore
from broker.services.audit import AuditTrail


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


class Live(Protocol):
    """A running session as the registry sees it."""

    row: SessionRow

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

    async def authorize(self, who: Authenticated, wish: Wish) -> Grant | Refusal:
        """Decide, and note the decision before anything comes of it.

        Raises:
            Unavailable: the decision cannot be audited.
        """
        outcome = self._decide(who, wish)
        if isinstance(outcome, Grant):
            code, reason, rule = "session.granted", outcome.decision.reason, outcome.decision.rule
            await self._note(who, wish, code, reason=reason, rule=rule.name, origin=rule.origin)
        else:
            await self._note(who, wish, "session.refused", reason=outcome.message, error=outcome.code)
        return outcome

    def _decide(self, who: Authenticated, wish: Wish) -> Grant | Refusal:
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
        request = AccessRequest(
            user.principal(), target, account, wish.channel, self._clock.now(), wish.reason, wish.command
        )
        decision = self._policy.decide(request)
        if not decision.visible:
            return unknown(wish.target)
        if not decision.allowed:
            return refusal(decision)
        refused = reader_refused(request)
        if refused is not None:
            return refused
        principal = replace(who, principal=user.principal())
        return Grant(principal, target, account, wish.channel, decision, wish.reason, wish.command)

    def line_judge(self, grant: Grant) -> Callable[[bytes], Judgement | None]:
        """Judges lines typed in a granted session, by the policies in force when each is typed; the hours of
        the policies are those of the start."""
        request = AccessRequest(
            grant.who.principal, grant.target, grant.account, grant.channel, self._clock.now(), grant.reason,
            grant.command,
        )  # fmt: skip
        return lambda line: self._policy.judge_line(request, line)

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
        await self._trail.note("session.opened", row.user, f"{row.account}+{row.target}", id)
        return replace(row, id=id)

    def register(self, live: Live) -> None:
        """From now on the session is listed and can be killed."""
        self._live[live.row.id] = live

    async def ended(self, row: SessionRow, *, status: int, reason: str, size: int, error: str = "") -> None:
        """The session is over and its recording closed. `error`: why it could not be opened or kept."""
        self._live.pop(row.id, None)
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
        return Refusal("E-REASON", "a reason is needed here", exits.USAGE, hint)
    rule = decision.rule
    where = f" (rule {rule.name}, {rule.origin})" if rule.origin else ""
    return Refusal("E-DENIED", f"{decision.reason}{where}", exits.DENIED)
