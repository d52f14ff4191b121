"""The audit trail: what happened, durable before anything goes on that depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from broker.model.audit import AuditEvent, AuditId
from broker.model.errors import Unavailable
from broker.model.session import SessionRow
from broker.ports import AuditStore, Clock

log = structlog.get_logger()


class AuditTrail:
    """Writes events to the store off the event loop, and to the log under the same id."""

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._watchers: list[Callable[[AuditEvent], None]] = []

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
            id = await asyncio.to_thread(self._keep, event)
        except Unavailable as exc:
            log.error(code, unkept=exc.message, **shown)
            raise
        log.info(code, event_id=id, **shown)
        return id

    def watch(self, watcher: Callable[[AuditEvent], None]) -> None:
        """From now on `watcher` is called for what `note` has kept, in the thread that did."""
        self._watchers.append(watcher)

    def _keep(self, event: AuditEvent) -> AuditId:
        id = self._store.append(event)
        for watcher in self._watchers:
            try:
                watcher(event)
            except Exception as exc:  # it was kept: who watches holds nothing up
                log.error("audit.watcher-failed", code=event.code, error=repr(exc), exc_info=exc)
        return id


class Remarks:
    """What happens in one live session, noted in order without its waiting for that. Where it cannot be
    noted `failed` is called with the reason: the session may not go on unaudited."""

    def __init__(self, trail: AuditTrail, row: SessionRow, failed: Callable[[str], None]) -> None:
        self._trail, self._row, self._failed = trail, row, failed
        self._waiting: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    def note(self, code: str, fields: dict[str, Any]) -> None:
        """Returns at once."""
        self._waiting.put_nowait((code, fields))

    async def run(self) -> None:
        """Until it is cancelled; see `finish`."""
        row = self._row
        while True:
            code, fields = await self._waiting.get()
            try:
                await self._trail.note(code, row.user, f"{row.account}+{row.target}", row.id, **fields)
            except Exception as exc:
                why = exc.message if isinstance(exc, Unavailable) else repr(exc)
                log.error("audit.failed", session=row.id, error=why)
                self._failed(f"the audit cannot be written ({why}); nothing runs unaudited")
            finally:
                self._waiting.task_done()

    async def finish(self) -> None:
        """All that waits is noted, or could not be."""
        await self._waiting.join()
