"""The audit of a store, checked as a whole in bounded memory, with the copies of its seals outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from broker.model.audit import AuditEntry, AuditEvent
from broker.model.seal import LONGEST_SEAL, SealError, check_seal, decode_seal
from broker.ports import AuditStore
from broker.services.ledger import LedgerCheck, LedgerReport, check_anchors, vouched
from recorder.signing import KeyRing

_PAGE = 2000
Progress = Callable[[int], object]
"""Called with a number of events that were looked at."""


def _nothing(_: int) -> None:
    """Nobody watches."""


def entries_of(store: AuditStore, after: int = 0) -> Iterator[AuditEntry]:
    """All events behind number `after`, oldest first."""
    while page := store.entries(after=after, limit=_PAGE):
        yield from page
        after = page[-1].seq


def seals_of(store: AuditStore) -> Iterator[bytes]:
    """All seals, oldest first."""
    after, count = -1, 0
    while page := store.seals(after=after, limit=_PAGE):
        yield from page
        count += len(page)
        after = _number(page[-1], count)


def _number(line: bytes, count: int) -> int:
    try:
        return decode_seal(line)[0].n
    except SealError:
        return count - 1


def rotations(store: AuditStore) -> list[AuditEvent]:
    """The events by which keys vouch for each other."""
    return [entry.event for entry in store.entries(codes=["signing.rotated"], limit=10_000)]


def keys_of(store: AuditStore, trusted: KeyRing) -> KeyRing:
    """The trusted keys and all that they vouch for."""
    return vouched(trusted, rotations(store))


def checked_ledger(
    store: AuditStore, trusted: KeyRing, progress: Progress = _nothing, after: int = 0
) -> LedgerReport:
    """Check every event and every seal of the store; or only from the newest seal on that covers nothing
    behind event number `after`."""
    check = LedgerCheck(keys_of(store, trusted))
    newest = store.last_seal()  # before the head: what is written meanwhile is for the next check
    head = store.head()
    seals = until(seals_of(store), newest)
    waiting = next(seals, None)
    start = 0
    if after and (begin := _seal_before(store, after)) is not None:
        check.resume(begin)
        start = _covers(begin)
        waiting = next((line for line in seals if _covers(line) > start), None)
    for entry in entries_of(store, start):
        if entry.seq > head.seq:
            break
        check.event(entry)
        progress(1)
        while waiting is not None and _covers(waiting) <= entry.seq:
            check.seal(waiting)
            waiting = next(seals, None)
    while waiting is not None:
        check.seal(waiting)
        waiting = next(seals, None)
    return check.report()


def until(seals: Iterator[bytes], newest: bytes | None) -> Iterator[bytes]:
    """The seals up to this one."""
    for line in seals:
        yield line
        if line == newest:
            return


def _seal_before(store: AuditStore, seq: int) -> bytes | None:
    return max((line for line in seals_of(store) if _covers(line) <= seq), key=_covers, default=None)


def _covers(line: bytes) -> int:
    """Up to which event a seal says that it reaches; one that cannot be read is looked at at once."""
    try:
        return decode_seal(line)[0].seq
    except SealError:
        return 0


def anchor_problems(store: AuditStore) -> tuple[dict[str, int], list[str]]:
    """Places outside with the newest seal that is there, and what is wrong with those this host can read."""
    claimed: dict[str, set[int]] = {}
    seals: dict[int, bytes] = {}
    for line in seals_of(store):
        try:
            seal = decode_seal(line)[0]
        except SealError:
            continue  # the check of the ledger names it
        seals[seal.n] = line
        for place, number in seal.anchored.items():
            claimed.setdefault(place, set()).add(number)
    problems = [problem for place, numbers in claimed.items() if (problem := _problem(place, seals, numbers))]
    return {place: max(numbers) for place, numbers in claimed.items()}, problems


def _problem(place: str, seals: dict[int, bytes], claimed: set[int]) -> str:
    kind, _, name = place.partition(":")
    if kind != "file":
        return ""
    try:
        lines = read_anchors(Path(name))
    except OSError as exc:
        return f"the anchors in {name} cannot be read ({exc.strerror})"
    return check_anchors(name, lines, seals, claimed)


def read_anchors(path: Path) -> list[bytes]:
    """The lines of a file of anchors; one that a crash cut off at the end does not count. Raises OSError."""
    with path.open("rb") as file:
        lines = [line for line in iter(lambda: file.readline(LONGEST_SEAL), b"") if line.strip()]
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]


LATE = 60_000_000
"""Microseconds after which an event without a seal is no longer on its way to one."""


def late_events(store: AuditStore, keys: KeyRing, now: int) -> str:
    """What is wrong with the newest seal, or with events that wait for one; empty if nothing is."""
    line = store.last_seal()
    if line is None:
        return "the audit has no seal" if store.head().seq else ""
    try:
        seal = check_seal(line, keys)
    except SealError as exc:
        return f"the newest seal does not hold: {exc}"
    waiting = store.entries(after=seal.seq, limit=1)
    if waiting and now - waiting[0].event.at > LATE:
        return f"{waiting[0].id} and what follows are not sealed: does the broker run?"
    return ""
