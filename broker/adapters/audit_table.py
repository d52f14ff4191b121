"""The audit ledger in SQLite: each event is hashed onto the head in the transaction that adds it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlite_utils import Database

from broker.model.audit import GENESIS, AuditEntry, AuditEvent, LedgerHead, leaf, next_head

_INSERT = """INSERT INTO audit (seq, code, at, actor, subject, session, detail, hash)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""


def append_event(db: Database, event: AuditEvent) -> int:
    """Add an event; its number. A number is never given twice, even if rows were removed."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    seq = (found[0] if found else 0) + 1
    values = (
        seq, event.code, event.at, event.actor, event.subject, event.session, json.dumps(event.detail),
        next_head(head_of(db).sha256, leaf(seq, event)),
    )  # fmt: skip
    db.execute(_INSERT, values)
    return seq


def head_of(db: Database) -> LedgerHead:
    """What the newest row says."""
    row = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return LedgerHead(row[0], row[1]) if row else LedgerHead(0, GENESIS)


def add_seal(db: Database, make: Callable[[LedgerHead, bytes | None], bytes | None]) -> bool:
    """Add what `make` makes of the head and the newest seal; False if it makes none."""
    row = db.execute("SELECT n, line FROM audit_seals ORDER BY n DESC LIMIT 1").fetchone()
    line = make(head_of(db), row[1] if row else None)
    if line is None:
        return False
    db.execute("INSERT INTO audit_seals (n, line) VALUES (?, ?)", (row[0] + 1 if row else 0, line))
    return True


def event_of(row: Mapping[str, Any]) -> AuditEvent:
    """Raises ValueError for a row whose detail is not what was written."""
    detail = json.loads(row["detail"])
    return AuditEvent(row["code"], row["at"], row["actor"], row["subject"], row["session"], detail)


def entry_of(row: Mapping[str, Any]) -> AuditEntry:
    """As `event_of`, with its place in the ledger."""
    return AuditEntry(row["seq"], event_of(row), row["hash"])


def hash_existing(db: Database) -> None:
    """Give the rows of an older release their hashes."""
    head = GENESIS
    for row in list(db.query("SELECT * FROM audit ORDER BY seq")):
        head = next_head(head, leaf(row["seq"], event_of(row)))
        db.execute("UPDATE audit SET hash = ? WHERE seq = ?", (head, row["seq"]))
