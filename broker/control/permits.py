"""What may be asked on the control socket: one table, by role. What is not listed ends the connection and is
audited (after OpenSSH's monitor)."""

from __future__ import annotations

from enum import StrEnum

from broker.wire.messages import (
    Attach,
    KillSession,
    ListRecordings,
    ListSessions,
    ListTargets,
    Message,
    OpenTarget,
    ReadRecording,
    ShowSession,
)


class Role(StrEnum):
    """`PICKER` and `VERB`: children of the broker for one login. `PEER`: a local account that is a user here.
    `ROOT`: the account the broker runs as, or root."""

    PICKER = "picker"
    VERB = "verb"
    PEER = "peer"
    ROOT = "root"


_READ: frozenset[type[Message]] = frozenset(
    {ListTargets, ListSessions, ShowSession, ListRecordings, ReadRecording}
)

PERMITS: dict[Role, frozenset[type[Message]]] = {
    Role.PICKER: _READ | {OpenTarget},
    Role.VERB: _READ,
    Role.PEER: _READ | {Attach},
    Role.ROOT: _READ | {KillSession},
}
ADMIN_ONLY: frozenset[type[Message]] = frozenset({KillSession})
"""Besides the role, these need a user who is an admin, or root itself."""


def permitted(role: Role, admin: bool, kind: type[Message]) -> bool:
    """Whether a connection of this role may send a message of this kind."""
    if kind in ADMIN_ONLY and not admin:
        return False
    return kind in PERMITS[role] or (kind in ADMIN_ONLY and role in (Role.PEER, Role.VERB))
