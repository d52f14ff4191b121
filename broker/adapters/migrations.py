"""The schema of the store, as steps that are each applied once, in order, in a transaction.

A released step is never changed: a change of the schema is a new function at the end.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from broker.adapters.audit_table import hash_existing

MIGRATIONS = Migrations("bartizan")

_PEOPLE = """
CREATE TABLE users (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, groups TEXT NOT NULL, admin INTEGER NOT NULL,
    created_at INTEGER NOT NULL, locked_at INTEGER, unix_user TEXT UNIQUE
) STRICT;
CREATE TABLE keys (
    fingerprint TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users(name), line TEXT NOT NULL,
    comment TEXT NOT NULL, added_at INTEGER NOT NULL, last_used_at INTEGER
) STRICT;
CREATE INDEX keys_user ON keys(user);
"""

_HOSTS = """
CREATE TABLE host_keys (
    target TEXT NOT NULL, line TEXT NOT NULL, pinned_by TEXT NOT NULL, pinned_at INTEGER NOT NULL,
    PRIMARY KEY (target, line)
) STRICT;
"""

# AUTOINCREMENT: a session number is never given twice, even if its row were removed.
_SESSIONS = """
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, target TEXT NOT NULL,
    account TEXT NOT NULL, channel TEXT NOT NULL, command TEXT NOT NULL, source TEXT NOT NULL,
    reason TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER, state TEXT NOT NULL,
    exit_status INTEGER, end_reason TEXT NOT NULL, recording TEXT NOT NULL, size INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions(user, number);
CREATE INDEX sessions_state ON sessions(state, number);
"""

# The triggers stop a slip of our own code, not an administrator with the file in hand.
_AUDIT = """
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL,
    subject TEXT NOT NULL, session TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
"""

_SECRETS = """
CREATE TABLE master_keys (
    version INTEGER PRIMARY KEY AUTOINCREMENT, key_id TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE secrets (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, version INTEGER NOT NULL, created_at INTEGER NOT NULL,
    rotated_at INTEGER, key_id TEXT NOT NULL REFERENCES master_keys(key_id),
    wrapped_key BLOB NOT NULL, ciphertext BLOB NOT NULL
) STRICT;
"""


# One vote of each voter counts: the index refuses a second one that was not taken back.
_REQUESTS = """
CREATE TABLE requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, user TEXT NOT NULL, target TEXT NOT NULL,
    account TEXT NOT NULL, channel TEXT NOT NULL, session TEXT NOT NULL, content BLOB NOT NULL,
    reason TEXT NOT NULL, rule TEXT NOT NULL, origin TEXT NOT NULL, terms TEXT NOT NULL,
    lasts_s INTEGER, expires_at INTEGER, setting TEXT NOT NULL, opened_at INTEGER NOT NULL,
    state TEXT NOT NULL, settled_at INTEGER, settled_by TEXT NOT NULL, comment TEXT NOT NULL,
    until INTEGER, use_by INTEGER, used_at INTEGER, used_session TEXT NOT NULL
) STRICT;
CREATE INDEX requests_state ON requests(state, number);
CREATE INDEX requests_user ON requests(user, number);
CREATE INDEX requests_rule ON requests(rule, target, number);
CREATE TABLE votes (
    request INTEGER NOT NULL REFERENCES requests(number), voter TEXT NOT NULL, at INTEGER NOT NULL,
    approve INTEGER NOT NULL, comment TEXT NOT NULL, for_s INTEGER, withdrawn_at INTEGER
) STRICT;
CREATE UNIQUE INDEX votes_once ON votes(request, voter) WHERE withdrawn_at IS NULL;
CREATE TABLE request_notes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, request INTEGER NOT NULL REFERENCES requests(number),
    at INTEGER NOT NULL, what TEXT NOT NULL, "by" TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX request_notes_request ON request_notes(request, seq);
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, notifier TEXT NOT NULL, request TEXT NOT NULL,
    event TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL, next_at INTEGER NOT NULL,
    state TEXT NOT NULL, tries INTEGER NOT NULL, error TEXT NOT NULL
) STRICT;
CREATE INDEX deliveries_due ON deliveries(state, next_at);
CREATE INDEX deliveries_request ON deliveries(request, number);
CREATE INDEX audit_subject ON audit(subject, seq);
"""


@MIGRATIONS()
def m0001_initial(db: Database) -> None:
    for script in (_PEOPLE, _HOSTS, _SESSIONS, _AUDIT, _SECRETS):
        db.executescript(script)


_NO_UPDATE = """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"""

_SEALS = (
    "CREATE TABLE audit_seals (n INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT",
    """CREATE TRIGGER seals_no_update BEFORE UPDATE ON audit_seals
       BEGIN SELECT RAISE(ABORT, 'the seals are append-only'); END""",
    """CREATE TRIGGER seals_no_delete BEFORE DELETE ON audit_seals
       BEGIN SELECT RAISE(ABORT, 'the seals are append-only'); END""",
    "CREATE INDEX audit_code ON audit(code, seq)",
    "CREATE INDEX audit_session ON audit(session, seq)",
)


@MIGRATIONS()
def m0002_ledger(db: Database) -> None:
    db.execute("ALTER TABLE audit ADD COLUMN hash BLOB NOT NULL DEFAULT x''")
    db.execute("DROP TRIGGER audit_no_update")
    hash_existing(db)
    db.execute(_NO_UPDATE)
    for statement in _SEALS:
        db.execute(statement)


@MIGRATIONS()
def m0003_requests(db: Database) -> None:
    db.execute("ALTER TABLE users ADD COLUMN person TEXT")
    db.executescript(_REQUESTS)


def unknown_steps(db: Database) -> list[str]:
    """Steps the file has seen and this program has not: it was written by a newer release."""
    known = {step.name for step in MIGRATIONS.pending(Database(memory=True))}
    return [step.name for step in MIGRATIONS.applied(db) if step.name not in known]
