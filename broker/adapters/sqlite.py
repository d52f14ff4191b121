"""The stores of the broker on one SQLite file: users and keys, host keys, sessions, requests, audit, sealed
secrets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from broker.adapters.audit_table import add_seal, append_event, entry_of, event_of, head_of
from broker.adapters.database import DatabaseFile
from broker.adapters.request_tables import RequestTables
from broker.adapters.sealing import SealedSecret
from broker.model.audit import AuditEntry, AuditEvent, AuditId, LedgerHead, audit_id
from broker.model.errors import Invalid
from broker.model.identity import Kind, PublicKey, User
from broker.model.ids import SessionId, is_session_id, session_id
from broker.model.secret import SecretKind
from broker.model.session import SessionRow, SessionState

T = TypeVar("T")
Row = Mapping[str, Any]

_MAX_NUMBER = 2**63 - 1


class SqliteStore(RequestTables):
    """`UserStore`, `HostKeyStore`, `SessionStore`, `RequestStore`, `AuditStore` and `SealedSecrets`, from any
    thread.

    A write is synced to disk when it returns. Every read sees what any process has committed.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the file. Raises Unavailable: not private, not ours, damaged, too new."""
        self._file = DatabaseFile(path)

    def close(self) -> None:
        self._file.close()

    def together(self, work: Callable[[], T]) -> T:
        """Run `work`; all its writes to this store are kept together, or none if it raises."""
        return self._file.write(lambda _db: work())

    def _rows(self, make: Callable[[Row], T], sql: str, *values: object) -> list[T]:
        """What `make` makes of each row; a row that it raises ValueError for is damaged: Unavailable."""
        return self._file.read(lambda db: [make(row) for row in db.query(sql, values)])

    def _row(self, make: Callable[[Row], T], sql: str, *values: object) -> T | None:
        return next(iter(self._rows(make, sql, *values)), None)

    def _change(self, sql: str, *values: object, missing: str = "") -> int:
        """One changing statement; the number of rows. Raises Invalid(missing) if there were none."""

        def work(db: Database) -> int:
            count = db.execute(sql, values).rowcount
            if count == 0 and missing:
                raise Invalid(missing)
            return count

        return self._file.write(work)

    def _insert(self, table: str, values: Row, refused: Callable[[str], str]) -> int:
        """Insert one row; its rowid. `refused` words what SQLite says about a broken constraint."""
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - names from this module

        def work(db: Database) -> int:
            try:
                return db.execute(sql, tuple(values.values())).lastrowid or 0
            except sqlite3.IntegrityError as error:
                raise Invalid(refused(str(error))) from error

        return self._file.write(work)

    # --- users and their keys ---

    def add_user(self, user: User) -> None:
        values = {
            "name": user.name,
            "kind": user.kind.value,
            "groups": json.dumps(sorted(user.groups)),
            "admin": int(user.admin),
            "created_at": user.created_at,
            "locked_at": user.locked_at,
            "unix_user": user.unix_user,
            "person": user.person,
        }

        def refused(cause: str) -> str:
            if "unix_user" in cause:
                return f"the unix user {user.unix_user} stands for another user already"
            return f"there is a user {user.name} already"

        self._insert("users", values, refused)

    def user(self, name: str) -> User | None:
        return self._row(_user, "SELECT * FROM users WHERE name = ?", name)

    def users(self) -> list[User]:
        return self._rows(_user, "SELECT * FROM users ORDER BY name")

    def set_locked(self, name: str, at: int | None) -> None:
        self._change("UPDATE users SET locked_at = ? WHERE name = ?", at, name, missing=_no_user(name))

    def set_groups(self, name: str, groups: frozenset[str]) -> None:
        text = json.dumps(sorted(groups))
        self._change("UPDATE users SET groups = ? WHERE name = ?", text, name, missing=_no_user(name))

    def set_person(self, name: str, person: str | None) -> None:
        self._change("UPDATE users SET person = ? WHERE name = ?", person, name, missing=_no_user(name))

    def user_by_unix(self, unix_user: str) -> User | None:
        sql = """SELECT * FROM users WHERE unix_user = ? OR (name = ? AND unix_user IS NULL)
                 ORDER BY unix_user IS NULL LIMIT 1"""
        return self._row(_user, sql, unix_user, unix_user)

    def add_key(self, key: PublicKey) -> None:
        values = {
            "fingerprint": key.fingerprint,
            "user": key.user,
            "line": key.line,
            "comment": key.comment,
            "added_at": key.added_at,
            "last_used_at": key.last_used_at,
        }

        def refused(cause: str) -> str:
            if "FOREIGN KEY" in cause:
                return _no_user(key.user)
            return f"the key {key.fingerprint} is bound to a user already"

        self._insert("keys", values, refused)

    def key(self, fingerprint: str) -> PublicKey | None:
        return self._row(_key, "SELECT * FROM keys WHERE fingerprint = ?", fingerprint)

    def keys(self, user: str | None = None) -> list[PublicKey]:
        sql = "SELECT * FROM keys WHERE ? IS NULL OR user = ? ORDER BY user, added_at, fingerprint"
        return self._rows(_key, sql, user, user)

    def remove_key(self, fingerprint: str) -> None:
        self._change("DELETE FROM keys WHERE fingerprint = ?", fingerprint, missing=_no_key(fingerprint))

    def touch_key(self, fingerprint: str, at: int) -> None:
        sql = "UPDATE keys SET last_used_at = ? WHERE fingerprint = ?"
        self._change(sql, at, fingerprint, missing=_no_key(fingerprint))

    # --- host keys ---

    def host_keys(self, target: str) -> list[str]:
        sql = "SELECT line FROM host_keys WHERE target = ? ORDER BY pinned_at, line"
        return self._rows(lambda row: str(row["line"]), sql, target)

    def pin_host_key(self, target: str, line: str, by: str, at: int) -> None:
        self._change("INSERT OR IGNORE INTO host_keys VALUES (?, ?, ?, ?)", target, line, by, at)

    def unpin_host_keys(self, target: str) -> int:
        return self._change("DELETE FROM host_keys WHERE target = ?", target)

    # --- sessions ---

    def open_session(self, row: SessionRow) -> SessionId:
        """As the port says; `{id}` in `row.recording` becomes the new id."""
        values = {column: getattr(row, column) for column in _SESSION_COLUMNS}

        def work() -> SessionId:
            number = self._insert("sessions", values | {"state": row.state.value}, str)
            id = session_id(number)
            recording = row.recording.replace("{id}", id)
            self._change("UPDATE sessions SET recording = ? WHERE number = ?", recording, number)
            return id

        return self.together(work)

    def close_session(
        self,
        id: SessionId,
        *,
        state: SessionState,
        at: int,
        exit_status: int | None,
        end_reason: str,
        size: int,
    ) -> None:
        """As the port says. Of two ends the first counts. Raises Invalid for an unknown session."""
        sql = """UPDATE sessions SET state = ?, ended_at = ?, exit_status = ?, end_reason = ?, size = ?
                 WHERE number = ? AND state = ?"""
        live = SessionState.LIVE.value
        changed = self._change(sql, state.value, at, exit_status, end_reason, size, _number(id), live)
        if not changed and self.session(id) is None:
            raise Invalid(f"there is no session {id!a}")

    def session(self, id: SessionId) -> SessionRow | None:
        return self._row(_session, "SELECT * FROM sessions WHERE number = ?", _number(id))

    def sessions(
        self, *, user: str | None = None, state: SessionState | None = None, limit: int = 500
    ) -> list[SessionRow]:
        sql = """SELECT * FROM sessions WHERE (? IS NULL OR user = ?) AND (? IS NULL OR state = ?)
                 ORDER BY number DESC LIMIT ?"""
        wanted = state and state.value
        return self._rows(_session, sql, user, user, wanted, wanted, max(limit, 0))

    # --- audit ---

    def append(self, event: AuditEvent) -> AuditId:
        return audit_id(self._file.write(lambda db: append_event(db, event)))

    def events(self, *, limit: int = 500) -> list[AuditEvent]:
        return self._rows(event_of, "SELECT * FROM audit ORDER BY seq DESC LIMIT ?", max(limit, 0))

    def entries(
        self, *, after: int = 0, limit: int = 1000, codes: Sequence[str] = (), session: str = ""
    ) -> list[AuditEntry]:
        # Each condition only where it is wanted: an index on the column is used then.
        wanted = json.dumps(list(codes))
        sql = "SELECT * FROM audit WHERE seq > ?"
        sql += " AND session = ?" if session else " AND ? = ''"
        sql += " AND code IN (SELECT value FROM json_each(?))" if codes else " AND ? = '[]'"
        return self._rows(entry_of, f"{sql} ORDER BY seq LIMIT ?", after, session, wanted, limit)

    def head(self) -> LedgerHead:
        return self._file.read(head_of)

    def seals(self, *, after: int = -1, limit: int = 1000) -> list[bytes]:
        sql = "SELECT line FROM audit_seals WHERE n > ? ORDER BY n LIMIT ?"
        return self._rows(lambda row: bytes(row["line"]), sql, after, limit)

    def last_seal(self) -> bytes | None:
        sql = "SELECT line FROM audit_seals ORDER BY n DESC LIMIT 1"
        return self._row(lambda row: bytes(row["line"]), sql)

    def add_seal(self, make: Callable[[LedgerHead, bytes | None], bytes | None]) -> bool:
        return self._file.write(lambda db: add_seal(db, make))

    def events_about(self, *, subject: str = "", session: str = "", limit: int = 500) -> list[AuditEvent]:
        sql = """SELECT * FROM audit
                 WHERE (? = '' OR subject = ?) AND (? = '' OR session = ?) ORDER BY seq DESC LIMIT ?"""
        return self._rows(event_of, sql, subject, subject, session, session, max(limit, 0))

    # --- sealed secrets ---

    def sealed(self, name: str) -> SealedSecret | None:
        return self._row(_sealed, f"{_SEALED} WHERE name = ?", name)

    def all_sealed(self) -> list[SealedSecret]:
        return self._rows(_sealed, f"{_SEALED} ORDER BY name")

    def add_sealed(self, sealed: SealedSecret) -> None:
        def work() -> None:
            self._know_master_key(sealed.key_id)
            values = {column: getattr(sealed, column) for column in _SECRET_COLUMNS}
            values["kind"] = sealed.kind.value
            self._insert("secrets", values, lambda _cause: f"there is a secret {sealed.name} already")

        self.together(work)

    def put_sealed(self, sealed: SealedSecret) -> None:
        def work() -> None:
            self._know_master_key(sealed.key_id)
            self._change(
                """UPDATE secrets SET version = ?, rotated_at = ?, key_id = ?, wrapped_key = ?, ciphertext = ?
                   WHERE name = ?""",
                sealed.version,
                sealed.rotated_at,
                sealed.key_id,
                sealed.wrapped_key,
                sealed.ciphertext,
                sealed.name,
                missing=_no_secret(sealed.name),
            )

        self.together(work)

    def remove_sealed(self, name: str) -> None:
        self._change("DELETE FROM secrets WHERE name = ?", name, missing=_no_secret(name))

    def _know_master_key(self, key_id: str) -> None:
        """The first use of a master key gives it the next version."""
        self._change(
            """INSERT INTO master_keys (key_id) SELECT ?
               WHERE NOT EXISTS (SELECT 1 FROM master_keys WHERE key_id = ?)""",
            key_id,
            key_id,
        )


_SESSION_COLUMNS = tuple(field.name for field in fields(SessionRow) if field.name != "id")
_SECRET_COLUMNS = tuple(field.name for field in fields(SealedSecret) if field.name != "key_version")
_SEALED = """SELECT secrets.*, master_keys.version AS key_version
             FROM secrets JOIN master_keys USING (key_id)"""


def _no_user(name: str) -> str:
    return f"there is no user {name}"


def _no_key(fingerprint: str) -> str:
    return f"there is no key {fingerprint}"


def _no_secret(name: str) -> str:
    return f"there is no secret {name}"


def _number(id: str) -> int:
    """The row of a session; 0, which no session has, for a text that is not an id of ours."""
    number = int(id[2:], 16) if is_session_id(id) else 0
    return number if number <= _MAX_NUMBER else 0


def _user(row: Row) -> User:
    return User(
        name=row["name"],
        kind=Kind(row["kind"]),
        groups=frozenset(json.loads(row["groups"])),
        admin=bool(row["admin"]),
        created_at=row["created_at"],
        locked_at=row["locked_at"],
        unix_user=row["unix_user"],
        person=row["person"],
    )


def _key(row: Row) -> PublicKey:
    return PublicKey(**row)


def _session(row: Row) -> SessionRow:
    values = {column: row[column] for column in _SESSION_COLUMNS}
    return SessionRow(id=session_id(row["number"]), **(values | {"state": SessionState(row["state"])}))


def _sealed(row: Row) -> SealedSecret:
    return SealedSecret(**{**row, "kind": SecretKind(row["kind"])})
