"""What can happen to a live session. Each is handled with the time `t`, microseconds since its start."""

from __future__ import annotations

from msgspec import Struct


class ClientBytes(Struct, frozen=True, gc=False):
    """The user's side sent input."""

    data: bytes


class ClientEof(Struct, frozen=True, gc=False):
    """The user's side will send no more input; output still flows (half-close)."""


class ClientGone(Struct, frozen=True, gc=False):
    """The user's channel closed under the session."""


class TargetBytes(Struct, frozen=True, gc=False):
    """The target sent output."""

    data: bytes
    stderr: bool = False


class TargetEof(Struct, frozen=True, gc=False):
    """The target will send no more output."""


class TargetExited(Struct, frozen=True, gc=False):
    """The program on the target reported its exit status. More output may still follow."""

    status: int


class TargetSignalled(Struct, frozen=True, gc=False):
    """The program on the target died of a signal (RFC 4254 section 6.10)."""

    signal: str
    core_dumped: bool
    message: str


class TargetGone(Struct, frozen=True, gc=False):
    """The target's channel closed: nothing more comes. `error`: empty for an orderly close."""

    error: str = ""


class Resized(Struct, frozen=True, gc=False):
    """The user's window changed; cells and pixels."""

    cols: int
    rows: int
    width: int = 0
    height: int = 0


class SignalSent(Struct, frozen=True, gc=False):
    """The user's side asked for a signal to the program (RFC 4254 section 6.9)."""

    name: str


class BreakSent(Struct, frozen=True, gc=False):
    """The user's side asked for a break (RFC 4335)."""

    msec: int


class RequestRefused(Struct, frozen=True, gc=False):
    """A channel request that the broker does not permit; it was answered with failure."""

    name: str
    detail: str


class TimerFired(Struct, frozen=True, gc=False):
    """A timer that the core set ran out."""

    name: str


class SinkFailed(Struct, frozen=True, gc=False):
    """The recording can no longer be written."""

    error: str


class KillRequested(Struct, frozen=True, gc=False):
    """The session has to end now. `why` is one word for the record, e.g. `killed`, `shutdown`."""

    why: str
    by: str
    text: str


class ApprovalOpened(Struct, frozen=True, gc=False):
    """The request stands: `id` for people, who decides in words, and how long it waits at most (seconds)."""

    number: int
    id: str
    deciders: str
    within_s: int


class ApprovalSettled(Struct, frozen=True, gc=False):
    """The request is decided. `outcome`: `approved`, `denied`, `expired`, or `failed` where it could not be
    asked or kept; only `approved` lets the line run. `by` and `comment`: who decided, and what was said."""

    number: int
    outcome: str
    by: str = ""
    comment: str = ""


Event = (
    ClientBytes
    | ClientEof
    | ClientGone
    | TargetBytes
    | TargetEof
    | TargetExited
    | TargetSignalled
    | TargetGone
    | Resized
    | SignalSent
    | BreakSent
    | RequestRefused
    | TimerFired
    | SinkFailed
    | KillRequested
    | ApprovalOpened
    | ApprovalSettled
)
