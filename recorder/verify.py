"""Whether a recording is what its chain says: the first thing that is wrong is named, and what is still good.

Works on a folder and on anything else that gives the parts as open files (`Source`); asks no broker.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Protocol

from recorder.cast import CastError, EventDecoder, decode_stream_event
from recorder.chain import LONGEST_LINK, PARTS, ChainError, ChainReader, Link, Segment, State, line_crcs
from recorder.signing import KeyRing

_BLOCK = 1 << 20
Progress = Callable[[int], object]
"""Called with a number of bytes that were looked at."""


class Condition(StrEnum):
    """The first four are good. `NONE`: nothing was recorded, because nothing ran; only who else knows that
    can say so."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    LIVE = "live"
    NONE = "none"
    TRUNCATED = "truncated"
    ALTERED = "altered"
    UNSIGNED = "unsigned"
    MISSING = "missing"


_GOOD = frozenset({Condition.COMPLETE, Condition.INTERRUPTED, Condition.LIVE, Condition.NONE})
_NO_ANCHORS: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is wrong. `byte` from 0, `line` from 1 and 0 if unknown, `t` in microseconds."""

    file: str
    byte: int
    line: int = 0
    t: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `links`: how many hold from the start on; up to `good_t` (microseconds) all is sound.

    `unsealed`: bytes that no link covers (live or cut off), or that were signed only after a crash.
    """

    id: str
    condition: Condition
    problem: str = ""
    place: Place | None = None
    links: int = 0
    good_t: int = 0
    size: int = 0
    unsealed: int = 0
    head: str = ""
    """SHA-256 of the last link that holds, in hexadecimal."""
    key: str = ""
    """Fingerprint of the key that signed it."""

    @property
    def good(self) -> bool:
        """True if nothing is wrong."""
        return self.condition in _GOOD


class Source(Protocol):
    """The files of one recording."""

    @property
    def id(self) -> str: ...

    def open(self, part: str) -> BinaryIO:
        """`cast`, `events` or `chain`, from its beginning. Raises FileNotFoundError, OSError."""

    def live(self) -> bool:
        """True if a recorder writes it now."""


@dataclass(frozen=True, slots=True)
class Files:
    """A recording in a folder."""

    cast: Path

    @property
    def id(self) -> str:
        return self.cast.stem

    def open(self, part: str) -> BinaryIO:
        return self.cast.with_suffix(f".{part}").open("rb")

    def live(self) -> bool:
        """Its recorder holds a lock, which the kernel takes back when it dies (lesson 30)."""
        try:
            with self.cast.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


class _Wrong(Exception):
    """Something does not hold."""

    def __init__(self, condition: Condition, problem: str, place: Place) -> None:
        super().__init__(problem)
        self.condition, self.place = condition, place


def _nothing(_: int) -> None:
    """Nobody watches."""


def verify_recording(
    source: Source, keys: KeyRing, progress: Progress = _nothing, anchors: Mapping[int, str] = _NO_ANCHORS
) -> Verdict:
    """Check every byte of a recording. Raises OSError if the disk does, nothing for what the files hold.

    anchors: heads of links that are known from elsewhere (hexadecimal), by number: it has to have them.
    """
    live = source.live()
    try:
        file = source.open("chain")
    except FileNotFoundError:
        return _without_chain(source)
    with file:
        chain = _read(source, file, keys)
    try:
        checks = [_Check(source, part, chain.links, progress) for part in PARTS]
        size = sum(check.run() for check in checks)
    except _Wrong as wrong:
        return _bad(source, wrong, chain)
    verdict = replace(chain.verdict(len(chain.links)), size=size)
    try:
        chain.hold(anchors)
        return _judged(verdict, chain, [check.beyond for check in checks], live)
    except _Wrong as wrong:
        return _with(verdict, wrong)


@dataclass(frozen=True, slots=True)
class _Chain:
    """The links up to the first that does not hold, what is wrong with that one, and where it begins."""

    id: str
    links: list[Link]
    heads: list[str]
    key: str
    end: int
    fault: _Wrong | None

    def hold(self, anchors: Mapping[int, str]) -> None:
        """Raises _Wrong if a link does not hold, or is not the one that was anchored."""
        if self.fault is not None:
            raise self.fault
        for number, head in sorted(anchors.items()):
            place = Place(f"{self.id}.chain", self.end, number + 1)
            if number >= len(self.links):
                text = f"it was cut off: link {number} was anchored, the last here is {len(self.links) - 1}"
                raise _Wrong(Condition.TRUNCATED, text, place)
            if self.heads[number] != head:
                text = f"link {number} is not the one that was anchored"
                raise _Wrong(Condition.ALTERED, text, place)

    def verdict(self, count: int) -> Verdict:
        """With the first `count` links, so far good."""
        return Verdict(
            self.id,
            Condition.COMPLETE,
            links=count,
            good_t=self.links[count - 1].t if count else 0,
            head=self.heads[count - 1] if count else "",
            key=self.key if count else "",
        )


def _read(source: Source, file: BinaryIO, keys: KeyRing) -> _Chain:
    reader = ChainReader(keys, source.id)
    links: list[Link] = []
    heads: list[str] = []
    end, fault = 0, None
    while line := file.readline(LONGEST_LINK):
        if not line.endswith(b"\n") and (reader.last is None or reader.last.state is State.OPEN):
            break  # in the middle of being written, or cut off
        try:
            links.append(reader.line(line))
        except ChainError as error:
            text = f"link {error.number} of the chain does not hold: {error}"
            fault = _Wrong(Condition.ALTERED, text, Place(f"{source.id}.chain", end, len(links) + 1))
            break
        heads.append(reader.head.text)
        end += len(line)
    return _Chain(source.id, links, heads, reader.key, end, fault)


def _without_chain(source: Source) -> Verdict:
    name = f"{source.id}.chain"
    try:
        source.open("cast").close()
    except FileNotFoundError:
        return Verdict(
            source.id, Condition.MISSING, "the recording is not there", Place(f"{source.id}.cast", 0)
        )
    return Verdict(
        source.id, Condition.UNSIGNED, f"{name} is not there: nothing can be proved", Place(name, 0)
    )


def _with(verdict: Verdict, wrong: _Wrong) -> Verdict:
    return replace(verdict, condition=wrong.condition, problem=str(wrong), place=wrong.place)


def _bad(source: Source, wrong: _Wrong, chain: _Chain) -> Verdict:
    """All links hold before the first that covers the place, or what is behind it."""
    part, byte = wrong.place.file.rpartition(".")[2], wrong.place.byte
    reach = ((n, link.segment(part)) for n, link in enumerate(chain.links))
    count = next((n for n, segment in reach if segment is not None and segment.to > byte), len(chain.links))
    return _with(chain.verdict(count), wrong)


def _judged(verdict: Verdict, chain: _Chain, beyond: list[int], live: bool) -> Verdict:
    """The chain holds as far as it goes: does it go to the end? Raises _Wrong."""
    state = chain.links[-1].state if chain.links else State.OPEN
    if state is State.OPEN:
        verdict = replace(verdict, unsealed=sum(beyond))
        if live:
            return replace(verdict, condition=Condition.LIVE)
        text = "there is no end: it was cut off, or its recorder died and none has been started since"
        place = Place(f"{chain.id}.chain", chain.end, len(chain.links) + 1)
        return _with(verdict, _Wrong(Condition.TRUNCATED, text, place))
    for part, more in zip(PARTS, beyond, strict=True):
        if more:
            place = Place(f"{chain.id}.{part}", _reach(chain.links, part))
            raise _Wrong(Condition.ALTERED, f"{more} bytes were added behind the end", place)
    if state is State.INTERRUPTED:
        late = sum(_reach(chain.links, part) - _reach(chain.links[:-1], part) for part in PARTS)
        return replace(verdict, condition=Condition.INTERRUPTED, unsealed=late)
    return verdict


def _reach(links: list[Link], part: str) -> int:
    """Up to which byte the links cover a file."""
    return max((segment.to for link in links if (segment := link.segment(part))), default=0)


class _Check:
    """One file against the segments of the chain."""

    def __init__(self, source: Source, part: str, links: list[Link], progress: Progress) -> None:
        self._source, self._part, self._links, self._progress = source, part, links, progress
        self._name = f"{source.id}.{part}"
        self._line = 1
        self.beyond = 0
        """Bytes after the last segment."""

    def run(self) -> int:
        """The size of the file. Raises _Wrong at the first segment that is not as signed."""
        try:
            file = self._source.open(self._part)
        except FileNotFoundError:
            raise _Wrong(Condition.MISSING, f"{self._name} is not there", Place(self._name, 0)) from None
        with file:
            at = 0
            for link in self._links:
                if segment := link.segment(self._part):
                    self._segment(file, at, segment, link)
                    at = segment.to
                    self._line += segment.lines
            while block := file.read(_BLOCK):
                self.beyond += len(block)
                self._progress(len(block))
        return at + self.beyond

    def _segment(self, file: BinaryIO, at: int, segment: Segment, link: Link) -> None:
        digest, left = hashlib.sha256(), segment.to - at
        while left and (block := file.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
            self._progress(len(block))
        if digest.digest() != segment.sha256 or left:
            file.seek(at)
            raise self._named(file, at, segment, link, left)

    def _named(self, file: BinaryIO, at: int, segment: Segment, link: Link, left: int) -> _Wrong:
        """Which line it is: the first whose CRC differs."""
        count = len(segment.crc) // 4
        for index in range(count):
            line = file.readline(segment.to - at if segment.to > at else 1)
            if not line.endswith(b"\n") or line_crcs(line, 1) != segment.crc[4 * index : 4 * index + 4]:
                return self._wrong(at, self._line + index, line, link, left)
            at += len(line)
        return self._wrong(at, 0 if left == 0 else self._line + count, b"", link, left)

    def _wrong(self, at: int, number: int, line: bytes, link: Link, left: int) -> _Wrong:
        t = _time_of(self._part, line)
        place = Place(self._name, at, number, link.t if t is None else t)
        where = f"line {number}" if number else f"one of the lines of link {link.n}"
        if left and not line.endswith(b"\n"):
            return _Wrong(Condition.TRUNCATED, f"{self._name} ends too early, in {where}", place)
        return _Wrong(Condition.ALTERED, f"{where} of {self._name} is not what was signed", place)


def _time_of(part: str, line: bytes) -> int | None:
    """The time that the line itself tells, if it still can be read."""
    try:
        if part == "events":
            return decode_stream_event(line, 0).t
        event = EventDecoder(2).line(line, 0)
    except CastError:
        return None
    return event.t if event else None
