"""One open recording: what the event loop hands in, and what the writing thread does with it."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from recorder.cast import encode_stream_event
from recorder.chain import Head
from recorder.writer.encoding import (
    DIGEST,
    EVENT,
    MARKER,
    OUTPUT,
    RESIZE,
    STDERR,
    Encoder,
    Operation,
    cost_of,
    surely_fits,
)
from recorder.writer.sealing import Sealing
from recorder.writer.space import HeldFile

CLOSING = (4096, 16384)
"""Bytes of the held space that only `close` may use, in the cast and in the event stream."""

_MAX_PENDING = 8 << 20
_LABEL = 1024
_STREAM = {OUTPUT: "stdout", STDERR: "stderr"}


def ignore(*_: object) -> None:
    """The hook nobody asked for."""


@dataclass(slots=True)
class Hooks:
    """Calls out of a recording; all but `wake` come on the writing thread, without any lock held."""

    on_fail: Callable[[Exception], object] = ignore
    on_room: Callable[[], object] = ignore
    wake: Callable[[bool], object] = ignore


@dataclass(frozen=True, slots=True)
class Closed:
    """A finished recording. Sizes in bytes, `t` in microseconds since the start."""

    t: int
    cast_size: int
    events_size: int
    lines: int
    head: Head
    """The last link of its chain."""


@dataclass(slots=True)
class _Counts:
    """Pending is accepted minus written; each side is changed by one thread only."""

    accepted: int = 0
    written: int = 0

    @property
    def pending(self) -> int:
        return self.accepted - self.written


@dataclass(slots=True)
class _Ledger:
    cast: _Counts = field(default_factory=_Counts)
    events: _Counts = field(default_factory=_Counts)
    content: _Counts = field(default_factory=_Counts)


class LiveRecording:
    """Made by `open_recording`. Accepting calls are for the event loop, cheap and never blocking.

    They answer False when the thing was NOT accepted: the recording has failed or is closed (see `failed`),
    or the space held on disk does not cover it yet; then nothing of it may be shown, and `on_room` says when
    to try again. Accepted means: it will be in the file, even if the disk fills up in this moment. A chunk
    must be smaller than 8 MiB. Times are microseconds since the start of the session; one that goes back is
    raised to the last one.
    """

    def __init__(
        self,
        cast: HeldFile,
        events: HeldFile,
        seal: Sealing,
        ahead: int,
        keep_bytes: int | None,
        hooks: Hooks,
        terminal: bool = True,
    ) -> None:
        self._cast, self._events, self._seal = cast, events, seal
        self._ahead = (ahead, max(ahead // 4, 2 * CLOSING[1]))
        self._keep_bytes = keep_bytes
        self.hooks = hooks
        self.failed: Exception | None = None
        self._encoder = Encoder(terminal)
        self._queue: deque[Operation] = deque()
        self._ledger = _Ledger()
        self._seen = {OUTPUT: 0, STDERR: 0}
        self._kept = 0
        self._wanted = (0, 0)
        self._starved = False
        self._closing = False
        self._broken = False
        self._unsynced: set[HeldFile] = set()
        self._written_t = 0
        self._io = threading.Lock()
        self.queued = False
        """The pump knows that something is pending; set and cleared by it."""
        self.t = 0
        """Time of the last thing accepted."""

    # Accepting, on the event loop

    def output(self, t: int, data: bytes) -> bool:
        """Bytes the user is about to see."""
        return self._content(OUTPUT, t, data)

    def stderr(self, t: int, data: bytes) -> bool:
        """Bytes of the error stream: output in the cast, with a note beside it which line it was."""
        return self._content(STDERR, t, data)

    def resize(self, t: int, cols: int, rows: int) -> bool:
        """A new size of the terminal."""
        return self._accept(RESIZE, t, b"", f"{cols}x{rows}", (80, 0))

    def marker(self, t: int, label: str) -> bool:
        """A place to jump to; the label is cut at 1024 characters."""
        label = label[:_LABEL]
        return self._accept(MARKER, t, b"", label, (6 * len(label) + 80, 0))

    def event(self, t: int, kind: str, **fields: Any) -> bool:
        """Anything else that happened. Raises TypeError for a value JSON has no form for."""
        self.t = max(self.t, t)
        line = encode_stream_event(self.t, kind, fields)
        return self._accept(EVENT, t, line, kind, (0, len(line)))

    def digest(self, stream: str, data: bytes) -> bool:
        """Bytes that are not kept: their SHA-256 and count go into the end event under the stream's name."""
        return self._accept(DIGEST, self.t, data, stream, (0, 0))

    @property
    def pending_bytes(self) -> int:
        """Content accepted and not yet written."""
        return self._ledger.content.pending

    @property
    def pending(self) -> bool:
        """True if `flush` has work."""
        return bool(self._queue)

    @property
    def unsynced(self) -> bool:
        """True if something was written since the last `sync`."""
        return bool(self._unsynced)

    @property
    def head(self) -> Head:
        """The newest link of the chain, for an anchor elsewhere. From any thread."""
        return self._seal.head

    @property
    def room(self) -> int:
        """Bytes of output, of any content, that are certain to be accepted now."""
        if self.failed or self._closing:
            return 0
        return min(surely_fits(*self._free()), max(0, _MAX_PENDING - self.pending_bytes))

    def _free(self) -> tuple[int, int]:
        return (
            self._cast.room - CLOSING[0] - self._ledger.cast.pending,
            self._events.room - CLOSING[1] - self._ledger.events.pending,
        )

    def _content(self, code: str, t: int, data: bytes) -> bool:
        if self._keep_bytes is None or self._kept + len(data) <= self._keep_bytes:
            return self._keep(code, t, data)
        part = self._keep_bytes - self._kept
        if part > 0:
            return self._cut(code, t, data, part)
        return self._accept(DIGEST, t, data, _STREAM[code], (0, 0)) and self._count(code, data)

    def _keep(self, code: str, t: int, data: bytes) -> bool:
        if not self._accept(code, t, data, "", cost_of(data)):
            return False
        self._kept += len(data)
        return self._count(code, data)

    def _count(self, code: str, data: bytes) -> bool:
        self._seen[code] += len(data)
        return True

    def _cut(self, code: str, t: int, data: bytes, part: int) -> bool:
        """The chunk that crosses the limit: its first part is kept, the rest and what follows is digested."""
        notice = f"[content beyond {self._keep_bytes} bytes is not kept, only its digest]"
        cast, events = cost_of(data[:part])
        if not self._fits((cast + 6 * len(notice) + 80, events + 320), len(data)):
            return False
        self._keep(code, t, data[:part])
        self.marker(t, notice)
        self.event(t, "unkept", stream=_STREAM[code], kept=self._kept)
        return self._accept(DIGEST, t, data[part:], _STREAM[code], (0, 0)) and self._count(code, data[part:])

    def _fits(self, cost: tuple[int, int], size: int) -> bool:
        if self.failed or self._closing:
            return False
        free = self._free()
        if cost[0] <= free[0] and cost[1] <= free[1] and self.pending_bytes + size <= _MAX_PENDING:
            return True
        self._wanted = (max(cost[0], self._wanted[0]), max(cost[1], self._wanted[1]))
        self._starved = True
        self.hooks.wake(True)
        return False

    def _accept(self, code: str, t: int, data: bytes, name: str, cost: tuple[int, int]) -> bool:
        if not self._fits(cost, len(data)):
            return False
        self.t = max(self.t, t)
        ledger = self._ledger
        ledger.cast.accepted += cost[0]
        ledger.events.accepted += cost[1]
        ledger.content.accepted += len(data)
        self._queue.append(Operation(code, self.t, data, name, cost))
        urgent = ledger.cast.pending * 2 > self._ahead[0] or ledger.events.pending * 2 > self._ahead[1]
        self._starved = self._starved or urgent
        self.hooks.wake(urgent)
        return True

    # Writing, on the writing thread or the one that closes

    def flush(self) -> None:
        """Encode and write what is pending. Never raises OSError: see `failed` and `on_fail`."""
        self._report(self._locked(self._write_pending))

    def sync(self) -> None:
        """`flush`, then bring both files to the disk and sign what is new."""
        self._report(self._locked(self._write_pending, self._sync_files))

    def fail(self, error: Exception) -> None:
        """Give the recording up because of `error`; nothing more is accepted."""
        with self._io:
            error_is_first = self._failed_by(error)
        self._report(error_is_first)

    def close(self, t: int, reason: str, **fields: Any) -> Closed:
        """Write the rest, the end event and the last link, sync, release lock and space. Blocks; call once.

        Works after a failure too. The event loop must hand in nothing once this has begun. Raises OSError if
        the end could not be written: the recording then counts as interrupted for `salvage`.
        """
        self._closing = True
        self.t = max(self.t, t)
        self._report(self._locked(self._write_pending, self._write_tail))
        with self._io:
            try:
                self._append(self._events, encode_stream_event(self.t, "end", self._end(reason, fields)))
                self._sync_data()
                self._seal.finish(self.t)
            finally:
                with contextlib.ExitStack() as files:
                    for file in (self._cast, self._events, self._seal):
                        files.callback(file.close)
        sizes = self._cast.written, self._events.written
        return Closed(self.t, *sizes, self._encoder.lines, self._seal.head)

    def _end(self, reason: str, fields: dict[str, Any]) -> dict[str, Any]:
        totals = {
            "stdout": self._seen[OUTPUT],
            "stderr": self._seen[STDERR],
            "kept": self._kept,
            "lines": self._encoder.lines,
            "cast_bytes": self._cast.written,
        }
        digests = {name: digest.summary() for name, digest in self._encoder.digests.items()}
        failure = {"recorder_error": str(self.failed)} if self.failed else {}
        return {**fields, "reason": reason, **failure, "totals": totals, "digests": digests}

    def _locked(self, *steps: Callable[[], None]) -> Exception | None:
        """Run the steps; a failure is stored. Returns the error if it is the first."""
        with self._io:
            try:
                for step in steps:
                    step()
            except OSError as error:
                return self._failed_by(error)
        return None

    def _failed_by(self, error: Exception) -> Exception | None:
        if self.failed is not None:
            return None
        self.failed = error
        return error

    def _report(self, error: Exception | None) -> None:
        if error is not None:
            self.hooks.on_fail(error)
        elif self._starved and self.room >= self._ahead[0] // 16:
            self._starved = False
            self.hooks.on_room()

    def _write_pending(self) -> None:
        """Events go first: a cast line whose exact bytes are not beside it must not exist."""
        operations = [self._queue.popleft() for _ in range(len(self._queue))]
        if operations and not self._broken:
            self._write(*self._encoder.batch(operations))
            self._written_t = operations[-1].t
        self._extend()
        ledger = self._ledger
        ledger.cast.written += sum(operation.cost[0] for operation in operations)
        ledger.events.written += sum(operation.cost[1] for operation in operations)
        ledger.content.written += sum(len(operation.data) for operation in operations)

    def _write_tail(self) -> None:
        if not self._broken:
            self._write(*self._encoder.finish(self.t))

    def _write(self, cast: bytes, events: bytes) -> None:
        try:
            self._append(self._events, events)
            self._append(self._cast, cast)
        except OSError:
            self._broken = True  # what follows would leave a gap nobody sees
            raise

    def _append(self, file: HeldFile, lines: bytes) -> None:
        if lines:
            file.write(lines)
            self._unsynced.add(file)
            (self._seal.cast_written if file is self._cast else self._seal.events_written)(lines)

    def _extend(self) -> None:
        """Keep the space ahead; more of it once a chunk did not fit."""
        if self._closing or self.failed:
            return
        self._cast.extend(max(self._ahead[0], 2 * self._wanted[0] + CLOSING[0]))
        self._events.extend(max(self._ahead[1], 2 * self._wanted[1] + CLOSING[1]))

    def _sync_files(self) -> None:
        self._sync_data()
        self._seal.link(self._written_t)

    def _sync_data(self) -> None:
        for file in (self._events, self._cast):
            if file in self._unsynced:
                file.sync()
                self._unsynced.remove(file)
