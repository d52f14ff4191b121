"""What goes on beside the sessions so that their evidence holds: seals, anchors, heads of live recordings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

import structlog

from broker.model.errors import Unavailable
from broker.ports import AuditStore, SessionStore
from broker.services.anchors import Anchors
from broker.services.audit import AuditTrail
from broker.services.evidence import unsealed
from broker.services.ledger_reading import keys_of
from broker.services.recordings import RecordingService
from broker.services.seals import ACTOR, Sealer
from broker.services.tasks import Tasks
from recorder.signing import KeyRing

log = structlog.get_logger()


class EvidenceStore(AuditStore, SessionStore, Protocol):
    """The store, as the health check sees it."""


LAST_TRY = 3.0
"""Seconds that the places outside get when the broker is being stopped."""
CHECK_EVERY = 600.0
"""Seconds between two looks at whether what is recorded is signed."""
CHECKED = 20
"""Newest recordings that are looked at."""


class Health:
    """Looks now and then whether the newest recordings have a valid seal: that signing goes on is not taken
    for granted (lesson 12)."""

    def __init__(self, store: EvidenceStore, folder: Path, keys: KeyRing, trail: AuditTrail) -> None:
        self._store = store
        self._folder = folder
        self._keys = keys
        self._trail = trail
        self._told: list[str] = []

    async def check(self) -> list[str]:
        """Ids of recordings among the newest that have none; what is new among them is audited."""
        bad = await asyncio.to_thread(self._look)
        if set(bad) - set(self._told):
            log.error("evidence.unhealthy", recordings=bad)
            await self._trail.note("evidence.unhealthy", ACTOR, unsigned=",".join(bad)[:300])
        self._told = bad
        return bad

    def _look(self) -> list[str]:
        rows = self._store.sessions(limit=CHECKED)
        return unsealed(self._folder, rows, keys_of(self._store, self._keys))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.check()
            except Unavailable as exc:
                log.error("evidence.unchecked", error=exc.message)
            await asyncio.sleep(CHECK_EVERY)


class Keeping:
    """Runs from `start` to `stop`."""

    def __init__(
        self,
        sealer: Sealer,
        anchors: Anchors,
        recordings: RecordingService,
        health: Health,
        anchor_recordings_s: float,
    ) -> None:
        self._sealer = sealer
        self._anchors = anchors
        self._recordings = recordings
        self._health = health
        self._every = anchor_recordings_s
        self._tasks = Tasks()

    def start(self) -> None:
        """On the running loop."""
        self._tasks.spawn(self._sealer.run(), "audit-seals")
        self._tasks.spawn(self._anchors.run(), "audit-anchors")
        self._tasks.spawn(self._recordings.keep_anchoring(self._every), "recording-anchors")
        self._tasks.spawn(self._health.run(), "evidence-health")

    async def stop(self) -> None:
        """Seal what happened last, and bring that outside."""
        await self._tasks.close()
        try:
            await asyncio.to_thread(self._sealer.seal)
            async with asyncio.timeout(LAST_TRY):
                await self._anchors.flush()
        except (Unavailable, TimeoutError) as exc:
            log.error("stop.unsealed", error=str(exc) or "the anchors did not answer in time")
