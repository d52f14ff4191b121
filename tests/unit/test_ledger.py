"""The audit ledger: every change to rows or seals is found, and the first that is wrong is named."""

from __future__ import annotations

import ast
import itertools
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.adapters.sqlite import SqliteStore
from broker.model.audit import CODES, AuditEvent, LedgerHead, leaf
from broker.model.errors import Unavailable
from broker.model.seal import check_seal, decode_seal
from broker.services.ledger import LedgerCheck, LedgerReport, check_anchors, vouched
from broker.services.ledger_reading import checked_ledger
from broker.services.seals import Sealer, rotation
from recorder.signing import KeyRing, SigningKey
from tests.signer import KEYS, SIGNER
from tests.unit.rows import FixedClock

SOURCE = Path(__file__).parents[2] / "broker"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bartizan.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()


def append(store: SqliteStore, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        store.append(AuditEvent("login.accepted", number, "anne", detail={"n": number, "text": "é\x1b[31m"}))


def filled(store: SqliteStore, signer: SigningKey = SIGNER) -> Sealer:
    """Ten events under three seals, E-1 being the key's own."""
    sealer = Sealer(store, signer, FixedClock())
    sealer.begin()
    for first in (0, 4):
        append(store, 4 + first // 4, first)
        sealer.seal()
    return sealer


def report(store: SqliteStore, keys: KeyRing = KEYS) -> LedgerReport:
    return checked_ledger(store, keys)


def tampered(path: Path, *statements: str) -> None:
    """What somebody does who has the file and knows about the triggers."""
    with sqlite3.connect(path) as db:
        for name in ("audit_no_update", "audit_no_delete", "seals_no_update", "seals_no_delete"):
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)


def rehashed(path: Path, first: int) -> None:
    """Make the hashes fit again from event `first` on, as a careful forger would."""
    from broker.adapters.audit_table import event_of
    from broker.model.audit import next_head

    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        head = db.execute("SELECT hash FROM audit WHERE seq < ? ORDER BY seq DESC", (first,)).fetchone()[0]
        for row in db.execute("SELECT * FROM audit WHERE seq >= ? ORDER BY seq", (first,)).fetchall():
            head = next_head(head, leaf(row["seq"], event_of(row)))
            db.execute("UPDATE audit SET hash = ? WHERE seq = ?", (head, row["seq"]))


def test_a_ledger_that_nobody_touched_holds(store: SqliteStore) -> None:
    filled(store)
    found = report(store)
    assert (found.ok, found.problem, found.where) == (True, "", "")
    assert (found.events, found.seals, found.good, found.sealed, found.unsealed) == (10, 3, 10, 10, 0)
    assert found.head == store.head()
    append(store, 2)
    found = report(store)
    assert (found.ok, found.unsealed) == (True, 2)


def test_nothing_new_makes_no_seal(store: SqliteStore) -> None:
    sealer = filled(store)
    assert not sealer.seal()
    assert len(store.seals()) == 3


@pytest.mark.parametrize("column", ["code", "actor", "subject", "session", "detail", "at"])
def test_an_edited_row_is_named(store: SqliteStore, path: Path, column: str) -> None:
    filled(store)
    value = {"at": "7", "detail": "'{\"n\": 9}'"}.get(column, "'other'")
    tampered(path, f"UPDATE audit SET {column} = {value} WHERE seq = 6")
    found = report(store)
    assert (found.where, found.problem) == ("E-6", "event E-6 is not what was written")
    assert found.good == 5


def test_a_row_edited_by_one_who_rehashes_is_narrowed_down(store: SqliteStore, path: Path) -> None:
    filled(store)
    tampered(path, "UPDATE audit SET actor = 'nobody' WHERE seq = 7")
    rehashed(path, 7)
    found = report(store)
    assert found.problem == "one of the events E-6 to E-a is not what was sealed (seal 2)"
    assert (found.where, found.good) == ("E-6", 5)


@pytest.mark.parametrize("rehash", [False, True])
def test_a_removed_row_is_named(store: SqliteStore, path: Path, rehash: bool) -> None:
    filled(store)
    tampered(path, "DELETE FROM audit WHERE seq = 6")
    if rehash:
        rehashed(path, 6)
    assert report(store).problem == "event E-6 is missing"


def test_rows_cut_from_the_end_are_named(store: SqliteStore, path: Path) -> None:
    filled(store)
    tampered(path, "DELETE FROM audit WHERE seq > 7")
    found = report(store)
    assert found.problem == "event E-8 is missing: seal 2 covers E-a, the last here is E-7"
    assert found.good == 5


def test_all_rows_removed_is_found(store: SqliteStore, path: Path) -> None:
    filled(store)
    tampered(path, "DELETE FROM audit")
    assert report(store).problem.startswith("event E-1 is missing: seal 0 covers E-1")


def test_rows_and_seals_cut_and_written_anew_are_found_by_the_next_number(
    store: SqliteStore, path: Path
) -> None:
    """A number is never given twice: what is appended after a cut leaves a gap."""
    sealer = filled(store)
    tampered(path, "DELETE FROM audit WHERE seq > 5", "DELETE FROM audit_seals WHERE n > 1")
    assert report(store).ok, "alone, the database cannot tell: that is what anchors are for"
    append(store, 1)
    sealer.seal()
    assert report(store).problem == "event E-6 is missing"


def test_swapped_rows_are_found(store: SqliteStore, path: Path) -> None:
    filled(store)
    tampered(
        path,
        "UPDATE audit SET seq = 99 WHERE seq = 6",
        "UPDATE audit SET seq = 6 WHERE seq = 7",
        "UPDATE audit SET seq = 7 WHERE seq = 99",
    )
    assert report(store).where == "E-6"


def test_an_inserted_row_is_found(store: SqliteStore, path: Path) -> None:
    filled(store)
    tampered(
        path,
        """INSERT INTO audit
           SELECT 99, code, at, 'mallory', subject, session, detail, hash FROM audit WHERE seq = 6""",
    )
    assert report(store).problem == "event E-b is missing"


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM audit_seals WHERE n = 1", "seal 1 is missing: seal 2 stands in its place"),
        ("DELETE FROM audit_seals WHERE n = 0", "seal 0 is missing: seal 1 stands in its place"),
        ("UPDATE audit_seals SET line = x'7b7d0a' WHERE n = 1", "seal 1 does not hold"),
        (
            "UPDATE audit_seals SET line = (SELECT line FROM audit_seals WHERE n = 0) WHERE n = 1",
            "seal 1 is missing: seal 0 stands in its place",
        ),
        ("DELETE FROM audit_seals", "no seal of the audit holds: nothing can be proved"),
    ],
)
def test_a_changed_seal_is_found(store: SqliteStore, path: Path, statement: str, problem: str) -> None:
    filled(store)
    tampered(path, statement)
    assert report(store).problem.startswith(problem)


def test_a_ledger_sealed_anew_by_a_stranger_is_found(store: SqliteStore, path: Path) -> None:
    filled(store)
    tampered(path, "UPDATE audit SET actor = 'nobody' WHERE seq = 3", "DELETE FROM audit_seals")
    rehashed(path, 3)
    stranger = SigningKey.generate()
    Sealer(store, stranger, FixedClock()).begin()
    found = report(store)
    assert "signed by a key that is not known here" in found.problem
    assert found.good == 0


def test_rows_of_an_older_release_are_hashed_when_they_are_met(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm0002_ledger'")
        db.execute("DROP TABLE audit_seals")
        db.execute("DROP INDEX audit_code")
        db.execute("DROP INDEX audit_session")
        db.execute("ALTER TABLE audit DROP COLUMN hash")
        for seq in (1, 2, 3):
            db.execute("INSERT INTO audit VALUES (?, 'login.accepted', 1, 'anne', '', '', '{}')", (seq,))
    store = SqliteStore(path)
    Sealer(store, SIGNER, FixedClock()).begin()
    found = report(store)
    assert (found.ok, found.events, found.sealed) == (True, 4, 4)
    store.close()
    with sqlite3.connect(path) as db, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute("UPDATE audit SET actor = 'x'")


# ---------------------------------------------------------------- keys


def test_the_key_introduces_itself_once(store: SqliteStore) -> None:
    filled(store)
    Sealer(store, SIGNER, FixedClock()).begin()
    [entry] = store.entries(codes=["signing.key"])
    assert entry.event.subject == SIGNER.key
    assert entry.event.detail == {"public": SIGNER.public.line, "before": ""}


def test_who_trusts_either_key_of_a_rotation_trusts_the_ledger(store: SqliteStore) -> None:
    newer = SigningKey.generate()
    filled(store)
    store.append(rotation(SIGNER, newer, 1, "unix:root"))
    Sealer(store, newer, FixedClock()).begin()
    assert store.entries(codes=["signing.key"])[1].event.detail["before"] == SIGNER.key
    for trusted in (SIGNER, newer):
        assert report(store, KeyRing([trusted.public])).ok
    assert not report(store, KeyRing([SigningKey.generate().public])).ok


def test_a_new_key_that_the_old_one_does_not_vouch_for_is_told_of(store: SqliteStore) -> None:
    newer = SigningKey.generate()
    filled(store)
    Sealer(store, newer, FixedClock()).begin()
    assert report(store, KeyRing([newer.public])).problem.startswith("seal 0 does not hold: signed by a key")
    assert report(store, KeyRing([SIGNER.public])).problem.startswith("seal 3 does not hold: signed by a key")
    assert report(store, KeyRing([SIGNER.public, newer.public])).ok


def test_an_event_alone_makes_no_key_trusted(store: SqliteStore) -> None:
    """Somebody who can write rows, and has them sealed by the broker, does not become a signer by that."""
    mallory = SigningKey.generate()
    event = rotation(mallory, SIGNER, 1, "unix:root")
    forged = {**event.detail, "after_proof": event.detail["before_proof"]}
    for detail in (forged, {}, {**event.detail, "before": "x"}, {**event.detail, "after_proof": "!"}):
        ring = vouched(KEYS, [AuditEvent("signing.rotated", 1, "unix:root", "", "", detail)])
        assert mallory.key not in ring


def test_keys_are_vouched_for_over_several_rotations(store: SqliteStore) -> None:
    keys = [SigningKey.generate() for _ in range(4)]
    events = [rotation(before, after, 1, "unix:root") for before, after in itertools.pairwise(keys)]
    for start in keys:
        ring = vouched(KeyRing([start.public]), reversed(events))
        assert all(key.key in ring for key in keys)


def test_a_damaged_last_seal_stops_the_start(store: SqliteStore, path: Path) -> None:
    filled(store)
    tampered(path, "UPDATE audit_seals SET line = x'7b7d0a' WHERE n = 2")
    with pytest.raises(Unavailable, match="the last seal of the audit cannot be read"):
        Sealer(store, SIGNER, FixedClock()).begin()


# ---------------------------------------------------------------- excerpts


def test_an_excerpt_holds_without_showing_what_is_nobodys_business(store: SqliteStore) -> None:
    filled(store)
    entries, seals = store.entries(), store.seals()
    check = LedgerCheck(KEYS, whole=False)
    check.begin(LedgerHead(5, entries[4].head))
    for entry in entries[5:]:
        if entry.seq == 8:
            check.event(entry)
        else:
            check.hidden(entry.seq, leaf(entry.seq, entry.event))
    check.seal(seals[2])
    assert check.report().ok


@pytest.mark.parametrize("change", ["head", "event", "hidden", "left-out"])
def test_a_changed_excerpt_is_found(store: SqliteStore, change: str) -> None:
    filled(store)
    entries, seals = store.entries(), store.seals()
    check = LedgerCheck(KEYS, whole=False)
    check.begin(LedgerHead(5, bytes(32) if change == "head" else entries[4].head))
    for entry in entries[5:]:
        actor = "mallory" if change == "event" and entry.seq == 8 else entry.event.actor
        event = AuditEvent(
            entry.event.code, entry.event.at, actor, entry.event.subject, "", entry.event.detail
        )
        if not (change == "left-out" and entry.seq == 9):
            check.hidden(entry.seq, bytes(32) if change == "hidden" else leaf(entry.seq, event))
    check.seal(seals[2])
    assert not check.report().ok


# ---------------------------------------------------------------- anchors


def anchored(store: SqliteStore, places: Callable[[bytes], object]) -> None:
    sealer = filled(store)
    for number in (1, 2):
        line = store.seals()[number]
        places(line)
        sealer.mention("file:/anchors", number)
        append(store, 1)
        sealer.seal()


def test_anchors_that_are_all_there_hold(store: SqliteStore) -> None:
    lines: list[bytes] = []
    anchored(store, lines.append)
    seals = {decode_seal(line)[0].n: line for line in store.seals()}
    claimed = {n for line in seals.values() for n in check_seal(line, KEYS).anchored.values()}
    assert claimed == {1, 2}
    assert check_anchors("f", lines, seals, claimed) == ""
    assert check_anchors("f", lines[:1], seals, claimed) == "the anchor of seal 2 is missing from f"
    assert check_anchors("f", lines[1:], seals, claimed) == "the anchor of seal 1 is missing from f"
    assert check_anchors("f", [*lines, b"x\n"], seals, claimed).startswith("line 3 of f is no anchor")
    less = {n: line for n, line in seals.items() if n < 2}
    assert check_anchors("f", lines, less, {1}).startswith("the audit was cut: f has seal 2 over E-a")
    other = {**seals, 2: seals[3]}
    assert check_anchors("f", lines, other, claimed).startswith(
        "seal 2 is not the one that was anchored at f"
    )


def test_a_place_is_mentioned_once_and_not_before_it_is_true(store: SqliteStore) -> None:
    anchored(store, len)
    mentions = [decode_seal(line)[0].anchored for line in store.seals()]
    assert mentions == [{}, {}, {}, {"file:/anchors": 1}, {"file:/anchors": 2}]


# ---------------------------------------------------------------- codes


def test_every_code_in_the_source_is_in_the_catalogue_and_none_besides() -> None:
    found = {"users.locked", "users.unlocked"}  # put together where they are used
    for path in SOURCE.rglob("*.py"):
        if path.name != "audit.py" or path.parent.name != "model":
            found |= set(codes_in(ast.parse(path.read_text())))
    assert found == set(CODES)


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Texts of the form of a code, but for what goes into the log alone."""
    if isinstance(tree, ast.Call) and ast.unparse(tree.func).startswith("log."):
        return
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        kind, dot, rest = tree.value.partition(".")
        if dot and kind in _KINDS and re.fullmatch("[a-z-]+", rest) and tree.value not in _NO_CODES:
            yield tree.value
    for child in ast.iter_child_nodes(tree):
        yield from codes_in(child)


_NO_CODES = {"control.sock", "recording.dir", "audit.jsonl"}
_KINDS = {code.partition(".")[0] for code in CODES}


def test_a_seal_is_a_line_of_json(store: SqliteStore) -> None:
    filled(store)
    for line in store.seals():
        assert json.loads(line)["key"] == SIGNER.key
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
