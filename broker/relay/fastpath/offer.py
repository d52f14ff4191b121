"""Which ciphers to offer: AES-GCM where the peer surely has it, as it costs us half of what ChaCha20 does.

The client's list decides, and OpenSSH puts chacha20 first; so a server gets AES-GCM from it only by offering
nothing else. OpenSSH has AES-GCM since 6.2 (its release notes, 2013). The client's banner arrives before our
KEXINIT leaves (`SSHConnection._recv_version` calls `_send_kexinit` at once), which is where this is applied.

The price: an OpenSSH client told to use another cipher (`ssh -c`, `Ciphers` in its config) fails to agree.
Its address is then remembered (`RefusedOffers`) and is offered the whole list the next time.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence

# 128 bit first: fewer rounds. Where the client's order counts, that order decides.
GCM = (b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com")
CHACHA = b"chacha20-poly1305@openssh.com"

_OPENSSH = re.compile(rb"SSH-2\.0-OpenSSH_(?:for_Windows_)?(\d{1,4})\.(\d{1,4})")
_FIRST_WITH_GCM = (6, 2)


def gcm_first(configured: Sequence[bytes]) -> list[bytes]:
    """The same ciphers, AES-GCM moved to the front: what a client offers, whose order decides."""
    gcm = [name for name in GCM if name in configured]
    return gcm + [name for name in configured if name not in gcm]


def preferred_ciphers(banner: bytes | str | None, configured: Sequence[bytes]) -> list[bytes]:
    """What a server offers to the client of this version line, e.g. `SSH-2.0-OpenSSH_9.2p1 Debian-2`.

    AES-GCM alone to OpenSSH 6.2 and later, as far as it is configured; to anyone else all that is configured.
    """
    line = banner.encode("utf-8", "replace") if isinstance(banner, str) else banner or b""
    found = _OPENSSH.match(line)
    gcm = [name for name in GCM if name in configured]
    if gcm and found and (int(found[1]), int(found[2])) >= _FIRST_WITH_GCM:
        return gcm
    return gcm_first(configured)


class RefusedOffers:
    """Addresses whose client could not agree on a cipher lately; the oldest is forgotten when full."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._addresses: OrderedDict[str, None] = OrderedDict()

    def add(self, address: str) -> None:
        """Remember `address`."""
        self._addresses[address] = None
        self._addresses.move_to_end(address)
        if len(self._addresses) > self._limit:
            self._addresses.popitem(last=False)

    def __contains__(self, address: str) -> bool:
        return address in self._addresses

    def __len__(self) -> int:
        return len(self._addresses)
