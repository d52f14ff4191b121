"""Ciphers that keep their contexts seal and open exactly what asyncssh's own do."""

from __future__ import annotations

import itertools
import os
from typing import Any

import asyncssh
import pytest
from asyncssh.encryption import get_encryption
from hypothesis import given
from hypothesis import strategies as st

from broker.relay.fastpath.ciphers import AeadStream, RandomPadding, keep_contexts, needs_ignore

KEYS = {
    b"aes128-gcm@openssh.com": (16, 12),
    b"aes256-gcm@openssh.com": (32, 12),
    b"chacha20-poly1305@openssh.com": (64, 0),
}
ALGORITHMS = pytest.mark.parametrize("algorithm", KEYS)


def _pair(algorithm: bytes) -> tuple[Any, Any]:
    """Stock encryption, and ours made of another stock one under the same key."""
    key, iv = (os.urandom(size) for size in KEYS[algorithm])
    ours = keep_contexts(algorithm, get_encryption(algorithm, key, iv))
    assert isinstance(ours, AeadStream)
    return get_encryption(algorithm, key, iv), ours


@ALGORITHMS
@given(
    packets=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5), first=st.integers(0, 2**32)
)
def test_same_bytes_as_asyncssh_packet_after_packet(
    algorithm: bytes, packets: list[bytes], first: int
) -> None:
    sender, ours_out = _pair(algorithm)
    for seq, packet in enumerate(packets, first):
        wire = b"".join(ours_out.seal(seq, packet))
        assert wire == b"".join(sender.encrypt_packet(seq, len(packet).to_bytes(4, "big"), packet))


@ALGORITHMS
def test_opens_what_asyncssh_sealed_at_any_place_of_the_buffer(algorithm: bytes) -> None:
    stock, ours = _pair(algorithm)
    packets = [os.urandom(size) for size in (12, 4096, 32768)]
    wire = b"".join(
        b"".join(stock.encrypt_packet(seq, len(p).to_bytes(4, "big"), p)) for seq, p in enumerate(packets)
    )
    at, seen = 0, []
    for seq in range(3):
        size = ours.length(seq, wire[at : at + 4])
        seen.append(ours.open(seq, wire, at, at + 4 + size))
        at += 4 + size + 16
    assert seen == packets
    assert at == len(wire)


@ALGORITHMS
def test_takes_over_in_the_middle_of_a_key(algorithm: bytes) -> None:
    """Packets were sent between the new key and the exchange of the objects (EXT_INFO is)."""
    key, iv = (os.urandom(size) for size in KEYS[algorithm])
    used, other = get_encryption(algorithm, key, iv), get_encryption(algorithm, key, iv)
    for seq in range(3):
        used.encrypt_packet(seq, b"\0\0\0\5", b"early")
        other.encrypt_packet(seq, b"\0\0\0\5", b"early")
    ours = keep_contexts(algorithm, used)
    assert b"".join(ours.seal(3, b"later")) == b"".join(other.encrypt_packet(3, b"\0\0\0\5", b"later"))


@ALGORITHMS
def test_an_altered_bit_anywhere_is_refused(algorithm: bytes) -> None:
    for place in (4, 20, -1):
        stock, ours = _pair(algorithm)
        wire = bytearray(b"".join(stock.encrypt_packet(0, b"\0\0\0\x20", bytes(32))))
        wire[place] ^= 1
        with pytest.raises(asyncssh.MACError, match="MAC verification failed"):
            ours.open(0, bytes(wire), 0, 36)


@ALGORITHMS
def test_a_held_packet_is_given_once_and_only_under_its_number(algorithm: bytes) -> None:
    stock, ours = _pair(algorithm)
    ours.hold(7, b"held")
    assert ours.decrypt_packet(7, b"", b"", 4, b"") == b"held"
    ours.hold(7, b"held")
    with pytest.raises(asyncssh.MACError):
        ours.decrypt_packet(8, b"", b"", 4, b"")
    sealed, mac = stock.encrypt_packet(0, b"\0\0\0\x20", bytes(32))
    assert ours.decrypt_packet(0, sealed[:16], sealed[16:], 4, mac) == bytes(32)


def test_other_algorithms_are_left_alone() -> None:
    stock = get_encryption(b"aes128-ctr", bytes(16), bytes(16), b"hmac-sha2-256", bytes(32))
    assert keep_contexts(b"aes128-ctr", stock) is stock


def test_which_ciphers_need_a_packet_ahead() -> None:
    assert needs_ignore(b"aes256-cbc")
    assert needs_ignore(b"3des-cbc")
    assert needs_ignore(b"something-new")
    assert not needs_ignore(b"aes256-ctr")
    assert not any(needs_ignore(name) for name in KEYS)


@given(st.lists(st.integers(4, 255), max_size=200))
def test_no_padding_byte_is_used_twice(counts: list[int]) -> None:
    padding, drawn = RandomPadding(size=1024), []
    pools = {}
    for count in counts:
        taken = padding.take(count)
        assert len(taken) == count
        drawn.append((id(padding._pool), padding._at - count, padding._at))
        pools[id(padding._pool)] = padding._pool  # kept, so that no two pools share an id
        assert padding._pool[padding._at - count : padding._at] == taken
    for (pool, _, end), (next_pool, start, _) in itertools.pairwise(drawn):
        assert pool != next_pool or start >= end
