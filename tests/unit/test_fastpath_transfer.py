"""Stock and accelerated endpoints in all four pairings carry the same bytes, in the same order of events."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from typing import Any

import asyncssh
import pytest
from asyncssh.connection import SSHConnection

from broker.relay.fastpath import FastClientConnection, FastServerConnection, set_read_size
from broker.relay.fastpath.ciphers import AeadStream
from broker.relay.fastpath.connection import READ_SIZE, _FastConnection
from tests.unit.fastpath_endpoints import CHACHA, GCM, Ends, connected

MB = 1 << 20
PAIRINGS = pytest.mark.parametrize(
    ("fast_server", "fast_client"), [(False, False), (True, False), (False, True), (True, True)]
)
CTR: dict[str, Any] = {"encryption_algs": ["aes256-ctr"], "mac_algs": ["hmac-sha2-256-etm@openssh.com"]}
CBC: dict[str, Any] = {"encryption_algs": ["aes128-cbc"], "mac_algs": ["hmac-sha2-256"]}


def _noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


async def _send(writer: Any, data: bytes, seed: int) -> None:
    """Write in pieces from one byte to beyond the largest packet."""
    sizes = random.Random(seed)
    at = 0
    while at < len(data):
        size = sizes.choice((1, 7, 300, 4096, 20000, 32768, 70000))
        writer.write(data[at : at + size])
        at += size
        await writer.drain()


def _mirror(size: int) -> Any:
    """Sends `size` bytes while it reads to the end; then tells the digest of what came; exits 7."""

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        received, _ = await asyncio.gather(
            process.stdin.read(), _send(process.stdout, _noise(size, seed=1), seed=3)
        )
        process.stderr.write(hashlib.sha256(received).digest())
        process.exit(7)

    return serve


async def _exchange(ends: Ends, size: int, **channel: int) -> None:
    """Random data both ways at once; every byte arrives, as do digest and exit status."""
    data = _noise(size, seed=2)

    async def send(process: asyncssh.SSHClientProcess[bytes]) -> None:
        await _send(process.stdin, data, seed=4)
        process.stdin.write_eof()

    async with ends.client.create_process("mirror", encoding=None, **channel) as process:
        _, out, err = await asyncio.gather(send(process), process.stdout.read(), process.stderr.read())
        await process.wait(check=False)
        assert hashlib.sha256(out).digest() == hashlib.sha256(_noise(size, seed=1)).digest()
        assert err == hashlib.sha256(data).digest()
        assert process.exit_status == 7


@PAIRINGS
@pytest.mark.parametrize("cipher", [GCM, CHACHA])
async def test_20_mb_both_ways_with_a_new_key_every_megabyte(
    fast_server: bool, fast_client: bool, cipher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, limit = (20 if cipher == GCM else 6) * MB, MB
    new_keys: Counter[SSHConnection] = Counter()
    send_newkeys = SSHConnection.send_newkeys

    def counted(self: SSHConnection, k: bytes, h: bytes) -> None:
        new_keys[self] += 1
        send_newkeys(self, k, h)

    monkeypatch.setattr(SSHConnection, "send_newkeys", counted)
    async with connected(
        _mirror(size),
        fast_server=fast_server,
        fast_client=fast_client,
        encryption_algs=[cipher],
        rekey_bytes=limit,
    ) as ends:
        await _exchange(ends, size)
        assert min(new_keys[ends.client], new_keys[ends.server]) > size // limit // 2


@PAIRINGS
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"compression_algs": ["zlib@openssh.com"]}, id="zlib@openssh.com"),
        pytest.param({"compression_algs": ["zlib@openssh.com"], "encryption_algs": [GCM]}, id="zlib-gcm"),
        pytest.param(CTR, id="aes256-ctr"),
        pytest.param(CBC, id="aes128-cbc"),
        pytest.param({"encryption_algs": [CHACHA]}, id="chacha20"),
        pytest.param({"encryption_algs": [GCM]}, id="aes128-gcm"),
        pytest.param({"encryption_algs": ["aes256-gcm@openssh.com"]}, id="aes256-gcm"),
    ],
)
async def test_both_ways_under_every_kind_of_cipher(
    fast_server: bool, fast_client: bool, options: dict[str, Any]
) -> None:
    async with connected(
        _mirror(2 * MB), fast_server=fast_server, fast_client=fast_client, **options
    ) as ends:
        await _exchange(ends, 2 * MB)


@PAIRINGS
async def test_both_ways_through_small_windows_and_packets(fast_server: bool, fast_client: bool) -> None:
    async with connected(_mirror(MB), fast_server=fast_server, fast_client=fast_client) as ends:
        ends.server._window, ends.server._max_pktsize = 70000, 5000
        await _exchange(ends, MB, window=9000, max_pktsize=4000)


async def test_a_write_beyond_window_or_packet_waits_and_keeps_its_place() -> None:
    async with connected(_mirror(1), fast_server=False, fast_client=True, encryption_algs=[GCM]) as ends:
        chan = (await ends.client.create_process("x", encoding=None)).channel
        chan._send_window, chan._send_pktsize = 1500, 1000
        before = ends.client._send_seq
        chan.write(b"x" * 1200)
        assert ends.client._send_seq - before == 2, "1000 and 200 bytes"
        chan.write(b"y" * 400)
        chan.write(b"z" * 5)
        assert (chan._send_window, chan.get_write_buffer_size()) == (0, 105)
        assert b"".join(data for data, _ in chan._send_buf) == b"y" * 100 + b"z" * 5
        assert ends.client._send_seq - before == 3


@pytest.mark.parametrize("fast", [False, True], ids=["stock", "fast"])
async def test_nothing_can_be_written_after_the_end(fast: bool) -> None:
    async with connected(_mirror(1), fast_server=False, fast_client=fast) as ends:
        chan = (await ends.client.create_process("x", encoding=None)).channel
        chan.write_eof()
        with pytest.raises(BrokenPipeError):
            chan.write(b"more")


@PAIRINGS
async def test_sent_bytes_count_towards_the_next_key(fast_server: bool, fast_client: bool) -> None:
    async with connected(
        _mirror(1), fast_server=fast_server, fast_client=fast_client, encryption_algs=[GCM]
    ) as ends:
        chan = (await ends.client.create_process("x", encoding=None)).channel
        before = ends.client._rekey_bytes_sent
        chan.write(bytes(1000))
        # Padding length, type, channel, length and data, padded to blocks of 16; stock adds an ignore packet.
        assert ends.client._rekey_bytes_sent - before in ((1024,) if fast_client else (1024 + 16,))


@pytest.mark.parametrize(
    ("options", "fast"),
    [
        ({"encryption_algs": [GCM]}, True),
        ({"encryption_algs": [CHACHA]}, True),
        (CTR, False),
        (CBC, False),
        ({"encryption_algs": [GCM], "compression_algs": ["zlib@openssh.com"]}, False),
    ],
)
async def test_the_fast_branches_are_taken_where_they_apply_and_only_there(
    options: dict[str, Any], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {"loops": 0, "in": 0, "out": 0}
    loop, take, send = _FastConnection._recv_burst, _FastConnection._take_data, _FastConnection.send_sealed

    def counted_loop(self: Any, cipher: AeadStream) -> bool:
        taken["loops"] += 1
        return loop(self, cipher)

    def counted_take(self: Any, seq: int, packet: bytes) -> bool:
        done = take(self, seq, packet)
        taken["in"] += done
        return done

    def counted_send(self: Any, cipher: AeadStream, head: bytes, body: bytes) -> None:
        taken["out"] += 1
        send(self, cipher, head, body)

    monkeypatch.setattr(_FastConnection, "_recv_burst", counted_loop)
    monkeypatch.setattr(_FastConnection, "_take_data", counted_take)
    monkeypatch.setattr(_FastConnection, "send_sealed", counted_send)
    async with connected(_mirror(MB), fast_server=True, fast_client=True, **options) as ends:
        assert type(ends.client) is FastClientConnection
        assert type(ends.server) is FastServerConnection
        await _exchange(ends, MB)
    if fast:
        assert min(taken["in"], taken["out"]) > 2 * MB // 32768
    else:
        assert taken == {"loops": 0, "in": 0, "out": 0}


@pytest.mark.parametrize("cipher", [GCM, CHACHA])
@pytest.mark.parametrize("size", [1, 3, 31, 32, 37, 1000])
async def test_packets_may_be_cut_anywhere_by_the_network(size: int, cipher: str) -> None:
    async with connected(
        _mirror(400 * size), fast_server=True, fast_client=True, encryption_algs=[cipher], rekey_bytes=30000
    ) as ends:
        assert set_read_size(ends.client._transport, size)
        assert set_read_size(ends.server._transport, size)
        await _exchange(ends, 400 * size)


@PAIRINGS
async def test_output_eof_status_and_close_come_in_this_order(fast_server: bool, fast_client: bool) -> None:
    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await process.stdin.readexactly(1)
        process.stdout.write(b"last words")
        process.stdout.write_eof()
        process.exit(5)

    seen: list[Any] = []
    gone = asyncio.Event()

    class Session(asyncssh.SSHClientSession[bytes]):
        def data_received(self, data: bytes, datatype: int | None) -> None:
            seen.append(data)

        def eof_received(self) -> bool:
            seen.append("eof")
            return True

        def exit_status_received(self, status: int) -> None:
            seen.append(status)

        def connection_lost(self, exc: Exception | None) -> None:
            seen.append(("closed", exc))
            gone.set()

    async with connected(serve, fast_server=fast_server, fast_client=fast_client) as ends:
        chan, _ = await ends.client.create_session(Session, "x", encoding=None)
        chan.write(
            b"!"
        )  # the session reads by now: asyncssh tells a status at once, but holds back early data
        await gone.wait()
    assert seen == [b"last words", "eof", 5, ("closed", None)]


@PAIRINGS
async def test_output_goes_on_after_the_input_was_closed(fast_server: bool, fast_client: bool) -> None:
    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        said = await process.stdin.read()
        for _ in range(100):
            process.stdout.write(said)
            await process.stdout.drain()
        process.exit(0)

    async with connected(serve, fast_server=fast_server, fast_client=fast_client) as ends:
        result = await ends.client.run("x", input=b"half" * 5000, encoding=None)
    assert result.stdout == b"half" * 500000
    assert result.exit_status == 0


@PAIRINGS
@pytest.mark.parametrize("cipher", [GCM, CHACHA])
async def test_a_key_whose_time_is_over_is_replaced(
    fast_server: bool, fast_client: bool, cipher: str
) -> None:
    async with connected(
        _mirror(MB),
        fast_server=fast_server,
        fast_client=fast_client,
        encryption_algs=[cipher],
        rekey_seconds=3600,
    ) as ends:
        before = ends.client._send_encryption, ends.server._recv_encryption
        ends.client._rekey_time = 0.0
        await _exchange(ends, MB)
        assert ends.client._send_encryption is not before[0]
        assert ends.server._recv_encryption is not before[1]
        assert ends.client._rekey_time > 0


@pytest.mark.parametrize(
    ("options", "packets"),
    [({"encryption_algs": [GCM]}, 1), ({"encryption_algs": [CHACHA]}, 1), (CTR, 1), (CBC, 2)],
)
async def test_an_ignore_packet_goes_ahead_only_where_the_cipher_needs_it(
    options: dict[str, Any], packets: int
) -> None:
    async with connected(_mirror(1), fast_server=False, fast_client=True, **options) as ends:
        process = await ends.client.create_process("x", encoding=None)
        before = ends.client._send_seq
        process.channel.write(b"one key")
        assert ends.client._send_seq - before == packets


async def test_log_lines_about_packets_are_still_written_when_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected(_mirror(1000), fast_server=True, fast_client=True) as ends:
        asyncssh.set_debug_level(3)
        try:
            with caplog.at_level("DEBUG", logger="asyncssh"):
                await _exchange(ends, 1000)
        finally:
            asyncssh.set_debug_level(1)
    text = caplog.text
    assert "Sent MSG_CHANNEL_DATA (94)" in text
    assert "Received MSG_CHANNEL_DATA (94)" in text


async def test_sockets_are_set_for_single_keys_and_fair_reads() -> None:
    import socket

    async with connected(_mirror(1), fast_server=True, fast_client=True) as ends:
        for conn in (ends.client, ends.server):
            sock = conn.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert conn._transport.max_size == READ_SIZE
    assert asyncio.selector_events._SelectorSocketTransport.max_size != READ_SIZE, "nobody else's sockets"
