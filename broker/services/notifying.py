"""Telling people: what is said to whom (`Herald`), and getting it there (`Courier`).

A message is queued in the transaction of what it tells of and stays on the disk until it was sent: neither a
restart nor a notifier that fails loses it. No notifier ever holds up or decides a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import structlog

from broker.model.audit import AuditEvent
from broker.model.display import drawn, drawn_row
from broker.model.errors import BartizanError
from broker.model.ids import RequestId
from broker.model.notification import Delivery, DeliveryState, NoticeEvent
from broker.model.requests import ApprovalRequest, Note, RequestKind
from broker.ports import Clock, DeliveryStore, Notifier, RequestStore
from broker.services.approvals import deciding

log = structlog.get_logger()

SECOND = 1_000_000
FIRST_RETRY_S, LONGEST_RETRY_S = 2, 600
GIVE_UP_S = 24 * 3600
AT_ONCE = 8
LONGEST_WHAT = 4000
SEND_TIMEOUT = 30.0

_EVENTS = {
    "asked": NoticeEvent.REQUESTED,
    "reminded": NoticeEvent.REQUESTED,
    "approved": NoticeEvent.SETTLED,
    "denied": NoticeEvent.SETTLED,
    "expired": NoticeEvent.SETTLED,
    "cancelled": NoticeEvent.SETTLED,
    "withdrawn": NoticeEvent.SETTLED,
}
BLOCKED = frozenset({"session.refused", "line.refused"})
"""Audit codes that tell of a blocked attempt."""


@dataclass(frozen=True, slots=True)
class Route:
    """One configured notifier: what it wants to hear. `default`: also where a policy names no notifier."""

    name: str
    events: frozenset[NoticeEvent]
    default: bool = False


class Herald:
    """What is told to which notifier. `command`: how people reach this bastion, `ssh bastion`."""

    def __init__(self, routes: Sequence[Route], command: str = "ssh bastion") -> None:
        self._routes = routes
        self._command = command

    def told(self, request: ApprovalRequest, what: str, by: str, text: str, now: int) -> list[Delivery]:
        """The messages for something that happened to a request."""
        event = _EVENTS.get(what)
        if event is NoticeEvent.REQUESTED and request.matter.kind is RequestKind.REVIEW and what == "asked":
            event = NoticeEvent.BREAK_GLASS
        if event is None:
            return []
        body = msgspec.json.encode(self._notice(request, event, by, text)).decode()
        named = request.matter.terms.notify
        return [
            Delivery(0, route.name, request.id, event, body, now, now)
            for route in self._routes
            if event in route.events and (route.name in named or (route.default and not named))
        ]

    def blocked(self, event: AuditEvent, now: int) -> list[Delivery]:
        """The messages for an attempt that was refused."""
        if event.code not in BLOCKED:
            return []
        detail = event.detail
        body = {
            "v": 1,
            "event": NoticeEvent.BLOCKED.value,
            "code": event.code,
            "user": event.actor,
            "subject": drawn_row(event.subject),
            "session": event.session,
            "what": _bounded(str(detail.get("command") or detail.get("text") or "")),
            "reason": drawn_row(str(detail.get("reason") or "")),
            "rule": str(detail.get("rule") or ""),
            "at": _time(event.at),
            "title": f"blocked: {event.actor} on {drawn_row(event.subject)}",
        }
        text = msgspec.json.encode(body).decode()
        return [
            Delivery(0, route.name, "", NoticeEvent.BLOCKED, text, now, now)
            for route in self._routes
            if NoticeEvent.BLOCKED in route.events
        ]

    def _notice(
        self, request: ApprovalRequest, event: NoticeEvent, by: str, text: str
    ) -> Mapping[str, object]:
        matter, setting = request.matter, request.setting
        confirm = deciding.confirmation(request)
        typed = f" --confirm {confirm}" if confirm else ""
        where = f"{matter.account}@{matter.target}"
        return {
            "v": 1,
            "event": event.value,
            "id": request.id,
            "kind": matter.kind.value,
            "state": request.state.value,
            "user": matter.user,
            "agent": setting.agent,
            "target": matter.target,
            "account": matter.account,
            "session": matter.session,
            "what": _bounded(matter.content),
            "hidden_characters": drawn(matter.content).hidden,
            "reason": drawn_row(matter.reason),
            "ticket": drawn_row(setting.ticket),
            "rule": matter.rule.name,
            "origin": matter.rule.origin,
            "why": drawn_row(setting.why),
            "risk": {
                "level": setting.level.value,
                "score": setting.score,
                "factors": [{"name": one.name, "weight": one.weight} for one in setting.factors],
            },
            "needs": matter.terms.text,
            "digest": matter.digest,
            "opened_at": _time(request.opened_at),
            "expires_at": None if matter.expires_at is None else _time(matter.expires_at),
            "by": by,
            "comment": drawn_row(text),
            "title": _title(request, event, where),
            "show": f"{self._command} requests show {request.id}",
            "approve": f"{self._command} approve {request.id}{typed} -m TEXT",
            "deny": f"{self._command} deny {request.id} -m TEXT",
        }


def _title(request: ApprovalRequest, event: NoticeEvent, where: str) -> str:
    matter = request.matter
    if event is NoticeEvent.BREAK_GLASS:
        return f"{request.id} BREAK-GLASS: {matter.user} opened {where} without approval"
    if event is NoticeEvent.SETTLED:
        return f"{request.id} {request.state.value}: {matter.user} on {where}"
    return (
        f"{request.id} {request.setting.level.value}: {matter.user} asks for {matter.kind.value} on {where}"
    )


def _bounded(data: bytes | str) -> str:
    """A message is a hint to look, not what is decided on: a long text is cut, and says so."""
    text = drawn(data).text
    return text if len(text) <= LONGEST_WHAT else f"{text[:LONGEST_WHAT]}… ({len(text)} characters)"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class MessageStore(DeliveryStore, RequestStore, Protocol):
    """What a courier needs: the queue, and the notes of the requests its messages are about."""


class Courier:
    """Takes queued messages to their notifiers, again and again until they are there."""

    def __init__(self, store: MessageStore, notifiers: Mapping[str, Notifier], clock: Clock) -> None:
        self._store = store
        self._notifiers = notifiers
        self._clock = clock
        self._more = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """Something may have been queued."""
        self._more.set()

    def wake_soon(self) -> None:
        """The same, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.wake)

    async def run(self) -> None:
        """Until cancelled. A store that does not answer is asked again."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._more.clear()
            try:
                sleep = await self.deliver()
            except BartizanError as exc:
                log.error("notify.queue-failed", error=exc.message)
                sleep = 5.0
            try:
                async with asyncio.timeout(sleep):
                    await self._more.wait()
            except TimeoutError:
                continue

    async def deliver(self) -> float:
        """Try what is due, several at a time; seconds until something is due again."""
        while due := await asyncio.to_thread(self._store.due_deliveries, self._clock.now(), AT_ONCE):
            await asyncio.gather(*(self._try(delivery) for delivery in due))
        at = await asyncio.to_thread(self._store.next_delivery)
        return 60.0 if at is None else min(60.0, max(0.05, (at - self._clock.now()) / SECOND))

    async def _try(self, delivery: Delivery) -> None:
        error = await self._send(delivery)
        now, tries = self._clock.now(), delivery.tries + 1
        if error is None:
            tried = replace(delivery, state=DeliveryState.SENT, at=now, tries=tries, error="")
            log.info("notify.sent", notifier=delivery.notifier, request=delivery.request, tries=tries)
        else:
            wait = min(FIRST_RETRY_S << min(delivery.tries, 12), LONGEST_RETRY_S) * SECOND
            over = tries > 1 and now + wait - _queued_at(delivery) > GIVE_UP_S * SECOND
            state = DeliveryState.FAILED if over else DeliveryState.FAILING
            tried = replace(delivery, state=state, at=now, next_at=now + wait, tries=tries, error=error[:500])
            log.warning("notify.failed", notifier=delivery.notifier, request=delivery.request, error=error)
        await asyncio.to_thread(self._keep, delivery, tried)

    async def _send(self, delivery: Delivery) -> str | None:
        """None: it is there. Else why not."""
        notifier = self._notifiers.get(delivery.notifier)
        if notifier is None:
            return f"no notifier {delivery.notifier!a} is configured any more"
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await notifier.send(delivery)
        except TimeoutError:
            return f"no answer within {SEND_TIMEOUT:.0f} s"
        except BartizanError as exc:
            return exc.message
        except Exception as exc:  # whatever a notifier meets, the others go on
            log.error("notify.crashed", notifier=delivery.notifier, exc_info=exc)
            return f"{type(exc).__name__}: {exc}"
        return None

    def _keep(self, before: Delivery, tried: Delivery) -> None:
        """How it went; at the request what is new about it."""

        def work() -> None:
            self._store.tried_delivery(tried)
            first_failure = tried.state is not DeliveryState.SENT and before.state is DeliveryState.QUEUED
            given_up = tried.state is DeliveryState.FAILED
            if tried.request and (tried.state is DeliveryState.SENT or first_failure or given_up):
                what = "notified" if tried.state is DeliveryState.SENT else "notify-failed"
                note = Note(tried.at, what, tried.notifier, tried.error)
                self._store.add_note(RequestId(tried.request), note)

        self._store.together(work)


def _queued_at(delivery: Delivery) -> int:
    """About when it was queued: the retries so far, added up."""
    waited = sum(min(FIRST_RETRY_S << min(n, 12), LONGEST_RETRY_S) for n in range(delivery.tries))
    return delivery.next_at - waited * SECOND
