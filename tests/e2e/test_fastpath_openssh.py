"""Accelerated connections against the real OpenSSH client and server."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from broker.relay.fastpath import FastClientConnection, FastServerConnection, accelerate
from broker.relay.fastpath.ciphers import AeadStream
from tests.unit.fastpath_endpoints import Server, listening
from tests.world.client import SshClient
from tests.world.keys import KeyPair
from tests.world.sshd import Sshd

MB = 1 << 20
DATA = random.Random(5).randbytes(6 * MB)
CIPHERS = pytest.mark.parametrize(
    ("cipher", "kept"),
    [
        ("aes128-gcm@openssh.com", True),
        ("aes256-gcm@openssh.com", True),
        ("chacha20-poly1305@openssh.com", True),
        ("aes256-ctr", False),
    ],
)


async def _echo(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Sends back what comes, then a digest on stderr, then status 3."""
    digest = hashlib.sha256()
    while piece := await process.stdin.read(50000):
        digest.update(piece)
        process.stdout.write(piece)
        await process.stdout.drain()
    process.stderr.write(digest.digest())
    process.exit(3)


class _Narrow(Server):
    """As the broker has it: OpenSSH is offered AES-GCM only."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert accelerate(conn)
        self.made.set_result(conn)


async def _ssh(client: SshClient, *options: str) -> tuple[int, bytes, bytes]:
    argv = client.argv("echo", options=("-o", "BatchMode=yes", *options))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await process.communicate(DATA)
    assert process.returncode is not None
    return process.returncode, out, err


@CIPHERS
async def test_openssh_client_with_frequent_new_keys(cipher: str, kept: bool, place: Path) -> None:
    server = Server(fast=True)
    async with listening(server, process_factory=_echo, rekey_bytes=MB) as port:
        client = SshClient(port, "someone", None, place)
        status, out, err = await _ssh(client, "-o", f"Ciphers={cipher}", "-o", "RekeyLimit=700K")
        assert type(server.made.result()) is FastServerConnection
        assert isinstance(server.made.result()._recv_encryption, AeadStream) is kept
    assert hashlib.sha256(out).digest() == hashlib.sha256(DATA).digest()
    assert err == hashlib.sha256(DATA).digest()
    assert status == 3


async def test_openssh_client_by_its_own_choice_of_cipher_gets_gcm(place: Path) -> None:
    server = _Narrow(fast=True)
    async with listening(server, process_factory=_echo) as port:
        status, out, _ = await _ssh(SshClient(port, "someone", None, place))
        assert re.fullmatch(r"aes\d+-gcm@openssh\.com", server.made.result().get_extra_info("recv_cipher"))
    assert (status, out == DATA) == (3, True)


async def test_openssh_client_with_compression(place: Path) -> None:
    server = Server(fast=True)
    async with listening(server, process_factory=_echo) as port:
        status, out, _ = await _ssh(SshClient(port, "someone", None, place), "-C")
        assert server.made.result().get_extra_info("recv_compression") == "zlib@openssh.com"
    assert (status, out == DATA) == (3, True)


@asynccontextmanager
async def _on(sshd: Sshd, key: KeyPair, **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
    class Client(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            assert accelerate(conn)

    async with asyncssh.connect(
        "127.0.0.1",
        sshd.port,
        username=sshd.user,
        client_keys=[str(key.path)],
        known_hosts=None,
        agent_path=None,
        config=None,
        client_factory=Client,
        **options,
    ) as conn:
        assert type(conn) is FastClientConnection
        yield conn


@CIPHERS
async def test_openssh_server_with_frequent_new_keys(
    cipher: str, kept: bool, make_sshd: Callable[..., Sshd], target_key: KeyPair
) -> None:
    sshd = make_sshd(settings="RekeyLimit 700K")
    async with _on(sshd, target_key, encryption_algs=[cipher], rekey_bytes=MB) as conn:
        result = await conn.run("cat; echo problem >&2; exit 4", input=DATA, encoding=None)
        assert isinstance(conn._recv_encryption, AeadStream) is kept
    assert isinstance(result.stdout, bytes)
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(DATA).digest()
    assert result.stderr == b"problem\n"
    assert result.exit_status == 4


async def test_a_terminal_on_an_openssh_server(sshd: Sshd, target_key: KeyPair) -> None:
    async with (
        _on(sshd, target_key) as conn,
        conn.create_process("stty -echo -onlcr; echo ready; cat", term_type="dumb", encoding=None) as process,
    ):
        assert b"ready" in await process.stdout.readuntil(b"ready")
        await process.stdout.readuntil(b"\n")
        for key in b"typed":
            process.stdin.write(bytes((key,)))
        process.stdin.write(b"\n")
        assert await process.stdout.readuntil(b"\n") == b"typed\n"
        process.stdin.write(b"\x04")
        assert (await process.wait()).exit_status == 0
