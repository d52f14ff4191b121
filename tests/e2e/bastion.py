"""A running broker with people, targets and policies, and the means to look at what it kept."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from recorder.cast import Event, Header, StreamEvent
from recorder.reader import CastReader, exact_output, read_events
from tests.world.broker import Broker
from tests.world.client import SshClient
from tests.world.keys import KeyPair
from tests.world.process import PATIENCE, clean_env
from tests.world.sshd import Sshd

T = TypeVar("T")

ROOMY: dict[str, Any] = {
    "login": {"max_failures_per_source": 100_000, "max_starts": 1000, "max_starts_per_source": 1000}
}
"""Limits that tests which fail logins on purpose do not run into."""

_LOOK_EVERY = 0.02

_PREPARED: dict[Path, list[bytes]] = {}
"""Master key and store of the first bastion of a run, by its alice's key."""


def wait_until(look: Callable[[], T], what: str, timeout: float = PATIENCE) -> T:
    """The first true value of `look`; for states of another process that send no word of their change."""
    deadline, pause = time.monotonic() + timeout, threading.Event()
    while not (found := look()):
        assert time.monotonic() < deadline, f"{timeout:.0f} s passed without {what}"
        pause.wait(_LOOK_EVERY)
    return found


@dataclass(frozen=True, slots=True)
class Recorded:
    """One session as the store lists it, and its files."""

    row: dict[str, Any]
    cast: Path

    @property
    def header(self) -> Header:
        with CastReader(self.cast) as reader:
            return reader.header

    @property
    def events(self) -> list[Event]:
        """Of the cast."""
        with CastReader(self.cast) as reader:
            return list(reader.events())

    @property
    def facts(self) -> list[StreamEvent]:
        """Of the event stream beside the cast."""
        return list(read_events(self.cast.with_suffix(".events")))

    def fact(self, kind: str) -> Mapping[str, Any]:
        """The fields of the one fact of this kind."""
        [found] = [fact.fields for fact in self.facts if fact.kind == kind]
        return found

    def refused(self) -> list[tuple[str, str]]:
        return [(f.fields["name"], f.fields["detail"]) for f in self.facts if f.kind == "request-refused"]

    def output(self, stream: str | None = None) -> bytes:
        """The bytes shown, exactly."""
        return exact_output(self.cast, stream)

    def asciinema(self) -> bytes:
        """What `asciinema cat` prints of it."""
        program = Path(sys.executable).with_name("asciinema")
        env = clean_env(self.cast.parent, ASCIINEMA_CONFIG_HOME=str(self.cast.parent))
        done = subprocess.run([program, "cat", self.cast], env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Bastion:
    """A broker with `alice` of the group `ops`, whose targets are all one `sshd`."""

    def __init__(self, broker: Broker, sshd: Sshd, alice: KeyPair, target_key: KeyPair) -> None:
        self.broker = broker
        self.sshd = sshd
        self.alice = alice
        self._move_in(target_key)

    def _move_in(self, target_key: KeyPair) -> None:
        """Alice and the secret `web`: by the commands the first time, then from a copy of what they made."""
        kept = _PREPARED.get(self.alice.path)
        files = (self.broker.place / "master.key", self.broker.data / "bartizan.db")
        if kept is None:
            self.broker.cli("users", "add", "alice", "--group", "ops", "--key", f"{self.alice.path}.pub")
            key = str(target_key.path)
            self.broker.cli("secrets", "add", "web", "--kind", "private-key", "--file", key)
            _PREPARED[self.alice.path] = [path.read_bytes() for path in files]
            return
        for path, content in zip(files, kept, strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)

    def target(self, name: str, sshd: Sshd | None = None, **fields: Any) -> None:
        """A target with the stored key `web`."""
        self.broker.target(name, sshd or self.sshd, **{"credential": {"secret": "web"}, **fields})

    def allow(self, name: str, *, targets: list[str], channels: list[str], **keys: Any) -> None:
        """A policy file for the group `ops` with one policy of that name."""
        rule = {"name": name, "who": {"groups": ["ops"]}, "targets": {"names": targets}, "accounts": ["*"]}
        content = {"version": 1, "policies": [{**rule, "channels": channels, **keys}]}
        self.broker.policy(name, content)

    def start(self) -> Bastion:
        self.broker.start()
        return self

    # ------------------------------------------------------------ people

    def ssh(self, login: str = "alice", *options: str) -> SshClient:
        """Alice's client under this login name."""
        return self.broker.client(login, self.alice, options=options)

    # ------------------------------------------------------------ what was kept

    def query(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the store, read beside the running broker."""
        db = sqlite3.connect(f"file:{self.broker.data / 'bartizan.db'}?mode=ro", uri=True)
        try:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, values)]
        finally:
            db.close()

    def sessions(self) -> list[Recorded]:
        """All, newest first."""
        rows = self.query("SELECT * FROM sessions ORDER BY number DESC")
        return [Recorded(row, self.file(f"S-{row['number']:x}.cast")) for row in rows]

    def last(self, *, live: bool = False) -> Recorded:
        """The newest session; by default once it has ended."""
        if live:
            return self.sessions()[0]
        return wait_until(lambda: [s for s in self.sessions()[:1] if s.row["ended_at"]], "its end")[0]

    def file(self, name: str) -> Path:
        """Where a recording's file is."""
        return next(iter(self.broker.data.rglob(name)), self.broker.data / "missing" / name)

    def mark(self) -> int:
        """The number of the newest audit row, for `audit(since)`."""
        [row] = self.query("SELECT coalesce(max(seq), 0) AS seq FROM audit")
        return int(row["seq"])

    def audit(self, since: int, *codes: str) -> list[dict[str, Any]]:
        """Rows after `since`, of these codes if any are given, oldest first; `detail` decoded."""
        rows = self.query("SELECT * FROM audit WHERE seq > ? ORDER BY seq", since)
        return [
            {**row, "detail": json.loads(row["detail"])} for row in rows if not codes or row["code"] in codes
        ]

    def audited(self, since: int, code: str) -> dict[str, Any]:
        """The first row of this code after `since`, once it is there."""
        return wait_until(lambda: self.audit(since, code), f"an audit row {code}")[0]

    def accepted(self, since: int) -> list[str]:
        """Who has logged in after `since`, in order."""
        return [row["actor"] for row in self.audit(since, "login.accepted")]

    def refusals(self, since: int, count: int = 1) -> list[str]:
        """Why logins after `since` were refused, once there are so many."""
        wait_until(lambda: len(self.audit(since, "login.refused")) >= count, f"{count} refused logins")
        return [row["detail"]["reason"] for row in self.audit(since, "login.refused")]


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    done = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    found = [pid]
    for one in found:
        found += [child for child, parent in parents if parent == one]
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
