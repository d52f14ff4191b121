"""Packet encryption that keeps its cipher objects for the life of a key; asyncssh makes new ones per packet.

Wire formats: AES-GCM by RFC 5647 (as OpenSSH names it), chacha20-poly1305@openssh.com by OpenSSH's
PROTOCOL.chacha20poly1305. In both, 4 bytes of length come first, then the sealed packet, then a tag of 16.
"""

from __future__ import annotations

import os
import struct
from abc import ABC, abstractmethod
from typing import Any

from asyncssh import MACError
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.poly1305 import Poly1305

from broker.relay.fastpath.offer import CHACHA, GCM

LENGTH_SIZE = 4
TAG_SIZE = 16

_GCM_NONCE = struct.Struct(">4sQ")
_CHACHA_NONCE = struct.Struct(">QQ")  # block counter 0, then the sequence number
_BLOCK0 = bytes(64)


def _bad_mac() -> MACError:
    return MACError("MAC verification failed")  # the words of asyncssh's own path


class AeadStream(ABC):
    """One direction under one key; stands where asyncssh keeps its `Encryption`, with the same methods."""

    def __init__(self) -> None:
        self._held: tuple[int, bytes] | None = None

    @abstractmethod
    def length(self, seq: int, head: bytes) -> int:
        """Packet length told by the 4 bytes `head`; not yet authenticated."""

    @abstractmethod
    def open(self, seq: int, buf: bytes, start: int, stop: int) -> bytes:
        """Verify and decrypt the packet whose length field is at `start` and whose tag is at `stop`.

        Returns padding length, payload and padding. Raises MACError.
        """

    @abstractmethod
    def seal(self, seq: int, packet: bytes) -> tuple[bytes, bytes]:
        """The two parts of the wire form of `packet` (padding length, payload, padding)."""

    @abstractmethod
    def decrypt_header(self, seq: int, first_block: bytes, header_len: int) -> tuple[bytes, bytes]:
        """As asyncssh's `Encryption`: the block as it came, and the length field in the clear."""

    def hold(self, seq: int, packet: bytes) -> None:
        """Keep a packet that `open` gave back, for asyncssh's own path, which asks to decrypt it next."""
        self._held = (seq, packet)

    def decrypt_packet(self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes) -> bytes:
        """As asyncssh's `Encryption`; answers with the held packet if there is one. Raises MACError."""
        held, self._held = self._held, None
        if held is None:
            return self.open(seq, first + rest + mac, 0, len(first) + len(rest))
        if held[0] != seq:
            raise _bad_mac()
        return held[1]

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        """As asyncssh's `Encryption`; `header` is the length of `packet`, which `seal` makes again."""
        return self.seal(seq, packet)


class GcmStream(AeadStream):
    """AES-GCM; `iv` is 12 bytes, of which the last 8 count the packets."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        super().__init__()
        self._aead = AESGCM(key)
        self._fixed, self._count = _GCM_NONCE.unpack(iv)

    def _next_nonce(self) -> bytes:
        nonce = _GCM_NONCE.pack(self._fixed, self._count)
        self._count = (self._count + 1) & 0xFFFFFFFFFFFFFFFF
        return nonce

    def length(self, seq: int, head: bytes) -> int:
        return int.from_bytes(head, "big")

    def open(self, seq: int, buf: bytes, start: int, stop: int) -> bytes:
        body = start + LENGTH_SIZE
        try:
            return self._aead.decrypt(self._next_nonce(), buf[body : stop + TAG_SIZE], buf[start:body])
        except InvalidTag:
            raise _bad_mac() from None

    def seal(self, seq: int, packet: bytes) -> tuple[bytes, bytes]:
        head = len(packet).to_bytes(LENGTH_SIZE, "big")
        return head, self._aead.encrypt(self._next_nonce(), packet, head)

    def decrypt_header(self, seq: int, first_block: bytes, header_len: int) -> tuple[bytes, bytes]:
        return first_block, first_block[:header_len]


class ChachaStream(AeadStream):
    """chacha20-poly1305@openssh.com: `key` for packets, `head_key` for their length fields, 32 bytes each."""

    def __init__(self, key: bytes, head_key: bytes) -> None:
        super().__init__()
        self._body = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
        self._head = Cipher(ChaCha20(head_key, bytes(16)), mode=None).encryptor()

    def _poly_key(self, nonce: bytes) -> bytes:
        """Poly1305 key of this packet, block 0; leaves the body cipher at block 1, where the packet is."""
        self._body.reset_nonce(nonce)
        return self._body.update(_BLOCK0)[:32]

    def length(self, seq: int, head: bytes) -> int:
        self._head.reset_nonce(_CHACHA_NONCE.pack(0, seq))
        return int.from_bytes(self._head.update(head), "big")

    def open(self, seq: int, buf: bytes, start: int, stop: int) -> bytes:
        key = self._poly_key(_CHACHA_NONCE.pack(0, seq))
        try:
            Poly1305.verify_tag(key, buf[start:stop], buf[stop : stop + TAG_SIZE])
        except InvalidSignature:
            raise _bad_mac() from None
        return self._body.update(buf[start + LENGTH_SIZE : stop])

    def seal(self, seq: int, packet: bytes) -> tuple[bytes, bytes]:
        nonce = _CHACHA_NONCE.pack(0, seq)
        key = self._poly_key(nonce)
        self._head.reset_nonce(nonce)
        sealed = self._head.update(len(packet).to_bytes(LENGTH_SIZE, "big")) + self._body.update(packet)
        return sealed, Poly1305.generate_tag(key, sealed)

    def decrypt_header(self, seq: int, first_block: bytes, header_len: int) -> tuple[bytes, bytes]:
        return first_block, self.length(seq, first_block[:header_len]).to_bytes(LENGTH_SIZE, "big")


def keep_contexts(algorithm: bytes, stock: Any) -> Any:
    """The reusing form of asyncssh's encryption object for this key; other algorithms come back unchanged."""
    if algorithm in GCM:
        return GcmStream(stock._cipher._key, stock._cipher._iv)
    if algorithm == CHACHA:
        return ChachaStream(stock._cipher._key, stock._cipher._adkey)
    return stock


def needs_ignore(algorithm: bytes) -> bool:
    """Whether an empty MSG_IGNORE must go ahead of each packet.

    It hides the IV of the next packet, which in CBC mode an attacker could otherwise know (RFC 4251, 9.3.1).
    AEAD and counter modes have no such weakness; for anything not known here the answer is yes.
    """
    return not (algorithm in GCM or algorithm == CHACHA or algorithm.endswith(b"-ctr"))


class RandomPadding:
    """Padding for packets. RFC 4253, 6 wants it random: it is, each byte used once, drawn 16 KiB at a time.

    A call of os.urandom per packet costs as much as sealing it.
    """

    def __init__(self, size: int = 16384) -> None:
        self._size = size
        self._pool = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """`count` fresh random bytes."""
        at, end = self._at, self._at + count
        if end > len(self._pool):
            self._pool = os.urandom(max(self._size, count))
            at, end = 0, count
        self._at = end
        return self._pool[at:end]
