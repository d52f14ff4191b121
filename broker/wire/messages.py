"""Messages of the control protocol, version 1.

A connection starts with `Hello` → `Welcome`. Then either side of two lives:

* asking: `Request(id, ask)` → `Reply(id, body)` or `Failure(id, …)`, any number in flight; after a
  `Subscribe` the broker pushes `RequestChanged` in between;
* attached: one `Attach` turns the connection into a terminal or a pipe, carrying `Input`, `WindowSize`,
  `InputEnd` one way and `Output`, `Exit` the other, until `Exit`.

Times are microseconds since the epoch. Unknown fields are ignored, an unknown message ends the connection.
"""

from __future__ import annotations

from msgspec import Struct, field

from broker.wire.approvals import ApprovalAsk, ApprovalBody, RequestChanged
from broker.wire.tagged import Message

VERSION = 1


# ---------------------------------------------------------------- opening


class Hello(Message, frozen=True, tag="hello"):
    version: int
    client: str
    """`tui`, `cli` or `shell`; for the audit only."""


class Welcome(Message, frozen=True, tag="welcome"):
    version: int
    user: str
    groups: list[str]
    admin: bool
    broker: str
    """Version of the broker."""
    portal: bool
    """True where `OpenTarget` is possible: the connection belongs to a login's picker."""


# ---------------------------------------------------------------- asks


class ListTargets(Message, frozen=True, tag="list-targets"):
    """Targets this user may see. → `Targets`"""

    query: str = ""


class ListSessions(Message, frozen=True, tag="list-sessions"):
    """Live sessions: one's own, all for an admin. → `Sessions`"""


class ShowSession(Message, frozen=True, tag="show-session"):
    """One session, live or over, with how its lines are judged while it is live. → `Sessions`"""

    id: str


class ListRecordings(Message, frozen=True, tag="list-recordings"):
    """Recordings this user may read, newest first; every word of `query` must occur. → `Sessions`"""

    query: str = ""
    limit: int = 500


class ReadRecording(Message, frozen=True, tag="read-recording"):
    """A part of a recording's file, at most 256 KiB a time. `part`: `cast`, `events`, `chain`. → `Chunk`"""

    id: str
    part: str = "cast"
    offset: int = 0


class VerifyRecording(Message, frozen=True, tag="verify-recording"):
    """Whether a recording is what was signed. → `Verified`"""

    id: str


class OpenTarget(Message, frozen=True, tag="open-target"):
    """Only from a portal: authorize, and open as soon as the picker has left the terminal. → `Opening`, or
    `RequestDetail` where somebody has to agree first (then `OpenRequest`)."""

    target: str
    account: str = ""
    reason: str = ""


class KillSession(Message, frozen=True, tag="kill-session"):
    """Admin: end a live session at once. → `Done`"""

    id: str
    reason: str


Ask = (
    ListTargets
    | ListSessions
    | ShowSession
    | ListRecordings
    | ReadRecording
    | VerifyRecording
    | OpenTarget
    | KillSession
    | ApprovalAsk
)


# ---------------------------------------------------------------- views


class AccountView(Struct, frozen=True):
    """Access to one account before it is picked: `state` is `OK`, `REASON`, `WAIT` or `DENY`."""

    name: str
    state: str
    why: str
    rule: str
    origin: str
    """`prod.yaml:12` of the rule that decided; empty if none did."""


class TargetView(Struct, frozen=True):
    name: str
    address: str
    port: int
    accounts: list[AccountView]
    """The default account first."""
    tags: dict[str, str]
    note: str
    dialect: str
    last_at: int | None
    """Start of this user's last session there."""
    live: int
    """Live sessions there that this user may see."""


class GateView(Struct, frozen=True):
    """How the command lines of a live session are judged, and how that went so far."""

    mode: str
    """How they become known: `hook`, `keys+screen` or `stream`."""
    state: str
    """Where input goes now: `prompt`, `running`, `held`, `confirming` …"""
    request: str
    """Id of the request that a held line waits for."""
    last: str
    """The last line judged; empty where it was typed without echo."""
    source: str
    verdict: str
    rule: str
    allowed: int
    held: int
    denied: int


class SessionView(Struct, frozen=True, omit_defaults=True):
    id: str
    user: str
    target: str
    account: str
    channel: str
    command: str
    source: str
    reason: str
    started_at: int
    ended_at: int | None
    state: str
    """`live`, `ended` or `interrupted`."""
    exit_status: int | None
    end_reason: str
    size: int
    """Bytes of the cast."""
    lines: GateView | None = None
    """None: the session is over, or its lines are not judged."""


# ---------------------------------------------------------------- replies


class Targets(Message, frozen=True, tag="targets"):
    items: list[TargetView]


class Sessions(Message, frozen=True, tag="sessions"):
    items: list[SessionView]


class Chunk(Message, frozen=True, tag="chunk"):
    data: bytes
    offset: int
    size: int
    """Of the whole file, now; it grows while the session is live."""


class Verified(Message, frozen=True, tag="verified"):
    """`condition`: `complete`, `interrupted`, `live`, `none` are good; `truncated`, `altered`, `unsigned`,
    `missing` are not. Of what is wrong the first thing is named: `byte` from 0, `line` from 1."""

    id: str
    condition: str
    good: bool
    problem: str
    file: str
    """Empty if nothing is wrong."""
    byte: int
    line: int
    t: int | None
    """Microseconds of the recording."""
    links: int
    good_t: int
    """Up to here all is as recorded."""
    unsealed: int
    head: str
    key: str


class Opening(Message, frozen=True, tag="opening"):
    """Granted: leave the terminal (exit the picker), the session takes it over."""

    target: str
    account: str


class Done(Message, frozen=True, tag="done"):
    message: str = ""


Body = Targets | Sessions | Chunk | Verified | Opening | Done | ApprovalBody


# ---------------------------------------------------------------- envelopes


class Request(Message, frozen=True, tag="request"):
    id: int
    ask: Ask


class Reply(Message, frozen=True, tag="reply"):
    id: int
    body: Body


class Failure(Message, frozen=True, tag="failure"):
    """`code` is stable (`E-DENIED` …); `exit_status` is what a command line exits with."""

    id: int
    code: str
    message: str
    hint: str = ""
    exit_status: int = 1


# ---------------------------------------------------------------- attached


class Attach(Message, frozen=True, tag="attach"):
    """Be this user's login: what `ssh bastion [command]` would do, on this connection.

    `term` empty: no terminal. `env`: only what the broker's allow-list lets through is used.
    """

    command: str | None
    term: str = ""
    cols: int = 0
    rows: int = 0
    env: dict[str, str] = field(default_factory=dict)


class Input(Message, frozen=True, tag="input"):
    data: bytes


class InputEnd(Message, frozen=True, tag="input-end"):
    pass


class WindowSize(Message, frozen=True, tag="window-size"):
    cols: int
    rows: int


class Output(Message, frozen=True, tag="output"):
    data: bytes
    stderr: bool = False


class Exit(Message, frozen=True, tag="exit"):
    status: int


FromClient = Hello | Request | Attach | Input | InputEnd | WindowSize
FromBroker = Welcome | Reply | Failure | Output | Exit | RequestChanged
