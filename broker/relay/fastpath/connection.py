"""Connections whose hot methods are rewritten: receive and send of channel data under an AEAD cipher.

What stays with asyncssh: version exchange, key exchange, authentication, channel requests, compression,
ciphers with a separate MAC, every error text. The fast branches are entered only once authentication is over,
and only for a packet that is in every respect what it should be: asyncssh gets, and judges, any other.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from asyncssh import SSHClientConnection, SSHServerConnection

from broker.relay.fastpath.channel import FAST_CHANNELS, MSG_CHANNEL_DATA
from broker.relay.fastpath.ciphers import (
    LENGTH_SIZE,
    TAG_SIZE,
    AeadStream,
    RandomPadding,
    keep_contexts,
    needs_ignore,
)
from broker.relay.fastpath.offer import answer_to, gcm_first, sends_kexinit_unasked
from broker.relay.fastpath.turn import ReadTurn, current_turn

if TYPE_CHECKING:
    from asyncssh.connection import SSHConnection as _Connection
else:
    _Connection = object

MSG_IGNORE = 2  # RFC 4253, 11.2
MSG_KEXINIT = 20  # RFC 4253, 7.1
MSG_USERAUTH_LAST = 79  # RFC 4250, 4.1.1: what is above it belongs to the connection protocol

READ_SIZE = 32768
"""Bytes per socket read: halves the wait of other sessions beside a busy one, at no loss of throughput."""

_QUICK_READS = 24  # about a handshake, a login and the opening of a session
_TCP_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only
_MIN_PACKET = 12  # shorter ones cannot be channel data: asyncssh may have them
_PATIENCE = 3.0
"""Seconds that our KEXINIT waits for the client's, should a client called OpenSSH wait for ours after all."""
_QUIET_DEBUG = 1  # from level 2 on asyncssh writes lines about each packet: leave it to do so
_EMPTY_IGNORE = (bytes(4),)

_DATA_PACKET = struct.Struct(">BBII")  # padding length, type, our channel number, length of the data
_DATA_AT = _DATA_PACKET.size
_PADDING_LENGTH = [bytes((n,)) for n in range(256)]

_padding = RandomPadding()


def set_read_size(transport: Any, size: int = READ_SIZE) -> bool:
    """Make asyncio read at most `size` bytes at once from this transport; False where it cannot (uvloop).

    `max_size` is a class attribute of asyncio's selector transport; a value on the instance touches no other.
    """
    if not isinstance(getattr(transport, "max_size", None), int):
        return False
    try:
        transport.max_size = size
    except AttributeError:
        return False
    return True


class _FastConnection(_Connection):
    """What both sides share; always mixed in ahead of one of asyncssh's two connection classes."""

    _fast_turn: ReadTurn
    _fast_out: list[bytes]
    _fast_quick_reads: int
    _fast_skip_ignore: bool
    _fast_only_gcm: bool

    def start_fast(self, *, only_gcm: bool) -> None:
        """Take up work on a connection that was just made; called once, by `accelerate`."""
        self._fast_turn = current_turn()
        self._fast_out = []
        self._fast_quick_reads = _QUICK_READS if _TCP_QUICKACK is not None else 0
        self._fast_skip_ignore = False
        self._fast_only_gcm = only_gcm
        set_read_size(self._transport)
        if self._fast_quick_reads:
            self._acknowledge_quickly()

    def _acknowledge_quickly(self) -> None:
        """Have the kernel acknowledge at once; it forgets this soon, so it is repeated for the first reads.

        OpenSSH sets TCP_NODELAY late: until then its small packets wait for our delayed ACK, 40 ms a time.
        """
        self._fast_quick_reads -= 1
        sock = self._transport.get_extra_info("socket") if self._transport else None
        if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
            self._fast_quick_reads = 0
            return
        assert _TCP_QUICKACK is not None
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)

    # ---- keys

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """As asyncssh; the new keys' AEAD objects are then replaced by ones that keep their contexts."""
        super().send_newkeys(k, h)
        theirs, ours = self._enc_alg_cs, self._enc_alg_sc
        if not self._server:
            theirs, ours = ours, theirs
        self._send_encryption = keep_contexts(ours, self._send_encryption)
        self._next_recv_encryption = keep_contexts(theirs, self._next_recv_encryption)
        self._fast_skip_ignore = not needs_ignore(ours)

    # ---- sending

    def fast_sealer(self) -> AeadStream | None:
        """The cipher for a packet that may leave right now on the short path; None if asyncssh has to decide.

        It has to during a key exchange, when a new one is due, before login, and for compression or logging.
        """
        cipher: Any = self._send_encryption
        if (
            isinstance(cipher, AeadStream)
            and self._kex_complete
            and self._auth_complete
            and self._rekey_bytes_sent < self._rekey_bytes
            and not (self._rekey_seconds and time.monotonic() >= self._rekey_time)
            and not self._compressor
            and self._transport is not None
            and self._logger._debug_level <= _QUIET_DEBUG
        ):
            return cipher
        return None

    def send_sealed(self, cipher: AeadStream, head: bytes, body: bytes) -> None:
        """Send one packet with the payload `head` + `body`, by the cipher that `fast_sealer` just gave."""
        block = self._send_blocksize
        # The length field is outside of the blocks for AEAD ciphers (RFC 5647, 7.2).
        padding = -(1 + len(head) + len(body)) % block
        if padding < 4:
            padding += block
        packet = b"".join((_PADDING_LENGTH[padding], head, body, _padding.take(padding)))
        seq = self._send_seq
        parts = cipher.seal(seq, packet)
        self._send_seq = (seq + 1) & 0xFFFFFFFF
        self._rekey_bytes_sent += len(packet)
        self._fast_emit(parts)

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """As asyncssh, without the empty MSG_IGNORE ahead of each packet where the cipher needs none."""
        if pkttype == MSG_IGNORE and self._fast_skip_ignore and args == _EMPTY_IGNORE:
            return
        cipher = self.fast_sealer() if pkttype > MSG_USERAUTH_LAST else None
        if cipher is None:
            super().send_packet(pkttype, *args, handler=handler)
        else:
            self.send_sealed(cipher, _PADDING_LENGTH[pkttype], b"".join(args))

    def _send(self, data: bytes) -> None:
        self._fast_emit((data,))

    def _fast_emit(self, parts: tuple[bytes, ...]) -> None:
        """Write wire bytes: at the end of the socket read that is being handled, else now. Order is kept."""
        out = self._fast_out
        if self._fast_turn.depth:
            if not out:
                self._fast_turn.flush_at_end(self._fast_flush)
            out += parts
        else:
            super()._send(b"".join(parts))

    def _fast_flush(self) -> None:
        if self._fast_out:
            data = b"".join(self._fast_out)
            self._fast_out = []
            try:
                super()._send(data)
            except Exception:
                self.internal_error()

    def _force_close(self, exc: Exception | None) -> None:
        """As asyncssh, once what waits for the end of the read (the reason of the disconnect) is written."""
        self._fast_flush()
        super()._force_close(exc)

    # ---- receiving

    def _recv_data(self) -> None:
        """As asyncssh, framed as one read: see `turn`."""
        if self._fast_quick_reads:
            self._acknowledge_quickly()
        turn = self._fast_turn
        turn.depth += 1
        try:
            super()._recv_data()
        finally:
            turn.leave()

    def _recv_pkthdr(self) -> bool:
        """At the boundary of two packets: the fast loop where it applies, then asyncssh."""
        cipher: Any = self._recv_encryption
        if (
            self._auth_complete
            and self._auth_final
            and isinstance(cipher, AeadStream)
            and not self._decompressor
            and self._logger._debug_level <= _QUIET_DEBUG
        ):
            return self._recv_burst(cipher)
        return super()._recv_pkthdr()

    def _recv_burst(self, cipher: AeadStream) -> bool:
        """Take all whole packets of channel data at the front of the input; the first other goes to asyncssh.

        Returns as `_recv_pkthdr`: False if more input is needed (or the connection is gone). Raises MACError.
        """
        buf, at = self._inpbuf, 0
        try:
            while len(buf) - at >= LENGTH_SIZE + _MIN_PACKET + TAG_SIZE:
                seq = self._recv_seq
                size = cipher.length(seq, buf[at : at + LENGTH_SIZE])
                if not _MIN_PACKET <= size <= self._max_recv_pktlen:
                    break  # asyncssh refuses it, in its own words
                stop = at + LENGTH_SIZE + size
                if stop + TAG_SIZE > len(buf):
                    return False
                packet = cipher.open(seq, buf, at, stop)
                if not self._take_data(seq, packet):
                    cipher.hold(seq, packet)
                    break
                at = stop + TAG_SIZE
                if self._transport is None:
                    return False
        finally:
            if at:
                self._inpbuf = buf[at:]
        return super()._recv_pkthdr()

    def _take_data(self, seq: int, packet: bytes) -> bool:
        """Deliver a well-formed packet of channel data within the window.

        False, with nothing changed, for anything else: asyncssh makes the same checks again, finds what is
        wrong and says so in its own words.
        """
        padding, kind, number, size = _DATA_PACKET.unpack_from(packet)
        channel = self._channels.get(number) if kind == MSG_CHANNEL_DATA else None
        if (
            channel is None
            or channel._recv_state != "open"
            or size > channel._recv_window
            or not padding
            or _DATA_AT + size + padding != len(packet)
        ):
            return False
        self._recv_seq = (seq + 1) & 0xFFFFFFFF
        channel._accept_data(packet[_DATA_AT : _DATA_AT + size])
        return True

    # ---- the rest

    def add_channel(self, chan: Any) -> int:
        """As asyncssh; session channels get the short way to write."""
        chan.__class__ = FAST_CHANNELS.get(type(chan), type(chan))
        return super().add_channel(chan)

    def log_sent_packet(self, pkttype: int, pktid: int | None, packet: Any, note: str = "") -> None:
        """Describe a packet only where someone reads it."""
        if self._logger._debug_level >= 3:
            super().log_sent_packet(pkttype, pktid, packet, note)

    def log_received_packet(self, pkttype: int, pktid: int | None, packet: Any, note: str = "") -> None:
        """Describe a packet only where someone reads it."""
        if self._logger._debug_level >= 3:
            super().log_received_packet(pkttype, pktid, packet, note)


class FastServerConnection(_FastConnection, SSHServerConnection):
    """The user's side."""

    _fast_waits = False

    def _send_kexinit(self) -> None:
        """As asyncssh; the first one waits for the client's, where that comes unasked (see `offer`)."""
        if self._session_id or not self._fast_only_gcm or not sends_kexinit_unasked(self._client_version):
            super()._send_kexinit()
            return
        self._fast_waits = True
        self._loop.call_later(_PATIENCE, self._fast_answer, b"")

    def process_packet(self, pkttype: int, pktid: int, packet: Any) -> Any:
        """As asyncssh; the client's first KEXINIT is answered before it is processed."""
        if self._fast_waits and pkttype == MSG_KEXINIT:
            self._fast_answer(packet.get_remaining_payload())
        return super().process_packet(pkttype, pktid, packet)

    def _fast_answer(self, kexinit: bytes) -> None:
        if self._fast_waits and self._transport is not None:
            self._fast_waits = False
            self._enc_algs = answer_to(kexinit, self._enc_algs)
            super()._send_kexinit()


class FastClientConnection(_FastConnection, SSHClientConnection):
    """The target's side."""

    def _send_kexinit(self) -> None:
        """As asyncssh, AES-GCM first."""
        self._enc_algs = gcm_first(self._enc_algs)
        super()._send_kexinit()
