"""Requests of a channel, and hostile names and commands (security lessons 6, 8, 24, 25, 31, 39)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from asyncssh.packet import Boolean, String, UInt32

from tests.e2e.bare import (
    AUTH_SUCCESS,
    CHANNEL_CLOSE,
    CHANNEL_EXTENDED_DATA,
    CHANNEL_FAILURE,
    CHANNEL_SUCCESS,
    OPEN_CONFIRMATION,
    Bare,
    bare,
    private,
)
from tests.e2e.bastion import Bastion


@pytest.fixture
async def logged_in(bastion: Bastion) -> AsyncIterator[Bare]:
    """Logged in at `web`, one session channel open, its number 0 on both sides."""
    async with bare(bastion) as wire:
        wire.prove("web", private(bastion.alice))
        assert await wire.kind() == AUTH_SUCCESS
        wire.open_session()
        assert await wire.kind() == OPEN_CONFIRMATION
        yield wire


REQUESTS: dict[str, tuple[bytes, ...]] = {
    "auth-agent-req@openssh.com": (),
    "x11-req": (Boolean(False), String("MIT-MAGIC-COOKIE-1"), String("00" * 16), UInt32(0)),
    "subsystem": (String("netconf"),),
    "made-up@example": (b"anything",),
    "env": (String("LD_PRELOAD"), String("/tmp/evil.so")),
}


async def test_requests_that_are_not_permitted_are_refused_and_kept(
    bastion: Bastion, logged_in: Bare
) -> None:
    """lesson 24 and 39: agent, X11, subsystems, unknown requests, other variables: no, and in the record."""
    for name, parts in REQUESTS.items():
        logged_in.request(0, name, *parts)
        assert await logged_in.kind() == CHANNEL_FAILURE, name
    before = bastion.mark()
    await asyncio.sleep(0)
    assert bastion.audit(before) == []


async def test_requests_refused_before_the_session_are_in_its_recording(bastion: Bastion) -> None:
    """lesson 39: each with its name, also those that came before there was a recording."""
    async with bare(bastion) as wire:
        wire.prove("web", private(bastion.alice))
        assert await wire.kind() == AUTH_SUCCESS
        wire.open_session()
        assert await wire.kind() == OPEN_CONFIRMATION
        for name, parts in REQUESTS.items():
            if name != "subsystem":  # which uses the channel up
                wire.request(0, name, *parts)
                assert await wire.kind() == CHANNEL_FAILURE, name
        wire.request(0, "exec", String("echo run"))
        assert await wire.kind() == CHANNEL_SUCCESS
        while await wire.kind() != CHANNEL_CLOSE:
            pass
    last = bastion.last()
    assert last.output() == b"run\n"
    assert [name for name, _ in last.refused()] == [name for name in REQUESTS if name != "subsystem"]
    assert ("env", "LD_PRELOAD") in last.refused()


async def test_channel_runs_one_program_only(bastion: Bastion, logged_in: Bare) -> None:
    """lesson 8: a second request on the same channel starts nothing (RFC 4254 section 6.5)."""
    mark = bastion.mark()
    logged_in.request(0, "exec", String("sleep 0.3"))
    logged_in.request(0, "exec", String("echo second"))
    logged_in.request(0, "shell")
    kinds = [await logged_in.kind() for _ in range(3)]
    assert sorted(kinds) == [CHANNEL_SUCCESS, CHANNEL_FAILURE, CHANNEL_FAILURE]
    await asyncio.to_thread(bastion.audited, mark, "session.ended")
    assert len(bastion.audit(mark, "session.opened")) == 1


def test_only_listed_variables_reach_the_target(bastion: Bastion) -> None:
    """lesson 25: what loads code is not let through, nor anything that is not on the list."""
    names = ["LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "PATH", "PYTHONSTARTUP", "FOO", "LC_ALL"]
    options = ("-o", "SetEnv=" + " ".join(f"{name}=C.UTF-8" for name in names))
    done = bastion.ssh("web").run("env", options=options)
    got = {line.partition("=")[0]: line.partition("=")[2] for line in done.stdout.decode().splitlines()}
    assert got["LC_ALL"] == "C.UTF-8"
    assert "C.UTF-8" not in [got.get(name) for name in names[:-1]]
    assert {detail for name, detail in bastion.last().refused() if name == "env"} == set(names[:-1])


def test_number_and_size_of_variables_is_bounded(bastion: Bastion) -> None:
    """lesson 25: what a client may make the broker keep has an end."""
    many = " ".join(f"LC_X{n}=1" for n in range(200)) + " LC_BIG=" + "x" * 5000
    assert bastion.ssh("web").run("true", options=("-o", f"SetEnv={many}")).returncode == 0
    last = bastion.last()
    assert len(last.fact("start")["env"]) == 64
    assert len(last.refused()) == 100


@pytest.mark.parametrize("subsystem", ["sftp", "scp", "netconf", "x" * 300])
def test_subsystems_are_refused(bastion: Bastion, subsystem: str) -> None:
    """lesson 25: no file system of the bastion, or of anything, behind a subsystem."""
    done = bastion.ssh("web").run(subsystem, options=("-s",))
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"subsystem request failed" in done.stderr


# ---------------------------------------------------------------- 31: hostile names


NAMES: list[str | bytes] = [
    "../../etc/passwd",
    "/etc/passwd",
    "web/../../x",
    "a" * 300,
    "+",
    "++",
    "web+",
    "alice+",
    "wéb",
    "web\x1b]0;owned\x07",
    "web\n",
    "-oProxyCommand=x",
    "S-1",
    "\u202ebew",
    "web%00",
    "*",
    "%s%s%n",
    b"web\0",
    b"a" * 5000,
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("login", NAMES)
async def test_hostile_login_names_come_to_nothing(bastion: Bastion, login: str | bytes) -> None:
    """lesson 31 and 13: paths, NUL, 300 characters, controls: refused, noted inertly, no file made."""
    files = _files(bastion)
    mark, before = bastion.mark(), len(bastion.sessions())
    async with bare(bastion) as wire:
        wire.prove(login, private(bastion.alice))
        if await wire.kind() == AUTH_SUCCESS:
            wire.open_session()
            assert await wire.kind() == OPEN_CONFIRMATION
            wire.request(0, "exec", String("true"))
            assert await wire.kind() == CHANNEL_SUCCESS
            said = await _until_close(wire)
            assert b"no target" in said
            assert not any(byte < 32 and byte != 10 for byte in said), said
    assert len(bastion.sessions()) == before
    assert {path.name for path in _files(bastion) - files} <= {"bartizan.db-wal", "bartizan.db-shm"}
    assert all(len(row["subject"]) <= 310 for row in bastion.audit(mark))
    assert "\x1b" not in bastion.broker.log
    assert bastion.broker.child.alive


def _files(made: Bastion) -> set[Path]:
    return {path for path in made.broker.data.rglob("*") if path.is_file()}


async def _until_close(wire: Bare) -> bytes:
    """What came on stderr of channel 0 until it was closed."""
    said = b""
    while (reply := await wire.reply()) is not None and reply[0] != CHANNEL_CLOSE:
        if reply[0] == CHANNEL_EXTENDED_DATA:
            said += reply[1][8:]  # type 1 and length come first
    return said


@pytest.mark.parametrize("command", [b"a\0b", b"x" * 200_000, b"\xff\xfe echo", b"web \xff\xfe; echo b"])
async def test_hostile_commands(bastion: Bastion, command: bytes) -> None:
    """lesson 31 and 13: refused, or passed on byte for byte; the recording and the lists stay text."""
    async with bare(bastion) as wire:
        wire.prove("alice", private(bastion.alice))
        assert await wire.kind() == AUTH_SUCCESS
        wire.open_session()
        assert await wire.kind() == OPEN_CONFIRMATION
        wire.request(0, "exec", String(command))
        first = await wire.kind()
        if len(command) > 100_000 or b"\0" in command:
            assert first == CHANNEL_FAILURE
        else:
            assert first == CHANNEL_SUCCESS
            while await wire.kind() != CHANNEL_CLOSE:
                pass
    listed = await asyncio.to_thread(bastion.broker.cli, "recordings", "ls", "--json")
    assert "\\ud8" not in listed.stdout


async def test_channels_of_one_connection_are_bounded(bastion: Bastion) -> None:
    """lesson 6: sessions opened and left alone, closed and opened again: bounded, and not used up."""
    async with bare(bastion) as wire:
        wire.prove("web", private(bastion.alice))
        assert await wire.kind() == AUTH_SUCCESS
        opened = 0
        for number in range(150):
            wire.open_session(number)
            opened += await wire.kind() == OPEN_CONFIRMATION
        assert 10 <= opened <= 100
        for number in range(opened):
            wire.send(CHANNEL_CLOSE, UInt32(number))
            assert await wire.kind() == CHANNEL_CLOSE
        wire.open_session(1000)
        assert await wire.kind() == OPEN_CONFIRMATION, "closed channels count no more"
