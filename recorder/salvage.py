"""After a crash: close what was open as `interrupted`, so that it lists and plays like any other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from recorder.cast import CastError, EventDecoder, decode_header, decode_stream_event, encode_stream_event
from recorder.chain import PARTS, ChainError, ChainWriter, Head, Link, SegmentDigest, State, read_unchecked
from recorder.signing import Signer

_TAIL = 1 << 16
_LONGEST_LINE = 64 << 20
_BLOCK = 1 << 20
_GLANCE = 0.02
"""Seconds; longer than `verify` holds the lock."""


class Outcome(StrEnum):
    """`INTERRUPTED`: plays up to the last flush. `DAMAGED`: parts are missing, see the detail."""

    INTERRUPTED = "interrupted"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Salvaged:
    """One recording that had no end. `duration` in microseconds, `size` in bytes.

    `unsealed`: bytes that no link covered before: they are signed as found. `head`: the last link, None where
    there is no chain to go on with.
    """

    id: str
    cast: Path
    outcome: Outcome
    detail: str
    duration: int
    size: int
    unsealed: int = 0
    head: Head | None = None


class _LiveError(Exception):
    """Its lock is held: a recorder is alive."""


def salvage(directory: Path, signer: Signer) -> list[Salvaged]:
    """Close every recording under `directory` that has no end and no live recorder.

    Only the ends of files are read. The chain goes on over what it did not cover yet, with a last link that
    says `interrupted`. What cannot be mended is reported as damaged and its cast left as it is; nothing is
    raised, and a second run finds nothing left to do.
    """
    found = []
    for cast in _casts(directory):
        try:
            result = _salvage_one(cast, signer)
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


def _salvage_one(cast: Path, signer: Signer) -> Salvaged | None:
    with contextlib.ExitStack() as files:
        fd = _opened(files, cast, os.O_RDWR)
        _lock(fd)
        stream = cast.with_suffix(".events")
        try:
            events, detail = _opened(files, stream, os.O_RDWR), ""
        except FileNotFoundError:
            events, detail = _opened(files, stream, os.O_RDWR | os.O_CREAT | os.O_EXCL), "no event stream"
        chain, found = _opened_chain(files, cast), None
        if not _has_end(events):
            _cut(events)
            found = _close(cast, fd, events, detail, _fault(fd))
        elif chain is None or _chain_has_end(chain):
            return None
        found = found or _found(cast, fd, events, Outcome.INTERRUPTED, detail)
        return found if chain is None else _sealed(found, chain, fd, events, signer)


def _lock(fd: int) -> None:
    """Raises _LiveError if a recorder holds it. One who only looks whether it does lets go at once."""
    for last in (False, True):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if last:
                raise _LiveError from None
            time.sleep(_GLANCE)


def _opened_chain(files: contextlib.ExitStack, cast: Path) -> int | None:
    """The chain, None where there is none: one that begins now would say nothing of what was before."""
    try:
        return _opened(files, cast.with_suffix(".chain"), os.O_RDWR)
    except FileNotFoundError:
        return None


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
    if not fault:
        _cut(fd)
    detail = fault or detail
    os.fsync(fd)
    duration = _duration(fd, events)
    damage = {"damaged": detail} if detail else {}
    line = encode_stream_event(duration, "end", {"reason": str(Outcome.INTERRUPTED), **damage})
    os.pwrite(events, line, os.fstat(events).st_size)
    os.fsync(events)
    for suffix in (".cast", ".events", ".chain"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(cast.with_suffix(f"{suffix}.ballast"))
    return _found(cast, fd, events, Outcome.DAMAGED if detail else Outcome.INTERRUPTED, detail)


def _found(cast: Path, fd: int, events: int, outcome: Outcome, detail: str) -> Salvaged:
    return Salvaged(cast.stem, cast, outcome, detail, _duration(fd, events), os.fstat(fd).st_size)


def _duration(fd: int, events: int) -> int:
    return max(_last_time(_last_line(fd)), _stream_time(_last_line(events)))


def _sealed(found: Salvaged, chain: int, fd: int, events: int, signer: Signer) -> Salvaged:
    """Go on with the chain from its last whole link. What that link says is for `verify` to check: a link
    that was tampered with is no better for one that follows it."""
    _cut(chain)
    try:
        last, head = read_unchecked(_last_line(chain) + b"\n")
    except ChainError as error:
        return replace(found, outcome=Outcome.DAMAGED, detail=found.detail or f"the chain: {error}")
    covered = _covered(chain)
    digests = [_digest(file, covered[part]) for file, part in zip((fd, events), PARTS, strict=True)]
    unsealed = sum(digest.end - covered[part] for digest, part in zip(digests, PARTS, strict=True))
    writer = ChainWriter(signer, after=head)
    t = max(found.duration, last.t)
    line = writer.link(t, digests[0].taken(), digests[1].taken(), State.INTERRUPTED)
    os.pwrite(chain, line, os.fstat(chain).st_size)
    os.fsync(chain)
    return replace(found, unsealed=unsealed, head=writer.head)


def last_head(chain: Path) -> Head | None:
    """What the last whole link of a chain says it is; None where there is no such file or link."""
    try:
        with chain.open("rb") as file:
            return read_unchecked(_last_line(file.fileno()) + b"\n")[1]
    except (OSError, ChainError):
        return None


def _chain_has_end(chain: int) -> bool:
    link = _link(_last_line(chain) + b"\n")
    return link is not None and link.state is not State.OPEN


def _covered(chain: int) -> dict[str, int]:
    """Up to which byte of each file the chain reaches."""
    covered = dict.fromkeys(PARTS, 0)
    for line in os.pread(chain, os.fstat(chain).st_size, 0).splitlines(keepends=True):
        for part in PARTS:
            if (link := _link(line)) and (segment := link.segment(part)):
                covered[part] = segment.to
    return covered


def _link(line: bytes) -> Link | None:
    try:
        return read_unchecked(line)[0]
    except ChainError:
        return None


def _digest(file: int, start: int) -> SegmentDigest:
    """Of what a file has from byte `start` on."""
    digest = SegmentDigest(start)
    rest = b""
    while block := os.pread(file, _BLOCK, start):
        start += len(block)
        whole, separator, tail = (rest + block).rpartition(b"\n")
        digest.add(whole + separator)
        rest = tail
    digest.add(rest)
    return digest


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
