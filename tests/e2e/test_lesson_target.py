"""Targets that are not what they should be (security lessons 22, 24, 26)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.e2e.bastion import Bastion, resident, wait_until
from tests.world.keys import make_key
from tests.world.process import HOST, PATIENCE
from tests.world.sshd import Sshd

MakeBastion = Callable[..., Bastion]
MakeSshd = Callable[..., Sshd]

NOISE = 96 << 20
"""Bytes of nonsense that a hostile target sends."""
MUCH = 80 << 20
"""Bytes by which the broker may grow meanwhile: its buffers (8 MiB, in JSON), whatever it is sent."""


# ---------------------------------------------------------------- 22: host keys


@pytest.fixture
def pinned(make_bastion: MakeBastion, make_sshd: MakeSshd) -> tuple[Bastion, Sshd]:
    """A bastion and a target of its own, not written as a target yet."""
    made = make_bastion()
    made.allow("all", targets=["*"], channels=["exec"])
    return made, make_sshd("t", host_key_kinds=("ed25519", "ecdsa", "rsa"))


def test_right_key_of_any_type_is_taken(pinned: tuple[Bastion, Sshd]) -> None:
    """lesson 22: whichever of its keys is pinned."""
    made, sshd = pinned
    for key in sshd.host_keys:
        made.target(key.path.name.replace("_", "-"), sshd, host_keys=[key.bare])
    made.start()
    names = [key.path.name.replace("_", "-") for key in sshd.host_keys]
    done = {name: made.ssh(name).run("echo in").stdout for name in names}
    assert done[names[0]] == b"in\n"
    # The broker offers the same list to all, so a target that has a better key shows that one (lesson 23).
    assert set(done.values()) <= {b"in\n", b""}


@pytest.mark.parametrize("case", ["unknown", "changed", "of another type", "of another target"])
def test_key_that_is_not_pinned_is_refused(
    pinned: tuple[Bastion, Sshd], place: Path, sshd: Sshd, case: str
) -> None:
    """lesson 22: a mismatch whatever its type, both fingerprints told, nothing of a login sent."""
    made, target = pinned
    other = make_key(place, "other", kind="ed25519")
    pins = {
        "unknown": None,
        "changed": [other.bare],
        "of another type": [make_key(place, "rsa", kind="rsa").bare],
        "of another target": [key.bare for key in sshd.host_keys],
    }[case]
    made.target("web", target, host_keys=pins)
    made.target("neighbour", target)  # the same host under another name, rightly pinned: no help
    made.start()
    done = made.ssh("web").run("true")
    assert (done.returncode, done.stdout) == (69, b"")
    if pins is None:
        assert b"no host key is pinned" in done.stderr
        assert "Connection from" not in target.log
    else:
        shown = target.host_keys[0].fingerprint
        assert shown in done.stderr.decode()
        [logged] = [line for line in made.broker.log.splitlines() if "host-key-mismatch" in line]
        audited = made.audited(0, "session.ended")["detail"]["error"]
        assert shown in logged
        assert shown in audited
        assert b"is not the pinned one" in done.stderr
        if case == "changed":
            assert other.fingerprint in done.stderr.decode()
            assert other.fingerprint in logged
            assert other.fingerprint in audited
    assert "Accepted" not in target.log
    assert "publickey" not in target.log, "no login was tried"
    assert made.ssh("neighbour").run("echo in").stdout == b"in\n"


def test_key_that_changes_under_a_pinned_target(make_bastion: MakeBastion, make_sshd: MakeSshd) -> None:
    """lesson 22: right today, refused from the moment the host shows another; right again, taken again."""
    made, target = make_bastion(), make_sshd("t")
    made.target("web", target)
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    assert made.ssh("web").run("true").returncode == 0
    before = target.host_keys
    target.stop()
    target.replace_host_keys()
    target.start()
    assert made.ssh("web").run("true").returncode == 69
    made.target("web", target, host_keys=[key.bare for key in (*target.host_keys, *before)])
    made.broker.restart()
    assert made.ssh("web").run("true").returncode == 0


# ---------------------------------------------------------------- 24, 26: a hostile target


Deed = Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]]


class _Anyone(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return True


@asynccontextmanager
async def hostile(made: Bastion, place: Path, deed: Deed, **options: Any) -> AsyncIterator[None]:
    """A target `evil` of `made`, started with it, whose every session is `deed`."""
    key = make_key(place, "evil")

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionError, asyncssh.Error):
            await deed(process)
        with contextlib.suppress(OSError):
            process.exit(0)

    server = await asyncssh.listen(
        HOST,
        0,
        server_factory=_Anyone,
        server_host_keys=[str(key.path)],
        process_factory=run,
        encoding=None,
        line_editor=False,
        config=None,
        **options,
    )
    made.target("evil", port=server.get_port(), host_keys=[key.bare])
    made.allow("all", targets=["*"], channels=["shell", "exec"])
    await asyncio.to_thread(made.start)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


_PLACE = bytes(4) + bytes(4)  # an empty name and the number 0
KINDS = {
    "forwarded-tcpip": _PLACE + _PLACE,
    "forwarded-streamlocal@openssh.com": _PLACE,
    "direct-tcpip": _PLACE + _PLACE,
    "direct-streamlocal@openssh.com": _PLACE + bytes(4),
    "x11": _PLACE,
    "auth-agent@openssh.com": b"",
    "session": b"",
    "tun@openssh.com": bytes(8),
    "made-up@example": b"anything",
}
"""Channel types and what comes with a request to open one."""


async def test_channels_that_a_target_opens_are_refused(make_bastion: MakeBastion, place: Path) -> None:
    """lesson 24 and 26: agent, X11, forwards, a session: none is opened, each is in the recording."""
    refused = []

    async def open_all(process: asyncssh.SSHServerProcess[bytes]) -> None:
        conn: Any = process.channel.get_connection()
        for kind, body in KINDS.items():
            try:
                await conn.create_tcp_channel(encoding=None)._open(kind.encode(), body)
            except asyncssh.ChannelOpenError:
                refused.append(kind)
        process.stdout.write(b"tried all\n")

    made = make_bastion()
    async with hostile(made, place, open_all):
        done = await asyncio.to_thread(made.ssh("evil").run, "true")
    assert (done.returncode, done.stdout) == (0, b"tried all\n")
    assert refused == list(KINDS)
    assert made.last().refused() == [(kind, "opened by the target") for kind in KINDS]


async def test_channels_without_end_are_noted_so_often(make_bastion: MakeBastion, place: Path) -> None:
    """lesson 26: what a target tries over and over fills neither the record nor the memory."""

    async def open_many(process: asyncssh.SSHServerProcess[bytes]) -> None:
        conn: Any = process.channel.get_connection()
        for _ in range(1000):
            with contextlib.suppress(asyncssh.ChannelOpenError):
                await conn.create_tcp_channel(encoding=None)._open(b"auth-agent@openssh.com")

    made = make_bastion()
    async with hostile(made, place, open_many):
        assert (await asyncio.to_thread(made.ssh("evil").run, "true")).returncode == 0
    assert 10 <= len(made.last().refused()) <= 100


async def test_requests_of_a_target_do_nothing(make_bastion: MakeBastion, place: Path) -> None:
    """lesson 26: global and channel requests that only a server may be asked."""

    async def ask_all(process: asyncssh.SSHServerProcess[bytes]) -> None:
        conn: Any = process.channel.get_connection()
        chan: Any = process.channel
        for name in (
            b"tcpip-forward",
            b"streamlocal-forward@openssh.com",
            b"hostkeys-00@openssh.com",
            b"x" * 200,
        ):
            kind, _ = await conn._make_global_request(name, bytes(8))
            assert kind == 82  # SSH_MSG_REQUEST_FAILURE
        for name in (b"exec", b"shell", b"env", b"auth-agent-req@openssh.com", b"pty-req"):
            assert not await chan._make_request(name)
        process.stdout.write(b"asked all\n")

    made = make_bastion()
    async with hostile(made, place, ask_all):
        done = await asyncio.to_thread(made.ssh("evil").run, "true")
    assert (done.returncode, done.stdout) == (0, b"asked all\n")


OSC = b"\x1b]0;" + b"x" * 60
NOISES = {
    "an OSC that never ends": (OSC, b"x" * 4096),
    "ESC [ without end": (b"", b"\x1b[" * 2048),
    "a CSI of parameters without end": (b"\x1b[", b"1;" * 2048),
    "bytes that are no text": (b"", bytes(range(128, 256)) * 32),
    "combining characters": (b"a", "\u0301".encode() * 2048),
}


@pytest.mark.parametrize("noise", NOISES)
async def test_noise_is_bounded(make_bastion: MakeBastion, place: Path, noise: str) -> None:
    """lesson 26: memory stays where it was, others work meanwhile, the session ends as it should."""
    first, more = NOISES[noise]

    async def make_noise(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(first)
        for _ in range(NOISE // len(more)):
            process.stdout.write(more)
            await process.stdout.drain()

    made = make_bastion()
    made.target("web")
    async with hostile(made, place, make_noise):
        assert (await asyncio.to_thread(made.ssh("web").run, "true")).returncode == 0
        before = resident(made.broker.pid)
        with (place / "out").open("wb") as out:
            argv = made.ssh("evil").argv(options=("-tt", "-o", "BatchMode=yes"))
            noisy = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=out)
            beside = await asyncio.to_thread(made.ssh("web").run, "echo beside")
            peak = before
            while noisy.returncode is None:
                peak = max(peak, resident(made.broker.pid))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(noisy.wait()), 0.05)
    assert beside.stdout == b"beside\n"
    assert noisy.returncode == 0
    assert peak - before < MUCH
    sizes = {session.row["target"]: session for session in made.sessions()}
    shown = (place / "out").stat().st_size
    end = sizes["evil"].fact("end")
    assert shown >= end["totals"]["stdout"] == len(first) + NOISE // len(more) * len(more)


async def test_target_that_says_nothing_does_not_hold_a_session_for_ever(
    make_bastion: MakeBastion, place: Path
) -> None:
    """lesson 26: idle has an end, and so has a target that never lets go of a closed channel."""

    async def wait(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await asyncio.sleep(PATIENCE)

    made = make_bastion(sessions={"idle_timeout": "1s"})
    async with hostile(made, place, wait):
        done = await asyncio.to_thread(made.ssh("evil").run, "true")
        assert done.returncode == 137
        assert done.stderr.startswith(b"bartizan: [E-IDLE] ")
        assert made.last().row["end_reason"] == "idle"


async def test_statuses_of_a_lying_target(make_bastion: MakeBastion, place: Path) -> None:
    """lesson 26: no status, several, or one that is no byte: the user gets one, the broker lives."""

    async def lie(process: asyncssh.SSHServerProcess[bytes]) -> None:
        chan: Any = process.channel
        for status in (1, 2, 0xFFFFFFFF):
            chan._send_request(b"exit-status", status.to_bytes(4, "big"))
        chan._send_request(
            b"exit-signal", *[len(b"\x1b]0;x").to_bytes(4, "big") + b"\x1b]0;x"], b"\0", bytes(8)
        )
        chan.close()

    made = make_bastion()
    async with hostile(made, place, lie):
        done = await asyncio.to_thread(made.ssh("evil").run, "true")
        assert done.returncode > 0
        assert b"\x1b" not in done.stderr
        wait_until(lambda: made.sessions()[0].row["ended_at"], "the end")
        assert made.broker.child.alive


async def test_target_that_closes_at_each_step(make_bastion: MakeBastion, place: Path) -> None:
    """lesson 26: a connection that is cut in the middle is an end with words, never a hang."""
    made = make_bastion()
    made.allow("all", targets=["*"], channels=["exec"])
    sent = [
        b"",
        b"garbage\r\n" * 10,
        b"SSH-2.0-x\r\n",
        b"SSH-2.0-x\r\n" + bytes(4) + b"\xff" * 200,
        b"x" * 100_000,
    ]

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(steps))
        writer.close()

    server = await asyncio.start_server(cut, HOST, 0)
    steps = iter(sent)
    key = make_key(place, "evil")
    made.target("evil", port=server.sockets[0].getsockname()[1], host_keys=[key.bare])
    await asyncio.to_thread(made.start)
    for _ in sent:
        done = await asyncio.to_thread(made.ssh("evil").run, "true")
        assert (done.returncode, done.stdout) == (69, b""), made.broker.log
        assert done.stderr.startswith(b"bartizan: [E-UNAVAILABLE] evil: ")
        assert len(done.stderr.splitlines()) == 1, done.stderr
    server.close()
    await server.wait_closed()
