"""The answers about requests. What is whose, `services.approvals` decides anew for each ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.control.request_views import content_view, note_view, request_detail, request_view
from broker.control.views import STATE
from broker.model import exits
from broker.model.access import Grant, Verdict
from broker.model.display import drawn_row
from broker.model.errors import BartizanError
from broker.model.identity import Authenticated
from broker.model.ids import SessionId, is_session_id
from broker.model.requests import ApprovalRequest, Note, RequestKind
from broker.model.target import Channel
from broker.ports import AuditStore, DeliveryStore, SessionStore
from broker.services.approvals.asking import Asking, Need
from broker.services.approvals.board import Change
from broker.services.approvals.lookup import Lookup
from broker.services.approvals.saying import Decided
from broker.services.approvals.service import ApprovalService
from broker.services.recordings import RecordingService
from broker.services.sessions import Refusal, SessionService, Wish, refusal, resumed
from broker.wire import approvals as wire
from broker.wire.messages import Ask, Done
from recorder.cast import CastError
from recorder.reader import read_events

MOST_LINES = 500
LONGEST_WAIT = 3600
LATER = 200
"""Requests that one `Subscribe` may have unsent before the oldest is dropped: each says where all stand."""
_BELL_ASKED = frozenset({"asked", "reminded"})
_BELL_ANSWERED = frozenset({"approved", "denied", "expired", "withdrawn"})
_ANSWERS = {"allow": "OK", "warn": "OK", "confirm": "OK", "hold": "HELD", "deny": "X", "doubt": "X"}


class RequestAskRefused(BartizanError):
    """What an ask comes to that would open something."""

    def __init__(self, refused: Refusal) -> None:
        super().__init__(refused.message, hint=refused.hint)
        self.code = refused.code
        self.exit_status = refused.exit_status


@dataclass(frozen=True, slots=True)
class RequestHandlers:
    """One method for each kind of question about requests."""

    approvals: ApprovalService
    asking: Asking
    lookup: Lookup
    sessions: SessionService
    store: SessionStore
    audit: AuditStore
    deliveries: DeliveryStore
    recordings: RecordingService

    async def answer(self, who: Authenticated, ask: Ask) -> wire.ApprovalBody | Done:
        """Raises BartizanError for an answer that is a failure."""
        name = who.principal.name
        match ask:
            case wire.ListRequests(which, query, limit):
                return await asyncio.to_thread(self._list, who, which, query, limit)
            case wire.ShowRequest(id, peek):
                return await self._show(who, id, peek)
            case wire.ShowTerms(target, account):
                return await asyncio.to_thread(self._terms, who, target, account)
            case wire.AskApproval():
                return await self._detail(await self._ask(who, ask), who)
            case wire.ExplainDecision(id):
                return await asyncio.to_thread(self._explain, who, id)
            case wire.Subscribe():
                return await asyncio.to_thread(self._counters, name)
            case _:
                return await self._change(who, ask)

    async def _change(self, who: Authenticated, ask: Ask) -> wire.ApprovalBody | Done:
        name = who.principal.name
        match ask:
            case wire.DecideRequest(id, approve, digest, comment, confirm, for_s):
                said = Decided(approve, digest, comment, confirm, for_s)
                found = await self._find(who, id)
                return await self._detail(await self.approvals.decide(found.id, name, said), who)
            case wire.CancelRequest(id):
                found = await self._find(who, id)
                return await self._detail(await self.approvals.cancel(found.id, name), who)
            case wire.WithdrawRequest(id, comment):
                found = await self._find(who, id)
                admin = who.principal.admin
                done = await self.approvals.withdraw(found.id, name, comment, admin=admin)
                return await self._detail(done, who)
            case wire.SayRequest(id, text):
                await self.approvals.say((await self._find(who, id)).id, name, text)
                return Done("said")
            case wire.NotifyRequest(id):
                await self.approvals.remind((await self._find(who, id)).id, name)
                return Done("told again")
            case wire.WaitRequest(id, timeout_s):
                found = await self._find(who, id)
                seconds = max(0, min(timeout_s, LONGEST_WAIT))
                return await self._detail(await self.approvals.wait(found, seconds), who)
            case _:
                raise AssertionError(f"{type(ask).__name__} is answered elsewhere")

    async def open_request(self, who: Authenticated, id: str) -> Grant:
        """The session that an approved request of this user grants. Raises BartizanError."""
        found = await self._find(who, id)
        if found.matter.user != who.principal.name:
            raise RequestAskRefused(Refusal("E-DENIED", f"{found.id} is not your own", exits.DENIED))
        granted = await self.sessions.authorize(who, resumed(found))
        if isinstance(granted, Need):
            text = f"{found.id} is {found.state.value}: nothing is granted"
            raise RequestAskRefused(Refusal("E-WAITING", text, exits.WAITING))
        if isinstance(granted, Refusal):
            raise RequestAskRefused(granted)
        return granted

    async def ask_for(self, who: Authenticated, need: Need) -> wire.RequestDetail:
        """The request for what was asked to be opened and needs approval."""
        return await self._detail(await self.asking.ask(need), who)

    # ------------------------------------------------------------ reading

    async def _find(self, who: Authenticated, id: str) -> ApprovalRequest:
        return await asyncio.to_thread(self.lookup.find, id, who.principal.name, _operator(who))

    def _list(self, who: Authenticated, which: str, query: str, limit: int) -> wire.RequestList:
        rows = self.lookup.pick(which, who.principal.name, _operator(who))
        views = [request_view(seen) for seen in rows]
        words = query.lower().split()
        if words:
            views = [view for view in views if all(word in _haystack(view) for word in words)]
        most = max(1, min(limit, 1000))
        return wire.RequestList(views[:most], len(views) > most)

    async def _show(self, who: Authenticated, id: str, peek: bool) -> wire.RequestDetail:
        found = await self._find(who, id)
        if not peek:
            found = await self.approvals.seen(found.id, who.principal.name)
        return await self._detail(found, who)

    async def _detail(self, request: ApprovalRequest, who: Authenticated) -> wire.RequestDetail:
        return await asyncio.to_thread(self._read_detail, request, who.principal.name)

    def _read_detail(self, request: ApprovalRequest, name: str) -> wire.RequestDetail:
        deliveries = [
            wire.DeliveryView(one.notifier, one.state.value, one.at, one.tries, drawn_row(one.error))
            for one in self.deliveries.deliveries(request.id)
        ]
        return request_detail(
            self.lookup.detail(request, name),
            self.approvals.settings.run_within_s,
            self._so_far(request),
            deliveries,
        )

    def _so_far(self, request: ApprovalRequest) -> list[wire.LineView]:
        """The lines of the session that the request is about, from its recording."""
        id = request.matter.session
        row = self.store.session(SessionId(id)) if is_session_id(id) else None
        if row is None:
            return []
        return lines_of(self.recordings.path(row, "events"))

    def _counters(self, name: str) -> wire.Counters:
        return wire.Counters(*self.lookup.counters(name))

    # ------------------------------------------------------------ asking

    def _terms(self, who: Authenticated, target: str, account: str) -> wire.AccessTerms:
        need = self._considered(who, Wish(target, account or None, Channel.SHELL))
        decision = need.decision
        terms = decision.approval
        settings = self.approvals.settings
        request = self.sessions.standing(need)
        return wire.AccessTerms(
            state=STATE[decision.verdict],
            why=drawn_row(decision.reason),
            rule=decision.rule.name,
            origin=decision.rule.origin,
            reason=decision.verdict is Verdict.NEED_REASON or bool(terms and terms.reason),
            ticket=(terms.ticket or "") if terms else "",
            needs=terms.text if terms else "",
            within_s=(terms.within_s or settings.within_s) if terms else 0,
            lasts_s=(terms.lasts_s or decision.limits.max_s or settings.lasts_s) if terms else 0,
            request=request.id if request else "",
            until=request.until if request else None,
        )

    def _considered(self, who: Authenticated, wish: Wish) -> Need:
        found = self.sessions.consider(who, wish)
        if isinstance(found, Refusal):
            raise RequestAskRefused(found)
        return found

    async def _ask(self, who: Authenticated, ask: wire.AskApproval) -> ApprovalRequest:
        wish = Wish(ask.target, ask.account or None, Channel.SHELL, ask.reason)
        need = self._considered(who, wish)
        verdict = need.decision.verdict
        if verdict is Verdict.DENY or (verdict is Verdict.NEED_REASON and not ask.pattern):
            raise RequestAskRefused(refusal(need.decision))
        if ask.pattern:
            return await self.asking.ask_window(need, ask.pattern, for_s=ask.for_s, wait_s=ask.wait_s)
        if verdict is Verdict.ALLOW:
            text = f"no approval is needed for {need.account}@{need.target.name}"
            raise RequestAskRefused(
                Refusal("E-USAGE", text, exits.USAGE, f"bartizan open {need.target.name}")
            )
        kind = RequestKind.WINDOW
        return await self.asking.ask(need, kind, for_s=ask.for_s, wait_s=ask.wait_s)

    # ------------------------------------------------------------ why

    def _explain(self, who: Authenticated, id: str) -> wire.Explanation:
        if is_session_id(id):
            return self._explain_session(who, SessionId(id))
        request = self.lookup.find(id, who.principal.name, _operator(who))
        detail = self.lookup.detail(request, who.principal.name)
        matter, setting = request.matter, request.setting
        text = [f"{request.id} is {request.state.value}.", f"{matter.rule.name}: {drawn_row(setting.why)}"]
        text += [f"Needs {matter.terms.text}."]
        text += [
            f"{vote.by} {'approved' if vote.approve else 'denied'} it"
            + (f": {drawn_row(vote.comment)}" if vote.comment else "")
            + ("." if vote in detail.counting else " (does not count).")
            for vote in detail.votes
        ]
        if request.used_at is not None:
            text.append(f"It was used in {request.used_session}.")
        inputs = {
            "user": matter.user,
            "target": matter.target,
            "account": matter.account,
            "channel": matter.channel,
            "session": matter.session,
            "reason": drawn_row(matter.reason),
            "content": content_view(matter.content).text,
            "content_sha256": content_view(matter.content).sha256,
            "digest": matter.digest,
            "risk": f"{setting.level.value} {setting.score}",
            "factors": ", ".join(f"{one.name} +{one.weight}" for one in setting.factors),
            "source": setting.source,
            "groups": ",".join(setting.groups),
        }
        return wire.Explanation(
            request.id, text, matter.rule.name, matter.rule.origin, inputs, self._events(request.id)
        )

    def _explain_session(self, who: Authenticated, id: SessionId) -> wire.Explanation:
        row = self.store.session(id)
        if row is None or not (who.principal.admin or row.user == who.principal.name):
            text = f"no session {id!r} here for you"
            raise RequestAskRefused(Refusal("E-UNKNOWN", text, exits.FAILED, "bartizan recordings ls"))
        start = next(iter(_start_of(self.recordings.path(row, "events"))), {})
        ended = f", it ended: {row.end_reason}" if row.ended_at is not None else ""
        text = f"{id} is {row.state.value}{ended}."
        rule, origin = str(start.get("rule", "")), str(start.get("origin", ""))
        inputs = {
            "user": row.user,
            "target": row.target,
            "account": row.account,
            "channel": row.channel,
            "command": drawn_row(row.command),
            "reason": drawn_row(row.reason),
            "source": row.source,
            "credential": drawn_row(str(start.get("credential", ""))),
        }
        return wire.Explanation(
            id, [text, f"Granted by {rule}."], rule, origin, inputs, self._events(id, session=True)
        )

    def _events(self, id: str, *, session: bool = False) -> list[wire.NoteView]:
        """The newest audit events about it, oldest first."""
        events = self.audit.events_about(session=id) if session else self.audit.events_about(subject=id)
        return [
            note_view(Note(event.at, event.code, event.actor, str(event.detail.get("text", ""))))
            for event in reversed(events)
        ]

    # ------------------------------------------------------------ pushing

    def subscribe(
        self, who: Authenticated, push: Callable[[wire.RequestChanged], Awaitable[None]]
    ) -> tuple[Callable[[], None], Callable[[], Awaitable[None]]]:
        """A listener that was put up, as the call that takes it down, and what has to run to push."""
        waiting: asyncio.Queue[Change] = asyncio.Queue()

        def heard(change: Change) -> None:
            if waiting.qsize() >= LATER:
                waiting.get_nowait()
            waiting.put_nowait(change)

        async def run() -> None:
            while True:
                change = await waiting.get()
                message = await asyncio.to_thread(self._changed, who.principal.name, change)
                if message is not None:
                    await push(message)

        return self.approvals.board.listen(heard), run

    def _changed(self, name: str, change: Change) -> wire.RequestChanged | None:
        request = change.request
        if not self.lookup.concerns(request, name):
            return None
        seen = self.lookup.see(request, name)
        asked = change.what in _BELL_ASKED and seen.may_decide
        answered = change.what in _BELL_ANSWERED and seen.mine
        counters = self._counters(name)
        return wire.RequestChanged(
            request.id, change.what, request.state.value, change.by, counters, asked or answered
        )


def lines_of(path: Path) -> list[wire.LineView]:
    """The judged lines of a recording's event stream, the newest of them; nothing where it cannot be read."""
    found: list[wire.LineView] = []
    try:
        for event in read_events(path):
            if event.kind == "line":
                answer = _ANSWERS.get(str(event.fields.get("verdict", "")), "?")
                found.append(wire.LineView(event.t, drawn_row(str(event.fields.get("text", ""))), answer))
    except (OSError, CastError):
        return found[-MOST_LINES:]
    return found[-MOST_LINES:]


def _start_of(path: Path) -> list[dict[str, Any]]:
    try:
        return [dict(event.fields) for event in read_events(path) if event.kind == "start"][:1]
    except (OSError, CastError):
        return []


def _operator(who: Authenticated) -> bool:
    """Root on the control socket: no user, so nothing is his own, and he decides nothing."""
    return who.principal.admin and who.principal.name.startswith("(")


def _haystack(view: wire.RequestView) -> str:
    texts = (view.id, view.kind, view.state, view.user, view.target, view.account, view.what, view.reason)
    return "\n".join(texts).lower()
