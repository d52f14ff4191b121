"""An SSH client that only moves packets: key exchange done, the rest is up to the test (RFC 4252 to 4254)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
from asyncssh import SSHClientConnection, SSHKey
from asyncssh.packet import Boolean, Byte, SSHPacket, String

from tests.e2e.bastion import Bastion
from tests.world.keys import KeyPair
from tests.world.process import HOST, PATIENCE

DISCONNECT, SERVICE_ACCEPT, EXT_INFO = 1, 6, 7
AUTH_REQUEST, AUTH_FAILURE, AUTH_SUCCESS, PK_OK = 50, 51, 52, 60
GLOBAL_REQUEST, CHANNEL_OPEN, OPEN_CONFIRMATION, OPEN_FAILURE = 80, 90, 91, 92
CHANNEL_EXTENDED_DATA, CHANNEL_CLOSE, CHANNEL_REQUEST, CHANNEL_SUCCESS, CHANNEL_FAILURE = 95, 97, 98, 99, 100

Reply = tuple[int, bytes]
"""Type and payload of a packet, the type left out of the payload."""


class BareConnection(SSHClientConnection):
    """Keeps every packet beyond the key exchange for the test."""

    replies: asyncio.Queue[Reply | None]
    """None: the connection is closed."""

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> Any:
        if pkttype in (EXT_INFO, GLOBAL_REQUEST) or 20 <= pkttype < 50:
            return super().process_packet(pkttype, pktid, packet)
        if pkttype == AUTH_SUCCESS:
            self._auth_complete = True
        self._auth = self  # type: ignore[assignment]  # packets 60 to 79 come here too
        self.replies.put_nowait((pkttype, packet.get_remaining_payload()))
        return True

    def cancel(self) -> None:
        """As what asyncssh takes this for, the authentication in progress."""


class _AnyChannel(dict[int, Any]):
    """Sends the packets of every channel to the connection itself."""

    def __init__(self, conn: BareConnection) -> None:
        super().__init__()
        self._conn = conn

    def __missing__(self, number: int) -> BareConnection:
        return self._conn


class _Client(asyncssh.SSHClient):
    def connection_made(self, conn: SSHClientConnection) -> None:
        conn.__class__ = BareConnection
        assert isinstance(conn, BareConnection)
        conn.replies = asyncio.Queue()
        conn._channels = _AnyChannel(conn)
        self.conn = conn

    def connection_lost(self, exc: Exception | None) -> None:
        self.conn.replies.put_nowait(None)


class Bare:
    """One connection that is ready to ask for a login."""

    def __init__(self, conn: BareConnection) -> None:
        self.conn = conn

    def send(self, kind: int, *parts: bytes) -> None:
        if kind >= GLOBAL_REQUEST:
            self.conn._auth_complete = True  # or asyncssh would keep it back until there is a login
        self.conn.send_packet(kind, *parts)

    async def reply(self) -> Reply | None:
        """The next packet; None once the broker has closed the connection."""
        return await asyncio.wait_for(self.conn.replies.get(), PATIENCE)

    async def kind(self) -> int:
        """The type of the next packet; 0 once the connection is closed."""
        reply = await self.reply()
        return reply[0] if reply else 0

    async def closed(self) -> list[int]:
        """Wait for the end; the types of the packets that came before it."""
        kinds = []
        while (reply := await self.reply()) is not None:
            kinds.append(reply[0])
        return kinds

    # ------------------------------------------------------------ login

    def offer(self, login: str | bytes, key: SSHKey) -> None:
        """May this key try? (RFC 4252 section 7)"""
        self.send(AUTH_REQUEST, *_auth(login), Boolean(False), *_named(key))

    def prove(self, login: str | bytes, key: SSHKey, signer: SSHKey | None = None, over: str = "") -> None:
        """Log in. `signer`: signs in the place of `key`; `over`: another login name in what is signed."""
        body = b"".join((*_auth(login), Boolean(True), *_named(key)))
        signed = b"".join((*_auth(over or login), Boolean(True), *_named(key)))
        data = String(self.conn._session_id) + Byte(AUTH_REQUEST) + signed
        self.send(AUTH_REQUEST, body, String((signer or key).sign(data, key.algorithm)))

    # ------------------------------------------------------------ channels

    def open_session(self, number: int = 0) -> None:
        self.send(CHANNEL_OPEN, String("session"), *(_number(n) for n in (number, 1 << 20, 1 << 15)))

    def request(self, channel: int, name: str, *parts: bytes) -> None:
        self.send(CHANNEL_REQUEST, _number(channel), String(name), Boolean(True), *parts)


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _auth(login: str | bytes) -> tuple[bytes, bytes, bytes]:
    return String(login), String("ssh-connection"), String("publickey")


def _named(key: SSHKey) -> tuple[bytes, bytes]:
    return String(key.algorithm), String(key.public_data)


@asynccontextmanager
async def bare(bastion: Bastion) -> AsyncIterator[Bare]:
    """Connected, keys exchanged, the service ssh-userauth accepted, nobody logged in."""
    client = _Client()
    connecting = asyncio.get_running_loop().create_task(_connect(bastion, client))
    while not hasattr(client, "conn"):
        await asyncio.sleep(0)
    wire = Bare(client.conn)
    try:
        first = await wire.reply()
        assert first is not None
        assert first[0] == SERVICE_ACCEPT
        yield wire
    finally:
        client.conn.abort()
        connecting.cancel()
        with contextlib.suppress(asyncssh.Error, OSError, asyncio.CancelledError):
            await connecting


async def _connect(bastion: Bastion, client: _Client) -> None:
    """Never ends well: the test, not asyncssh, does what comes after the key exchange."""
    await asyncssh.connect(
        HOST,
        bastion.broker.port,
        username="bare",
        client_factory=lambda: client,
        known_hosts=None,
        config=None,
        agent_path=None,
        client_keys=None,
        server_host_key_algs=["ssh-ed25519"],
    )


def private(key: KeyPair) -> SSHKey:
    return asyncssh.read_private_key(str(key.path))
