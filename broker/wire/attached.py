"""A login over the control socket, seen from the user's terminal: for `bartizan-shell` and `bartizan open`.

Synchronous and small, because it is started for every login: `select` over the terminal and the socket.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import termios
import tty
from collections.abc import Iterator

from broker.wire.codec import READ_SIZE, Decoder, WireError, encode
from broker.wire.messages import (
    VERSION,
    Attach,
    Exit,
    Failure,
    FromBroker,
    Hello,
    Input,
    InputEnd,
    Output,
    Welcome,
    WindowSize,
)
from broker.wire.tagged import Message

PASSED_ENV = (
    "LANG", "LANGUAGE", "LC_", "NO_COLOR", "COLORTERM",
    "BARTIZAN_REASON", "BARTIZAN_UI", "BARTIZAN_WAIT", "BARTIZAN_BREAK_GLASS",
)  # fmt: skip
UNREACHABLE = 69
BROKEN_PIPE = 128 + signal.SIGPIPE
SANE = b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?25h\x1b[0m\r\n"
"""Leaves the alternate screen, mouse and paste modes, shows the cursor: for a login cut off in the middle."""


def attach(path: str, command: str | None) -> int:
    """Be a login with this process's terminal or pipes: what `ssh bastion [command]` would do.

    Returns the exit status of what ran; 69 if there is no broker, which is said on stderr; 141 where nobody
    reads this process's output any more.
    """
    terminal = os.isatty(0) and os.isatty(1)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            return _Login(sock, terminal).run(command)
    except BrokenPipeError:
        return BROKEN_PIPE
    except (OSError, WireError) as exc:
        if terminal:
            os.write(1, SANE)
        reason = getattr(exc, "strerror", None) or str(exc)
        print(f"bartizan: [E-UNAVAILABLE] the broker at {path} is gone ({reason})", file=sys.stderr)
        return UNREACHABLE


class _Login:
    def __init__(self, sock: socket.socket, terminal: bool) -> None:
        self._sock = sock
        self._terminal = terminal
        self._decoder = Decoder.from_broker()
        self._unsent = b""
        self._heard = True
        """False once the broker has closed: its last words are still to be read."""

    def run(self, command: str | None) -> int:
        self._send(Hello(VERSION, "shell"))
        first = self._receive()
        if isinstance(first[0], Failure):
            failure = first[0]
            print(f"bartizan: [{failure.code}] {failure.message}. {failure.hint}", file=sys.stderr)
            return failure.exit_status
        if not isinstance(first[0], Welcome):
            raise WireError("the peer is no broker")
        with _raw_terminal(self._terminal), _resize_pipe(self._terminal) as resized:
            self._send(self._attach(command))
            return self._relay(resized)

    def _attach(self, command: str | None) -> Attach:
        env = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ENV)}
        if not self._terminal:
            return Attach(command, env=env)
        cols, rows = os.get_terminal_size(0)
        return Attach(command, os.environ.get("TERM") or "dumb", cols, rows, env)

    def _relay(self, resized: int) -> int:
        """Both ways at once. Input waits while the broker takes none; output is read meanwhile, since the
        broker may wait for just that."""
        inputs = [0, *([resized] if resized >= 0 else [])]
        while True:
            reads: list[int | socket.socket] = [self._sock]
            if self._heard and not self._unsent:
                reads += inputs
            ready, writable, _ = select.select(reads, [self._sock] if self._unsent else [], [])
            if writable:
                self._send_on()
            if resized in ready:
                os.read(resized, 64)
                self._send(WindowSize(*os.get_terminal_size(0)))
            if 0 in ready and not self._pass_input():
                inputs.remove(0)
            if self._sock in ready and (status := self._pass_output()) is not None:
                return status

    def _pass_input(self) -> bool:
        """Send what was typed or piped in; False at its end."""
        try:
            data = os.read(0, READ_SIZE)
        except OSError:
            data = b""
        self._send(Input(data) if data else InputEnd())
        return bool(data)

    def _pass_output(self) -> int | None:
        """Write what came; the exit status with the last of it."""
        for message in self._receive():
            if isinstance(message, Output):
                _write_all(2 if message.stderr else 1, message.data)
            elif isinstance(message, Exit):
                return message.status
        return None

    def _send(self, message: Message) -> None:
        """Send it as far as the broker takes it now; `_send_on` does the rest."""
        self._unsent += encode(message)
        self._send_on()

    def _send_on(self) -> None:
        try:
            self._unsent = self._unsent[self._sock.send(self._unsent, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._unsent, self._heard = b"", False

    def _receive(self) -> list[FromBroker]:
        while True:
            data = self._sock.recv(READ_SIZE)
            if not data:
                raise WireError("it closed the connection")
            if messages := self._decoder.feed(data):
                return messages


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@contextlib.contextmanager
def _raw_terminal(terminal: bool) -> Iterator[None]:
    """Every key goes to the broker as it is; the terminal is put back on any way out."""
    if not terminal:
        yield
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resize_pipe(terminal: bool) -> Iterator[int]:
    """A descriptor that becomes readable when the window's size changes; -1 without a terminal."""
    if not terminal:
        yield -1
        return
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGWINCH, lambda number, frame: None)
    try:
        yield read_end
    finally:
        signal.set_wakeup_fd(before)
        os.close(read_end)
        os.close(write_end)
