"""One change of a request: a transaction with its notes and audit rows, then who is concerned is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

import structlog

from broker.model.audit import AuditEvent
from broker.model.errors import BartizanError
from broker.model.identity import User
from broker.model.ids import RequestId
from broker.model.notification import Delivery
from broker.model.requests import ApprovalRequest, Note, RequestState, Vote
from broker.ports import Clock, DeliveryStore, RequestStore, UserStore
from broker.services.approvals.board import Board, Change
from broker.services.approvals.refusing import gone, refused
from broker.services.tasks import Tasks

log = structlog.get_logger()

T = TypeVar("T")
BROKER = "bartizan"
"""Who settles what nobody decided."""

Telling = Callable[[ApprovalRequest, str, str, str, int], list[Delivery]]
"""The messages that something happening to a request gives rise to: request, what, by, text, now."""


class LedgerStore(RequestStore, DeliveryStore, Protocol):
    """Requests, and the messages about them."""


class Step:
    """The inside of one transaction. What it raises undoes all of it."""

    def __init__(self, store: LedgerStore, users: UserStore, now: int, tell: Telling) -> None:
        self._store = store
        self._tell = tell
        self._users = users
        self.now = now
        self.changes: list[Change] = []
        self.events: list[AuditEvent] = []

    # ------------------------------------------------------------ reading

    def request(self, id: RequestId) -> ApprovalRequest | None:
        """As it is now: what is overdue is in the state that its time puts it in (lesson 21)."""
        found = self._store.request(id)
        return None if found is None else current(found, self.now)

    def people(self) -> dict[str, User]:
        return {user.name: user for user in self._users.users()}

    def votes(self, request: ApprovalRequest) -> list[Vote]:
        return self._store.votes(request.id)

    # ------------------------------------------------------------ changing

    def opened(self, request: ApprovalRequest) -> ApprovalRequest:
        kept = replace(request, id=self._store.open_request(request))
        self.tell(kept, "asked", kept.matter.user, code="request.opened", content=_shown(kept))
        return kept

    def settle(
        self,
        request: ApprovalRequest,
        after: RequestState,
        by: str,
        comment: str = "",
        *,
        until: int | None = None,
        use_by: int | None = None,
    ) -> ApprovalRequest:
        """Raises RequestRefused where somebody else was first."""
        won = self._store.settle_request(
            request.id, request.state, after, at=self.now, by=by, comment=comment, until=until, use_by=use_by
        )
        if not won:
            raise gone(f"{request.id} is not {request.state.value} any more")
        settled = replace(
            request, state=after, settled_at=self.now, settled_by=by, comment=comment,
            until=until or request.until, use_by=use_by or request.use_by,
        )  # fmt: skip
        self.tell(settled, after.value, by, comment)
        return settled

    def end(self, request: ApprovalRequest, after: RequestState, by: str, why: str) -> ApprovalRequest:
        """The end of a grant. Raises as `settle`."""
        if not self._store.end_request(request.id, after):
            raise gone(f"{request.id} is not in force any more")
        ended = replace(request, state=after)
        self.tell(ended, "ended", by, why)
        return ended

    def use(self, request: ApprovalRequest, session: str, until: int | None) -> ApprovalRequest:
        """Note a use. Raises RequestRefused where it may not be used any more."""
        usable = request.in_force and self._store.use_request(
            request.id, at=self.now, session=session, until=until
        )
        if not usable:
            raise refused(f"the approval {request.id} is {request.state.value}: it cannot be used any more")
        used = self._store.request(request.id)
        assert used is not None, "it was changed just now"
        self.tell(used, "used", used.matter.user, session, session=session)
        return used

    def settle_overdue(self) -> None:
        """Whatever the time has settled, kept and told."""
        open_states = frozenset({RequestState.PENDING, RequestState.APPROVED})
        for request in self._store.requests(states=open_states, limit=100_000):
            after = request.overdue(self.now)
            if after is not None and request.pending:
                self.settle(request, after, BROKER, "nobody decided in time")
            elif after is not None:
                self.end(request, after, BROKER, "its time is over")

    def vote(self, request: ApprovalRequest, vote: Vote) -> None:
        self._store.withdraw_vote(request.id, vote.by, self.now)
        self._store.add_vote(request.id, vote)
        self.tell(request, "voted", vote.by, vote.comment, approve=vote.approve)

    def withdraw_vote(self, request: ApprovalRequest, by: str, comment: str) -> bool:
        if not self._store.withdraw_vote(request.id, by, self.now):
            return False
        self.tell(request, "vote-withdrawn", by, comment)
        return True

    def tell(
        self,
        request: ApprovalRequest,
        what: str,
        by: str,
        text: str = "",
        *,
        code: str = "",
        session: str = "",
        **detail: str | int | bool | None,
    ) -> None:
        """Note it at the request and in the audit, within this transaction, and tell the board after it."""
        self._store.add_note(request.id, Note(self.now, what, by, text))
        matter = request.matter
        event = AuditEvent(
            code or f"request.{what}",
            self.now,
            by,
            request.id,
            session or matter.session,
            {
                "kind": matter.kind.value,
                "user": matter.user,
                "target": matter.target,
                "account": matter.account,
                "rule": matter.rule.name,
                "origin": matter.rule.origin,
                "digest": matter.digest,
                "state": request.state.value,
                "text": text,
                **detail,
            },
        )
        self._store.append(event)
        for delivery in self._tell(request, what, by, text, self.now):
            self._store.queue_delivery(delivery)
        self.events.append(event)
        self.changes.append(Change(request, what, by))


class Ledger:
    """Runs steps off the loop, one after the other, and tells the board what came of them."""

    def __init__(
        self,
        store: LedgerStore,
        users: UserStore,
        clock: Clock,
        board: Board,
        tasks: Tasks,
        tell: Telling,
    ) -> None:
        self._tell = tell
        self._store = store
        self._users = users
        self._clock = clock
        self._board = board
        self._tasks = tasks

    async def change(self, work: Callable[[Step], T], name: str) -> T:
        """What `work` returns, once it is durable. It is done and told also where the caller goes away.

        Raises:
            RequestRefused, Invalid: as `work` does, and nothing was changed. Unavailable: the store is gone.
        """
        outcome: T | BartizanError = await asyncio.shield(self._tasks.spawn(self._change(work), name))
        if isinstance(outcome, BartizanError):
            raise outcome
        return outcome

    async def _change(self, work: Callable[[Step], T]) -> T | BartizanError:
        try:
            result, step = await asyncio.to_thread(self._together, work)
        except BartizanError as exc:
            return exc
        self._done(step)
        return result

    def change_now(self, work: Callable[[Step], T]) -> T:
        """The same at once, for what has to be durable before the loop goes on."""
        result, step = self._together(work)
        self._done(step)
        return result

    def _together(self, work: Callable[[Step], T]) -> tuple[T, Step]:
        def inside() -> tuple[T, Step]:
            step = Step(self._store, self._users, self._clock.now(), self._tell)
            return work(step), step

        return self._store.together(inside)

    def _done(self, step: Step) -> None:
        for event in step.events:
            log.info(event.code, actor=event.actor, subject=event.subject, **_loggable(event))
        for change in step.changes:
            self._board.tell(change)


def current(request: ApprovalRequest, now: int) -> ApprovalRequest:
    """The request in the state that it is in by now, kept or not."""
    overdue = request.overdue(now)
    return request if overdue is None else replace(request, state=overdue)


def _loggable(event: AuditEvent) -> dict[str, str | int | bool | None]:
    return {name: value for name, value in event.detail.items() if value not in ("", None)}


def _shown(request: ApprovalRequest) -> str:
    return request.matter.content.decode("utf-8", "backslashreplace")[:4096]
