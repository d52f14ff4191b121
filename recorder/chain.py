"""The chain beside a recording: signed links, each with the hash of the one before and of what is new.

`<id>.chain` is JSON Lines. Link 0 names the recording; each link says up to which byte of `<id>.cast` and
`<id>.events` it reaches, the SHA-256 of what is new there, and a CRC-32 of each of its lines, which proves
nothing and only tells which line was changed. The last link is flagged. Pure: bytes and values, no files.
"""

from __future__ import annotations

import hashlib
import zlib
from enum import StrEnum
from typing import Literal

import msgspec

from recorder.signing import KeyRing, SignatureError, Signer, signed_line, taken_apart

VERSION = 1
CONTEXT = b"bartizan recording link 1"
NOTHING = bytes(32)
"""What link 0 has in place of the hash of the link before."""
MOST_LINES = 512
"""Lines of one segment that have a CRC of their own; so a link is bounded."""
LONGEST_LINK = 8192
"""Bytes; more than a link can have."""
PARTS: tuple[Literal["cast"], Literal["events"]] = ("cast", "events")


class ChainError(ValueError):
    """The chain does not hold at link `number` (also its line, counted from 0); the text says how."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class State(StrEnum):
    """What a link says of the recording. `INTERRUPTED`: its recorder died; what it left was signed later."""

    OPEN = "open"
    END = "end"
    INTERRUPTED = "interrupted"


class Segment(msgspec.Struct, frozen=True):
    """What one file has gained since the link before: up to byte `to`, in `lines` lines.

    `crc`: four bytes for each of the first `MOST_LINES` lines.
    """

    to: int
    sha256: bytes
    lines: int
    crc: bytes


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """One link. `t`: microseconds since the start, up to which the recording is complete. A file that has
    gained nothing has no segment. `v`, `id` stand in link 0; `key` there, and where another key signs on."""

    n: int
    t: int
    prev: bytes
    cast: Segment | None = None
    events: Segment | None = None
    state: State = State.OPEN
    key: str = ""
    id: str = ""
    v: int = 0

    def segment(self, part: str) -> Segment | None:
        """Of `cast` or of `events`."""
        return self.cast if part == "cast" else self.events


class Head(msgspec.Struct, frozen=True):
    """The newest link: what is anchored elsewhere stands for all before it."""

    number: int
    sha256: bytes

    @property
    def text(self) -> str:
        return self.sha256.hex()


class SegmentDigest:
    """Digests of what is being added to one file."""

    def __init__(self, start: int = 0) -> None:
        self.end = start
        """Up to which byte of the file."""
        self._restart()

    def _restart(self) -> None:
        self._hash = hashlib.sha256()
        self._lines = 0
        self._crcs = bytearray()
        self.empty = True

    def add(self, data: bytes) -> None:
        """The next bytes of the file, whole lines."""
        if not data:
            return
        self.empty = False
        self._hash.update(data)
        self.end += len(data)
        count = data.count(b"\n")
        self._crcs += line_crcs(data, min(count, MOST_LINES - min(self._lines, MOST_LINES)))
        self._lines += count

    def taken(self) -> Segment | None:
        """The segment up to here, None if nothing was added; the next one begins."""
        if self.empty:
            return None
        segment = Segment(self.end, self._hash.digest(), self._lines, bytes(self._crcs))
        self._restart()
        return segment


def line_crcs(data: bytes, count: int) -> bytes:
    """CRC-32 of each of the first `count` lines, four bytes each."""
    crcs, start = bytearray(), 0
    for _ in range(count):
        end = data.index(b"\n", start) + 1
        crcs += zlib.crc32(data[start:end]).to_bytes(4, "big")
        start = end
    return bytes(crcs)


class ChainWriter:
    """Makes the lines of a chain, one after the other."""

    def __init__(self, signer: Signer, id: str = "", after: Head | None = None) -> None:
        """A new chain for the recording `id`, or one that goes on after a link that is there already."""
        self._signer = signer
        self._id = id
        self._number = -1 if after is None else after.number
        self._prev = NOTHING if after is None else after.sha256
        self._named = False

    def link(self, t: int, cast: Segment | None, events: Segment | None, state: State = State.OPEN) -> bytes:
        """The next line."""
        self._number += 1
        first = self._number == 0
        link = Link(
            self._number, t, self._prev, cast, events, state,
            "" if self._named else self._signer.key,
            self._id if first else "",
            VERSION if first else 0,
        )  # fmt: skip
        self._named = True
        line = signed_line(msgspec.json.encode(link), CONTEXT, self._signer)
        self._prev = hashlib.sha256(line).digest()
        return line

    @property
    def head(self) -> Head:
        """Of the last line that was made."""
        return Head(self._number, self._prev)


class ChainReader:
    """Checks the lines of a chain one after the other; what one call accepts, no later one takes back."""

    def __init__(self, keys: KeyRing, id: str) -> None:
        self._keys = keys
        self._id = id
        self._prev = NOTHING
        self._key = ""
        self._ends = dict.fromkeys(PARTS, 0)
        self.count = 0
        """Links that were accepted."""
        self.last: Link | None = None

    @property
    def head(self) -> Head:
        """The last accepted link; number -1 if there is none."""
        return Head(self.count - 1, self._prev)

    @property
    def key(self) -> str:
        """Fingerprint of the key that signed the last accepted link."""
        return self._key

    def line(self, line: bytes) -> Link:
        """The link of the next line, with its line break. Raises ChainError; the state is then as before."""
        number = self.count
        try:
            body, signature = taken_apart(line)
            link = msgspec.json.decode(body, type=Link)
            key = link.key or self._key
            self._keys.check(key, signature, CONTEXT + b"\n" + body)
        except (SignatureError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ChainError(number, str(error)) from None
        self._fits(link)
        self.count, self._prev, self._key, self.last = number + 1, hashlib.sha256(line).digest(), key, link
        for part in PARTS:
            if segment := link.segment(part):
                self._ends[part] = segment.to
        return link

    def _fits(self, link: Link) -> None:
        """Whether a well signed link belongs here."""
        number = self.count
        if self.last is not None and self.last.state is not State.OPEN:
            raise ChainError(number, "a link stands behind the last one")
        if link.n != number:
            raise ChainError(number, f"link {link.n} stands where link {number} belongs")
        if link.prev != self._prev:
            raise ChainError(number, "the link does not follow from the one before it")
        if number == 0 and link.v != VERSION:
            raise ChainError(number, f"a chain of version {link.v}, which this release does not know")
        if number == 0 and link.id != self._id:
            raise ChainError(number, f"the chain is that of the recording {link.id[:40]!a}")
        for part in PARTS:
            segment = link.segment(part)
            if segment is not None and segment.to <= self._ends[part]:
                raise ChainError(number, f"a segment of the {part} that goes back")


def read_unchecked(line: bytes) -> tuple[Link, Head]:
    """The link of a line whose signature is not looked at: for the recorder that goes on after a crash.

    Raises ChainError.
    """
    try:
        body, _ = taken_apart(line)
        link = msgspec.json.decode(body, type=Link)
    except (SignatureError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ChainError(0, str(error)) from None
    return link, Head(link.n, hashlib.sha256(line).digest())
