"""Recordings: opened before a session may start, kept by one pump for all, closed with the session.

A recording is `<id>.cast` (asciicast v2), `<id>.events` beside it and the signed `<id>.chain` over both, in a
folder per day of the start. The head of each chain goes into the audit: at the end, and now and then before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from broker.model.access import Grant
from broker.model.errors import CannotRecord, Unavailable
from broker.model.session import SessionRow, SessionState
from broker.ports import AuditStore, Clock, SessionStore
from broker.services.audit import AuditTrail
from broker.services.evidence import known_of, recording_folder, verify_session
from broker.services.ledger_reading import keys_of
from recorder.cast import Header
from recorder.chain import Head
from recorder.salvage import Salvaged, last_head, salvage
from recorder.signing import KeyRing, SigningKey
from recorder.verify import Verdict
from recorder.writer import LiveRecording, RecorderPump, open_recording

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Picture:
    """How the session looks: terminal type and size in cells; no terminal: 80x24 and no type."""

    term: str = ""
    cols: int = 80
    rows: int = 24


class SessionRecording:
    """The recording of one live session, as its runner uses it; every call returns at once."""

    def __init__(self, live: LiveRecording, clock: Clock, began: int, row: SessionRow | None = None) -> None:
        self.live = live
        self.row = row
        self.anchored = 0
        """Number of the last link whose head went into the audit."""
        self._now = clock.monotonic
        self._began = began
        self._loop = asyncio.get_running_loop()

    def time(self) -> int:
        """Microseconds since the recording began."""
        return self._now() - self._began

    def watch(self, failed: Callable[[str], None], room: Callable[[], None]) -> None:
        """Have `failed(error)` called once the recording can no longer be written, and `room()` when what
        was not accepted may be tried again; both on the loop."""
        hooks, call = self.live.hooks, self._loop.call_soon_threadsafe
        hooks.on_fail = lambda exc: call(failed, _words(exc))
        hooks.on_room = lambda: call(room)
        if self.live.failed is not None:
            call(failed, _words(self.live.failed))

    def output(self, t: int, data: bytes, stderr: bool) -> bool:
        """False: not accepted, nothing of it may be shown yet. True: it will be in the file."""
        return self.live.stderr(t, data) if stderr else self.live.output(t, data)

    def input(self, data: bytes) -> bool:
        """Input is not kept, only counted and digested. False as for `output`."""
        return self.live.digest("stdin", data)

    def resize(self, t: int, cols: int, rows: int) -> bool:
        return self.live.resize(t, cols, rows)

    def marker(self, t: int, label: str) -> bool:
        return self.live.marker(t, label)

    def event(self, t: int, kind: str, fields: dict[str, Any]) -> bool:
        return self.live.event(t, kind, **fields)


class RecordingService:
    """Opens, closes and salvages recordings under `folder`."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        exec_keep: int | None,
        fsync_s: float = 1.0,
        *,
        signer: SigningKey,
        trail: AuditTrail,
        audit: AuditStore,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._exec_keep = exec_keep
        self._signer = signer
        self._trail = trail
        self._audit = audit
        self._verifying = asyncio.Semaphore(1)
        self._open_now: dict[SessionRow, SessionRecording] = {}
        self._pump = RecorderPump(sync_every=fsync_s)
        self._pump.start()

    async def open(
        self, grant: Grant, row: SessionRow, picture: Picture, env: dict[str, str]
    ) -> SessionRecording:
        """Both files exist, with their first lines on the disk, before anything runs.

        Raises:
            CannotRecord: they could not be made.
        """
        began = self._clock.monotonic()
        try:
            live = await asyncio.to_thread(self._open, grant, row, picture, env)
        except OSError as exc:
            raise CannotRecord(f"the recording cannot be opened ({_words(exc)})") from None
        self._pump.register(live)
        recording = SessionRecording(live, self._clock, began, row)
        self._open_now[row] = recording
        return recording

    def _open(self, grant: Grant, row: SessionRow, picture: Picture, env: dict[str, str]) -> LiveRecording:
        folder = self.folder_of(row)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        title = f"{row.account}@{row.target}"
        header = Header(
            width=picture.cols,
            height=picture.rows,
            timestamp=row.started_at // 1_000_000,
            title=title,
            command=row.command or None,
            env={"TERM": picture.term} if picture.term else {},
            extra={
                "bartizan": {
                    "session": row.id,
                    "user": row.user,
                    "target": row.target,
                    "account": row.account,
                }
            },
        )
        noted = self._audit.entries(session=row.id, codes=["session.opened"], limit=1)
        start = {
            "session": row.id,
            "event": noted[0].id if noted else "",
            "user": row.user,
            "target": row.target,
            "account": row.account,
            "channel": row.channel,
            "command": row.command,
            "source": row.source,
            "credential": grant.who.source.credential,
            "reason": row.reason,
            "rule": grant.decision.rule.name,
            "origin": grant.decision.rule.origin,
            "started_at": row.started_at,
            "env": env,
            "terminal": bool(picture.term),
            "tags": dict(grant.target.tags),
        }
        terminal = bool(picture.term)
        keep = None if terminal else self._exec_keep
        return open_recording(
            folder, row.id, header, start, signer=self._signer, terminal=terminal, keep_bytes=keep
        )

    async def close(self, recording: SessionRecording, reason: str, fields: dict[str, Any]) -> int:
        """Write the end, sign it, make it durable, give up the files; the size of the cast in bytes.

        Raises:
            CannotRecord: the end could not be written: the recording verifies up to its last link only.
            Unavailable: the audit cannot keep the head of the chain.
        """
        self._pump.unregister(recording.live)
        if recording.row is not None:
            self._open_now.pop(recording.row, None)
        try:
            closed = await asyncio.to_thread(recording.live.close, recording.time(), reason, **fields)
        except OSError as exc:
            raise CannotRecord(f"the recording cannot be closed ({_words(exc)})") from None
        if recording.row is not None:
            await self._note("recording.sealed", recording.row, closed.head, size=closed.cast_size)
        return closed.cast_size

    async def verify(self, row: SessionRow) -> Verdict:
        """Whether a recording is what was signed; one at a time, as it reads all of it. Raises OSError,
        Unavailable."""
        async with self._verifying:
            return await asyncio.to_thread(self._verify, row)

    def _verify(self, row: SessionRow) -> Verdict:
        keys = keys_of(self._audit, KeyRing([self._signer.public]))
        return verify_session(self._folder, row, known_of(self._audit, row.id).get(row.id), keys)

    async def anchor(self) -> None:
        """Note how far the chains of the live recordings have come. Raises Unavailable."""
        for row, recording in list(self._open_now.items()):
            head = recording.live.head
            if head.number > recording.anchored:
                await self._note("recording.anchored", row, head)
                recording.anchored = head.number

    async def keep_anchoring(self, every_s: float) -> None:
        """Until cancelled. An audit that cannot be written is tried again at the next turn."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.anchor()
            except Unavailable as exc:
                log.error("recording.unanchored", error=exc.message)

    async def _note(self, code: str, row: SessionRow, head: Head, **detail: str | int | bool | None) -> None:
        subject = f"{row.account}+{row.target}"
        await self._trail.note(code, row.user, subject, row.id, link=head.number, head=head.text, **detail)

    def folder_of(self, row: SessionRow) -> Path:
        return recording_folder(self._folder, row)

    def path(self, row: SessionRow, part: str) -> Path:
        """File of a recording; `part` is `cast`, `events` or `chain`."""
        return self.folder_of(row) / f"{row.id}.{part}"

    async def salvage(self, store: SessionStore) -> int:
        """Close what a broker that died left open, in the files, the audit and the store; how many sessions.

        Only recordings of sessions that the store calls live are looked at, so it takes seconds at most.
        Raises Unavailable.
        """
        rows = await asyncio.to_thread(store.sessions, state=SessionState.LIVE, limit=1_000_000)
        found = await asyncio.to_thread(self._salvage_files, rows)
        for row in rows:
            await self._interrupted(row, found.get(row.id))
            await asyncio.to_thread(self._close_row, store, row)
        return len(rows)

    def _salvage_files(self, rows: list[SessionRow]) -> dict[str, Salvaged]:
        found = {}
        for folder in sorted({self.folder_of(row) for row in rows}):
            for one in salvage(folder, self._signer):
                log.warning("recording.salvaged", recording=str(one))
                found[one.id] = one
        return found

    async def _interrupted(self, row: SessionRow, found: Salvaged | None) -> None:
        """An earlier start may have closed the files and died before it noted that."""
        head = found.head if found is not None else None
        if head is None:
            head = await asyncio.to_thread(last_head, self.path(row, "chain"))
        detail = found.detail if found is not None else ""
        unsealed = found.unsealed if found is not None else 0
        known = head or Head(-1, b"")
        await self._note("recording.interrupted", row, known, unsealed=unsealed, damage=detail)

    def _close_row(self, store: SessionStore, row: SessionRow) -> None:
        path = self.path(row, "cast")
        store.close_session(
            row.id,
            state=SessionState.INTERRUPTED,
            at=self._clock.now(),
            exit_status=None,
            end_reason="interrupted",
            size=path.stat().st_size if path.exists() else 0,
        )

    async def stop(self) -> None:
        """Write all that is pending and end the pump."""
        await asyncio.to_thread(self._pump.stop)


def _words(exc: BaseException) -> str:
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
