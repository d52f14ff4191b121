"""Requests for approval in SQLite: rows, votes, notes. A state changes by one conditional UPDATE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from broker.model.access import Rule
from broker.model.approval import ApprovalTerms
from broker.model.ids import RequestId, is_request_id, request_id
from broker.model.notification import Delivery, DeliveryState, NoticeEvent
from broker.model.requests import (
    ApprovalRequest,
    Matter,
    Note,
    RequestKind,
    RequestState,
    Setting,
    Vote,
)

T = TypeVar("T")
Row = Mapping[str, Any]

_MAX_NUMBER = 2**63 - 1


class RequestTables:
    """The part of `SqliteStore` that is `ports.RequestStore`."""

    together: Callable[[Callable[[], Any]], Any]
    _rows: Callable[..., list[Any]]
    _row: Callable[..., Any]
    _change: Callable[..., int]
    _insert: Callable[..., int]

    def open_request(self, request: ApprovalRequest) -> RequestId:
        return request_id(self._insert("requests", _values(request), str))

    def request(self, id: RequestId) -> ApprovalRequest | None:
        found: ApprovalRequest | None = self._row(_request, f"{_SELECT} WHERE number = ?", request_number(id))
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
        marks = ", ".join("?" * len(states or ()))
        wanted: list[tuple[str, list[object]]] = [
            ("user = ?", [user]),
            ("target = ?", [target]),
            ("rule = ?", [rule]),
            ("session = ?", [session]),
            ("opened_at >= ?", [since]),
        ]
        used = [(text, values) for text, values in wanted if values != [None]]
        if states is not None:
            used.append((f"state IN ({marks})", [state.value for state in states]))
        where = " AND ".join(text for text, _ in used) or "1"
        values = [value for _, given in used for value in given]
        sql = f"{_SELECT} WHERE {where} ORDER BY number DESC LIMIT ?"
        return self._rows(_request, sql, *values, max(limit, 0))

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
        sql = """UPDATE requests SET state = ?, settled_at = ?, settled_by = ?, comment = ?,
                 until = coalesce(?, until), use_by = coalesce(?, use_by) WHERE number = ? AND state = ?"""
        number = request_number(id)
        changed = self._change(sql, after.value, at, by, comment, until, use_by, number, before.value)
        return changed == 1

    def end_request(self, id: RequestId, after: RequestState) -> bool:
        sql = "UPDATE requests SET state = ? WHERE number = ? AND state = 'approved'"
        return self._change(sql, after.value, request_number(id)) == 1

    def use_request(self, id: RequestId, *, at: int, session: str, until: int | None = None) -> bool:
        sql = """UPDATE requests SET used_at = coalesce(used_at, ?), until = coalesce(until, ?),
                 used_session = CASE used_session WHEN '' THEN ? ELSE used_session END,
                 state = CASE WHEN lasts_s IS NULL THEN 'used' ELSE state END
                 WHERE number = ? AND state = 'approved'"""
        return self._change(sql, at, until, session, request_number(id)) == 1

    # --- votes and notes ---

    def add_vote(self, id: RequestId, vote: Vote) -> None:
        values = {
            "request": request_number(id),
            "voter": vote.by,
            "at": vote.at,
            "approve": int(vote.approve),
            "comment": vote.comment,
            "for_s": vote.for_s,
            "withdrawn_at": vote.withdrawn_at,
        }
        self._insert("votes", values, lambda cause: _refused(cause, id, vote.by))

    def withdraw_vote(self, id: RequestId, by: str, at: int) -> bool:
        sql = "UPDATE votes SET withdrawn_at = ? WHERE request = ? AND voter = ? AND withdrawn_at IS NULL"
        return self._change(sql, at, request_number(id), by) == 1

    def votes(self, id: RequestId) -> list[Vote]:
        sql = "SELECT * FROM votes WHERE request = ? ORDER BY rowid"
        return self._rows(_vote, sql, request_number(id))

    def add_note(self, id: RequestId, note: Note) -> None:
        values = {
            "request": request_number(id),
            "at": note.at,
            "what": note.what,
            "by": note.by,
            "text": note.text,
        }
        quoted = {f'"{name}"': value for name, value in values.items()}
        self._insert("request_notes", quoted, lambda cause: _refused(cause, id, note.by))

    def notes(self, id: RequestId) -> list[Note]:
        sql = 'SELECT at, what, "by", text FROM request_notes WHERE request = ? ORDER BY seq'
        return self._rows(lambda row: Note(**row), sql, request_number(id))

    # --- messages on their way ---

    def queue_delivery(self, delivery: Delivery) -> int:
        values = {name: getattr(delivery, name) for name in _DELIVERY}
        return self._insert(
            "deliveries", values | {"event": delivery.event.value, "state": delivery.state.value}, str
        )

    def due_deliveries(self, now: int, limit: int = 100) -> list[Delivery]:
        sql = """SELECT * FROM deliveries WHERE state IN ('queued', 'failing') AND next_at <= ?
                 ORDER BY next_at, number LIMIT ?"""
        return self._rows(_delivery, sql, now, limit)

    def next_delivery(self) -> int | None:
        sql = "SELECT min(next_at) AS at FROM deliveries WHERE state IN ('queued', 'failing')"
        found: int | None = self._row(lambda row: row["at"], sql)
        return found

    def tried_delivery(self, delivery: Delivery) -> None:
        sql = "UPDATE deliveries SET state = ?, at = ?, next_at = ?, tries = ?, error = ? WHERE number = ?"
        one = delivery
        self._change(sql, one.state.value, one.at, one.next_at, one.tries, one.error, one.number)

    def deliveries(self, request: str) -> list[Delivery]:
        return self._rows(_delivery, "SELECT * FROM deliveries WHERE request = ? ORDER BY number", request)


_DELIVERY = tuple(field.name for field in fields(Delivery) if field.name not in ("number", "event", "state"))
_MATTER = tuple(field.name for field in fields(Matter) if field.name not in ("rule", "terms", "kind"))
_OUTCOME = ("settled_at", "settled_by", "comment", "until", "use_by", "used_at", "used_session")
_SELECT = "SELECT * FROM requests"


def request_number(id: str) -> int:
    """The row of a request; 0, which no request has, for a text that is not an id of ours."""
    number = int(id[2:], 16) if is_request_id(id) else 0
    return number if number <= _MAX_NUMBER else 0


def _refused(cause: str, id: str, by: str) -> str:
    if "FOREIGN KEY" in cause:
        return f"there is no request {id!a}"
    return f"{by} has said what he thinks of {id} already"


def _values(request: ApprovalRequest) -> dict[str, object]:
    matter = request.matter
    return {
        **{name: getattr(matter, name) for name in _MATTER},
        **{name: getattr(request, name) for name in _OUTCOME},
        "kind": matter.kind.value,
        "rule": matter.rule.name,
        "origin": matter.rule.origin,
        "terms": msgspec.json.encode(matter.terms).decode(),
        "setting": msgspec.json.encode(request.setting).decode(),
        "opened_at": request.opened_at,
        "state": request.state.value,
    }


def _request(row: Row) -> ApprovalRequest:
    matter = Matter(
        **{name: row[name] for name in _MATTER},
        kind=RequestKind(row["kind"]),
        rule=Rule(row["rule"], row["origin"]),
        terms=msgspec.json.decode(row["terms"], type=ApprovalTerms),
    )
    return ApprovalRequest(
        id=request_id(row["number"]),
        matter=matter,
        setting=msgspec.json.decode(row["setting"], type=Setting),
        opened_at=row["opened_at"],
        state=RequestState(row["state"]),
        **{name: row[name] for name in _OUTCOME},
    )


def _delivery(row: Row) -> Delivery:
    return Delivery(
        number=row["number"],
        event=NoticeEvent(row["event"]),
        state=DeliveryState(row["state"]),
        **{name: row[name] for name in _DELIVERY},
    )


def _vote(row: Row) -> Vote:
    return Vote(
        by=row["voter"],
        at=row["at"],
        approve=bool(row["approve"]),
        comment=row["comment"],
        for_s=row["for_s"],
        withdrawn_at=row["withdrawn_at"],
    )
