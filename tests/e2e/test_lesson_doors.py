"""Every door against every policy, and doors that stay shut (security lessons 3, 8, 9, 10, 24, 25, 31)."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32

from broker.wire.client import AskFailed, WireClient
from broker.wire.messages import ListTargets, OpenTarget, Targets
from tests.e2e import rawclient
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
from tests.e2e.bastion import ROOMY, Bastion, wait_until
from tests.world.broker import Broker
from tests.world.homes import PROMPT
from tests.world.keys import KeyPair
from tests.world.process import HOST, PATIENCE
from tests.world.sshd import Sshd

MakeBastion = Callable[..., Bastion]

CHANNELS = ("shell", "exec", "scp", "sftp", "forward", "agent", "x11", "subsystem")


@pytest.fixture(scope="module")
def matrix(world: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair) -> Iterator[Bastion]:
    """A target `t-CHANNEL` for each channel, on which that one is granted; `t-none`: granted in another time."""
    made = Bastion(Broker(world / "matrix", config=ROOMY), sshd, user_key, target_key)
    for name in (*CHANNELS, "none"):
        made.target(f"t-{name}")
    for channel in CHANNELS:
        made.allow(channel, targets=[f"t-{channel}"], channels=[channel])
    made.allow("past", targets=["t-none"], channels=list(CHANNELS), when={"until": "2001-01-01"})
    try:
        yield made.start()
    finally:
        made.broker.dispose()


def _by_shell(made: Bastion, target: str) -> bool:
    with made.ssh(target).pty() as terminal:
        terminal.send(b"echo in-$((1+1)); exit 0\r")
        return terminal.wait() == 0 and b"in-2" in terminal.seen


def _by_exec(made: Bastion, target: str) -> bool:
    return made.ssh(target).run("echo in").stdout == b"in\n"


def _by_exec_on_a_terminal(made: Bastion, target: str) -> bool:
    return b"in" in made.ssh(target).run("echo in", options=("-tt",)).stdout.splitlines()


def _by_word(made: Bastion, target: str) -> bool:
    return made.ssh().run(f"{target} echo in").stdout == b"in\n"


def _by_stdin_of_a_shell(made: Bastion, target: str) -> bool:
    return made.ssh(target).run(input=b"echo in\n", options=("-T",)).stdout == b"in\n"


def _by_scp(made: Bastion, target: str) -> bool:
    return made.ssh(target).run("scp -t /tmp", input=b"").stdout.startswith(b"\0")


def _by_scp_and_more(made: Bastion, target: str) -> bool:
    return b"in" in made.ssh(target).run("scp -t /nowhere; echo in").stdout


def _by_sftp(made: Bastion, target: str) -> bool:
    hello = bytes.fromhex("000000050100000003")
    return bool(made.ssh(target).run("sftp", input=hello, options=("-s",)).stdout)


def _by_forward(made: Bastion, target: str) -> bool:
    return made.ssh(target).run(options=("-W", f"{HOST}:{made.sshd.port}")).stdout.startswith(b"SSH-")


DOORS: dict[str, tuple[Callable[[Bastion, str], bool], str]] = {
    "shell": (_by_shell, "shell"),
    "stdin of a shell": (_by_stdin_of_a_shell, "shell"),
    "exec": (_by_exec, "exec"),
    "exec on a terminal": (_by_exec_on_a_terminal, "exec"),
    "exec by word": (_by_word, "exec"),
    "scp and more": (_by_scp_and_more, "exec"),
    "scp": (_by_scp, "scp"),
    "sftp": (_by_sftp, ""),
    "forward": (_by_forward, ""),
}
"""How to come in, and the channel that lets one; none yet for sftp and forwarding."""


@pytest.mark.parametrize("door", DOORS)
def test_each_door_opens_for_its_channel_alone(matrix: Bastion, door: str) -> None:
    """lesson 8: every policy by every door. lesson 11: `scp -t x; …` is a command, not a copy."""
    come_in, opens_for = DOORS[door]
    mark = matrix.mark()
    opened = [name for name in (*CHANNELS, "none") if come_in(matrix, f"t-{name}")]
    assert opened == [opens_for] * bool(opens_for)
    if door != "sftp":  # refused on its channel, before anything is asked for
        refusals = len(CHANNELS) + 1 - len(opened)
        codes = ("session.refused", "request.refused")
        wait_until(lambda: len(matrix.audit(mark, *codes)) == refusals, "all refusals in the audit")


@pytest.mark.parametrize("channel", [*CHANNELS, "none"])
def test_picker_opens_shells_alone(matrix: Bastion, channel: str) -> None:
    """lesson 8: the door of the picker: a message on its own connection, answered by the same rules."""
    with matrix.ssh().pty(term="dumb") as menu:
        menu.expect("> ")
        menu.send(f"t-{channel}\r".encode())
        menu.expect(rf"1\. t-{channel} as .*\n> ")
        menu.send(b"1\r")
        menu.expect(rf"{PROMPT} |\n> ")
        assert (b"target$" in menu.seen) == (channel == "shell")


# ---------------------------------------------------------------- 3: nothing granted


@pytest.mark.parametrize("policies", ["no files", "an empty folder", "a file that grants others"])
def test_without_a_policy_nobody_opens_anything(make_bastion: MakeBastion, policies: str) -> None:
    """lesson 3: nothing said means no, by every door; an admin is no exception."""
    made = make_bastion()
    made.target("web")
    made.broker.cli("users", "add", "root-of-all", "--admin", "--group", "ops")
    if policies == "no files":
        (made.broker.place / "policies").rmdir()
        _drop_key(made, "policies")
    elif policies == "a file that grants others":
        made.allow("other", targets=["*"], channels=["shell", "exec"], who={"groups": ["dba"]})
    made.start()
    for login, words in (
        ("web", ["true"]),
        ("alice", ["web", "true"]),
        ("web", []),
        (f"{made.sshd.user}+web", []),
    ):
        assert made.ssh(login).run(*words, options=("-T",)).returncode == 68
    assert made.ssh().run("ls").stdout == b""
    assert made.sessions() == []


def _drop_key(made: Bastion, key: str) -> None:
    lines = made.broker.config_file.read_text().splitlines()
    made.broker.config_file.write_text("\n".join(line for line in lines if not line.startswith(f"{key}:")))


# ---------------------------------------------------------------- 9, 10: forwarding


def test_forwards_of_the_client_are_refused_and_noted(bastion: Bastion) -> None:
    """lesson 9 and 10: -W, -R and what -D asks for; also to the SSH port of a managed target."""
    mark = bastion.mark()
    there = f"{HOST}:{bastion.sshd.port}"
    assert bastion.ssh("web").run(options=("-W", there)).returncode == 255
    back = ("-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:localhost:22")
    assert bastion.ssh("web").run(options=back).returncode == 255
    rows = wait_until(lambda: _both(bastion.audit(mark, "request.refused")), "both in the audit")
    assert {row["subject"]: row["detail"]["detail"] for row in rows} == {
        "direct-tcpip": there,
        "tcpip-forward": "localhost:0",
    }
    assert all(row["actor"] == "alice" for row in rows)


def _both(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows if len(rows) == 2 else []


async def test_every_kind_of_forward_is_refused_and_noted(bastion: Bastion) -> None:
    """lesson 9: each channel type and each global request that could carry traffic past the recording."""
    mark = bastion.mark()
    async with rawclient.connect(bastion, "web") as conn:
        refused = [
            conn.open_connection(HOST, bastion.sshd.port),
            conn.open_unix_connection(str(bastion.broker.control)),
            conn.start_server(lambda *_: None, "", 0),  # type: ignore[arg-type,return-value]
            conn.start_unix_server(lambda *_: None, "/tmp/never-made"),  # type: ignore[arg-type,return-value]
            conn.open_tun(0),
            conn.open_tap(0),
        ]
        for number, asked in enumerate(refused):
            with pytest.raises((asyncssh.ChannelOpenError, asyncssh.ChannelListenError)):
                await asked
            assert number >= 0
        for kind in ("x11", "auth-agent@openssh.com", "forwarded-tcpip", "made-up@example", ""):
            with pytest.raises(asyncssh.ChannelOpenError):
                await conn.create_tcp_channel(encoding=None)._open(kind.encode())  # type: ignore[attr-defined]
        done = await conn.run("echo still-in")
        assert done.stdout == "still-in\n"
    noted = {row["subject"] for row in bastion.audit(mark, "request.refused")}
    assert noted >= {
        "direct-tcpip",
        "direct-streamlocal",
        "tcpip-forward",
        "streamlocal-forward",
        "tun",
        "tap",
    }
    assert not Path("/tmp/never-made").exists()


async def test_refusals_without_end_do_not_fill_the_audit(bastion: Bastion) -> None:
    """lesson 26, from a user: what is asked for over and over is noted so often and no more."""
    mark = bastion.mark()
    async with rawclient.connect(bastion, "web") as conn:
        for _ in range(300):
            with pytest.raises(asyncssh.ChannelOpenError):
                await conn.open_connection(HOST, 22)
    assert 50 <= len(bastion.audit(mark, "request.refused")) <= 150


# ---------------------------------------------------------------- 24, 25, 39: requests of a channel


@pytest.fixture
async def logged_in(bastion: Bastion) -> AsyncIterator[Bare]:
    """Logged in at `web`, one session channel open, its number 0 on both sides."""
    async with bare(bastion) as wire:
        wire.prove("web", private(bastion.alice))
        assert _kind(await wire.reply()) == AUTH_SUCCESS
        wire.open_session()
        assert _kind(await wire.reply()) == OPEN_CONFIRMATION
        yield wire


def _kind(reply: tuple[int, bytes] | None) -> int:
    return reply[0] if reply else 0


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
        assert _kind(await logged_in.reply()) == CHANNEL_FAILURE, name
    before = bastion.mark()
    await asyncio.sleep(0)
    assert bastion.audit(before) == []


async def test_requests_refused_before_the_session_are_in_its_recording(bastion: Bastion) -> None:
    """lesson 39: each with its name, also those that came before there was a recording."""
    async with bare(bastion) as wire:
        wire.prove("web", private(bastion.alice))
        assert _kind(await wire.reply()) == AUTH_SUCCESS
        wire.open_session()
        assert _kind(await wire.reply()) == OPEN_CONFIRMATION
        for name, parts in REQUESTS.items():
            if name != "subsystem":  # which uses the channel up
                wire.request(0, name, *parts)
                assert _kind(await wire.reply()) == CHANNEL_FAILURE, name
        wire.request(0, "exec", String("echo run"))
        assert _kind(await wire.reply()) == CHANNEL_SUCCESS
        while _kind(await wire.reply()) != CHANNEL_CLOSE:
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
    kinds = [_kind(await logged_in.reply()) for _ in range(3)]
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
    "‮bew",
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
        if _kind(await wire.reply()) == AUTH_SUCCESS:
            wire.open_session()
            assert _kind(await wire.reply()) == OPEN_CONFIRMATION
            wire.request(0, "exec", String("true"))
            assert _kind(await wire.reply()) == CHANNEL_SUCCESS
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
        assert _kind(await wire.reply()) == AUTH_SUCCESS
        wire.open_session()
        assert _kind(await wire.reply()) == OPEN_CONFIRMATION
        wire.request(0, "exec", String(command))
        first = _kind(await wire.reply())
        if len(command) > 100_000 or b"\0" in command:
            assert first == CHANNEL_FAILURE
        else:
            assert first == CHANNEL_SUCCESS
            while _kind(await wire.reply()) != CHANNEL_CLOSE:
                pass
    listed = await asyncio.to_thread(bastion.broker.cli, "recordings", "ls", "--json")
    assert "\\ud8" not in listed.stdout


async def test_channels_of_one_connection_are_bounded(bastion: Bastion) -> None:
    """lesson 6: sessions opened and left alone, closed and opened again: bounded, and not used up."""
    async with bare(bastion) as wire:
        wire.prove("web", private(bastion.alice))
        assert _kind(await wire.reply()) == AUTH_SUCCESS
        opened = 0
        for number in range(150):
            wire.open_session(number)
            opened += _kind(await wire.reply()) == OPEN_CONFIRMATION
        assert 10 <= opened <= 100
        for number in range(opened):
            wire.send(CHANNEL_CLOSE, UInt32(number))
            assert _kind(await wire.reply()) == CHANNEL_CLOSE
        wire.open_session(1000)
        assert _kind(await wire.reply()) == OPEN_CONFIRMATION, "closed channels count no more"
