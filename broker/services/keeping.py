"""What goes on beside the sessions so that their evidence holds: seals, anchors, heads of live recordings."""

from __future__ import annotations

import asyncio

import structlog

from broker.model.errors import Unavailable
from broker.services.anchors import Anchors
from broker.services.recordings import RecordingService
from broker.services.seals import Sealer
from broker.services.tasks import Tasks

log = structlog.get_logger()

LAST_TRY = 3.0
"""Seconds that the places outside get when the broker is being stopped."""


class Keeping:
    """Runs from `start` to `stop`."""

    def __init__(
        self, sealer: Sealer, anchors: Anchors, recordings: RecordingService, anchor_recordings_s: float
    ) -> None:
        self._sealer = sealer
        self._anchors = anchors
        self._recordings = recordings
        self._every = anchor_recordings_s
        self._tasks = Tasks()

    def start(self) -> None:
        """On the running loop."""
        self._tasks.spawn(self._sealer.run(), "audit-seals")
        self._tasks.spawn(self._anchors.run(), "audit-anchors")
        self._tasks.spawn(self._recordings.keep_anchoring(self._every), "recording-anchors")

    async def stop(self) -> None:
        """Seal what happened last, and bring that outside."""
        await self._tasks.close()
        try:
            await asyncio.to_thread(self._sealer.seal)
            async with asyncio.timeout(LAST_TRY):
                await self._anchors.flush()
        except (Unavailable, TimeoutError) as exc:
            log.error("stop.unsealed", error=str(exc) or "the anchors did not answer in time")
