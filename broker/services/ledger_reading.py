"""The audit of a store, checked as a whole in bounded memory, with the copies of its seals outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from broker.model.audit import AuditEntry, AuditEvent
from broker.model.seal import LONGEST_SEAL, SealError, decode_seal
from broker.ports import AuditStore
from broker.services.ledger import LedgerCheck, LedgerReport, check_anchors, vouched
from recorder.signing import KeyRing

_PAGE = 2000
Progress = Callable[[int], object]
"""Called with a number of events that were looked at."""


def _nothing(_: int) -> None:
    """Nobody watches."""


def entries_of(store: AuditStore) -> Iterator[AuditEntry]:
    """All events, oldest first."""
    after = 0
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


def checked_ledger(store: AuditStore, trusted: KeyRing, progress: Progress = _nothing) -> LedgerReport:
    """Check every event and every seal of the store."""
    check = LedgerCheck(keys_of(store, trusted))
    seals = seals_of(store)
    waiting = next(seals, None)
    for entry in entries_of(store):
        check.event(entry)
        progress(1)
        while waiting is not None and _covers(waiting) <= entry.seq:
            check.seal(waiting)
            waiting = next(seals, None)
    while waiting is not None:
        check.seal(waiting)
        waiting = next(seals, None)
    return check.report()


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
