"""The picker of a login: a child process on a terminal of its own, joined to the user's side.

The child speaks only the control protocol, over a socket already bound to the authenticated user; target
bytes never pass through it. It ends before the session starts on the same terminal, and a new one is forked
afterwards, so an open session costs no picker's memory and the terminal is sane in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import socket
import struct
import termios
import tty
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.model import exits
from broker.model.access import Grant
from broker.model.errors import Unavailable
from broker.model.identity import Authenticated
from broker.relay.client import ClientSide, Terminal, Window
from broker.relay.zygote import Zygote

READ_SIZE = 1 << 16
SMALLEST = (40, 10)
DUMB = frozenset({"", "dumb", "unknown", "emacs"})
ENV_TO_PICKER = ("LANG", "LANGUAGE", "LC_", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "BARTIZAN_")
SANE = b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?25h\x1b[0m\r\n"
"""Leaves the alternate screen, mouse and paste modes and shows the cursor, for a picker that crashed."""

ServeControl = Callable[[socket.socket, Authenticated, Callable[[Grant], None] | None], "asyncio.Task[None]"]
"""Serves the control protocol on a child's socket until it closes; the callback, of a picker, gets what was
granted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was picked, already authorized."""

    grant: Grant


class Portal:
    """Runs pickers. `ui`: `auto`, `tui` or `plain`."""

    def __init__(self, zygote: Zygote, serve_control: ServeControl, ui: str) -> None:
        self._zygote = zygote
        self._serve_control = serve_control
        self._ui = ui

    async def run(self, who: Authenticated, client: ClientSide, state: dict[str, Any]) -> Choice | None:
        """One picker, until something was granted (Choice) or the user logs out or leaves (None)."""
        granted: list[Grant] = []
        ours, theirs = socket.socketpair()
        control = self._serve_control(ours, who, granted.append)
        master, slave = _terminal(client.terminal)
        view = _View(client, master)
        try:
            with contextlib.closing(theirs):
                mode, env = self._mode(client), _environment(client)
                exited = await self._zygote.spawn(mode, env, state, slave, theirs)
            client.attach(view)
            ends: set[asyncio.Future[Any]] = {exited, client.left}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            view.drain()
            failed = not granted and exited.done() and _is_failure(exited.result())
            if failed and client.terminal is not None:
                client.write(SANE)
        finally:
            client.attach(None)
            if granted and not client.gone:
                client.unread(_left_unread(slave))
            view.close()
            os.close(slave)
            control.cancel()
        if failed:
            raise Unavailable("the picker failed", hint="name a target: ssh TARGET@bastion")
        return Choice(granted[-1]) if granted and not client.gone else None

    def _mode(self, client: ClientSide) -> str:
        terminal = client.terminal
        if terminal is None or terminal.type in DUMB or self._ui == "plain":
            return "menu"
        cols, rows = terminal.window.cols, terminal.window.rows
        small = (cols and cols < SMALLEST[0]) or (rows and rows < SMALLEST[1])
        return "menu" if small or client.env.get("BARTIZAN_UI") == "plain" else "tui"


def _is_failure(status: int) -> bool:
    """Whether a picker ended for another reason than that the user left it (log out, Ctrl-C)."""
    return status < 0 or (status >= exits.USAGE and status != exits.CANCELLED)


def _left_unread(slave: int) -> bytes:
    """What was typed or piped in behind the choice: it belongs to the session (lesson 27)."""
    left = b""
    with contextlib.suppress(OSError):
        if os.isatty(slave):
            tty.setraw(slave, termios.TCSANOW)  # a line that has no end yet is readable too
        os.set_blocking(slave, False)
        while data := os.read(slave, READ_SIZE):
            left += data
    return left


def _environment(client: ClientSide) -> dict[str, str]:
    env = {name: value for name, value in client.env.items() if name.startswith(ENV_TO_PICKER)}
    if client.terminal is not None:
        env["TERM"] = client.terminal.type or "dumb"
    return env


def _terminal(terminal: Terminal | None) -> tuple[int, int]:
    """Our end and the picker's end: a pty of the user's size, or a socket pair where he has no terminal."""
    if terminal is None:
        ours, theirs = socket.socketpair()
        return ours.detach(), theirs.detach()
    master, slave = pty.openpty()
    _resize(master, terminal.window)
    return master, slave


def _resize(master: int, window: Window) -> None:
    size = struct.pack("HHHH", window.rows or 24, window.cols or 80, window.width, window.height)
    with contextlib.suppress(OSError):
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)


class _View:
    """Joins the user's side to the picker's terminal, both ways, without waiting in either."""

    def __init__(self, client: ClientSide, master: int) -> None:
        self._client = client
        self._master = master
        self._loop = asyncio.get_running_loop()
        self._unsent = b""
        self._open = True
        os.set_blocking(master, False)
        self._loop.add_reader(master, self._read)

    # ------------------------------------------------------------ picker → user

    def _read(self) -> bool:
        """Pass on what the picker painted; False when there is nothing more for now, or ever."""
        try:
            data = os.read(self._master, READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the last holder of the other end is gone
            data = b""
        if not data:
            self._loop.remove_reader(self._master)
            return False
        self._client.write(data)
        return True

    def drain(self) -> None:
        """Pass on what the ended picker left in its terminal (at most what a pty holds)."""
        while self._read():
            pass

    def client_full(self) -> None:
        self._loop.remove_reader(self._master)

    def client_ready(self) -> None:
        if self._open:
            self._loop.add_reader(self._master, self._read)

    # ------------------------------------------------------------ user → picker

    def client_bytes(self, data: bytes) -> None:
        self._unsent += data
        self._write()

    def _write(self) -> None:
        try:
            sent = os.write(self._master, self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._unsent = b""
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._client.pause_reading()
            self._loop.add_writer(self._master, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._master)
        self._write()
        if not self._unsent:
            self._client.resume_reading()

    def client_eof(self) -> None:
        if self._client.terminal is None:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._master)) as end:
                end.shutdown(socket.SHUT_WR)

    def resized(self, window: Window) -> None:
        _resize(self._master, window)

    def signal_sent(self, name: str) -> None: ...

    def break_sent(self, msec: int) -> None: ...

    def request_refused(self, name: str, detail: str) -> None: ...

    def close(self) -> None:
        """Hang up: a picker that still runs gets SIGHUP."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)
