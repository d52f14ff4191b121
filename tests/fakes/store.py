"""An in-memory store: what `SqliteStore` does, without a file. Held to it by `tests/contract`."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from broker.adapters.sealing import SealedSecret
from broker.model.audit import AuditEntry, AuditEvent, AuditId, LedgerHead, leaf, next_head
from broker.model.errors import Invalid, Unavailable
from broker.model.identity import PublicKey, User
from broker.model.ids import SessionId, session_id
from broker.model.notification import Delivery
from broker.model.requests import ApprovalRequest, Note, Vote
from broker.model.session import SessionRow, SessionState
from tests.fakes.requests import FakeRequests

T = TypeVar("T")


@dataclass
class _Tables:
    users: dict[str, User] = field(default_factory=dict)
    keys: dict[str, PublicKey] = field(default_factory=dict)
    pinned: dict[str, dict[str, int]] = field(default_factory=dict)
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    seals: list[bytes] = field(default_factory=list)
    secrets: dict[str, SealedSecret] = field(default_factory=dict)
    master_keys: dict[str, int] = field(default_factory=dict)
    requests: dict[str, ApprovalRequest] = field(default_factory=dict)
    votes: dict[str, list[Vote]] = field(default_factory=dict)
    notes: dict[str, list[Note]] = field(default_factory=dict)
    deliveries: dict[int, Delivery] = field(default_factory=dict)

    def copied(self) -> _Tables:
        """As deep as what may change: rows themselves do not."""
        tables = {item.name: copy.copy(getattr(self, item.name)) for item in fields(self)}
        for name in ("pinned", "votes", "notes"):
            tables[name] = {key: copy.copy(value) for key, value in tables[name].items()}
        return _Tables(**tables)


class FakeStore(FakeRequests):
    """Every store port. `fail_with`, once set, is raised by each write (a full disk, a lost store)."""

    def __init__(self) -> None:
        self._now = _Tables()
        self._lock = threading.RLock()
        self._sequence = 0
        self.fail_with: Unavailable | None = None

    def close(self) -> None:
        self.fail_with = Unavailable("the store is closed")

    def together(self, work: Callable[[], T]) -> T:
        with self._lock, self._undone_if_it_raises():
            return work()

    @contextmanager
    def _undone_if_it_raises(self) -> Iterator[None]:
        before = self._now.copied()
        try:
            yield
        except BaseException:
            self._now = before
            raise

    def _writable(self) -> _Tables:
        if self.fail_with is not None:
            raise self.fail_with
        return self._now

    def _known_user(self, name: str) -> User:
        return _found(self._writable().users, name, "user")

    # --- users and their keys ---

    def add_user(self, user: User) -> None:
        users = self._writable().users
        if user.name in users:
            raise Invalid(f"there is a user {user.name} already")
        if user.unix_user and any(other.unix_user == user.unix_user for other in users.values()):
            raise Invalid(f"the unix user {user.unix_user} stands for another user already")
        users[user.name] = user

    def user(self, name: str) -> User | None:
        return self._now.users.get(name)

    def users(self) -> list[User]:
        return [self._now.users[name] for name in sorted(self._now.users)]

    def set_locked(self, name: str, at: int | None) -> None:
        self._now.users[name] = replace(self._known_user(name), locked_at=at)

    def set_groups(self, name: str, groups: frozenset[str]) -> None:
        self._now.users[name] = replace(self._known_user(name), groups=groups)

    def set_person(self, name: str, person: str | None) -> None:
        self._now.users[name] = replace(self._known_user(name), person=person)

    def user_by_unix(self, unix_user: str) -> User | None:
        for user in self._now.users.values():
            if user.unix_user == unix_user:
                return user
        named = self._now.users.get(unix_user)
        return named if named and named.unix_user is None else None

    def add_key(self, key: PublicKey) -> None:
        self._known_user(key.user)
        if key.fingerprint in self._now.keys:
            raise Invalid(f"the key {key.fingerprint} is bound to a user already")
        self._now.keys[key.fingerprint] = key

    def key(self, fingerprint: str) -> PublicKey | None:
        return self._now.keys.get(fingerprint)

    def keys(self, user: str | None = None) -> list[PublicKey]:
        found = [key for key in self._now.keys.values() if user in (None, key.user)]
        return sorted(found, key=lambda key: (key.user, key.added_at, key.fingerprint))

    def remove_key(self, fingerprint: str) -> None:
        keys = self._writable().keys
        del keys[_found(keys, fingerprint, "key").fingerprint]

    def touch_key(self, fingerprint: str, at: int) -> None:
        keys = self._writable().keys
        keys[fingerprint] = replace(_found(keys, fingerprint, "key"), last_used_at=at)

    # --- host keys ---

    def host_keys(self, target: str) -> list[str]:
        pinned = self._now.pinned.get(target, {})
        return sorted(pinned, key=lambda line: (pinned[line], line))

    def pin_host_key(self, target: str, line: str, by: str, at: int) -> None:
        self._writable().pinned.setdefault(target, {}).setdefault(line, at)

    def unpin_host_keys(self, target: str) -> int:
        return len(self._writable().pinned.pop(target, {}))

    # --- sessions ---

    def open_session(self, row: SessionRow) -> SessionId:
        sessions = self._writable().sessions
        self._sequence += 1
        id = session_id(self._sequence)
        sessions[id] = replace(row, id=id, recording=row.recording.replace("{id}", id))
        return id

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
        sessions = self._writable().sessions
        row = _found(sessions, id, "session")
        if row.state is SessionState.LIVE:
            ended = replace(row, state=state, ended_at=at, exit_status=exit_status)
            sessions[id] = replace(ended, end_reason=end_reason, size=size)

    def session(self, id: SessionId) -> SessionRow | None:
        return self._now.sessions.get(id)

    def sessions(
        self, *, user: str | None = None, state: SessionState | None = None, limit: int = 500
    ) -> list[SessionRow]:
        rows = reversed(self._now.sessions.values())
        found = [row for row in rows if user in (None, row.user) and state in (None, row.state)]
        return found[:limit]

    # --- audit ---

    def append(self, event: AuditEvent) -> AuditId:
        audit = self._writable().audit
        seq = len(audit) + 1
        head = next_head(self.head().sha256, leaf(seq, event))
        audit.append(AuditEntry(seq, copy.deepcopy(event), head))
        return audit[-1].id

    def events(self, *, limit: int = 500) -> list[AuditEvent]:
        return copy.deepcopy([entry.event for entry in self._now.audit[::-1][:limit]])

    def entries(
        self, *, after: int = 0, limit: int = 1000, codes: Sequence[str] = (), session: str = ""
    ) -> list[AuditEntry]:
        found = [
            entry
            for entry in self._now.audit[after:]
            if (not codes or entry.event.code in codes) and session in ("", entry.event.session)
        ]
        return copy.deepcopy(found[:limit])

    def head(self) -> LedgerHead:
        audit = self._now.audit
        return LedgerHead(audit[-1].seq, audit[-1].head) if audit else LedgerHead()

    def seals(self, *, after: int = -1, limit: int = 1000) -> list[bytes]:
        return self._now.seals[after + 1 :][:limit]

    def last_seal(self) -> bytes | None:
        return self._now.seals[-1] if self._now.seals else None

    def add_seal(self, make: Callable[[LedgerHead, bytes | None], bytes | None]) -> bool:
        line = make(self.head(), self.last_seal())
        if line is not None:
            self._writable().seals.append(line)
        return line is not None

    def events_about(self, *, subject: str = "", session: str = "", limit: int = 500) -> list[AuditEvent]:
        events = [entry.event for entry in reversed(self._now.audit)]
        about = [event for event in events if subject in ("", event.subject)]
        return copy.deepcopy([event for event in about if session in ("", event.session)][:limit])

    # --- sealed secrets ---

    def sealed(self, name: str) -> SealedSecret | None:
        return self._now.secrets.get(name)

    def all_sealed(self) -> list[SealedSecret]:
        return [self._now.secrets[name] for name in sorted(self._now.secrets)]

    def add_sealed(self, sealed: SealedSecret) -> None:
        if sealed.name in self._writable().secrets:
            raise Invalid(f"there is a secret {sealed.name} already")
        self._keep(sealed)

    def put_sealed(self, sealed: SealedSecret) -> None:
        _found(self._writable().secrets, sealed.name, "secret")
        self._keep(sealed)

    def remove_sealed(self, name: str) -> None:
        secrets = self._writable().secrets
        del secrets[_found(secrets, name, "secret").name]

    def _keep(self, sealed: SealedSecret) -> None:
        known = self._now.master_keys
        version = known.setdefault(sealed.key_id, len(known) + 1)
        self._now.secrets[sealed.name] = replace(sealed, key_version=version)


def _found(rows: dict[str, T], name: str, what: str) -> T:
    try:
        return rows[name]
    except KeyError:
        raise Invalid(f"there is no {what} {name}") from None
