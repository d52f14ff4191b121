"""Plays the broker towards a real zygote: starts it, sends it terminals, reads what it paints."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0


class ZygoteDriver:
    """One zygote process."""

    def __init__(self, *rights: int) -> None:
        """`rights`: user and group id to run as."""
        self.broker, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.broker.settimeout(DEADLINE)
        argv = [sys.executable, "-m", "tui.zygote", str(theirs.fileno()), *map(str, rights)]
        self.process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        theirs.close()
        assert self.next() == {"ready": True}

    def next(self) -> dict[str, Any]:
        """The zygote's next message."""
        data = self.broker.recv(1 << 16)
        assert data, self.process.stdout and self.process.stdout.read()
        return json.loads(data)

    def send(self, request: dict[str, Any] | bytes, fds: list[int]) -> None:
        data = request if isinstance(request, bytes) else json.dumps(request).encode()
        socket.send_fds(self.broker, [data], fds)

    def login(
        self,
        socket_path: Path,
        *,
        id: int = 1,
        mode: str = "tui",
        columns: int = 80,
        rows: int = 24,
        env: dict[str, str] | None = None,
        state: dict[str, Any] | None = None,
    ) -> Terminal:
        """A face on a new terminal, connected to the control socket at the path."""
        terminal = Terminal(columns, rows)
        control = socket.socket(socket.AF_UNIX)
        control.connect(str(socket_path))
        env = {"TERM": "xterm-256color", "LANG": "C.UTF-8"} if env is None else env
        self.send(
            {"id": id, "mode": mode, "env": env, "state": state or {}}, [terminal.slave, control.fileno()]
        )
        terminal.close_slave()
        control.close()
        return terminal

    def close(self) -> None:
        self.broker.close()
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


class Terminal:
    """The master side of a pty, and all that was written to it."""

    def __init__(self, columns: int, rows: int) -> None:
        self.master, self.slave = pty.openpty()
        self.output = b""
        self._seen = 0
        self.started = time.monotonic()
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close_slave(self) -> None:
        os.close(self.slave)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str) -> bytes:
        """Read until the text has come after what an earlier call waited for; all up to its end."""
        needle = text.encode()
        deadline = time.monotonic() + DEADLINE
        while (at := self.output.find(needle, self._seen)) < 0:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, (text, self.output[self._seen :])
            assert self._read(), (text, self.output[self._seen :])
        start, self._seen = self._seen, at + len(needle)
        return self.output[start : self._seen]

    def read_to_end(self) -> bytes:
        """All that came, when everybody has closed the other side."""
        deadline = time.monotonic() + DEADLINE
        while True:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, self.output[self._seen :]
            if not self._read():
                return self.output

    def _read(self) -> bool:
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.output += data
        return bool(data)

    def hang_up(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.master)


@contextlib.contextmanager
def zygote(*rights: int) -> Iterator[ZygoteDriver]:
    driver = ZygoteDriver(*rights)
    try:
        yield driver
    finally:
        driver.close()
