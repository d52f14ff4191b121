"""Opening a recording: it exists on the disk before anything may happen in the session."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recorder.cast import Header, encode_header, encode_stream_event
from recorder.signing import Signer
from recorder.writer.live import CLOSING, Hooks, LiveRecording, ignore
from recorder.writer.sealing import AHEAD as CHAIN_AHEAD
from recorder.writer.sealing import Sealing
from recorder.writer.space import HeldFile

AHEAD = 1 << 20
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


def open_recording(
    directory: Path,
    id: str,
    header: Header,
    start_event: Mapping[str, Any],
    *,
    signer: Signer,
    terminal: bool = True,
    keep_bytes: int | None = None,
    ahead: int = AHEAD,
    on_fail: Callable[[Exception], object] = ignore,
    on_room: Callable[[], object] = ignore,
) -> LiveRecording:
    """Create `<id>.cast`, `<id>.events` and `<id>.chain`, lock them, write header, start event and the first
    link of the chain, and bring all that to the disk.

    signer: signs the chain, from the first link on.
    terminal: False for a program's plain output: binary data is then only named in the cast, and kept beside.
    keep_bytes: content kept at most, the rest is digested (exec without a terminal); None keeps all.
    ahead: disk space held beyond what is written; at least 64 KiB.
    on_fail: called on the writing thread, once, at the first failure. on_room: called there after output was
    refused or room ran low, when there is room again. Pass them on with `loop.call_soon_threadsafe`.
    The lock is a `flock` on the cast and dies with the process; a child forked without exec would share it.
    Raises ValueError for an id that is not a plain file name, OSError if any of it cannot be done (nothing is
    left behind then).
    """
    if not _ID.match(id):
        raise ValueError(f"not usable as the name of a recording: {id[:40]!r}")
    ahead = max(ahead, 65536)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    files: list[HeldFile] = []
    try:
        files.append(HeldFile(folder, f"{id}.cast", ahead))
        fcntl.flock(files[0].fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        files.append(HeldFile(folder, f"{id}.events", max(ahead // 4, 2 * CLOSING[1])))
        files.append(HeldFile(folder, f"{id}.chain", CHAIN_AHEAD))
        seal = Sealing(files[2], id, signer)
        first = encode_header(header), encode_stream_event(0, "start", start_event)
        for file, line in zip(files, first, strict=False):
            file.write(line)
            os.fsync(file.fd)
        seal.cast_written(first[0])
        seal.events_written(first[1])
        seal.link(0)
        os.fsync(folder)
    except BaseException:
        for file in files:
            file.discard()
        raise
    finally:
        os.close(folder)
    hooks = Hooks(on_fail, on_room)
    return LiveRecording(files[0], files[1], seal, ahead, keep_bytes, hooks, terminal)
