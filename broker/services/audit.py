"""The audit trail: what happened, durable before anything goes on that depends on it."""

from __future__ import annotations

import asyncio

import structlog

from broker.model.audit import AuditEvent, AuditId
from broker.model.errors import Unavailable
from broker.ports import AuditStore, Clock

log = structlog.get_logger()


class AuditTrail:
    """Writes events to the store off the event loop, and to the log under the same id."""

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def note(
        self, code: str, actor: str, subject: str = "", session: str = "", **detail: str | int | bool | None
    ) -> AuditId:
        """Durable on return; the event's id.

        Raises:
            Unavailable: the store cannot keep it; the caller lets nothing happen that depends on it.
        """
        event = AuditEvent(code, self._clock.now(), actor, subject, session, detail)
        shown = {"actor": actor, "subject": subject, "session": session, **detail}
        try:
            id = await asyncio.to_thread(self._store.append, event)
        except Unavailable as exc:
            log.error(code, unkept=exc.message, **shown)
            raise
        log.info(code, event_id=id, **shown)
        return id
