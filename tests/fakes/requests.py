"""The part of the in-memory store that keeps requests for approval."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from broker.model.errors import Invalid
from broker.model.ids import RequestId, request_id
from broker.model.notification import Delivery, DeliveryState
from broker.model.requests import ApprovalRequest, Note, RequestState, Vote

_WAITING = (DeliveryState.QUEUED, DeliveryState.FAILING)


class FakeRequests:
    """Mixed into `FakeStore`; `_now` are its tables."""

    _now: Any
    _lock: threading.RLock
    _requests = 0

    def _writable(self) -> Any:
        raise NotImplementedError

    def open_request(self, request: ApprovalRequest) -> RequestId:
        rows = self._writable().requests
        self._requests += 1
        id = request_id(self._requests)
        rows[id] = replace(request, id=id)
        return id

    def request(self, id: RequestId) -> ApprovalRequest | None:
        found: ApprovalRequest | None = self._now.requests.get(id)
        return found

    def requests(
        self,
        *,
        states: frozenset[RequestState] | None = None,
        user: str | None = None,
        target: str | None = None,
        rule: str | None = None,
        session: str | None = None,
        since: int | None = None,
        limit: int = 500,
    ) -> list[ApprovalRequest]:
        rows: list[ApprovalRequest] = [*reversed(self._now.requests.values())]
        found = [
            row
            for row in rows
            if (states is None or row.state in states)
            and user in (None, row.matter.user)
            and target in (None, row.matter.target)
            and rule in (None, row.matter.rule.name)
            and session in (None, row.matter.session)
            and (since is None or row.opened_at >= since)
        ]
        return found[:limit]

    def settle_request(
        self,
        id: RequestId,
        before: RequestState,
        after: RequestState,
        *,
        at: int,
        by: str,
        comment: str = "",
        until: int | None = None,
        use_by: int | None = None,
    ) -> bool:
        with self._lock:
            rows = self._writable().requests
            row = rows.get(id)
            if row is None or row.state is not before:
                return False
            changed = replace(row, state=after, settled_at=at, settled_by=by, comment=comment)
            until, use_by = until or row.until, use_by or row.use_by
            rows[id] = replace(changed, until=until, use_by=use_by)
            return True

    def end_request(self, id: RequestId, after: RequestState) -> bool:
        with self._lock:
            rows = self._writable().requests
            row = rows.get(id)
            if row is None or row.state is not RequestState.APPROVED:
                return False
            rows[id] = replace(row, state=after)
            return True

    def use_request(self, id: RequestId, *, at: int, session: str, until: int | None = None) -> bool:
        with self._lock:
            rows = self._writable().requests
            row = rows.get(id)
            if row is None or row.state is not RequestState.APPROVED:
                return False
            used = replace(row, used_at=row.used_at or at, used_session=row.used_session or session)
            state = RequestState.USED if row.once else row.state
            rows[id] = replace(used, until=row.until or until, state=state)
            return True

    def add_vote(self, id: RequestId, vote: Vote) -> None:
        self._known(id)
        votes = self._now.votes.setdefault(id, [])
        if any(old.by == vote.by and old.withdrawn_at is None for old in votes):
            raise Invalid(f"{vote.by} has said what he thinks of {id} already")
        votes.append(vote)

    def withdraw_vote(self, id: RequestId, by: str, at: int) -> bool:
        votes = self._writable().votes.get(id, [])
        for number, vote in enumerate(votes):
            if vote.by == by and vote.withdrawn_at is None:
                votes[number] = replace(vote, withdrawn_at=at)
                return True
        return False

    def votes(self, id: RequestId) -> list[Vote]:
        return list(self._now.votes.get(id, []))

    def add_note(self, id: RequestId, note: Note) -> None:
        self._known(id)
        self._now.notes.setdefault(id, []).append(note)

    def notes(self, id: RequestId) -> list[Note]:
        return list(self._now.notes.get(id, []))

    def queue_delivery(self, delivery: Delivery) -> int:
        rows = self._writable().deliveries
        number = len(rows) + 1
        rows[number] = replace(delivery, number=number)
        return number

    def due_deliveries(self, now: int, limit: int = 100) -> list[Delivery]:
        rows: list[Delivery] = [*self._now.deliveries.values()]
        due = [row for row in rows if row.state in _WAITING and row.next_at <= now]
        return sorted(due, key=lambda row: (row.next_at, row.number))[:limit]

    def next_delivery(self) -> int | None:
        rows: list[Delivery] = [*self._now.deliveries.values()]
        return min((row.next_at for row in rows if row.state in _WAITING), default=None)

    def tried_delivery(self, delivery: Delivery) -> None:
        self._writable().deliveries[delivery.number] = delivery

    def deliveries(self, request: str) -> list[Delivery]:
        return [row for row in self._now.deliveries.values() if row.request == request]

    def _known(self, id: RequestId) -> None:
        if id not in self._writable().requests:
            raise Invalid(f"there is no request {id!a}")
