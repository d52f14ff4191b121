"""Requests from their opening to their end. Whoever may do what is asked anew inside each transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from broker.model.approval import ClockStart
from broker.model.errors import Unavailable
from broker.model.ids import RequestId
from broker.model.requests import (
    ApprovalRequest,
    Matter,
    RequestKind,
    RequestState,
    Setting,
    Vote,
)
from broker.ports import Clock, UserStore
from broker.services.approvals import deciding
from broker.services.approvals.board import Board, Change
from broker.services.approvals.facts import OfficeHours
from broker.services.approvals.ledger import BROKER, Ledger, LedgerStore, Step, Telling, current
from broker.services.approvals.refusing import RequestRefused, busy, gone, refused, unknown
from broker.services.approvals.saying import Decided, check_shown, checked_comment, lasts_s
from broker.services.tasks import Tasks

log = structlog.get_logger()

SECOND = 1_000_000
HOUR = 3600 * SECOND
LONGEST_SLEEP = 30.0
OPEN = frozenset({RequestState.PENDING, RequestState.APPROVED})
REMIND_EVERY = 60 * SECOND


@dataclass(frozen=True, slots=True)
class ApprovalSettings:
    """Defaults where the policy says nothing, in seconds, and what one user may have open."""

    within_s: int = 900
    lasts_s: int = 1800
    run_within_s: int = 60
    """An approved line that was not sent by then is not."""
    first_use_s: int = 12 * 3600
    """A grant whose clock starts at its first use is of no use after this."""
    most_open: int = 20
    most_per_hour: int = 120
    hours: OfficeHours = field(default_factory=OfficeHours)


class ApprovalService:
    """Opens, decides, uses and ends requests. `mfa_at`: when a user last showed a second factor, in
    microseconds since the epoch; None: it is not known."""

    def __init__(
        self,
        *,
        store: LedgerStore,
        users: UserStore,
        clock: Clock,
        board: Board,
        tasks: Tasks,
        settings: ApprovalSettings = ApprovalSettings(),
        mfa_at: Callable[[str], int | None] = lambda user: None,
        tell: Telling = lambda request, what, by, text, now: [],
    ) -> None:
        self.settings = settings
        self.board = board
        self.mfa_at = mfa_at
        self._store = store
        self._clock = clock
        self._ledger = Ledger(store, users, clock, board, tasks, tell)
        self._changed = asyncio.Event()
        board.listen(lambda change: self._changed.set())

    # ------------------------------------------------------------ opening

    async def open(self, matter: Matter, setting: Setting) -> ApprovalRequest:
        """A new request; or the one that already waits for exactly that.

        Raises:
            RequestRefused: the user has too many open. Unavailable: it cannot be kept.
        """

        def work(step: Step) -> ApprovalRequest:
            waiting = self._pending_of(matter.user, step.now)
            for row in waiting:
                if matter.kind is not RequestKind.COMMAND and _asks_the_same(row.matter, matter):
                    return row
            if matter.kind is not RequestKind.REVIEW:
                self._refuse_flood(matter.user, len(waiting), step.now)
            return step.opened(ApprovalRequest(RequestId(""), matter, setting, opened_at=step.now))

        return await self._ledger.change(work, "request-open")

    def _pending_of(self, user: str, now: int) -> list[ApprovalRequest]:
        """What this user waits for; reviews are not of his choosing."""
        rows = self._store.requests(states=frozenset({RequestState.PENDING}), user=user)
        asked = [row for row in rows if row.matter.kind is not RequestKind.REVIEW]
        return [row for row in asked if current(row, now).pending]

    def _refuse_flood(self, user: str, waiting: int, now: int) -> None:
        most = self.settings
        if waiting >= most.most_open:
            text = f"you have {most.most_open} requests open, as many as may be"
            raise busy(text, "bartizan requests ls; bartizan requests cancel ID")
        recent = self._store.requests(user=user, since=now - HOUR, limit=most.most_per_hour)
        if len(recent) >= most.most_per_hour:
            raise busy(f"you have asked {most.most_per_hour} times within the hour; try again later")

    # ------------------------------------------------------------ deciding

    async def seen(self, id: RequestId, by: str) -> ApprovalRequest:
        """Somebody who may decide it was shown it. Noted once for each."""

        def work(step: Step) -> ApprovalRequest:
            request = _known(step.request(id), id)
            people = step.people()
            decides = by in people and not deciding.cannot_decide(request, people[by], people)
            noted = any(note.what == "seen" and note.by == by for note in self._store.notes(id))
            if decides and request.pending and not noted:
                step.tell(request, "seen", by)
            return request

        return await self._ledger.change(work, "request-seen")

    async def decide(self, id: RequestId, by: str, said: Decided) -> ApprovalRequest:
        """One vote. A denial settles it; an approval does once every panel has its people.

        Raises:
            RequestRefused: this user may not, not on what he was shown, or not so.
        """
        comment = checked_comment(said.comment, required=not said.approve)

        def work(step: Step) -> ApprovalRequest:
            request = _known(step.request(id), id)
            people, votes = step.people(), step.votes(request)
            user = people.get(by)
            if user is None or not deciding.may_see(request, user, people):
                raise unknown(id)
            why = deciding.why_not(request, user, people, votes, now=step.now, mfa_at=self.mfa_at(by))
            if why:
                raise refused(f"{id}: {why}")
            check_shown(request, said)
            step.vote(request, Vote(by, step.now, said.approve, comment, said.for_s or None))
            if not said.approve:
                return step.settle(request, RequestState.DENIED, by, comment)
            votes = step.votes(request)
            if not deciding.agreed(request, votes, people):
                return request
            voters = ", ".join(vote.by for vote in deciding.counting(request, votes, people) if vote.approve)
            until, use_by = self._times(request, votes, step.now)
            return step.settle(request, RequestState.APPROVED, voters, comment, until=until, use_by=use_by)

        return await self._ledger.change(work, "request-decide")

    def _times(
        self, request: ApprovalRequest, votes: Sequence[Vote], now: int
    ) -> tuple[int | None, int | None]:
        """`until` and `use_by` of what is approved now."""
        matter, settings = request.matter, self.settings
        if matter.kind is RequestKind.REVIEW:
            return None, None
        if matter.kind is RequestKind.COMMAND:
            return None, now + settings.run_within_s * SECOND
        if matter.lasts_s is None:
            return None, now + (matter.terms.lasts_s or settings.lasts_s) * SECOND
        if matter.terms.starts is ClockStart.FIRST_USE:
            return None, now + settings.first_use_s * SECOND
        return now + lasts_s(request, votes) * SECOND, None

    # ------------------------------------------------------------ taking back

    async def cancel(self, id: RequestId, by: str, why: str = "") -> ApprovalRequest:
        """The requester does not want it any more. What rests on it ends."""

        def work(step: Step) -> ApprovalRequest:
            request = _known(step.request(id), id)
            if request.matter.user != by:
                raise unknown(id)
            return self._over(step, request, RequestState.CANCELLED, by, why)

        return await self._ledger.change(work, "request-cancel")

    async def withdraw(self, id: RequestId, by: str, comment: str, *, admin: bool) -> ApprovalRequest:
        """Somebody who approved it, or an admin, takes it back; while it is pending an approver his vote."""
        comment = checked_comment(comment, required=True)

        def work(step: Step) -> ApprovalRequest:
            request = _known(step.request(id), id)
            voted = any(vote.by == by and vote.approve for vote in step.votes(request))
            if not voted and not admin:
                people = step.people()
                if by not in people or not deciding.may_see(request, people[by], people):
                    raise unknown(id)
                raise refused(f"{id}: only who approved it, or an admin, may take it back")
            if request.pending and step.withdraw_vote(request, by, comment):
                return request
            return self._over(step, request, RequestState.WITHDRAWN, by, comment)

        return await self._ledger.change(work, "request-withdraw")

    def _over(
        self, step: Step, request: ApprovalRequest, after: RequestState, by: str, why: str
    ) -> ApprovalRequest:
        if request.matter.kind is RequestKind.REVIEW:
            raise refused(f"{request.id} stays open until it was decided")
        if request.pending or (request.in_force and after is RequestState.WITHDRAWN):
            return step.settle(request, after, by, why)
        if request.in_force:
            used = RequestState.UNUSED if request.used_at is None else RequestState.USED
            return step.end(request, used, by, why or "not wanted any more")
        raise gone(f"{request.id} is {request.state.value} already")

    # ------------------------------------------------------------ talking

    async def say(self, id: RequestId, by: str, text: str) -> None:
        """A line between the requester and those who may decide."""
        text = checked_comment(text, required=True)

        def work(step: Step) -> None:
            request = _known(step.request(id), id)
            people = step.people()
            if by not in people or not deciding.may_see(request, people[by], people):
                raise unknown(id)
            if sum(note.what == "said" for note in self._store.notes(id)) >= 200:
                raise busy(f"{id}: enough was said here")
            step.tell(request, "said", by, text)

        await self._ledger.change(work, "request-say")

    async def remind(self, id: RequestId, by: str) -> None:
        """The requester has those who may decide told once more."""

        def work(step: Step) -> None:
            request = _known(step.request(id), id)
            if request.matter.user != by:
                raise unknown(id)
            if not request.pending:
                raise gone(f"{id} is {request.state.value} already")
            last = max(n.at for n in self._store.notes(id) if n.what in ("asked", "reminded"))
            if step.now - last < REMIND_EVERY:
                raise busy(f"{id}: they were told less than a minute ago")
            step.tell(request, "reminded", by)

        await self._ledger.change(work, "request-remind")

    # ------------------------------------------------------------ using

    def in_force(self, user: str, target: str) -> list[ApprovalRequest]:
        """Grants that may be used now, newest first. Blocks for a moment."""
        now = self._clock.now()
        rows = self._store.requests(states=frozenset({RequestState.APPROVED}), user=user, target=target)
        return [row for row in rows if current(row, now).in_force]

    def waiting(self, matter: Matter) -> ApprovalRequest | None:
        """A pending request for exactly that. Blocks for a moment."""
        rows = self._pending_of(matter.user, self._clock.now())
        return next((row for row in rows if _asks_the_same(row.matter, matter)), None)

    def use_now(self, id: RequestId, session: str) -> ApprovalRequest:
        """Note a use, durable on return; of what is used once it is the last. Blocks until it is on the disk:
        nothing may run before.

        Raises:
            RequestRefused: it may not be used (any more).
        """
        return self._ledger.change_now(lambda step: _use(step, id, session))

    async def use(self, id: RequestId, session: str) -> ApprovalRequest:
        """The same off the loop."""
        return await self._ledger.change(lambda step: _use(step, id, session), "request-use")

    def remaining_s(self, request: ApprovalRequest) -> int | None:
        """How long a session may last that rests on it; None: as long as any."""
        if request.once:
            return None
        if request.until is None:
            return lasts_s(request, self._store.votes(request.id))
        return max(1, (request.until - self._clock.now()) // SECOND)

    async def ran(self, id: RequestId, session: str, text: str) -> None:
        """What rested on it is over: how it ended is told with the request."""

        def work(step: Step) -> None:
            request = step.request(id)
            if request is not None:
                step.tell(request, "ran", BROKER, text, session=session)

        await self._ledger.change(work, "request-ran")

    # ------------------------------------------------------------ time

    def recover(self) -> int:
        """After a start: lines that were held in sessions that are no more are denied, approved ones unused.
        Requests for sessions stay. How many were settled. Before anything listens."""

        def work(step: Step) -> int:
            held = [
                row
                for row in self._store.requests(states=OPEN, limit=100_000)
                if row.matter.kind is RequestKind.COMMAND
            ]
            for row in held:
                if row.pending:
                    step.settle(row, RequestState.DENIED, BROKER, "the broker was restarted")
                else:
                    step.end(row, RequestState.UNUSED, BROKER, "the broker was restarted")
            step.settle_overdue()
            return len(held)

        return self._ledger.change_now(work)

    async def keep_time(self) -> None:
        """Settle what the time settles, until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self._ledger.change(Step.settle_overdue, "requests-overdue")
                sleep = await asyncio.to_thread(self._next)
            except (Unavailable, RequestRefused) as exc:
                log.error("requests.overdue-failed", error=exc.message)
                sleep = 1.0
            try:
                async with asyncio.timeout(sleep):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _next(self) -> float:
        """Seconds until something is overdue."""
        now = self._clock.now()
        times = [
            at
            for row in self._store.requests(states=OPEN, limit=100_000)
            for at in (row.matter.expires_at if row.pending else None, row.until, row.use_by)
            if at is not None and at > now
        ]
        return min(LONGEST_SLEEP, (min(times) - now) / SECOND + 0.01) if times else LONGEST_SLEEP

    async def wait(self, request: ApprovalRequest, seconds: float) -> ApprovalRequest:
        """The request once it is not pending any more, or as it is after so many seconds."""
        done = asyncio.Event()

        def heard(change: Change) -> None:
            if change.request.id == request.id and not change.request.pending:
                done.set()

        stop = self.board.listen(heard)
        try:
            found = await asyncio.to_thread(self.get, request.id)
            if found.pending:
                async with asyncio.timeout(seconds):
                    await done.wait()
        except TimeoutError:
            pass
        finally:
            stop()
        return await asyncio.to_thread(self.get, request.id)

    def get(self, id: RequestId) -> ApprovalRequest:
        """As it is now. Raises RequestRefused for an id that was never given. Blocks for a moment."""
        found = self._store.request(id)
        return current(_known(found, id), self._clock.now())


def _known(request: ApprovalRequest | None, id: str) -> ApprovalRequest:
    if request is None:
        raise unknown(id)
    return request


def _use(step: Step, id: RequestId, session: str) -> ApprovalRequest:
    request = _known(step.request(id), id)
    until = None
    if request.until is None and not request.once:
        until = step.now + lasts_s(request, step.votes(request)) * SECOND
    return step.use(request, session, until)


def _asks_the_same(one: Matter, other: Matter) -> bool:
    return _asked(one) == _asked(other)


def _asked(matter: Matter) -> tuple[object, ...]:
    """What a request is for. Sessions asked for in advance and at the door are the same."""
    opens = matter.kind is RequestKind.SESSION or (matter.kind is RequestKind.WINDOW and not matter.content)
    kind = RequestKind.SESSION if opens else matter.kind
    place = (matter.target, matter.account, matter.channel, matter.session)
    return (matter.user, kind, *place, matter.content, matter.rule.name)
