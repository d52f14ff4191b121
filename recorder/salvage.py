"""After a crash: close what was open as `interrupted`, so that it lists and plays like any other."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from recorder.cast import CastError, EventDecoder, decode_header, decode_stream_event, encode_stream_event

_TAIL = 1 << 16
_LONGEST_LINE = 64 << 20


class Outcome(StrEnum):
    """`INTERRUPTED`: plays up to the last flush. `DAMAGED`: parts are missing, see the detail."""

    INTERRUPTED = "interrupted"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Salvaged:
    """One recording that had no end. `duration` in microseconds, `size` in bytes."""

    id: str
    cast: Path
    outcome: Outcome
    detail: str
    duration: int
    size: int


class _LiveError(Exception):
    """Its lock is held: a recorder is alive."""


def salvage(directory: Path) -> list[Salvaged]:
    """Close every recording under `directory` that has no end and no live recorder.

    Only the ends of files are read. What cannot be mended is reported as damaged and its cast left as it is;
    nothing is raised, and a second run finds nothing left to do.
    """
    found = []
    for cast in _casts(directory):
        try:
            result = _salvage_one(cast)
        except _LiveError:
            continue
        except OSError as error:
            result = Salvaged(cast.stem, cast, Outcome.DAMAGED, f"cannot be read: {error.strerror}", 0, 0)
        if result is not None:
            found.append(result)
    return found


def _casts(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".cast"))


def _salvage_one(cast: Path) -> Salvaged | None:
    with contextlib.ExitStack() as files:
        fd = _opened(files, cast, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _LiveError from None
        stream = cast.with_suffix(".events")
        try:
            events, detail = _opened(files, stream, os.O_RDWR), ""
        except FileNotFoundError:
            events, detail = _opened(files, stream, os.O_RDWR | os.O_CREAT | os.O_EXCL), "no event stream"
        if _has_end(events):
            return None
        _cut(events)
        return _close(cast, fd, events, detail, _fault(fd))


def _opened(files: contextlib.ExitStack, path: Path, flags: int) -> int:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    files.callback(os.close, fd)
    return fd


def _has_end(events: int) -> bool:
    line = _last_line(events)
    try:
        return bool(line) and decode_stream_event(line, 0).kind == "end"
    except CastError:
        return False


def _fault(fd: int) -> str:
    """What is wrong with the head of a cast, or nothing."""
    first = os.pread(fd, _TAIL, 0).partition(b"\n")
    if not first[1]:
        return "the cast is empty"
    try:
        decode_header(first[0])
    except CastError as error:
        return str(error)
    return ""


def _close(cast: Path, fd: int, events: int, detail: str, fault: str) -> Salvaged:
    size = os.fstat(fd).st_size if fault else _cut(fd)
    detail = fault or detail
    os.fsync(fd)
    duration = max(_last_time(_last_line(fd)), _stream_time(_last_line(events)))
    damage = {"damaged": detail} if detail else {}
    line = encode_stream_event(duration, "end", {"reason": str(Outcome.INTERRUPTED), **damage})
    os.pwrite(events, line, os.fstat(events).st_size)
    os.fsync(events)
    for path in (cast, cast.with_suffix(".events")):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.ballast")
    outcome = Outcome.DAMAGED if detail else Outcome.INTERRUPTED
    return Salvaged(cast.stem, cast, outcome, detail, duration, size)


def _cut(fd: int) -> int:
    """Cut the file after its last line break, which also returns space held beyond its end. The new size."""
    size = os.fstat(fd).st_size
    end = _last_break(fd, size)
    os.ftruncate(fd, end)
    return end


def _last_break(fd: int, end: int) -> int:
    """Offset after the last line break before `end`, 0 if there is none."""
    while end > 0:
        start = max(0, end - _TAIL)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _last_line(fd: int) -> bytes:
    """The last complete line, without its line break."""
    end = _last_break(fd, os.fstat(fd).st_size)
    if end == 0:
        return b""
    start = _last_break(fd, end - 1)
    return os.pread(fd, min(end - 1 - start, _LONGEST_LINE), start)


def _last_time(line: bytes) -> int:
    try:
        event = EventDecoder(2).line(line, 0)
    except CastError:
        return 0  # the header, or damage
    return event.t if event else 0


def _stream_time(line: bytes) -> int:
    try:
        return decode_stream_event(line, 0).t
    except CastError:
        return 0
