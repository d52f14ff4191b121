"""The SQLite file: private, durable, shared by processes and threads, and clear about what is wrong."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker.adapters import database
from broker.adapters.sqlite import SqliteStore
from broker.model.audit import AuditEvent
from broker.model.errors import Invalid, Unavailable
from broker.model.identity import Kind, User

WRITER = """
import sys
from pathlib import Path
from broker.adapters.sqlite import SqliteStore
from broker.model.audit import AuditEvent
store = SqliteStore(Path(sys.argv[1]))
for n in range(int(sys.argv[3])):
    store.append(AuditEvent("test", n, sys.argv[2]))
    print(n, flush=True)
store.close()
"""


def event(n: int, actor: str = "anne") -> AuditEvent:
    return AuditEvent("test", n, actor)


def start_writer(path: Path, actor: str, count: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(path), actor, str(count)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bartizan.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()


def test_the_folder_and_every_file_are_the_owners_alone(store: SqliteStore, path: Path) -> None:
    before = os.umask(0)
    try:
        store.append(event(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == {"bartizan.db": 0o600, "bartizan.db-wal": 0o600, "bartizan.db-shm": 0o600}


def test_the_connection_is_set_up_to_survive_a_power_cut(store: SqliteStore) -> None:
    def pragma(name: str) -> object:
        return store._file.write(lambda db: db.conn.execute(f"PRAGMA {name}").fetchone()[0])

    settings = [pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")]
    assert settings == ["wal", 2, 1, 1]


def test_every_table_is_strict(store: SqliteStore) -> None:
    with pytest.raises(Invalid, match="refuses a change"):
        store._change("INSERT INTO host_keys VALUES (?, ?, ?, ?)", "t", "line", "anne", "yesterday")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_open_to_others_is_refused(path: Path, mode: int) -> None:
    SqliteStore(path).close()
    path.chmod(mode)
    with pytest.raises(Unavailable, match="open to other users") as refused:
        SqliteStore(path)
    assert refused.value.hint == f"chmod 600 {path}"


def test_a_folder_open_to_others_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    path.parent.chmod(0o755)
    with pytest.raises(Unavailable, match="open to other users"):
        SqliteStore(path)


def test_a_link_in_place_of_the_file_is_refused(path: Path, tmp_path: Path) -> None:
    """lesson 31"""
    path.parent.mkdir(mode=0o700)
    (tmp_path / "other").touch(0o600)
    path.symlink_to(tmp_path / "other")
    with pytest.raises(Unavailable, match="not a plain file"):
        SqliteStore(path)
    assert (tmp_path / "other").stat().st_size == 0


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(Unavailable, match=r"bartizan\.db cannot be used: file is not a database") as refused:
        SqliteStore(path)
    assert "backup" in refused.value.hint


def test_a_damaged_row_is_unavailable(store: SqliteStore) -> None:
    store.add_user(User("anne", Kind.HUMAN, frozenset(), admin=False, created_at=1))
    store._change("UPDATE users SET groups = 'not json'")
    with pytest.raises(Unavailable, match="row that cannot be read"):
        store.users()


def test_a_store_of_a_newer_release_is_left_alone(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as conn:
        conn.execute("UPDATE _sqlite_migrations SET name = 'm0999' WHERE name LIKE 'm0003%'")
    conn.close()
    with pytest.raises(Unavailable, match=r"written by a newer bartizan \(schema step m0999\)"):
        SqliteStore(path)


def test_the_audit_can_only_grow(store: SqliteStore) -> None:
    store.append(event(1))
    for sql in ("DELETE FROM audit", "UPDATE audit SET actor = 'other'"):
        with pytest.raises(Invalid, match="append-only"):
            store._change(sql)
    assert store.events() == [event(1)]


def test_a_full_disk_is_unavailable_and_the_store_recovers(store: SqliteStore) -> None:
    def limit(pages: int) -> None:
        store._file.write(lambda db: db.conn.execute(f"PRAGMA max_page_count={pages}").fetchall())

    store.append(event(1))
    limit(1)  # SQLite takes the present size at least: the next new page is one too many
    large = AuditEvent("test", 2, "anne", detail={"text": "x" * 100_000})
    with pytest.raises(Unavailable, match="full") as refused:
        store.append(large)
    assert refused.value.hint == "free space on its disk"
    assert store.events() == [event(1)]
    limit(1_000_000)
    store.append(large)
    assert store.events() == [large, event(1)]


def test_a_locked_store_is_unavailable(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store._file.write(lambda db: db.conn.execute("PRAGMA busy_timeout=1").fetchall())
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unavailable, match="locked") as refused:
            store.append(event(1))
        assert "another process" in refused.value.hint
        assert store.events() == [], "reading goes on while another process writes"
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    store.append(event(1))


def test_one_refused_write_does_not_undo_the_others_of_its_commit(store: SqliteStore) -> None:
    user = User("anne", Kind.HUMAN, frozenset(), admin=False, created_at=1)
    go = threading.Event()
    with ThreadPoolExecutor(20) as pool:
        gate = pool.submit(store.together, go.wait)  # holds the writer until all others wait behind it
        users = [pool.submit(store.add_user, user) for _ in range(5)]
        events = [pool.submit(store.append, event(n)) for n in range(10)]
        go.set()
        gate.result()
        assert [future.exception() for future in events] == [None] * 10
        refused = [future.exception() for future in users]
    assert sorted(map(type, refused), key=str) == sorted([type(None), *[Invalid] * 4], key=str)
    assert len(store.events()) == 10
    assert store.users() == [user]


def test_closing_drains_what_was_asked_before(store: SqliteStore, path: Path) -> None:
    go = threading.Event()
    with ThreadPoolExecutor(20) as pool:
        gate = pool.submit(store.together, go.wait)
        asked = [pool.submit(store.append, event(n)) for n in range(10)]
        go.set()
        gate.result()
        for future in asked:
            future.result()
        pool.submit(store.close).result()
    again = SqliteStore(path)
    assert len(again.events()) == 10
    again.close()


def test_neither_files_nor_threads_leak(path: Path) -> None:
    SqliteStore(path).close()
    files, threads = open_files(), threading.active_count()
    for n in range(50):
        store = SqliteStore(path)
        store.append(event(n))
        assert store.events(limit=1) == [event(n)]
        store.close()
    assert (open_files(), threading.active_count()) == (files, threads)


def test_readers_of_many_threads_are_bounded(store: SqliteStore) -> None:
    store.append(event(1))
    before = open_files()
    for _ in range(3):
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(lambda _n: len(store.events()), range(200))) == [1] * 200
    assert len(store._file._idle) <= database.IDLE_READERS
    # SQLite keeps the descriptor of a closed connection for the next one while the file is in use, so
    # the bound is what 16 threads used at once: a database and its WAL each.
    assert open_files() <= before + 2 * 16


def test_two_processes_writing_at_once_lose_nothing(path: Path) -> None:
    """Both also create the file: the set-up of one waits for the other's."""
    writers = [start_writer(path, actor, 300) for actor in ("anne", "bob")]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    store = SqliteStore(path)
    kept = store.events(limit=1000)
    store.close()
    for actor in ("anne", "bob"):
        assert [e.at for e in reversed(kept) if e.actor == actor] == list(range(300))


def test_a_read_sees_at_once_what_another_process_wrote(store: SqliteStore, path: Path) -> None:
    """lesson 33: nothing is cached."""
    assert store.events() == []
    other = start_writer(path, "bob", 1)
    other.communicate()
    assert [e.actor for e in store.events()] == ["bob"]


def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    writer = start_writer(path, "anne", 1_000_000)
    assert writer.stdout is not None
    for _ in range(200):
        last = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    acknowledged = [int(line) for line in writer.stdout.read().split()]
    writer.stdout.close()
    writer.wait()
    store = SqliteStore(path)
    kept = [e.at for e in reversed(store.events(limit=1_000_000))]
    assert store._rows(dict, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    store.close()
    assert kept == list(range(len(kept)))
    assert kept[-1] >= max([last, *acknowledged[:-1]])


def test_twenty_thousand_audit_events_are_kept_in_order(store: SqliteStore) -> None:
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda n: store.append(event(n)), range(20_000)))
    assert sorted(e.at for e in store.events(limit=30_000)) == list(range(20_000))
