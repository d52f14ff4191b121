"""Copies of the audit's newest seal in places outside: what they attest nobody on this host can take back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from broker.model.errors import Unavailable
from broker.model.seal import decode_seal
from broker.ports import AnchorPlace, AuditStore
from broker.services.audit import AuditTrail
from broker.services.seals import ACTOR, Sealer

log = structlog.get_logger()

RETRY = 5.0
"""Seconds until a place that failed is tried again; doubled each time, up to the usual interval."""


@dataclass(slots=True)
class _Progress:
    """How far one place is. `due`: monotonic seconds."""

    place: AnchorPlace
    number: int = -1
    due: float = 0.0
    wait: float = RETRY
    failing: str = ""


class Anchors:
    """Each place on its own: one that does not answer holds up no other."""

    def __init__(
        self,
        places: Sequence[AnchorPlace],
        every: float,
        store: AuditStore,
        sealer: Sealer,
        trail: AuditTrail,
    ) -> None:
        """every: seconds between two copies to the same place, where there is news."""
        self._progress = [_Progress(place) for place in places]
        self._every = every
        self._store = store
        self._sealer = sealer
        self._trail = trail

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for progress in self._progress:
                group.create_task(self._serve(progress), name=f"anchor-{progress.place.name}")

    async def _serve(self, progress: _Progress) -> None:
        while True:
            await asyncio.sleep(max(0.0, progress.due - time.monotonic()))
            await self._bring(progress)

    async def flush(self) -> None:
        """Bring the newest seal everywhere now, one try each (the broker is being stopped)."""
        await asyncio.gather(*(self._bring(progress) for progress in self._progress))

    async def _bring(self, progress: _Progress) -> None:
        try:
            await self._deliver(progress)
        except Unavailable as exc:
            await self._failed(progress, exc.message)
            progress.due = time.monotonic() + progress.wait
            progress.wait = min(2 * progress.wait, max(self._every, RETRY))
            return
        progress.due, progress.wait = time.monotonic() + self._every, RETRY

    async def _deliver(self, progress: _Progress) -> None:
        """Raises Unavailable."""
        line = await asyncio.to_thread(self._store.last_seal)
        if line is None:
            return
        number = decode_seal(line)[0].n
        if number <= progress.number:
            return
        await asyncio.to_thread(progress.place.deliver, line)
        progress.number = number
        self._sealer.mention(progress.place.name, number)
        if progress.failing:
            progress.failing = ""
            await self._trail.note("anchor.recovered", ACTOR, progress.place.name, seal=number)

    async def _failed(self, progress: _Progress, why: str) -> None:
        if progress.failing == why:
            return
        news, progress.failing = not progress.failing, why
        log.error("anchor.failed", place=progress.place.name, error=why)
        if news:
            try:
                await self._trail.note("anchor.failed", ACTOR, progress.place.name, error=why[:300])
            except Unavailable:
                progress.failing = ""  # told again at the next try
