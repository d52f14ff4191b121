"""Two asyncssh endpoints on the loopback interface, stock or accelerated, and ways to misuse the protocol."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from broker.relay.fastpath import accelerate

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
PATIENCE = 60  # seconds until a hanging test is ended; never measured against

GCM = "aes128-gcm@openssh.com"
CHACHA = "chacha20-poly1305@openssh.com"

Handler = Callable[[asyncssh.SSHServerProcess[bytes]], Any]


@dataclass
class Ends:
    """Both ends of one login."""

    client: Any
    server: Any
    server_lost: asyncio.Future[Exception | None]
    """What the server was told when the connection ended."""
    client_lost: asyncio.Future[Exception | None] = field(repr=False)


class _Client(asyncssh.SSHClient):
    def __init__(self, fast: bool, lost: asyncio.Future[Exception | None]) -> None:
        self._fast = fast
        self._lost = lost

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        assert not self._fast or accelerate(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set_result(exc)


class Server(asyncssh.SSHServer):
    """Lets anyone in without a password; notes its connection and how it ended."""

    def __init__(self, fast: bool) -> None:
        self._fast = fast
        loop = asyncio.get_running_loop()
        self.made: asyncio.Future[Any] = loop.create_future()
        self.lost: asyncio.Future[Exception | None] = loop.create_future()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert not self._fast or accelerate(conn, only_gcm=False)
        self.made.set_result(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)

    def begin_auth(self, username: str) -> bool:
        return False


@asynccontextmanager
async def listening(server: asyncssh.SSHServer, **options: Any) -> AsyncIterator[int]:
    """A listener for one connection, to which `server` answers; gives its port."""
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: server,
        server_host_keys=[HOST_KEY],
        encoding=None,
        line_editor=False,
        gss_host=None,
        config=None,
        **options,
    )
    async with listener:
        yield listener.get_port()


@asynccontextmanager
async def connected(
    handler: Handler | None = None, *, fast_server: bool, fast_client: bool, port: int = 0, **options: Any
) -> AsyncIterator[Ends]:
    """A login whose commands are served by `handler`; `options` (ciphers, rekeying, …) go to both ends."""
    server = Server(fast_server)
    client_lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    async with listening(server, process_factory=handler, **options) as port:
        async with asyncio.timeout(PATIENCE):
            client = await asyncssh.connect(
                "127.0.0.1",
                port,
                username="someone",
                known_hosts=None,
                client_keys=None,
                agent_path=None,
                config=None,
                gss_host=None,
                client_factory=lambda: _Client(fast_client, client_lost),
                **options,
            )
            try:
                yield Ends(client, await server.made, server.lost, client_lost)
            finally:
                client.abort()
                await client.wait_closed()
                server.made.result().abort()
                await server.made.result().wait_closed()


def seal(conn: Any, payload: bytes, *, padding: int | None = None, claim: int | None = None) -> bytes:
    """One packet as `conn`, a stock connection, would send it next, with freedoms that it does not take:
    any payload, so many bytes of padding (not rounded to blocks), another count of them claimed."""
    if padding is None:
        padding = -(1 + len(payload)) % conn._send_blocksize
        padding += conn._send_blocksize if padding < 4 else 0
    packet = bytes((padding if claim is None else claim,)) + payload + os.urandom(padding)
    head = len(packet).to_bytes(4, "big")
    sealed, mac = conn._send_encryption.encrypt_packet(conn._send_seq, head, packet)
    conn._send_seq = (conn._send_seq + 1) & 0xFFFFFFFF
    return sealed + mac


def u32(value: int) -> bytes:
    """RFC 4251 uint32."""
    return value.to_bytes(4, "big")


def string(value: bytes) -> bytes:
    """RFC 4251 string."""
    return u32(len(value)) + value
