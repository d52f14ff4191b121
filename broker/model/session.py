"""A session as the store, the lists and the views know it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from broker.model.ids import SessionId


class SessionState(StrEnum):
    """`INTERRUPTED`: the broker died under it; its recording was closed at the next start."""

    LIVE = "live"
    ENDED = "ended"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session and its recording. Times are microseconds since the epoch."""

    id: SessionId
    user: str
    target: str
    account: str
    channel: str
    command: str
    """Exec command, decoded with replacement; empty for a shell."""
    source: str
    reason: str
    started_at: int
    ended_at: int | None
    state: SessionState
    exit_status: int | None
    end_reason: str
    """One word, e.g. `exit`, `idle`, `max-time`, `disk`, `client-gone`, `killed`, `denied`."""
    recording: str
    """Path of the cast, relative to the recordings folder."""
    size: int
    """Bytes of the cast."""


@dataclass(frozen=True, slots=True)
class LineReport:
    """How a live session's command lines are judged, and how that went so far."""

    mode: str
    """`hook`, `keys+screen` or `stream`: how lines become known."""
    state: str
    """Where input goes now: `prompt`, `running`, `held` …"""
    request: str = ""
    """Id of the request that a held line waits for."""
    last: str = ""
    """The last line judged; empty where it was typed without echo."""
    source: str = ""
    verdict: str = ""
    rule: str = ""
    allowed: int = 0
    """Lines that ran, with a warning or without."""
    held: int = 0
    """Lines that waited for somebody's word."""
    denied: int = 0
