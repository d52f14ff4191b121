"""Recordings: opened before a session may start, kept by one pump for all, closed with the session.

A recording is `<id>.cast` (asciicast v2) and `<id>.events` beside it, in a folder per day of the start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from broker.model.access import Grant
from broker.model.errors import CannotRecord
from broker.model.session import SessionRow, SessionState
from broker.ports import Clock, SessionStore
from recorder.cast import Header
from recorder.salvage import salvage
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

    def __init__(self, live: LiveRecording, clock: Clock, began: int) -> None:
        self.live = live
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

    def __init__(self, folder: Path, clock: Clock, exec_keep: int | None, fsync_s: float = 1.0) -> None:
        self._folder = folder
        self._clock = clock
        self._exec_keep = exec_keep
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
        return SessionRecording(live, self._clock, began)

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
        start = {
            "session": row.id,
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
        }
        terminal = bool(picture.term)
        keep = None if terminal else self._exec_keep
        return open_recording(folder, row.id, header, start, terminal=terminal, keep_bytes=keep)

    async def close(self, recording: SessionRecording, reason: str, fields: dict[str, Any]) -> int:
        """Write the end, make it durable, give up the files; the size of the cast in bytes.

        Raises:
            CannotRecord: the end could not be written; the next start will call the session interrupted.
        """
        self._pump.unregister(recording.live)
        try:
            closed = await asyncio.to_thread(recording.live.close, recording.time(), reason, **fields)
        except OSError as exc:
            raise CannotRecord(f"the recording cannot be closed ({_words(exc)})") from None
        return closed.cast_size

    def folder_of(self, row: SessionRow) -> Path:
        return self._folder / time.strftime("%Y/%m/%d", time.gmtime(row.started_at / 1_000_000))

    def path(self, row: SessionRow, part: str) -> Path:
        """File of a recording; `part` is `cast` or `events`."""
        return self.folder_of(row) / f"{row.id}.{part}"

    def salvage(self, store: SessionStore) -> int:
        """Close what a broker that died left open, in the files and in the store; how many sessions.

        Only recordings of sessions that the store calls live are looked at, so it takes seconds at most.
        """
        rows = store.sessions(state=SessionState.LIVE, limit=1_000_000)
        for folder in sorted({self.folder_of(row) for row in rows}):
            for found in salvage(folder):
                log.warning("recording.salvaged", recording=str(found))
        for row in rows:
            path = self.path(row, "cast")
            store.close_session(
                row.id,
                state=SessionState.INTERRUPTED,
                at=self._clock.now(),
                exit_status=None,
                end_reason="interrupted",
                size=path.stat().st_size if path.exists() else 0,
            )
        return len(rows)

    async def stop(self) -> None:
        """Write all that is pending and end the pump."""
        await asyncio.to_thread(self._pump.stop)


def _words(exc: BaseException) -> str:
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
