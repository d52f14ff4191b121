"""Audit events: every decision and every change, with a stable code, in a ledger that is sealed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, NewType

AuditId = NewType("AuditId", str)
"""`E-` and lower-case hexadecimal digits of the event's number: the same in log, store and recording."""

Detail = dict[str, str | int | bool | None]

CODES: dict[str, str] = {
    "login.accepted": "Somebody proved who he is.",
    "login.refused": "A login came to nothing.",
    "request.refused": "Something was asked of a connection that is never given.",
    "control.refused": "Something was asked on the control socket that this role may not ask.",
    "session.granted": "A session was allowed; which rule allowed it.",
    "session.needs-approval": "A session waits for somebody's word; whose.",
    "session.break-glass": "A session was opened past its approval; it is to be reviewed.",
    "session.refused": "A session was not allowed, and why.",
    "session.opened": "A session has its id; its recording begins.",
    "session.ended": "A session is over.",
    "session.killed": "Somebody ended a session.",
    "line.refused": "A line was not sent to its target.",
    "line.warned": "A line ran, and its user was told what a rule says of it.",
    "line.observed": "A rule that only watches fits a line.",
    "line.doubt-passed": "A line that could not be read was sent on, as its target says.",
    "request.opened": "Somebody asked for an approval: for what exactly, by its digest.",
    "request.seen": "Somebody who may decide has looked at it.",
    "request.voted": "Somebody has agreed or not.",
    "request.vote-withdrawn": "Somebody has taken his word back.",
    "request.said": "A line of talk about it.",
    "request.reminded": "Those who decide were asked again.",
    "request.approved": "Enough have agreed.",
    "request.denied": "It was denied, and why.",
    "request.expired": "Nobody decided in time.",
    "request.cancelled": "Its requester wants it no more.",
    "request.withdrawn": "What was approved was taken back.",
    "request.used": "What was approved was used.",
    "request.unused": "What was approved was never used.",
    "request.ended": "What was approved is over.",
    "request.ran": "The approved line was sent to its target.",
    "policy.replayed": "Changed policies were asked about what was recorded.",
    "recording.read": "Somebody read a recording.",
    "recording.exported": "Somebody took recordings out as a bundle.",
    "recording.anchored": "How far the chain of a long recording has come.",
    "recording.sealed": "A recording is complete; the last link of its chain.",
    "recording.interrupted": "A recording that the broker died under was closed; its last link.",
    "signing.key": "From here on this key signs.",
    "signing.rotated": "The next key was made.",
    "anchor.failed": "An anchor outside could not be written.",
    "anchor.recovered": "It can be written again.",
    "evidence.unhealthy": "Recent recordings have no valid seal.",
    "audit.exported": "Somebody took the audit log out as a bundle.",
    "users.added": "A user was made.",
    "users.person": "Accounts were noted to be of one person.",
    "users.locked": "A user may not log in.",
    "users.unlocked": "A user may log in again.",
    "keys.added": "A user may log in with one more key.",
    "keys.removed": "A key was removed.",
    "secrets.added": "A credential was stored.",
    "secrets.rotated": "A credential was replaced.",
    "secrets.removed": "A credential was removed.",
    "secrets.rewrapped": "The stored credentials were wrapped with the newest master key.",
    "secrets.ca-created": "The broker's certificate authority was made.",
    "targets.enrolled": "The host keys of a target were pinned.",
}
"""Every code there is. A code is never renamed: scripts and searches rest on it."""

GENESIS = bytes(32)
"""The head of an empty ledger."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """`code` is stable (`login.accepted`, `session.denied` …); `detail` is flat and free of secrets."""

    code: str
    at: int
    actor: str
    subject: str = ""
    session: str = ""
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event as the ledger holds it: the `seq`-th, with the head that the ledger has after it."""

    seq: int
    event: AuditEvent
    head: bytes

    @property
    def id(self) -> AuditId:
        return audit_id(self.seq)


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """The number of the last event and the hash that stands for all up to it."""

    seq: int = 0
    sha256: bytes = GENESIS


def audit_id(seq: int) -> AuditId:
    """The id of the `seq`-th event (from 1)."""
    return AuditId(f"E-{seq:x}")


def fields(seq: int, event: AuditEvent) -> dict[str, Any]:
    """An event as a JSON object: what is hashed, and what an export holds."""
    return {
        "seq": seq,
        "at": event.at,
        "code": event.code,
        "actor": event.actor,
        "subject": event.subject,
        "session": event.session,
        "detail": event.detail,
    }


def leaf(seq: int, event: AuditEvent) -> bytes:
    """The hash of one event alone: it may be shown in place of an event that is nobody's business."""
    text = json.dumps(fields(seq, event), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"\0" + text.encode()).digest()


def next_head(head: bytes, event_leaf: bytes) -> bytes:
    """The head after one more event."""
    return hashlib.sha256(b"\1" + head + event_leaf).digest()
