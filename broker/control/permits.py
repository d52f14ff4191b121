"""What may be asked on the control socket: one table, by role. What is not listed ends the connection and is
audited (after OpenSSH's monitor)."""

from __future__ import annotations

from enum import StrEnum

from broker.wire.approvals import (
    AskApproval,
    CancelRequest,
    DecideRequest,
    ExplainDecision,
    ListRequests,
    NotifyRequest,
    OpenRequest,
    SayRequest,
    ShowRequest,
    ShowTerms,
    Subscribe,
    WaitRequest,
    WithdrawRequest,
)
from broker.wire.messages import (
    Attach,
    KillSession,
    ListRecordings,
    ListSessions,
    ListTargets,
    OpenTarget,
    ReadRecording,
    ShowSession,
    VerifyRecording,
)
from broker.wire.tagged import Message


class Role(StrEnum):
    """`PICKER` and `VERB`: children of the broker for one login. `PEER`: a local account that is a user here.
    `ROOT`: the account the broker runs as, or root."""

    PICKER = "picker"
    VERB = "verb"
    PEER = "peer"
    ROOT = "root"


_READ: frozenset[type[Message]] = frozenset(
    {
        ListTargets,
        ListSessions,
        ShowSession,
        ListRecordings,
        ReadRecording,
        VerifyRecording,
        ListRequests,
        ShowRequest,
        ExplainDecision,
    }
)
_TAKE_PART: frozenset[type[Message]] = frozenset(
    {
        ShowTerms,
        AskApproval,
        DecideRequest,
        CancelRequest,
        WithdrawRequest,
        SayRequest,
        NotifyRequest,
        WaitRequest,
        Subscribe,
    }
)
"""What a user may do about requests; which ones, `services.approvals` decides. Root is no user."""

PERMITS: dict[Role, frozenset[type[Message]]] = {
    Role.PICKER: _READ | _TAKE_PART | {OpenTarget, OpenRequest},
    Role.VERB: _READ | _TAKE_PART,
    Role.PEER: _READ | _TAKE_PART | {Attach},
    Role.ROOT: _READ | {KillSession, WithdrawRequest},
}
ADMIN_ONLY: frozenset[type[Message]] = frozenset({KillSession})
"""Besides the role, these need a user who is an admin, or root itself."""


def permitted(role: Role, admin: bool, kind: type[Message]) -> bool:
    """Whether a connection of this role may send a message of this kind."""
    if kind in ADMIN_ONLY and not admin:
        return False
    return kind in PERMITS[role] or (kind in ADMIN_ONLY and role in (Role.PEER, Role.VERB))
