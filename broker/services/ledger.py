"""Whether the audit is what was sealed: the first event or seal that is wrong is named. Pure.

Takes the whole ledger, or excerpts of it: an excerpt begins with the head that was then and ends with a seal,
which proves that head too; of events that are nobody's business it has the hash alone.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from broker.model.audit import AuditEntry, AuditEvent, LedgerHead, audit_id, leaf, next_head
from broker.model.seal import (
    NOTHING,
    Seal,
    SealError,
    check_seal,
    decode_seal,
    line_hash,
    rotation_statement,
)
from recorder.signing import BadKey, KeyRing, SignatureError, read_public_keys


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What was found. `good`: the last event up to which all holds; `sealed`: the last that a seal covers."""

    events: int
    seals: int
    problem: str
    where: str
    """`E-1f` or `seal 17`; empty if nothing is wrong."""
    good: int
    sealed: int
    head: LedgerHead
    last_seal: Seal | None

    @property
    def ok(self) -> bool:
        return not self.problem

    @property
    def unsealed(self) -> int:
        """Events at the end that no seal covers yet."""
        return self.events and self.head.seq - self.sealed


@dataclass(slots=True)
class LedgerCheck:
    """Feed it events and seals in order: a seal right behind the event that it covers last."""

    keys: KeyRing
    whole: bool = True
    """False: excerpts."""
    _head: LedgerHead = field(default_factory=LedgerHead)
    _events: int = 0
    _good: int = 0
    _problem: tuple[str, str] = ("", "")
    _previous: bytes | None = None
    _last: Seal | None = None
    _open: bool = False
    _seals: int = 0
    _sealed: int = 0

    # ------------------------------------------------------------ events

    def event(self, entry: AuditEntry) -> None:
        """The next event."""
        computed = self._link(entry.seq, leaf(entry.seq, entry.event))
        if computed != entry.head:
            self._wrong(entry.id, f"event {entry.id} is not what was written")
            self._head = LedgerHead(entry.seq, entry.head)

    def hidden(self, seq: int, event_leaf: bytes) -> None:
        """The next event, of which the hash alone is told."""
        self._link(seq, event_leaf)

    def _link(self, seq: int, event_leaf: bytes) -> bytes:
        expected = self._head.seq + 1
        if seq != expected:
            which = audit_id(expected) if seq > expected else audit_id(seq)
            what = f"event {which} is missing" if seq > expected else f"event {which} stands twice"
            self._wrong(which, what)
        computed = next_head(self._head.sha256, event_leaf)
        self._head = LedgerHead(seq, computed)
        self._events += 1
        self._open = True
        return computed

    # ------------------------------------------------------------ seals

    def begin(self, head: LedgerHead) -> None:
        """An excerpt begins behind the event that left this head."""
        self._closed()
        self._head = head

    def _closed(self) -> None:
        """What an excerpt holds counts by the seal behind it."""
        if self._open:
            where = audit_id(self._head.seq)
            self._wrong(where, f"no seal stands behind event {where}: nothing proves it")
        self._open = False

    def resume(self, line: bytes) -> None:
        """What this seal covers is not looked at: the whole of the ledger begins behind it."""
        seal = self._checked(line)
        if seal is not None:
            self._head, self._previous, self._last = seal.ledger, line, seal
            self._good, self._sealed, self._seals = seal.seq, seal.seq, 1

    def seal(self, line: bytes) -> None:
        """The next seal, over all events so far."""
        seal = self._checked(line)
        self._open = False
        if seal is None:
            return
        name = f"seal {seal.n}"
        if self.whole:
            self._follows(seal, name)
        if seal.seq > self._head.seq:
            first = audit_id(self._head.seq + 1)
            text = f"event {first} is missing: {name} covers {audit_id(seal.seq)}, "
            text += f"the last here is {audit_id(self._head.seq)}" if self._head.seq else "there is none"
            self._wrong(first, text)
        elif seal.seq < self._head.seq:
            self._wrong(name, f"{name} covers no event that {name_of(self._last)} did not")
        elif seal.head != self._head.sha256:
            self._wrong(*self._span(seal))
        elif not self._problem[0]:
            self._good = seal.seq
        self._sealed = max(self._sealed, seal.seq)
        self._previous, self._last = line, seal
        self._seals += 1

    def _span(self, seal: Seal) -> tuple[str, str]:
        """Which events a seal speaks against."""
        first = audit_id((self._last.seq if self._last else 0) + 1)
        last = audit_id(seal.seq)
        events = f"event {first} is" if first == last else f"one of the events {first} to {last} is"
        return first, f"{events} not what was sealed (seal {seal.n})"

    def _follows(self, seal: Seal, name: str) -> None:
        expected = 0 if self._last is None else self._last.n + 1
        prev = NOTHING if self._previous is None else line_hash(self._previous)
        if seal.n != expected:
            self._wrong(f"seal {expected}", f"seal {expected} is missing: seal {seal.n} stands in its place")
        elif seal.prev != prev:
            self._wrong(name, f"{name} does not follow from the seal before it")

    def _checked(self, line: bytes) -> Seal | None:
        number = 0 if self._last is None else self._last.n + 1
        try:
            return check_seal(line, self.keys)
        except SealError as error:
            name = f"seal {number}"
            with suppress(SealError):
                name = f"seal {decode_seal(line)[0].n}"
            self._wrong(name, f"{name} does not hold: {error}")
            return None

    # ------------------------------------------------------------ the end

    def _wrong(self, where: str, text: str) -> None:
        if not self._problem[0]:
            self._problem = (where, text)

    def report(self) -> LedgerReport:
        """What was found in all that was fed."""
        if not self.whole:
            self._closed()
        if not self._seals and (self._events or not self.whole):
            self._wrong("E-1", "no seal of the audit holds: nothing can be proved")
        where, problem = self._problem
        good = self._good if problem else self._head.seq
        return LedgerReport(
            self._events, self._seals, problem, where, good, self._sealed, self._head, self._last
        )


def vouched(trusted: KeyRing, rotations: Iterable[AuditEvent]) -> KeyRing:
    """The trusted keys, and those that one of them vouches for in an event `signing.rotated`.

    What such an event says counts by the signatures in it alone, wherever it was found.
    """
    ring, left = KeyRing(trusted), list(rotations)
    while True:
        grown = [event for event in left if _grow(ring, event)]
        if not grown:
            return ring
        left = [event for event in left if event not in grown]


def _grow(ring: KeyRing, event: AuditEvent) -> bool:
    """Add the key on the other side of a rotation; False if it tells of none that is new."""
    try:
        keys = [key for name in ("before", "after") for key in read_public_keys(str(event.detail[name]))]
        proofs = [base64.b64decode(str(event.detail[f"{name}_proof"])) for name in ("before", "after")]
        before, after = keys
    except (BadKey, KeyError, ValueError):
        return False
    for known, proof, other in ((before, proofs[0], after), (after, proofs[1], before)):
        if known.fingerprint in ring and other.fingerprint not in ring:
            with suppress(SignatureError):
                ring.check(known.fingerprint, proof, rotation_statement(before, after))
                ring.add(other)
                return True
    return False


def name_of(seal: Seal | None) -> str:
    """A seal in words."""
    return "the one before" if seal is None else f"seal {seal.n}"


def check_anchors(place: str, lines: list[bytes], seals: dict[int, bytes], claimed: set[int]) -> str:
    """What is wrong with the copies of seals at a place; empty if nothing is.

    seals: the ledger's own, by number. claimed: numbers that the ledger says were brought there.
    """
    found: set[int] = set()
    for number, line in enumerate(lines, 1):
        try:
            seal = decode_seal(line)[0]
        except SealError as error:
            return f"line {number} of {place} is no anchor ({error})"
        if seal.n not in seals:
            return (
                f"the audit was cut: {place} has seal {seal.n} over {audit_id(seal.seq)}, which is not here"
            )
        if seals[seal.n] != line:
            return f"seal {seal.n} is not the one that was anchored at {place} (line {number})"
        found.add(seal.n)
    if missing := claimed - found:
        return f"the anchor of seal {min(missing)} is missing from {place}"
    return ""
