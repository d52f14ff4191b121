"""Where held lines are decided, as a session sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from broker.model.session import SessionRow
from broker.session.actions import OpenApproval
from broker.session.events import ApprovalOpened, ApprovalSettled

Settle = Callable[[ApprovalOpened | ApprovalSettled], None]


class HoldDesk(Protocol):
    """Takes the held lines of all sessions. Called on the event loop; every method returns at once.

    A line is named by its session and its number in it. What is said of one that does not wait any more is
    ignored on both sides.
    """

    def open(self, row: SessionRow, ask: OpenApproval, settle: Settle) -> None:
        """Ask for one line. `settle` takes `ApprovalOpened` once the request is kept and can be seen, then
        one `ApprovalSettled`; on the loop, also within this call. `approved` only once that is durable."""

    def cancel(self, row: SessionRow, number: int, why: str) -> None:
        """The line is not wanted any more: nobody may approve it from here on."""

    def use(self, row: SessionRow, number: int) -> None:
        """The approved line is sent to the target next. An exception ends the session, and it is not."""


class Nobody:
    """The desk of a broker at which nothing can be approved."""

    def open(self, row: SessionRow, ask: OpenApproval, settle: Settle) -> None:
        settle(ApprovalSettled(ask.number, "failed", comment="nobody can approve here"))

    def cancel(self, row: SessionRow, number: int, why: str) -> None:
        pass

    def use(self, row: SessionRow, number: int) -> None:
        pass


class Holds:
    """The held lines of one session: none outlives it."""

    def __init__(self, desk: HoldDesk, row: SessionRow, settle: Settle) -> None:
        self._desk, self._row, self._settle = desk, row, settle
        self._open: set[int] = set()
        """Numbers of lines that wait, or were approved and not yet sent."""

    def open(self, ask: OpenApproval) -> None:
        self._open.add(ask.number)
        self._desk.open(self._row, ask, self._heard)

    def _heard(self, event: ApprovalOpened | ApprovalSettled) -> None:
        if isinstance(event, ApprovalSettled) and event.outcome != "approved":
            self._open.discard(event.number)
        self._settle(event)

    def cancel(self, number: int, why: str) -> None:
        if number in self._open:
            self._open.remove(number)
            self._desk.cancel(self._row, number, why)

    def use(self, number: int) -> None:
        self._open.remove(number)
        self._desk.use(self._row, number)

    def end(self, why: str) -> None:
        """Whatever waits, or was approved and not sent, is not wanted any more."""
        for number in sorted(self._open):
            self.cancel(number, why)
