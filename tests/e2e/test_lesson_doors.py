"""Every door against every policy, and doors that stay shut (security lessons 3, 8, 9, 10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.e2e import rawclient
from tests.e2e.bastion import ROOMY, Bastion, wait_until
from tests.world.broker import Broker
from tests.world.homes import PROMPT
from tests.world.keys import KeyPair
from tests.world.process import HOST
from tests.world.sshd import Sshd

MakeBastion = Callable[..., Bastion]

CHANNELS = ("shell", "exec", "scp", "sftp", "forward", "agent", "x11", "subsystem")


@pytest.fixture(scope="module")
def matrix(world: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair) -> Iterator[Bastion]:
    """A target `t-CHANNEL` for each channel, on which that one is granted; `t-none`: granted in the past."""
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
        refused: list[Awaitable[Any]] = [
            conn.open_connection(HOST, bastion.sshd.port),
            conn.open_unix_connection(str(bastion.broker.control)),
            conn.start_server(lambda *_: None, "", 0),
            conn.start_unix_server(lambda *_: None, "/tmp/never-made"),
            conn.open_tun(0),
            conn.open_tap(0),
        ]
        for asked in refused:
            with pytest.raises((asyncssh.ChannelOpenError, asyncssh.ChannelListenError)):
                await asked
        for kind in ("x11", "auth-agent@openssh.com", "forwarded-tcpip", "made-up@example", ""):
            with pytest.raises(asyncssh.ChannelOpenError):
                await conn.create_tcp_channel(encoding=None)._open(kind.encode())
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
