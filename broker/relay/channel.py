"""An SSH session channel as the user's side of a login.

`session_channel` adds to asyncssh's channel what a broker owes its record: commands kept byte for byte, an
allow-list for environment variables, and every refused request noted (lessons 24, 25, 39).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, AnyStr, Generic

import asyncssh
from asyncssh import SSHServerChannel, SSHServerConnection
from asyncssh.constants import MSG_CHANNEL_CLOSE, MSG_CHANNEL_REQUEST
from asyncssh.packet import SSHPacket

from broker.relay.client import ClientSide, Terminal, Window
from broker.relay.fastpath.channel import FastServerChannel

MAX_ENV = 64
MAX_ENV_VALUE = 4096
MAX_COMMAND = 128 << 10


if TYPE_CHECKING:
    _Channel = SSHServerChannel[Any]
else:

    class _Channel(Generic[AnyStr]):
        """In layout like asyncssh's generic channels: else a live channel could not change its class."""


class _SessionRequests(_Channel):
    """The requests of one login session (RFC 4254 section 6)."""

    _session: SshClient
    _late_close = False

    def _process_close(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        """With ControlMaster, OpenSSH closes as soon as both directions have ended, and yet waits for the
        exit status, which may come until our own close (RFC 4254 section 5.3). So ours waits for it too."""
        if self._send_state == "eof" and self._recv_state in ("eof", "eof_pending"):
            packet.check_end()
            self._late_close = True
        else:
            super()._process_close(pkttype, pktid, packet)

    def close(self) -> None:
        """As asyncssh, whose `exit` ends with it; a close that was kept waiting is then answered."""
        if self._late_close:
            self._recv_state = "close_pending"
        super().close()

    def _process_exec_request(self, packet: SSHPacket) -> bool:
        command = packet.get_string()
        packet.check_end()
        if len(command) > MAX_COMMAND or b"\0" in command:
            self._session.on_refused("exec", "command is too long or has a NUL byte")
            return False
        return self._start_session(command=command.decode("utf-8", "surrogateescape"))

    def _process_env_request(self, packet: SSHPacket) -> bool:
        name, value = packet.get_string(), packet.get_string()
        packet.check_end()
        return self._session.env_requested(name, value)

    def _process_x11_req_request(self, packet: SSHPacket) -> bool:
        self._session.on_refused("x11-req", "")
        return False

    def _process_auth_agent_req_at_openssh_dot_com_request(self, packet: SSHPacket) -> bool:  # type: ignore[override]
        self._session.on_refused("auth-agent-req@openssh.com", "")
        return False

    def _process_request(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        """Note requests of no known name before they are refused."""
        offset = packet._idx
        name = packet.get_string().decode("ascii", "backslashreplace")[:100]
        packet._idx = offset
        if name not in KNOWN_REQUESTS:
            self._session.on_refused(name, "unknown request")
        super()._process_request(pkttype, pktid, packet)

    _packet_handlers = {  # noqa: RUF012 - as in asyncssh, which looks handlers up here
        **SSHServerChannel._packet_handlers,
        MSG_CHANNEL_CLOSE: _process_close,
        MSG_CHANNEL_REQUEST: _process_request,
    }


class StockSessionChannel(_SessionRequests, SSHServerChannel[Any]):
    """On a connection that asyncssh runs unaided."""


class FastSessionChannel(_SessionRequests, FastServerChannel):
    """On a connection of the fast path."""


def session_channel(conn: SSHServerConnection) -> SSHServerChannel[Any]:
    """A new channel for a login session: bytes, no line editor."""
    chan = conn.create_server_channel(None)
    chan.__class__ = FastSessionChannel if type(chan) is FastServerChannel else StockSessionChannel
    return chan


KNOWN_REQUESTS = frozenset(
    {
        "pty-req",
        "env",
        "shell",
        "exec",
        "subsystem",
        "window-change",
        "signal",
        "break",
        "x11-req",
        "auth-agent-req@openssh.com",
        "keepalive@openssh.com",
        "eow@openssh.com",
    }
)


class SshClient(ClientSide, asyncssh.SSHServerSession[bytes]):
    """The session object behind such a channel. `start` is called once, when the client has asked for a
    shell (command None) or a command."""

    def __init__(self, start: Callable[[SshClient, bytes | None], None], accept_env: Sequence[str]) -> None:
        super().__init__()
        self._start = start
        self._accept_env = accept_env
        self._chan: SSHServerChannel[bytes]
        self._command: bytes | None = None

    # ------------------------------------------------------------ asyncssh's callbacks

    def connection_made(self, chan: SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def connection_lost(self, exc: Exception | None) -> None:
        self.on_gone()

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Any) -> bool:
        self.terminal = Terminal(term_type[:64], Window(*term_size), dict(term_modes))
        return True

    def env_requested(self, name: bytes, value: bytes) -> bool:
        """Keep an allowed variable; anything else is refused and noted by name."""
        key, text = name.decode("ascii", "backslashreplace")[:100], value.decode("utf-8", "replace")
        allowed = any(fnmatch.fnmatchcase(key, pattern) for pattern in self._accept_env)
        if not allowed or len(self.env) >= MAX_ENV or len(text) > MAX_ENV_VALUE or not text.isprintable():
            self.on_refused("env", key)
            return False
        self.env[key] = text
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command.encode("utf-8", "surrogateescape")
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        self.on_refused("subsystem", subsystem[:100])
        return False

    def session_started(self) -> None:
        # asyncssh resumes reading right after this callback: pause in the next turn of the loop.
        self._chan.get_loop().call_soon(self._pause_unattached)
        self._start(self, self._command)

    def _pause_unattached(self) -> None:
        if self._consumer is None:
            self.pause_reading()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.on_bytes(data)

    def eof_received(self) -> bool:
        self.on_eof()
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        self.on_resize(Window(width, height, pixwidth, pixheight))

    def signal_received(self, signal: str) -> None:
        self.on_signal(signal[:32])

    def break_received(self, msec: int) -> bool:
        self.on_break(msec)
        return True

    def pause_writing(self) -> None:
        self.on_full()

    def resume_writing(self) -> None:
        self.on_ready()

    # ------------------------------------------------------------ the user's side

    def write(self, data: bytes, stderr: bool = False) -> None:
        if self.gone or self._chan.is_closing():
            return
        # With a terminal there is one stream (RFC 4254 section 6.2 knows no stderr of a pty).
        if stderr and self.terminal is None:
            self._chan.write_stderr(data)
        else:
            self._chan.write(data)

    def write_eof(self) -> None:
        if not self.gone and not self._chan.is_closing():
            self._chan.write_eof()

    def exit(self, status: int) -> None:
        if not self.gone:
            self._chan.exit(status)

    def exit_with_signal(self, signal: str, core_dumped: bool, message: str) -> None:
        if not self.gone:
            self._chan.exit_with_signal(signal, core_dumped, message)

    def pause_reading(self) -> None:
        if not self.gone:
            self._chan.pause_reading()

    def resume_reading(self) -> None:
        if not self.gone:
            self._chan.resume_reading()
