"""The SQLite file of the store: opened safely, migrated, written by one thread, read by any.

Several processes may use the file at once (the broker and the admin commands): it is in WAL mode, a
writer waits for the other's commit, nothing is cached, and each commit is synced before a write returns.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlite_utils import Database

from broker.adapters.migrations import MIGRATIONS, unknown_steps
from broker.model.errors import BartizanError, Invalid, Unavailable

T = TypeVar("T")
Work = Callable[[Database], T]

BUSY_MS = 5000
"""How long a writer waits for the transaction of another process."""
BATCH = 64
"""Writes that share one commit, and so one sync of the disk; bounds how long the first of them waits."""
IDLE_READERS = 4
"""Reader connections kept open for the next read; more are opened when more threads read at once."""


class _Job:
    """A write to be done by the writer thread, and where its outcome goes."""

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.done: Future[Any] = Future()


class _Failed:
    """The outcome of a write that was undone; the others of its batch are kept."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class DatabaseFile:
    """One SQLite database, for any thread. What goes wrong is raised as `Unavailable` or `Invalid`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._closed = False
        self._idle: list[Database] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        try:
            self._db = _open_for_writing(path)
        except (sqlite3.Error, OSError) as error:
            raise self._translated(error) from error
        self._thread = threading.Thread(target=self._write_jobs, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction on the writer thread; durable on return, undone if it raises."""
        if threading.current_thread() is self._thread:  # a write inside a write joins its transaction
            with self._db.atomic():
                return work(self._db)
        job = _Job(work)
        with self._lock:
            self._refuse_if_closed()
            self._jobs.put(job)
        result: T = job.done.result()
        return result

    def read(self, work: Work[T]) -> T:
        """Run `work` on a read-only connection. It must fetch all its rows before it returns."""
        if threading.current_thread() is self._thread:  # inside a write: see what it has done so far
            return work(self._db)
        try:
            with self._reader() as db:
                return work(db)
        except ValueError as error:
            raise Unavailable(f"the store {self.path} holds a row that cannot be read: {error}") from error
        except (sqlite3.Error, OSError) as error:
            raise self._translated(error) from error

    def close(self) -> None:
        """Finish what is queued and close every connection. May be called again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
            readers, self._idle = self._idle, []
        for db in readers:
            db.close()
        self._thread.join()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Unavailable(f"the store {self.path} is closed")

    @contextmanager
    def _reader(self) -> Iterator[Database]:
        with self._lock:
            self._refuse_if_closed()
            db = self._idle.pop() if self._idle else None
        db = db or _open_for_reading(self.path)
        try:
            yield db
        except BaseException:
            db.close()
            raise
        with self._lock:
            keep = not self._closed and len(self._idle) < IDLE_READERS
            if keep:
                self._idle.append(db)
        if not keep:
            db.close()

    def _write_jobs(self) -> None:
        while batch := self._next_batch():
            self._commit(batch)
        self._db.close()

    def _next_batch(self) -> list[_Job]:
        """Waits for a job and takes those behind it; empty when the end of the queue was reached."""
        batch: list[_Job] = []
        while len(batch) < BATCH:
            try:
                job = self._jobs.get(block=not batch)
            except Empty:
                break
            if job is None:
                self._jobs.put(None)  # the end is met again after this batch
                break
            batch.append(job)
        return batch

    def _commit(self, batch: list[_Job]) -> None:
        try:
            # IMMEDIATE: a deferred transaction that turns into a write is refused without waiting
            # if another process has committed meanwhile.
            self._db.conn.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(job) for job in batch]
            self._db.conn.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            for job in batch:
                job.done.set_exception(self._translated(error))
            return
        for job, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, _Failed):
                job.done.set_exception(self._translated(outcome.error))
            else:
                job.done.set_result(outcome)

    def _attempt(self, job: _Job) -> Any:
        try:
            with self._db.atomic():
                return job.work(self._db)
        except Exception as error:
            if not self._db.conn.in_transaction:  # SQLite has undone the whole batch (e.g. disk full)
                raise
            return _Failed(error)

    def _roll_back(self) -> None:
        try:
            self._db.rollback()
        except sqlite3.Error:
            return  # the connection is beyond use: the next BEGIN fails and says so

    def _translated(self, error: Exception) -> Exception:
        """The error a caller gets for `error`; anything unforeseen stays what it is (a bug)."""
        if isinstance(error, BartizanError):
            return error
        if isinstance(error, (UnicodeEncodeError, OverflowError)):
            return Invalid(f"a value cannot be stored: {error}")
        if isinstance(error, sqlite3.IntegrityError):
            return Invalid(f"the store refuses a change: {error}")
        if isinstance(error, (sqlite3.Error, OSError)):
            return Unavailable(f"the store {self.path} cannot be used: {error}", hint=_hint(error))
        return error


def _hint(error: Exception) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return "another process holds a long transaction on it; try again"
    if "full" in text:
        return "free space on its disk"
    if "malformed" in text or "not a database" in text:
        return "restore it from a backup, or move it away to begin an empty one"
    return "check its folder, its owner and its disk"


def _open_for_reading(path: Path) -> Database:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    conn = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=BUSY_MS / 1000)
    return Database(conn, execute_plugins=False)


def _open_for_writing(path: Path) -> Database:
    _make_private(path)
    with _locked(path.parent):
        conn = sqlite3.connect(path, check_same_thread=False, timeout=BUSY_MS / 1000)
        try:
            db = Database(conn, execute_plugins=False)
            _set_up(db, path)
        except BaseException:
            conn.close()
            raise
    return db


def _set_up(db: Database, path: Path) -> None:
    for pragma in (f"busy_timeout={BUSY_MS}", "foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
        db.conn.execute(f"PRAGMA {pragma}")
    mode = db.conn.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise Unavailable(
            f"the store {path} cannot be put into WAL mode (it is in {mode} mode)",
            hint="keep it on a local disk, not on a network file system",
        )
    newer = unknown_steps(db)
    if newer:
        raise Unavailable(
            f"the store {path} was written by a newer bartizan (schema step {newer[-1]})",
            hint="run that release, or restore a backup made before it",
        )
    db.conn.execute("BEGIN IMMEDIATE")
    MIGRATIONS.apply(db)
    db.conn.execute("COMMIT")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time sets up the file: the switch to WAL does not wait for others by itself."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _make_private(path: Path) -> None:
    """Create what is missing for its owner alone; refuse what others could read or put in place."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_shared(path.parent, path.parent.stat(), stat.S_ISDIR, "700")
    # An existing file is not opened here: closing it would drop the locks that SQLite holds on it for
    # another connection of this process (POSIX advisory locks belong to the process).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    _refuse_shared(path, path.lstat(), stat.S_ISREG, "600")


def _refuse_shared(path: Path, status: os.stat_result, is_kind: Callable[[int], bool], mode: str) -> None:
    if not is_kind(status.st_mode):
        raise Unavailable(f"{path} is not a plain {'file' if is_kind is stat.S_ISREG else 'folder'}")
    if status.st_uid != os.geteuid():
        raise Unavailable(
            f"{path} belongs to uid {status.st_uid}, and this process runs as uid {os.geteuid()}",
            hint=f"run the command as the owner, e.g. sudo -u '#{status.st_uid}' bartizan …",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Unavailable(
            f"{path} is open to other users (mode {stat.S_IMODE(status.st_mode):o})",
            hint=f"chmod {mode} {path}",
        )
