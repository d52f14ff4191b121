"""A quicker data path for asyncssh connections, without patching the library.

Call `accelerate(conn)` first thing in `SSHServer.connection_made` or `SSHClient.connection_made`. It gives
that one connection a subclass whose hot methods are rewritten (see `connection`); everything rare still runs
through asyncssh's own code. Where this asyncssh lacks a private part that we lean on (see `probe`), the
connection is left as it is: slower, never broken.
"""

from __future__ import annotations

import structlog
from asyncssh import SSHClientConnection, SSHServerConnection

from broker.relay.fastpath import probe
from broker.relay.fastpath.channel import FAST_CHANNELS
from broker.relay.fastpath.connection import FastClientConnection, FastServerConnection, set_read_size
from broker.relay.fastpath.offer import gcm_first
from broker.relay.fastpath.turn import defer

__all__ = [
    "FastClientConnection",
    "FastServerConnection",
    "accelerate",
    "defer",
    "gcm_first",
    "set_read_size",
]

_log = structlog.get_logger(__name__)
_told: set[str] = set()
_FAST: dict[type, type[FastServerConnection] | type[FastClientConnection]] = {
    SSHServerConnection: FastServerConnection,
    SSHClientConnection: FastClientConnection,
}
_missing = probe.find_missing() or probe.cannot_become([*_FAST.items(), *FAST_CHANNELS.items()])


def accelerate(conn: SSHServerConnection | SSHClientConnection, *, only_gcm: bool = True) -> bool:
    """Put `conn`, just made, on the fast path; False leaves it stock (unknown class, or parts are missing).

    `only_gcm`: as a server, offer OpenSSH clients that have AES-GCM nothing else, if it is configured
    (see `offer`); False offers every configured cipher.
    """
    fast = _FAST.get(type(conn))
    if fast is None:
        return False
    missing = _missing or probe.missing_fields(conn)
    if missing:
        _tell_once(", ".join(missing))
        return False
    conn.__class__ = fast
    assert isinstance(conn, FastServerConnection | FastClientConnection)
    conn.start_fast(only_gcm=only_gcm)
    return True


def _tell_once(missing: str) -> None:
    if missing not in _told:
        _told.add(missing)
        _log.warning("asyncssh lacks what the fast path needs: connections are slower", missing=missing)
