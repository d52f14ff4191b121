"""The control socket, from the outside and from logins under a system sshd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack
import pytest

from broker.wire.client import AskFailed, Disconnected, WireClient
from broker.wire.codec import MAX_FRAME, encode
from broker.wire.messages import (
    VERSION,
    Attach,
    Hello,
    KillSession,
    ListRecordings,
    ListSessions,
    ListTargets,
    OpenTarget,
    ReadRecording,
    Request,
    Sessions,
    Targets,
)
from tests.e2e.bastion import Bastion, resident
from tests.e2e.conftest import running
from tests.world.broker import Broker
from tests.world.client import SshClient
from tests.world.homes import PROMPT
from tests.world.keys import KeyPair, make_key
from tests.world.process import PATIENCE
from tests.world.sshd import Sshd

SHELL = Path(sys.executable).with_name("bartizan-shell")
HELLO = encode(Hello(VERSION, "test"))


def _talk(made: Bastion, data: bytes) -> bytes:
    """Send bytes and read until the broker closes. TimeoutError if it does not."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(PATIENCE)
        wire.connect(str(made.broker.control))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            wire.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := wire.recv(65536):
                answer += chunk
        return answer


NONSENSE: dict[str, bytes] = {
    "another first message": encode(Request(1, ListTargets())),
    "no message at all": b"GET / HTTP/1.1\r\n\r\n",
    "an unknown message": HELLO + msgpack.packb({"type": "shut-down"}),
    "an unknown ask": HELLO + msgpack.packb({"type": "request", "id": 1, "ask": {"type": "read-file"}}),
    "a field of another type": HELLO
    + msgpack.packb({"type": "request", "id": "x", "ask": {"type": "list-targets"}}),
    "a frame that is too large": HELLO + b"\xc6" + struct.pack(">I", MAX_FRAME * 64) + bytes(MAX_FRAME * 2),
    "a list that is too long": HELLO + b"\xdd\xff\xff\xff\xff" + b"\xc0" * 1000,
    "nesting without end": HELLO + b"\x91" * 100_000,
    "input without an attach": HELLO + msgpack.packb({"type": "input", "data": b"id\n"}),
    "a second hello": HELLO + HELLO,
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_ends_the_connection(bastion: Bastion, what: str) -> None:
    before = resident(bastion.broker.pid)
    _talk(bastion, NONSENSE[what])
    assert resident(bastion.broker.pid) - before < 32 << 20
    assert _talk(bastion, encode(Hello(VERSION + 1, "test"))).count(b"E-VERSION") == 1
    assert bastion.ssh("web").run("true").returncode == 0


def test_anyone_may_connect_to_the_socket(bastion: Bastion) -> None:
    """Who it is says the kernel, not the mode of a file."""
    assert stat.S_ISSOCK(bastion.broker.control.stat().st_mode)
    assert stat.S_IMODE(bastion.broker.control.stat().st_mode) == 0o666


@asynccontextmanager
async def _client(made: Bastion) -> AsyncIterator[WireClient]:
    client = await WireClient.connect(str(made.broker.control), "test")
    try:
        yield client
    finally:
        await client.close()


async def test_operator_is_no_user_and_opens_nothing(bastion: Bastion) -> None:
    """Root, or the broker's own account: may look and end, and comes to no target."""
    mark = bastion.mark()
    async with _client(bastion) as client:
        assert client.welcome.admin
        assert not client.welcome.portal
        with pytest.raises((AskFailed, Disconnected)):
            await client.ask(OpenTarget("web"))
    async with _client(bastion) as client:
        await client.send(Attach("web true"))
        assert [message async for message in client.messages()] == []
    refused = bastion.audit(mark, "control.refused")
    assert [row["subject"] for row in refused] == ["OpenTarget", "Attach"]


async def test_session_is_killed_with_words(bastion: Bastion) -> None:
    with bastion.ssh("web").pty() as shell:
        shell.expect(PROMPT)
        async with _client(bastion) as client:
            live = await client.ask(ListSessions())
            assert isinstance(live, Sessions)
            [session] = [view for view in live.items if view.target == "web"]
            with pytest.raises(AskFailed, match="a reason is needed"):
                await client.ask(KillSession(session.id, " "))
            await client.ask(KillSession(session.id, "wrong\x1b[2J host"))
        shell.expect("ended by .*wrong")
        assert await asyncio.to_thread(shell.wait) == 137
        assert b"\x1b[2J" not in shell.seen
    assert bastion.last().row["end_reason"] == "killed"


# ---------------------------------------------------------------- local users


@pytest.fixture(scope="module")
def local(world: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair) -> Iterator[Bastion]:
    """A bastion whose user `lena`, who is no admin, is the account that runs the tests."""
    with running(world / "local", sshd, user_key, target_key, {}) as made:
        made.broker.cli("users", "add", "lena", "--group", "ops", "--unix-user", sshd.user)
        yield made


def test_local_user_sees_his_own_only(local: Bastion) -> None:
    """lesson 15: somebody else's recording does not exist, in lists and by its number."""
    local.ssh("web").run("echo alices-secret-work")
    number = f"S-{local.last().row['number']:x}"
    assert "only-shell" in local.broker.cli("ls").stdout
    assert local.broker.cli("recordings", "ls").stdout == ""
    read = local.broker.cli("recordings", "cat", number, check=False)
    absent = local.broker.cli("recordings", "cat", "S-ffff", check=False)
    assert (read.returncode, read.stdout) == (1, "")
    assert read.stderr.replace(number, "S-ffff") == absent.stderr
    assert local.broker.cli("sessions", "kill", number, "-m", "x", check=False).returncode == 77


async def test_peer_asks_for_no_more_than_peers_may(local: Bastion) -> None:
    """A peer that is a user: lists and one login, but no opening of targets as a picker's child."""
    mark = local.mark()
    async with _client(local) as client:
        assert (client.welcome.user, client.welcome.admin, client.welcome.portal) == ("lena", False, False)
        with pytest.raises(AskFailed, match="not for you here"):
            await client.ask(OpenTarget("web"))
        with pytest.raises(Disconnected):
            await client.ask(ListTargets())
    row = await asyncio.to_thread(local.audited, mark, "control.refused")
    assert (row["actor"], row["subject"], row["detail"]["role"]) == ("lena", "OpenTarget", "peer")


@pytest.mark.root
def test_account_that_is_no_user_is_refused(local: Bastion) -> None:
    """By the kernel's word on who connects, whatever the peer says of itself."""
    mark = local.mark()
    answer = _as_nobody(local, HELLO + encode(Request(1, ListTargets())))
    assert b"E-DENIED" in answer
    assert b"no user of this bastion" in answer
    assert b"web" not in answer
    row = local.audited(mark, "login.refused")
    assert row["subject"] == pwd.getpwuid(NOBODY).pw_name


NOBODY = 65534


def _as_nobody(made: Bastion, data: bytes) -> bytes:
    """`_talk` in a forked process with another user id."""
    read_end, write_end = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(write_end, _talk(made, data))
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.parametrize(
    "id", ["../../bartizan.db", "S-1/../../x", "S-1\0", "", "S-", "s-1", "S-" + "f" * 40]
)
async def test_foreign_ids_read_nothing(bastion: Bastion, id: str) -> None:
    """lesson 36: what is no id of a session is not looked for in the file system."""
    async with _client(bastion) as client:
        with pytest.raises(AskFailed, match="no session"):
            await client.ask(ReadRecording(id))
        for part in ("cast.ballast", "../x", ""):
            with pytest.raises(AskFailed):
                await client.ask(ReadRecording("S-1", part=part))


async def test_limits_of_lists_are_kept(bastion: Bastion) -> None:
    async with _client(bastion) as client:
        for limit in (-1, 0, 10**12):
            body = await client.ask(ListRecordings(limit=limit))
            assert isinstance(body, Sessions)
        targets = await client.ask(ListTargets("no such thing"))
        assert isinstance(targets, Targets)
        assert targets.items == []


@pytest.fixture
def login_host(local: Bastion, place: Path) -> Iterator[SshClient]:
    """Lena's client at a system sshd that gives her bartizan-shell by ForceCommand."""
    key = make_key(place, "lena")
    script = place / "force"
    script.write_text(f"#!/bin/sh\nBARTIZAN_SOCKET={local.broker.control} exec {SHELL}\n")
    script.chmod(0o755)
    match = f"Match User {local.sshd.user}\nForceCommand {script}\n"
    with Sshd(place / "login", authorized=(key.public,), matches=match) as sshd:
        yield sshd.client(key)


def test_command_under_a_system_sshd(local: Bastion, login_host: SshClient) -> None:
    """`bartizan-shell` by ForceCommand: the same road, with streams, status and the user's own name."""
    done = login_host.run("web cat; echo err >&2; exit 6", input=b"\0\xffdata")
    assert (done.returncode, done.stdout, done.stderr) == (6, b"\0\xffdata", b"err\n")
    row = local.last().row
    assert (row["user"], row["source"], row["exit_status"]) == ("lena", "local", 6)
    denied = login_host.run("web rm x")
    assert (denied.returncode, denied.stdout) == (77, b"")
    assert denied.stderr.startswith(b"bartizan: [E-DENIED] ")
    assert login_host.run("hidden uptime").returncode == 68
    assert login_host.run("ls").stdout.startswith(b"guarded\t")
    killed = login_host.run("web kill -TERM $$")
    assert killed.returncode == 128 + 15
    big = login_host.run("web head -c 5000000 /dev/zero")
    assert (big.returncode, len(big.stdout)) == (0, 5_000_000)
    up = login_host.run("web wc -c", input=bytes(5_000_000))
    assert (up.returncode, up.stdout.strip()) == (0, b"5000000")


def test_shell_and_picker_under_a_system_sshd(local: Bastion, login_host: SshClient) -> None:
    with login_host.pty("web", size=(30, 90)) as shell:
        shell.expect(PROMPT)
        shell.send(b"stty size\r")
        shell.expect("30 90")
        shell.expect(PROMPT)
        shell.resize(40, 100)
        # ssh itself may send what was typed before it looks at the window again.
        shell.send(b"while stty size | grep -q '^30'; do sleep 0.1; done; stty size; exit 5\r")
        shell.expect("40 100")
        assert shell.wait() == 5
    with login_host.pty(term="dumb") as menu:
        menu.expect("> ")
        menu.send(b"web\r")
        menu.expect(r"1\. web as .*\n> ")
        menu.send(b"1\r")
        menu.expect(PROMPT)
        menu.send(b"exit 2\r")
        menu.expect(r"> ")
        menu.send(b"q\r")
        assert menu.wait() == 0
    assert local.last().row["exit_status"] == 2


def test_shell_without_a_broker_says_so(place: Path) -> None:
    env = {"BARTIZAN_SOCKET": str(place / "none")}
    done = subprocess.run([SHELL, "-c", "web true"], env=env, capture_output=True, check=False)
    assert done.returncode == 69
    assert done.stderr.startswith(b"bartizan: [E-UNAVAILABLE] ")
    strange = subprocess.run([SHELL, "--login", "x"], env=env, capture_output=True, check=False)
    assert strange.returncode == 64


def test_second_broker_on_the_same_socket_is_refused(bastion: Bastion, place: Path) -> None:
    second = Broker(place / "b", config={"control": {"socket": str(bastion.broker.control)}})
    child = second.launch()
    try:
        assert child.wait() == 69
        assert "another broker serves" in child.output
    finally:
        second.dispose()
    assert bastion.ssh("web").run("true").returncode == 0


def test_peers_that_say_nothing_are_let_go(bastion: Bastion) -> None:
    """A peer that never says hello does not stay."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(PATIENCE)
        wire.connect(str(bastion.broker.control))
        assert wire.recv(1) == b""
