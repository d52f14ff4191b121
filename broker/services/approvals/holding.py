"""The desk of lines held in live sessions: opens a request for each, and answers once it is decided.

On the event loop. What is said of a line that does not wait any more is ignored. A line runs only through
`use`, which is on the disk before it returns: it runs once at most, and never without an approval before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from broker.model.access import Grant
from broker.model.errors import BartizanError
from broker.model.ids import RequestId, SessionId
from broker.model.requests import ApprovalRequest, RequestState
from broker.model.session import SessionRow
from broker.ports import Clock
from broker.services.approvals.asking import Asking, covers_line, line_bytes
from broker.services.approvals.board import Change
from broker.services.approvals.refusing import refused
from broker.services.approvals.service import SECOND, ApprovalService
from broker.services.tasks import Tasks
from broker.session.actions import OpenApproval
from broker.session.events import ApprovalOpened, ApprovalSettled

log = structlog.get_logger()

Settle = Callable[[ApprovalOpened | ApprovalSettled], None]
OUTCOMES = {
    RequestState.APPROVED: "approved",
    RequestState.DENIED: "denied",
    RequestState.EXPIRED: "expired",
    RequestState.CANCELLED: "denied",
    RequestState.WITHDRAWN: "denied",
}


@dataclass(slots=True)
class _Held:
    """One line: its request once there is one, and what it is told by."""

    number: int
    settle: Settle
    id: RequestId | None = None
    window: bool = False
    approved: bool = False


class HeldLines:
    """Satisfies the desk that a session's runner asks (`relay.holds.HoldDesk`)."""

    def __init__(
        self,
        approvals: ApprovalService,
        asking: Asking,
        grant_of: Callable[[SessionId], Grant | None],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._approvals = approvals
        self._asking = asking
        self._grant_of = grant_of
        self._clock = clock
        self._tasks = tasks
        self._held: dict[tuple[SessionId, int], _Held] = {}
        approvals.board.listen(self._heard)

    # ------------------------------------------------------------ for the session

    def open(self, row: SessionRow, ask: OpenApproval, settle: Settle) -> None:
        """Ask for one line. `settle` takes `ApprovalOpened`, then one `ApprovalSettled`; `approved` only once
        that is durable."""
        held = _Held(ask.number, settle)
        self._held[row.id, ask.number] = held
        self._tasks.spawn(self._open(row, ask, held), f"held-{row.id}")

    def cancel(self, row: SessionRow, number: int, why: str) -> None:
        """The line is not wanted any more: whatever is decided from here on, it does not run."""
        held = self._held.pop((row.id, number), None)
        # One that has run out of time is settled as expired by the clock that all requests have.
        if held is not None and held.id is not None and not held.window and why != "expired":
            self._tasks.spawn(self._cancel(row, held.id, why), f"cancel-{held.id}")

    def use(self, row: SessionRow, number: int) -> None:
        """The approved line is sent next. Blocks until that is on the disk.

        Raises:
            BartizanError: it may not be; the session ends.
        """
        held = self._held.pop((row.id, number), None)
        if held is None or held.id is None or not held.approved:
            raise refused("this line was not approved")
        self._approvals.use_now(held.id, row.id)

    # ------------------------------------------------------------ asking

    async def _open(self, row: SessionRow, ask: OpenApproval, held: _Held) -> None:
        try:
            grant = self._grant_of(row.id)
            if grant is None:
                raise refused("the session is over")
            window = await asyncio.to_thread(self._window, row, ask)
            if window is not None:
                if self._held.get((row.id, held.number)) is held:
                    self._under_window(held, window)
                return
            request = await self._asking.ask_held(row, grant, ask)
        except BartizanError as exc:
            self._fail(row, held, exc.message)
        except Exception as exc:
            log.error("held.failed", session=row.id, error=repr(exc), exc_info=exc)
            self._fail(row, held, "an error in the broker")
        else:
            await self._opened(row, held, request)

    def _fail(self, row: SessionRow, held: _Held, text: str) -> None:
        if self._held.pop((row.id, held.number), None) is held:
            held.settle(ApprovalSettled(held.number, "failed", comment=text))

    async def _opened(self, row: SessionRow, held: _Held, request: ApprovalRequest) -> None:
        if self._held.get((row.id, held.number)) is not held:  # cancelled while it was being opened
            await self._cancel(row, request.id, "not wanted any more")
            return
        held.id = request.id
        expires = request.matter.expires_at or self._clock.now()
        left = max(0, expires - self._clock.now()) // SECOND
        held.settle(ApprovalOpened(held.number, request.id, request.matter.terms.text, left))
        now = await asyncio.to_thread(self._approvals.get, request.id)
        if not now.pending:
            self._settle(row.id, held, now)

    def _window(self, row: SessionRow, ask: OpenApproval) -> ApprovalRequest | None:
        """A window in force that lets the line through."""
        line = line_bytes(ask.line)
        for request in self._approvals.in_force(row.user, row.target):
            same = (request.matter.account, request.matter.rule.name) == (row.account, ask.rule)
            if same and covers_line(request, line):
                return request
        return None

    def _under_window(self, held: _Held, window: ApprovalRequest) -> None:
        """Nobody is asked, so nothing is opened: the decision was made before."""
        held.id, held.window, held.approved = window.id, True, True
        by = f"{window.settled_by} (window {window.id})"
        held.settle(ApprovalSettled(held.number, "approved", by, window.comment))

    async def _cancel(self, row: SessionRow, id: RequestId, why: str) -> None:
        try:
            await self._approvals.cancel(id, row.user, why)
        except BartizanError as exc:  # it was settled meanwhile
            log.info("held.cancel-late", request=id, reason=exc.message)

    # ------------------------------------------------------------ hearing

    def _heard(self, change: Change) -> None:
        if change.request.state not in OUTCOMES or not change.request.matter.session:
            return
        for (session, _), held in list(self._held.items()):
            if held.id == change.request.id and not held.window:
                self._settle(session, held, change.request)

    def _settle(self, session: SessionId, held: _Held, request: ApprovalRequest) -> None:
        """Tell the session, once. An approved line is kept until it was sent."""
        key = (session, held.number)
        if self._held.get(key) is not held or held.approved:
            return
        outcome = OUTCOMES.get(request.state, "failed")
        held.approved = outcome == "approved"
        if not held.approved:
            del self._held[key]
        held.settle(ApprovalSettled(held.number, outcome, request.settled_by, request.comment))
