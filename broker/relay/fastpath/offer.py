"""Which ciphers to offer: AES-GCM where the peer has it, as it costs us half of what ChaCha20 does.

The client's list decides, and OpenSSH puts chacha20 first; so a server gets AES-GCM from it only by offering
nothing else, and may do that only to a client that has it. OpenSSH sends its KEXINIT as soon as it has our
version line, without waiting for ours (RFC 4253 section 7 lets both go first): so for OpenSSH ours waits for
its list. That costs one way of the network at connect; guessing from the version alone refused clients that
are told to use another cipher (`ssh -c`, `Ciphers` in their configuration).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

CHACHA = b"chacha20-poly1305@openssh.com"
# 128 bit first: fewer rounds. Where the client's order counts, that order decides.
GCM = (b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com")

_OPENSSH = re.compile(rb"SSH-2\.0-OpenSSH_(?:for_Windows_)?\d")
_COOKIE = 16
_LISTS_BEFORE_CIPHERS = 2


def gcm_first(configured: Sequence[bytes]) -> list[bytes]:
    """The same ciphers, AES-GCM moved to the front: what a client offers, whose order decides."""
    gcm = [name for name in GCM if name in configured]
    return gcm + [name for name in configured if name not in gcm]


def sends_kexinit_unasked(banner: bytes) -> bool:
    """Whether a client of this version line, e.g. `SSH-2.0-OpenSSH_9.2p1`, does not wait for ours."""
    return _OPENSSH.match(banner) is not None


def answer_to(kexinit: bytes, configured: Sequence[bytes]) -> list[bytes]:
    """What to offer to a client that sent this KEXINIT (what follows the message type, RFC 4253 section 7.1).

    AES-GCM alone if the client has it in both directions, else all that is configured.
    """
    to_us, from_us = _cipher_lists(kexinit)
    gcm = [name for name in GCM if name in configured and name in to_us and name in from_us]
    return gcm or gcm_first(configured)


def _cipher_lists(kexinit: bytes) -> tuple[list[bytes], list[bytes]]:
    """encryption_algorithms_client_to_server and _server_to_client; empty where the message is malformed."""
    lists: list[list[bytes]] = []
    at = _COOKIE
    while len(lists) < _LISTS_BEFORE_CIPHERS + 2:
        head = kexinit[at : at + 4]
        if len(head) < 4:
            return [], []
        (length,) = struct.unpack(">I", head)
        lists.append(kexinit[at + 4 : at + 4 + length].split(b","))
        at += 4 + length
    return lists[-2], lists[-1]
