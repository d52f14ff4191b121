"""Messages to people who are not looking at a screen of ours: what is told, and how the telling fares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NoticeEvent(StrEnum):
    """What a notifier can be told of. `REQUESTED`: somebody has to decide (also reminders). `SETTLED`: it was
    decided, has expired, or was taken back. `BREAK_GLASS`: opened without approval. `BLOCKED`: refused."""

    REQUESTED = "requested"
    SETTLED = "settled"
    BREAK_GLASS = "break-glass"
    BLOCKED = "blocked"


class DeliveryState(StrEnum):
    """`FAILING` is tried again; `FAILED` not any more."""

    QUEUED = "queued"
    SENT = "sent"
    FAILING = "failing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one notifier; it is kept until it was sent or given up. `number`: from the
    store. `body`: the notice as JSON. Times are microseconds since the epoch."""

    number: int
    notifier: str
    request: str
    """Id of the request it is about; empty: about none."""
    event: NoticeEvent
    body: str
    at: int
    """Of the last change."""
    next_at: int
    """When it is tried next."""
    state: DeliveryState = DeliveryState.QUEUED
    tries: int = 0
    error: str = ""
