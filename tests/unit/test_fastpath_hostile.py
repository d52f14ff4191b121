"""A peer that breaks the protocol is refused by an accelerated endpoint as by a stock one, same words."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import asyncssh
import pytest

from broker.relay.fastpath.connection import _FastConnection
from tests.unit.fastpath_endpoints import (
    CHACHA,
    GCM,
    PATIENCE,
    Server,
    connected,
    listening,
    seal,
    string,
    u32,
)

MSG_UNIMPLEMENTED = 3
WINDOW = 2 << 20  # asyncssh's, of a session channel
FAST = pytest.mark.parametrize("fast", [False, True], ids=["stock", "fast"])
CIPHERS = pytest.mark.parametrize("cipher", [GCM, CHACHA])

Attack = Callable[[Any, int], bytes]
"""Makes wire bytes from the attacker's connection and the number of the victim's channel."""


async def _never_reads(process: asyncssh.SSHServerProcess[bytes]) -> None:
    await process.wait_closed()


async def _outcome(attack: Attack, *, fast: bool, cipher: str = GCM) -> tuple[type, str]:
    """How the victim, a server with one open session, ends the connection when attacked after good data."""
    async with connected(_never_reads, fast_server=fast, fast_client=False, encryption_algs=[cipher]) as ends:
        process = await ends.client.create_process("x", encoding=None)
        chan = process.channel
        chan.write(b"well-formed")
        ends.client._transport.write(attack(ends.client, chan._send_chan))
        error = await asyncio.wait_for(ends.server_lost, PATIENCE)
        return type(error), str(error)


def _data(body: bytes) -> Attack:
    return lambda conn, chan: seal(conn, b"\x5e" + u32(chan) + body)


def _flipped(conn: Any, chan: int) -> bytes:
    packet = seal(conn, b"\x5e" + u32(chan) + string(b"rm -rf"))
    return packet[:-1] + bytes((packet[-1] ^ 1,))


def _flipped_body(conn: Any, chan: int) -> bytes:
    packet = seal(conn, b"\x5e" + u32(chan) + string(b"rm -rf"))
    return packet[:20] + bytes((packet[20] ^ 1,)) + packet[21:]


def _beyond_window(conn: Any, chan: int) -> bytes:
    # Twice: what the session had taken before it stopped reading was granted again.
    packet = b"\x5e" + u32(chan) + string(bytes(200_000))
    return b"".join(seal(conn, packet) for _ in range(2 * WINDOW // 200_000 + 1))


def _after_eof(conn: Any, chan: int) -> bytes:
    return seal(conn, b"\x60" + u32(chan)) + seal(conn, b"\x5e" + u32(chan) + string(b"more"))


REFUSALS: dict[str, tuple[Attack, type[Exception], str]] = {
    "flipped tag": (_flipped, asyncssh.MACError, "MAC verification failed"),
    "flipped body": (_flipped_body, asyncssh.MACError, "MAC verification failed"),
    "packet too long": (_data(string(bytes(300_000))), asyncssh.ProtocolError, "Max packet size exceeded"),
    "beyond the window": (_beyond_window, asyncssh.ProtocolError, "Window exceeded"),
    "after the end of input": (_after_eof, asyncssh.ProtocolError, "Channel not open for sending"),
    "no such channel": (
        lambda conn, chan: seal(conn, b"\x5e" + u32(77) + string(b"x")),
        asyncssh.ProtocolError,
        "Invalid channel number 77 received",
    ),
    "bytes after the data": (
        _data(string(b"x") + b"tail"),
        asyncssh.ProtocolError,
        "Unexpected data at end of packet",
    ),
    "data cut off": (_data(u32(5000) + b"short"), asyncssh.ProtocolError, "Incomplete packet"),
    "no data at all": (_data(b""), asyncssh.ProtocolError, "Incomplete packet"),
    "no channel": (
        lambda conn, chan: seal(conn, b"\x5e\x00"),
        asyncssh.ProtocolError,
        "Incomplete channel request received",
    ),
    "key exchange out of turn": (
        lambda conn, chan: seal(conn, b"\x1e" + string(bytes(32))),
        asyncssh.ProtocolError,
        "Key exchange not in progress",
    ),
}


@FAST
@CIPHERS
@pytest.mark.parametrize("name", REFUSALS)
async def test_refused(name: str, cipher: str, fast: bool) -> None:
    attack, kind, words = REFUSALS[name]
    assert await _outcome(attack, fast=fast, cipher=cipher) == (kind, words)


@CIPHERS
async def test_padding_is_judged_as_by_asyncssh(cipher: str) -> None:
    def no_padding(conn: Any, chan: int) -> bytes:
        return seal(conn, b"\x5e" + u32(chan) + string(bytes(40)), padding=0)

    def only_padding(conn: Any, chan: int) -> bytes:
        return seal(conn, b"", padding=63)

    def more_than_there_is(conn: Any, chan: int) -> bytes:
        return seal(conn, b"\x5e" + u32(chan) + string(b"x"), claim=200)

    for attack in (no_padding, only_padding, more_than_there_is):
        stock = await _outcome(attack, fast=False, cipher=cipher)
        assert await _outcome(attack, fast=True, cipher=cipher) == stock


async def test_random_packets_end_as_they_do_with_asyncssh() -> None:
    for seed in range(20):

        def attack(conn: Any, chan: int, seed: int = seed) -> bytes:
            dice = random.Random(seed)
            kind = dice.choice((94, 94, 94, 95, 93, 96, 98, 2, 90, 100, 192))
            number = dice.choice((chan, chan, chan, 3))
            length = dice.choice((0, 1, 8, 9, 2**31, 2**32 - 1))
            wild = bytes((kind,)) + u32(number) + u32(length) + dice.randbytes(dice.choice((0, 8, 30)))
            # The last packet ends what the first did not.
            return seal(conn, wild) + seal(conn, b"\x5e" + u32(99) + string(b""))

        assert await _outcome(attack, fast=True) == await _outcome(attack, fast=False), f"seed {seed}"


@FAST
async def test_the_peer_is_told_why_before_the_line_is_cut(fast: bool) -> None:
    async with connected(_never_reads, fast_server=fast, fast_client=False, encryption_algs=[GCM]) as ends:
        process = await ends.client.create_process("x", encoding=None)
        ends.client._transport.write(_flipped(ends.client, process.channel._send_chan))
        error = await asyncio.wait_for(ends.client_lost, PATIENCE)
    assert isinstance(error, asyncssh.MACError)
    assert "MAC verification failed" in str(error)


async def test_channel_data_before_login_never_reaches_the_fast_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """lesson 5: messages of the connection protocol before authentication."""
    used: list[object] = []
    monkeypatch.setattr(_FastConnection, "_recv_burst", lambda self, cipher: used.append(cipher))

    class Careful(Server):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

    class Early(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            self.conn: Any = conn

        def password_auth_requested(self) -> str:
            self.conn._transport.write(seal(self.conn, b"\x5e" + u32(0) + string(b"id\n")))
            return "guess"

    server = Careful(fast=True)
    async with listening(server, encryption_algs=[GCM]) as port:
        with pytest.raises(asyncssh.ProtocolError, match="before authentication was complete"):
            await asyncssh.connect(
                "127.0.0.1",
                port,
                known_hosts=None,
                client_factory=Early,
                username="someone",
                client_keys=None,
                agent_path=None,
                config=None,
                preferred_auth="password",
            )
        assert isinstance(await asyncio.wait_for(server.lost, PATIENCE), asyncssh.ProtocolError)
    assert used == []


@FAST
async def test_a_length_bomb_from_a_stranger_is_refused_unread(fast: bool) -> None:
    """lesson 6: the first packet, in the clear, claims two gigabytes."""
    server = Server(fast)
    async with listening(server) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"SSH-2.0-bomb\r\n" + b"\x7f\xff\xff\xff" * 4)
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
            error = await server.lost
        writer.close()
        await writer.wait_closed()
    assert str(error) == "Max packet size exceeded"
    assert b"Max packet size exceeded" in answer
    assert len(server.made.result()._inpbuf) == 0


@FAST
@CIPHERS
async def test_the_shortest_packet_is_answered_without_another_behind_it(cipher: str, fast: bool) -> None:
    """Under chacha20 a packet may have 8 bytes, less than any with channel data."""
    async with connected(_never_reads, fast_server=fast, fast_client=False, encryption_algs=[cipher]) as ends:
        await ends.client.create_process("x", encoding=None)
        answered, process_packet = asyncio.Event(), ends.client.process_packet

        def watch(pkttype: int, pktid: int, packet: Any) -> Any:
            if pkttype == MSG_UNIMPLEMENTED:
                answered.set()
            return process_packet(pkttype, pktid, packet)

        ends.client.process_packet = watch
        ends.client._transport.write(seal(ends.client, b"\xc8"))  # a packet of no known type
        await asyncio.wait_for(answered.wait(), PATIENCE)
