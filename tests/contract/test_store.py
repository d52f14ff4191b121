"""The contract of the stores, run on the in-memory fake and on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.adapters.sealing import SealedSecret
from broker.adapters.sqlite import SqliteStore
from broker.model.audit import AuditEvent, LedgerHead, leaf, next_head
from broker.model.errors import Invalid, Unavailable
from broker.model.identity import Kind, PublicKey, User
from broker.model.ids import SessionId, session_id
from broker.model.secret import SecretKind
from broker.model.session import SessionRow, SessionState
from broker.ports import AuditStore, HostKeyStore, SessionStore, UserStore
from tests.fakes.store import FakeStore

Store = SqliteStore | FakeStore

ANNE = User("anne", Kind.HUMAN, frozenset({"ops", "dba"}), admin=True, created_at=1)
BOT = User("bot", Kind.AGENT, frozenset(), admin=False, created_at=2, unix_user="svc")
KEY = PublicKey("SHA256:abc", "anne", "ssh-ed25519 AAAA", "anne@laptop", added_at=3)
ROW = SessionRow(
    id=SessionId("S-0"), user="anne", target="web1", account="root", channel="exec", command="id",
    source="192.0.2.7", reason="", started_at=10, ended_at=None, state=SessionState.LIVE, exit_status=None,
    end_reason="", recording="casts/{id}.cast", size=0,
)  # fmt: skip
SEALED = SealedSecret("db", SecretKind.PASSWORD, 1, 5, None, "k1", b"wrapped", b"\x00sealed\xff")


@pytest.fixture(params=["fake", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = FakeStore() if request.param == "fake" else SqliteStore(tmp_path / "data" / "bartizan.db")
    yield opened
    opened.close()


def typed(store: Store) -> tuple[UserStore, HostKeyStore, SessionStore, AuditStore]:
    """Says to the type checker that both implement the ports."""
    return store, store, store, store


def close(store: Store, id: SessionId, state: SessionState = SessionState.ENDED, status: int = 0) -> None:
    store.close_session(id, state=state, at=20, exit_status=status, end_reason="exit", size=7)


def test_a_user_comes_back_as_it_was_added(store: Store) -> None:
    store.add_user(BOT)
    store.add_user(ANNE)
    assert store.user("anne") == ANNE
    assert store.users() == [ANNE, BOT]
    assert store.user("Anne") is None


def test_a_user_name_and_a_unix_user_are_taken_once(store: Store) -> None:
    store.add_user(BOT)
    with pytest.raises(Invalid, match="user bot already"):
        store.add_user(replace(ANNE, name="bot"))
    with pytest.raises(Invalid, match="svc stands for another"):
        store.add_user(replace(ANNE, unix_user="svc"))
    assert store.users() == [BOT]


def test_a_user_is_locked_and_unlocked(store: Store) -> None:
    store.add_user(ANNE)
    store.set_locked("anne", 99)
    assert store.user("anne") == replace(ANNE, locked_at=99)
    store.set_locked("anne", None)
    assert store.user("anne") == ANNE


def test_groups_are_replaced(store: Store) -> None:
    store.add_user(ANNE)
    store.set_groups("anne", frozenset({"audit"}))
    assert store.user("anne") == replace(ANNE, groups=frozenset({"audit"}))


def test_a_unix_user_stands_for_the_user_that_names_it_and_else_for_its_namesake(store: Store) -> None:
    store.add_user(replace(ANNE, name="svc"))
    assert store.user_by_unix("svc") == replace(ANNE, name="svc")
    store.add_user(BOT)
    assert store.user_by_unix("svc") == BOT
    assert store.user_by_unix("bot") is None, "bot is svc on this machine, not bot"
    assert store.user_by_unix("nobody") is None


def test_a_key_names_one_known_user(store: Store) -> None:
    store.add_user(ANNE)
    store.add_user(BOT)
    store.add_key(KEY)
    with pytest.raises(Invalid, match="bound to a user already"):
        store.add_key(replace(KEY, user="bot"))
    with pytest.raises(Invalid, match="no user zoe"):
        store.add_key(replace(KEY, user="zoe", fingerprint="SHA256:def"))
    assert store.key("SHA256:abc") == KEY
    assert store.key("SHA256:def") is None


def test_keys_are_listed_by_user_and_age(store: Store) -> None:
    store.add_user(ANNE)
    store.add_user(BOT)
    newer = replace(KEY, fingerprint="SHA256:aaa", added_at=9)
    other = replace(KEY, fingerprint="SHA256:bbb", user="bot")
    for key in (other, newer, KEY):
        store.add_key(key)
    assert store.keys() == [KEY, newer, other]
    assert store.keys("bot") == [other]
    assert store.keys("zoe") == []


def test_a_key_is_touched_and_removed(store: Store) -> None:
    store.add_user(ANNE)
    store.add_key(KEY)
    store.touch_key(KEY.fingerprint, 50)
    assert store.key(KEY.fingerprint) == replace(KEY, last_used_at=50)
    store.remove_key(KEY.fingerprint)
    assert store.key(KEY.fingerprint) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.set_locked("zoe", 1),
        lambda store: store.set_groups("zoe", frozenset()),
        lambda store: store.remove_key("SHA256:zzz"),
        lambda store: store.touch_key("SHA256:zzz", 1),
        lambda store: close(store, session_id(99)),
        lambda store: close(store, SessionId("../etc")),
        lambda store: store.remove_sealed("zzz"),
        lambda store: store.put_sealed(SEALED),
    ],
)
def test_a_change_of_what_does_not_exist_is_refused(store: Store, change: Callable[[Store], None]) -> None:
    with pytest.raises(Invalid, match=r"no (user|key|session|secret)"):
        change(store)


def test_host_keys_belong_to_one_target(store: Store) -> None:
    """lesson 22"""
    store.pin_host_key("web1", "ssh-ed25519 BBBB", "anne", 2)
    store.pin_host_key("web1", "ssh-rsa AAAA", "anne", 1)
    store.pin_host_key("web1", "ssh-rsa AAAA", "bob", 3)
    store.pin_host_key("web2", "ssh-rsa CCCC", "anne", 1)
    assert store.host_keys("web1") == ["ssh-rsa AAAA", "ssh-ed25519 BBBB"]
    assert store.host_keys("web") == []
    assert store.unpin_host_keys("web1") == 2
    assert store.host_keys("web1") == []
    assert store.host_keys("web2") == ["ssh-rsa CCCC"]


def test_a_session_gets_the_next_id_and_its_recording_that_name(store: Store) -> None:
    """lesson 31: the name of a recording is made by the store, whatever the row says its id is."""
    first = store.open_session(replace(ROW, id=SessionId("../../x")))
    second = store.open_session(ROW)
    assert (first, second) == ("S-1", "S-2")
    assert store.session(first) == replace(ROW, id=first, recording="casts/S-1.cast")
    assert store.sessions() == [store.session(second), store.session(first)]


def test_a_session_ends_once(store: Store) -> None:
    id = store.open_session(ROW)
    close(store, id, status=3)
    close(store, id, SessionState.INTERRUPTED, status=9)
    ended = store.session(id)
    assert ended is not None
    assert (ended.state, ended.ended_at, ended.exit_status) == (SessionState.ENDED, 20, 3)
    assert (ended.end_reason, ended.size) == ("exit", 7)


def test_sessions_are_found_by_user_and_state(store: Store) -> None:
    live, ended = store.open_session(ROW), store.open_session(ROW)
    other = store.open_session(replace(ROW, user="bob"))
    close(store, ended)
    assert [row.id for row in store.sessions(user="anne")] == [ended, live]
    assert [row.id for row in store.sessions(state=SessionState.LIVE)] == [other, live]
    assert [row.id for row in store.sessions(user="anne", state=SessionState.ENDED)] == [ended]
    assert [row.id for row in store.sessions(limit=1)] == [other]


@pytest.mark.parametrize("id", ["", "S-0", "S-ffffffffffffffff", "S-1; --", "../x", "S-" + "1" * 40])
def test_a_text_that_is_no_session_finds_none(store: Store, id: str) -> None:
    """lesson 31"""
    store.open_session(ROW)
    assert store.session(SessionId(id)) is None


def test_the_audit_keeps_events_newest_first(store: Store) -> None:
    detail: dict[str, str | int | bool | None] = {
        "n": 1,
        "yes": True,
        "none": None,
        "text": "a\x1b[31m\u202e",
    }
    first = AuditEvent("login.accepted", 1, "anne", "web1", "S-1", detail)
    second = AuditEvent("login.refused", 1, "anne")
    store.append(first)
    store.append(second)
    assert store.events() == [second, first]
    assert store.events(limit=1) == [second]
    assert store.events()[1].detail["yes"] is True


def test_the_audit_is_a_ledger_with_ids_and_hashes(store: Store) -> None:
    assert store.head() == LedgerHead()
    events = [AuditEvent(f"x.{n}", n, "anne", session=f"S-{n % 2}") for n in range(20)]
    assert [store.append(event) for event in events][15:17] == ["E-10", "E-11"]
    entries = store.entries()
    assert [entry.event for entry in entries] == events
    assert [entry.seq for entry in store.entries(after=17, limit=2)] == [18, 19]
    assert [entry.seq for entry in store.entries(session="S-1", codes=["x.3", "x.4"])] == [4]
    head = LedgerHead()
    for entry in entries:
        head = LedgerHead(entry.seq, next_head(head.sha256, leaf(entry.seq, entry.event)))
        assert head.sha256 == entry.head
    assert store.head() == head


def test_seals_are_made_of_the_head_and_the_seal_before(store: Store) -> None:
    seen: list[tuple[LedgerHead, bytes | None]] = []

    def make(line: bytes | None) -> Callable[[LedgerHead, bytes | None], bytes | None]:
        def made(head: LedgerHead, before: bytes | None) -> bytes | None:
            seen.append((head, before))
            return line

        return made

    assert store.last_seal() is None
    assert store.add_seal(make(b"one\n"))
    store.append(AuditEvent("x", 1, "anne"))
    assert not store.add_seal(make(None))
    assert store.add_seal(make(b"two\n"))
    assert seen == [(LedgerHead(), None), (store.head(), b"one\n"), (store.head(), b"one\n")]
    assert store.seals() == [b"one\n", b"two\n"]
    assert store.seals(after=0) == [b"two\n"]
    assert store.seals(limit=1) == [b"one\n"]
    assert store.last_seal() == b"two\n"


def test_a_sealed_secret_comes_back_with_the_number_of_its_master_key(store: Store) -> None:
    store.add_sealed(SEALED)
    store.add_sealed(replace(SEALED, name="api", kind=SecretKind.PRIVATE_KEY, key_id="k2"))
    with pytest.raises(Invalid, match="secret db already"):
        store.add_sealed(SEALED)
    store.put_sealed(replace(SEALED, version=2, rotated_at=8, key_id="k2", ciphertext=b"new"))
    expected = replace(SEALED, version=2, rotated_at=8, key_id="k2", ciphertext=b"new", key_version=2)
    assert store.sealed("db") == expected
    assert [row.name for row in store.all_sealed()] == ["api", "db"]
    store.remove_sealed("db")
    assert store.sealed("db") is None


def test_writes_together_are_kept_together_or_not_at_all(store: Store) -> None:
    def work() -> None:
        store.add_user(ANNE)
        assert store.user("anne") == ANNE, "a write sees what was written with it"
        store.add_key(KEY)
        store.append(AuditEvent("users.added", 1, "root", "anne"))
        store.add_key(KEY)

    with pytest.raises(Invalid, match="bound"):
        store.together(work)
    assert (store.users(), store.keys(), store.events()) == ([], [], [])
    store.together(lambda: store.add_user(ANNE))
    assert store.user("anne") == ANNE


def test_a_closed_store_refuses_to_write(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(Unavailable, match="closed"):
        store.append(AuditEvent("x", 1, "y"))
