"""Bundles: recordings, and the part of the audit that speaks of them, as one file that verifies offline.

A bundle is a tar (POSIX 2001): `bundle.json`, `audit.jsonl`, and the files of each recording as they are.
Each line of `audit.jsonl` is one of: `head`, where an excerpt begins; an event; `seq` and `leaf`, the hash of
an event that is not the receiver's business; `seal`, the signed line as it is.
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from broker.model.audit import AuditEntry, LedgerHead, fields, leaf
from broker.model.errors import Unavailable
from broker.model.seal import decode_seal
from broker.ports import AuditStore
from broker.services.ledger_reading import seals_of
from recorder.signing import KeyRing

VERSION = 1
MANIFEST, LEDGER, FOLDER = "bundle.json", "audit.jsonl", "recordings"
PARTS = ("chain", "cast", "events")
_PAGE = 2000
_README = """\
A bundle of a bartizan broker. Nothing in it needs to be unpacked to verify it:

    bartizan recordings verify THIS_FILE --keys PUBLISHED_KEYS

PUBLISHED_KEYS is what `bartizan audit key` printed on that bastion, received some other way than with this
file. `recordings/*.cast` are asciicast v2 files that `asciinema play` and `bartizan recordings play` show.
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`bundle.json`. Nothing in it is trusted: it says what is meant to be here, and by which keys."""

    made_at: str
    host: str
    recordings: list[str]
    keys: list[str]

    def encoded(self) -> bytes:
        values = {"v": VERSION, "made_at": self.made_at, "host": self.host}
        return json.dumps({**values, "recordings": self.recordings, "keys": self.keys}, indent=1).encode()


def write_bundle(
    out: BinaryIO,
    ledger: Iterator[bytes],
    recordings: Sequence[Path],
    keys: KeyRing,
    host: str,
    progress: Callable[[int], object] = lambda _: None,
) -> None:
    """Write a bundle of these casts (with what lies beside them) and lines of the ledger. Raises OSError."""
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    manifest = Manifest(made_at, host, [cast.stem for cast in recordings], [key.line for key in keys])
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "README.txt", io.BytesIO(_README.encode()))
        _add(tar, MANIFEST, io.BytesIO(manifest.encoded()))
        _add(tar, LEDGER, io.BytesIO(b"".join(ledger)))
        for cast in recordings:
            for part in PARTS:
                with cast.with_suffix(f".{part}").open("rb") as file:
                    progress(_add(tar, f"{FOLDER}/{cast.stem}.{part}", file))


def _add(tar: tarfile.TarFile, name: str, file: BinaryIO) -> int:
    """The size of the file."""
    info = tarfile.TarInfo(name)
    info.size = file.seek(0, 2)
    info.mtime = int(time.time())
    info.mode = 0o600
    file.seek(0)
    tar.addfile(info, file)
    return info.size


# ---------------------------------------------------------------- the part of the ledger


def whole_ledger(store: AuditStore, after: int = 0) -> Iterator[bytes]:
    """The ledger from the event behind number `after` on, up to its newest seal, with all seals."""
    seals = [line for line in seals_of(store) if decode_seal(line)[0].seq > after]
    if not seals:
        raise Unavailable("there is no sealed event to export", hint="the broker seals once a second")
    before = [decode_seal(line)[0].ledger for line in seals_of(store) if decode_seal(line)[0].seq <= after]
    start = before[-1] if before else LedgerHead()
    yield _head_line(start)
    at = start.seq
    for line in seals:
        until = decode_seal(line)[0].seq
        for entry in _between(store, at, until):
            yield _event_line(entry)
        yield _seal_line(line)
        at = max(at, until)


def excerpts(store: AuditStore, wanted: set[int]) -> Iterator[bytes]:
    """The events of these numbers, each up to the first seal that covers it; of others the hashes alone.

    Raises Unavailable if one of them is not sealed yet.
    """
    seals = list(seals_of(store))
    reach = [decode_seal(line)[0].seq for line in seals]
    chosen = sorted({bisect_left(reach, seq) for seq in wanted})
    if chosen and chosen[-1] == len(seals):
        raise Unavailable("what just happened is not sealed yet", hint="try again in a second")
    for index in chosen:
        start = decode_seal(seals[index - 1])[0].ledger if index else LedgerHead()
        yield _head_line(start)
        for entry in _between(store, start.seq, reach[index]):
            yield _event_line(entry) if entry.seq in wanted else _leaf_line(entry)
        yield _seal_line(seals[index])


def _between(store: AuditStore, after: int, until: int) -> Iterator[AuditEntry]:
    while after < until and (page := store.entries(after=after, limit=min(_PAGE, until - after))):
        yield from (entry for entry in page if entry.seq <= until)
        after = page[-1].seq


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _head_line(head: LedgerHead) -> bytes:
    return _line({"head": {"seq": head.seq, "sha256": head.sha256.hex()}})


def _event_line(entry: AuditEntry) -> bytes:
    return _line(fields(entry.seq, entry.event))


def _leaf_line(entry: AuditEntry) -> bytes:
    return _line({"seq": entry.seq, "leaf": leaf(entry.seq, entry.event).hex()})


def _seal_line(line: bytes) -> bytes:
    return _line({"seal": line.decode()})
