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
    Message,
    Output,
    Welcome,
    WindowSize,
)

PASSED_ENV = ("LANG", "LANGUAGE", "LC_", "NO_COLOR", "COLORTERM", "BARTIZAN_REASON", "BARTIZAN_UI")
UNREACHABLE = 69
SANE = b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?25h\x1b[0m\r\n"
"""Leaves the alternate screen, mouse and paste modes, shows the cursor: for a login cut off in the middle."""


def attach(path: str, command: str | None) -> int:
    """Be a login with this process's terminal or pipes: what `ssh bastion [command]` would do.

    Returns the exit status of what ran; 69 if there is no broker, which is said on stderr.
    """
    terminal = os.isatty(0) and os.isatty(1)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            return _Login(sock, terminal).run(command)
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
        watched: list[int | socket.socket] = [self._sock, 0, *([resized] if resized >= 0 else [])]
        while True:
            ready, _, _ = select.select(watched, [], [])
            if resized in ready:
                os.read(resized, 64)
                self._send_if_heard(WindowSize(*os.get_terminal_size(0)))
            if 0 in ready and not self._pass_input():
                watched.remove(0)
            if self._sock in ready and (status := self._pass_output()) is not None:
                return status

    def _pass_input(self) -> bool:
        """Send what was typed or piped in; False at its end, or where nobody hears it any more."""
        try:
            data = os.read(0, READ_SIZE)
        except OSError:
            data = b""
        heard = self._send_if_heard(Input(data) if data else InputEnd())
        return bool(data) and heard

    def _pass_output(self) -> int | None:
        """Write what came; the exit status with the last of it."""
        for message in self._receive():
            if isinstance(message, Output):
                _write_all(2 if message.stderr else 1, message.data)
            elif isinstance(message, Exit):
                return message.status
        return None

    def _send(self, message: Message) -> None:
        self._sock.sendall(encode(message))

    def _send_if_heard(self, message: Message) -> bool:
        """False if the broker has closed already: its last words are still to be read."""
        try:
            self._send(message)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

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
