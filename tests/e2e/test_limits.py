"""Bounds: of strangers before a login, and of sessions (security lesson 6)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.bastion import Bastion, resident, wait_until
from tests.world.homes import PROMPT
from tests.world.keys import KeyPair
from tests.world.process import HOST, PATIENCE

MakeBastion = Callable[..., Bastion]

LITTLE = 24 << 20
"""Bytes by which the broker may grow under a flood of strangers."""


@pytest.fixture
def short(make_bastion: MakeBastion) -> Bastion:
    """A bastion where a login may take 2 s, and 60 of them may be in progress."""
    made = make_bastion(
        login={
            "timeout": "2s",
            "max_starts": 60,
            "max_starts_per_source": 60,
            "max_failures_per_source": 100_000,
        }
    )
    made.target("web")
    made.allow("all", targets=["*"], channels=["shell", "exec"])
    return made.start()


@contextlib.contextmanager
def knocking(port: int, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Strangers who connect, say `first` and then nothing more."""
    with ExitStack() as ending:
        wires = []
        for _ in range(count):
            wire = ending.enter_context(socket.create_connection((HOST, port), timeout=PATIENCE))
            wires.append(wire)
            wire.sendall(first)
        yield wires


def _ended(wire: socket.socket) -> bool:
    """Read to the end: True once the broker has closed it. TimeoutError if it does not."""
    with contextlib.suppress(ConnectionError):
        while wire.recv(65536):
            pass
    return True


def test_half_open_handshakes_are_closed_by_the_deadline(short: Bastion) -> None:
    """lesson 6: silent at each stage; a login works meanwhile; memory stays where it was."""
    assert short.ssh("web").run("true").returncode == 0
    before = resident(short.broker.pid)
    port = short.broker.port
    with (
        knocking(port, 20) as silent,
        knocking(port, 15, b"SSH-2.0-half\r\n") as half,
        knocking(port, 15, b"SSH-2.0-") as cut,
    ):
        done = short.ssh("web").run("echo in")
        assert (done.returncode, done.stdout) == (0, b"in\n")
        assert all(map(_ended, (*silent, *half, *cut)))
    assert resident(short.broker.pid) - before < LITTLE
    assert short.ssh("web").run("true").returncode == 0


def test_too_many_at_once_are_turned_away(short: Bastion) -> None:
    """lesson 6: the bound holds, those within it are served, and the place is free again afterwards."""
    with knocking(short.broker.port, 80) as wires:
        greeted = [bool(_first(wire)) for wire in wires]
        assert 50 <= sum(greeted) <= 60
    wait_until(lambda: short.ssh("web").run("true").returncode == 0, "a free place")
    assert "too many logins in progress" in short.broker.log


def _first(wire: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionError):
        return wire.recv(4)
    return b""


def test_connections_of_one_source_are_bounded(make_bastion: MakeBastion) -> None:
    """lesson 6: also of those that did log in."""
    made = make_bastion(login={"max_connections_per_source": 3})
    made.target("web")
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    held = [made.ssh("web").start("read x") for _ in range(3)]
    try:
        wait_until(lambda: len(made.sessions()) == 3, "three sessions")
        assert made.ssh("web").run("true").returncode == 255
        assert held[0].stdin is not None
        held[0].stdin.close()
        held[0].wait(PATIENCE)
        wait_until(lambda: made.ssh("web").run("true").returncode == 0, "a free place")
    finally:
        for process in held:
            process.kill()
            process.wait()


SSH = b"SSH-2.0-bomb\r\n"
BOMBS: dict[str, tuple[bytes, bytes]] = {
    "a packet of 4 GB": (SSH + b"\xff\xff\xff\xff", b"\0" * 65536),
    "a packet of 256 MB": (SSH + b"\x10\0\0\0", b"\0" * 65536),
    "a list of 2 GB of names": (
        SSH + b"\0\0\x01\x0c\x0a\x14" + bytes(16) + b"\x7f\xff\xff\xff",
        b"a," * 32768,
    ),
    "a version line without end": (b"SSH-2.0-", b"x" * 65536),
    "banner lines without end": (b"", b"hello\r\n" * 9000),
    "a version that is no text": (b"SSH-2.0-\xff\xfe\r\n", b"\0" * 65536),
    "another protocol": (b"GET / HTTP/1.1\r\n", b"Header: x\r\n" * 6000),
    "packets of nothing": (SSH, b"\0\0\0\x0c\x0a\x02\0\0\0\0" + bytes(6)),
    "zeros": (b"", b"\0" * 65536),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_before_the_login(short: Bastion, bomb: str) -> None:
    """lesson 6: 32 MB of each into the door: closed by the deadline, memory bounded, others served."""
    first, more = BOMBS[bomb]
    assert short.ssh("web").run("true").returncode == 0
    before = resident(short.broker.pid)
    with socket.create_connection((HOST, short.broker.port), timeout=PATIENCE) as wire:
        sender = threading.Thread(target=_pour, args=(wire, first, more), daemon=True)
        sender.start()
        done = short.ssh("web").run("echo in")
        assert done.stdout == b"in\n"
        peak = resident(short.broker.pid)
        assert _ended(wire)
        sender.join(PATIENCE)
        assert not sender.is_alive()
    assert max(peak, resident(short.broker.pid)) - before < LITTLE
    assert short.ssh("web").run("true").returncode == 0


def _pour(wire: socket.socket, first: bytes, more: bytes) -> None:
    with contextlib.suppress(OSError):
        wire.sendall(first)
        for _ in range((32 << 20) // len(more)):
            wire.sendall(more)


def test_descriptors_do_not_leak(short: Bastion) -> None:
    """lesson 6: strangers and sessions that are gone leave nothing open."""

    def count() -> int:
        return len(os.listdir(f"/proc/{short.broker.pid}/fd"))

    short.ssh("web").run("true")
    with short.ssh("web").pty() as shell:
        shell.expect(PROMPT)
        shell.send(b"exit\r")
        shell.wait()
    short.ssh().run("ls")
    before = count()
    for _ in range(5):
        with knocking(short.broker.port, 5, SSH):
            pass
        assert short.ssh("web").run("true").returncode == 0
        assert short.ssh().run("ls").returncode == 0
        assert short.ssh("nowhere").run("true").returncode == 68
    wait_until(lambda: count() <= before, f"{before} open files, not {count()}")


# ---------------------------------------------------------------- sessions


def test_idle_session_ends_with_words(make_bastion: MakeBastion) -> None:
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["shell", "exec"], limits={"idle": "1s"})
    made.start()
    with made.ssh("web").pty() as shell:
        shell.expect(PROMPT)
        shell.expect("no traffic for 1 s")
        assert shell.wait() == 137
    assert made.last().row["end_reason"] == "idle"
    busy = made.ssh("web").run("for i in 1 2 3 4 5 6; do sleep 0.4; echo $i; done")
    assert busy.returncode == 0, "output is traffic"


def test_longest_time_of_a_session(make_bastion: MakeBastion) -> None:
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["exec"], limits={"max": "1s"})
    made.start()
    done = made.ssh("web").run("while sleep 0.1; do echo on; done")
    assert done.returncode == 137
    assert b"on\n" in done.stdout
    assert done.stderr == b"bartizan: [E-TIME] the longest time of a session is reached\n"


def test_number_of_sessions_is_bounded(make_bastion: MakeBastion) -> None:
    made = make_bastion(sessions={"max_sessions": 2})
    made.target("web")
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    held = [made.ssh("web").start("echo up; read x") for _ in range(2)]
    try:
        for process in held:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
        third = made.ssh("web").run("true")
        assert (third.returncode, third.stdout) == (69, b"")
        assert third.stderr.startswith(b"bartizan: [E-BUSY] ")
    finally:
        for process in held:
            process.communicate(b"\n", timeout=PATIENCE)
    assert made.ssh("web").run("true").returncode == 0


def test_user_locked_in_mid_login_opens_nothing_more(
    make_bastion: MakeBastion, place: Path, user_key: KeyPair
) -> None:
    """A connection that was let in before the lock gets no new session through it."""
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    master = made.ssh("web", "-S", str(place / "mux")).start(options=("-M", "-N"))
    try:
        wait_until((place / "mux").exists, "the master's socket")
        shared = made.ssh("web", "-S", str(place / "mux"))
        assert shared.run("true").returncode == 0
        made.broker.cli("users", "lock", "alice")
        done = shared.run("true")
        assert (done.returncode, done.stdout) == (77, b"")
        assert made.ssh("web").run("true").returncode == 255
    finally:
        master.kill()
        master.wait()


def test_policy_that_changes_counts_for_the_next_session(make_bastion: MakeBastion) -> None:
    """SIGHUP reads targets and policies again; a bad file changes nothing."""
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    made.allow("all", targets=["*"], channels=["shell"])
    os.kill(made.broker.pid, signal.SIGHUP)
    made.broker.child.wait_for('"reloaded"')
    assert made.ssh("web").run("true").returncode == 77
    made.broker.policy("all", "version: 1\npolicies: nonsense\n")
    os.kill(made.broker.pid, signal.SIGHUP)
    made.broker.child.wait_for("reload.refused")
    assert made.ssh("web").run("true").returncode == 77
