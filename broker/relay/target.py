"""The target's side: dial with a `Grant`, and the channel to the program that runs there.

Host keys are pinned by target: a key that is not on the list is refused whatever its type, known host or
not, and the same algorithms are offered to all (lessons 22, 23). A target is hostile: it may open nothing
towards us (lessons 24, 26); asyncssh's client refuses every channel that was not asked for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import asyncssh
import structlog
from asyncssh import SSHClientConnection
from asyncssh.constants import MSG_CHANNEL_OPEN
from asyncssh.packet import SSHPacket

from broker.model.access import Grant
from broker.model.errors import Unavailable
from broker.model.secret import Credential, SecretKind
from broker.relay.client import Terminal, Window
from broker.relay.fastpath import FastClientConnection, accelerate, defer

log = structlog.get_logger()

WINDOW = 2 << 20
MAX_PACKET = 32 << 10
CONNECT_TIMEOUT = 15.0
LOGIN_TIMEOUT = 20.0
MAX_REFUSALS = 100
"""Channels opened by a target that are noted; the rest are refused in silence."""
HOST_KEY_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""Offered to every target alike, so that the order tells nobody which keys are known."""


if TYPE_CHECKING:
    _Connection = SSHClientConnection
else:
    _Connection = object


class _NothingOpened(_Connection):
    """Tells of each channel that the target tries to open; asyncssh refuses it, as none was asked for."""

    def _process_channel_open(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        offset = packet._idx
        name = packet.get_string().decode("ascii", "backslashreplace")[:100]
        packet._idx = offset
        owner = self._owner
        assert isinstance(owner, TargetClient)
        owner.channel_refused(name)
        super()._process_channel_open(pkttype, pktid, packet)

    _packet_handlers = {  # noqa: RUF012 - as in asyncssh, which looks handlers up here
        **SSHClientConnection._packet_handlers,
        MSG_CHANNEL_OPEN: _process_channel_open,
    }


class StockConnection(_NothingOpened, SSHClientConnection):
    """A connection that asyncssh runs unaided."""


class FastConnection(_NothingOpened, FastClientConnection):
    """A connection of the fast path."""


class TargetClient(asyncssh.SSHClient):
    """One connection to a target, checked against its pinned keys.

    `refused`: told the type of each channel that the target tried to open, up to `MAX_REFUSALS`.
    """

    def __init__(self, pins: Sequence[asyncssh.SSHKey], refused: Callable[[str], None]) -> None:
        self._pins = {key.public_data for key in pins}
        self._refused = refused
        self._refusals = 0
        self.offered = ""
        """Fingerprint of the key that the target showed, if it is not pinned."""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        accelerate(conn)
        conn.__class__ = FastConnection if type(conn) is FastClientConnection else StockConnection

    def channel_refused(self, name: str) -> None:
        self._refusals += 1
        if self._refusals <= MAX_REFUSALS:
            self._refused(name)

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        if key.public_data in self._pins:
            return True
        self.offered = key.get_fingerprint()
        return False


async def dial(
    grant: Grant,
    credential: Credential,
    host_keys: Sequence[str],
    keepalive_s: int,
    refused: Callable[[str], None],
) -> asyncssh.SSHClientConnection:
    """Connect to the grant's target and log in as its account. `refused`: see `TargetClient`.

    Raises:
        Unavailable: no pinned key, a key that is not pinned, no connection, or the login is refused.
    """
    target = grant.target
    pins = _import_pins(target.name, host_keys)
    client = TargetClient(pins, refused)
    try:
        return await asyncio.wait_for(
            asyncssh.connect(
                target.address,
                target.port,
                username=grant.account,
                client_factory=lambda: client,
                known_hosts=([], [], []),
                server_host_key_algs=HOST_KEY_ALGORITHMS,
                config=None,
                agent_path=None,
                gss_host=None,
                connect_timeout=CONNECT_TIMEOUT,
                login_timeout=LOGIN_TIMEOUT,
                keepalive_interval=keepalive_s or None,
                **_login_options(credential),
            ),
            CONNECT_TIMEOUT + LOGIN_TIMEOUT,
        )
    except asyncssh.HostKeyNotVerifiable:
        raise _key_mismatch(grant, client.offered, pins) from None
    except (asyncssh.Error, OSError, TimeoutError, ValueError) as exc:  # ValueError: what cannot be decoded
        raise Unavailable(f"{target.name}: {_why(exc, grant)}") from None


def _login_options(credential: Credential) -> dict[str, Any]:
    """asyncssh's options for exactly this credential: no agent, no files, no other method."""
    if credential.kind is SecretKind.PASSWORD:
        return {
            "password": credential.secret.reveal().decode(),
            "client_keys": None,
            "preferred_auth": "password,keyboard-interactive",
        }
    key = asyncssh.import_private_key(credential.secret.reveal())
    if credential.certificate:
        pair: Any = (key, asyncssh.import_certificate(credential.certificate))
    else:
        pair = key
    return {"client_keys": [pair], "preferred_auth": "publickey"}


def _import_pins(name: str, lines: Sequence[str]) -> list[asyncssh.SSHKey]:
    if not lines:
        hint = f"an admin enrols it: bartizan targets enroll {name}"
        raise Unavailable(f"{name}: no host key is pinned, so nothing is trusted", hint=hint)
    try:
        return [asyncssh.import_public_key(line) for line in lines]
    except asyncssh.KeyImportError as exc:
        raise Unavailable(f"{name}: a pinned host key cannot be read ({exc})") from None


def _key_mismatch(grant: Grant, offered: str, pins: Sequence[asyncssh.SSHKey]) -> Unavailable:
    name = grant.target.name
    pinned = ", ".join(key.get_fingerprint() for key in pins)
    log.warning("target.host-key-mismatch", target=name, offered=offered, pinned=pinned)
    return Unavailable(
        f"{name}: its host key {offered or '(unreadable)'} is not the pinned one ({pinned}); refused",
        hint="if the host was reinstalled, an admin re-enrols it; otherwise somebody may be in between",
    )


def _why(exc: BaseException, grant: Grant) -> str:
    """The failure in words that name the next place to look."""
    if isinstance(exc, asyncssh.PermissionDenied):
        return f"the target refused the broker's login as {grant.account}"
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, OSError):
        # asyncio puts words of its own where the system's belong.
        words = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror or exc
        return f"cannot connect to {grant.target.address}:{grant.target.port} ({words})"
    return f"the SSH connection failed ({exc})"


class TargetEvents(Protocol):
    """Who gets what the target's program does."""

    def target_bytes(self, data: bytes, stderr: bool) -> None: ...

    def target_eof(self) -> None: ...

    def target_exited(self, status: int) -> None: ...

    def target_signalled(self, signal: str, core_dumped: bool, message: str) -> None: ...

    def target_gone(self, error: str) -> None: ...

    def target_full(self) -> None:
        """The target reads slower than it is written to."""

    def target_ready(self) -> None: ...


class TargetSession(asyncssh.SSHClientSession[bytes]):
    """Turns asyncssh's callbacks into events; the data of one socket read becomes one event."""

    def __init__(self, events: TargetEvents) -> None:
        self._events = events
        self._merged: list[bytes] = []

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is not None:
            self._deliver()
            self._events.target_bytes(data, True)
            return
        if not self._merged:
            defer(self._deliver)
        self._merged.append(data)

    def _deliver(self) -> None:
        merged = self._merged
        if merged:
            self._merged = []
            self._events.target_bytes(merged[0] if len(merged) == 1 else b"".join(merged), False)

    def eof_received(self) -> bool:
        self._deliver()
        self._events.target_eof()
        return True

    def exit_status_received(self, status: int) -> None:
        self._deliver()
        self._events.target_exited(status)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._deliver()
        self._events.target_signalled(signal, core_dumped, msg)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deliver()
        self._events.target_gone(str(exc) if exc else "")

    def pause_writing(self) -> None:
        self._events.target_full()

    def resume_writing(self) -> None:
        self._events.target_ready()


class TargetProgram:
    """The running program: what the runner writes to. Silent once the channel is gone."""

    def __init__(self, chan: asyncssh.SSHClientChannel[bytes], conn: asyncssh.SSHClientConnection) -> None:
        self._chan = chan
        self._conn = conn

    def write(self, data: bytes) -> None:
        if not self._chan.is_closing():
            self._chan.write(data)

    def write_eof(self) -> None:
        if not self._chan.is_closing():
            self._chan.write_eof()

    # These are also possible after `write_eof`, where asyncssh calls the channel closing.

    def resize(self, window: Window) -> None:
        self._chan.change_terminal_size(window.cols, window.rows, window.width, window.height)

    def signal(self, name: str) -> None:
        self._chan.send_signal(name)

    def send_break(self, msec: int) -> None:
        self._chan.send_break(msec)

    def pause_reading(self) -> None:
        self._chan.pause_reading()

    def resume_reading(self) -> None:
        self._chan.resume_reading()

    def close(self) -> None:
        self._chan.abort()
        self._conn.close()


async def start_program(
    conn: asyncssh.SSHClientConnection,
    events: TargetEvents,
    *,
    command: bytes | None,
    terminal: Terminal | None,
    env: dict[str, str],
) -> TargetProgram:
    """Start the account's login shell (command None) or a command.

    Raises:
        Unavailable: the target refuses the terminal or the program.
    """
    options: dict[str, Any] = {"request_pty": False}
    if terminal is not None:
        window = terminal.window
        options = {
            "request_pty": "force",
            "term_type": terminal.type,
            "term_size": (window.cols, window.rows, window.width, window.height),
            "term_modes": terminal.modes,
        }
    try:
        chan, _ = await conn.create_session(
            lambda: TargetSession(events),
            command=command,  # type: ignore[arg-type]  # bytes go through String() as they are
            env=[f"{name}={value}" for name, value in env.items()],
            encoding=None,
            window=WINDOW,
            max_pktsize=MAX_PACKET,
            **options,
        )
    except (asyncssh.Error, OSError) as exc:
        raise Unavailable(f"the target refused the session ({exc})") from None
    return TargetProgram(chan, conn)
