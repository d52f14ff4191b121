"""Sealing the audit: its head is signed once a second while there is news, at the start and at the end."""

from __future__ import annotations

import asyncio
import base64

import structlog

from broker.model.audit import AuditEvent, Detail, LedgerHead
from broker.model.errors import Unavailable
from broker.model.seal import SealError, decode_seal, next_seal, rotation_statement
from broker.ports import AuditStore, Clock
from recorder.signing import SigningKey

log = structlog.get_logger()

EVERY = 1.0
"""Seconds. An event of the last second may be unsealed when the broker is killed; the next start seals it."""
ACTOR = "bartizan"


class Sealer:
    """Made with the key in force. All but `run` and `mention` may block: not for the event loop."""

    def __init__(self, store: AuditStore, signer: SigningKey, clock: Clock) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock
        self._anchored: dict[str, int] = {}

    def begin(self) -> None:
        """Say which key signs from here on, where that is news, and seal what an earlier run left.

        Raises Unavailable.
        """
        last = self._store.last_seal()
        before = "" if last is None else self._key_of(last)
        if before != self._signer.key:
            self._store.append(introduction(self._signer, before, self._clock.now()))
        self.seal()

    def _key_of(self, line: bytes) -> str:
        try:
            return decode_seal(line)[0].key
        except SealError as exc:
            hint = "bartizan audit verify names it; keep the database as evidence, and start with a new one"
            raise Unavailable(f"the last seal of the audit cannot be read ({exc})", hint=hint) from None

    def seal(self) -> bool:
        """Sign the head if there is news; False if there is none. Raises Unavailable."""
        mentions = dict(self._anchored)

        def make(head: LedgerHead, before: bytes | None) -> bytes | None:
            if before is not None and decode_seal(before)[0].seq == head.seq:
                return None
            return next_seal(before, head, self._clock.now(), self._signer, mentions)

        try:
            sealed = self._store.add_seal(make)
        except SealError as exc:
            raise Unavailable(f"the last seal of the audit cannot be read ({exc})") from None
        if sealed:
            for name, number in mentions.items():
                if self._anchored.get(name) == number:
                    del self._anchored[name]
        return sealed

    def mention(self, place: str, number: int) -> None:
        """The next seal says that this one was brought to that place."""
        self._anchored[place] = number

    async def run(self) -> None:
        """Seal until cancelled. A store that fails now and then is told of once and tried again."""
        failing = ""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await asyncio.to_thread(self.seal)
                failing = ""
            except Unavailable as exc:
                if exc.message != failing:
                    log.error("audit.unsealed", error=exc.message)
                failing = exc.message


def introduction(key: SigningKey, before: str, at: int) -> AuditEvent:
    """The event that tells which key signs from here on; it makes nobody trust it."""
    return AuditEvent("signing.key", at, ACTOR, key.key, "", {"public": key.public.line, "before": before})


def rotation(before: SigningKey, after: SigningKey, at: int, actor: str) -> AuditEvent:
    """The event by which two keys vouch for each other: who trusts one of them trusts both."""
    detail: Detail = {}
    statement = rotation_statement(before.public, after.public)
    for name, key in (("before", before), ("after", after)):
        detail[name] = key.public.line
        detail[f"{name}_proof"] = base64.b64encode(key.sign(statement)).decode()
    return AuditEvent("signing.rotated", at, actor, after.key, "", detail)
