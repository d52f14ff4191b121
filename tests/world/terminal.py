"""A program on a pseudo-terminal, driven by bytes."""

from __future__ import annotations

import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.world.process import PATIENCE


class Pty:
    """Runs `argv` as the foreground program of a new terminal of `size` (rows, columns).

    It is a dumb wire: it answers no terminal queries. What draws screens is tested with `Tmux`.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        size: tuple[int, int] = (24, 80),
        cwd: Path | None = None,
    ) -> None:
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, size)
        # setsid makes the terminal the controlling one, so that SIGWINCH and Ctrl-C reach the program.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *argv], env=dict(env), stdin=slave, stdout=slave, stderr=slave, cwd=cwd
        )
        os.close(slave)
        self._pending = bytearray()
        self.seen = bytearray()
        """Everything the program has printed so far."""
        self.ended = False
        """No program has the terminal open any more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Type `data`, reading meanwhile: a paste longer than the terminal's queue must not deadlock."""
        deadline = time.monotonic() + PATIENCE
        while data:
            left = deadline - time.monotonic()
            readable, writable, _ = select.select([self._master], [self._master], [], max(left, 0))
            if readable:
                self._read()
            if writable:
                data = data[os.write(self._master, data[:512]) :]
            if self.ended or not (readable or writable):
                raise AssertionError(f"the terminal took no more input; {self._tail()}")

    def expect(self, pattern: bytes | str, timeout: float = PATIENCE) -> re.Match[bytes]:
        """Wait for a match in what was printed since the last match, and consume up to its end.

        AssertionError, with the end of the output, if the program ends or `timeout` passes first.
        """
        wanted = re.compile(pattern.encode() if isinstance(pattern, str) else pattern, re.DOTALL)
        deadline = time.monotonic() + timeout
        while True:
            if found := wanted.search(bytes(self._pending)):
                del self._pending[: found.end()]
                return found
            if self.ended or not self._wait(deadline):
                why = "it ended" if self.ended else f"{timeout:.0f} s passed"
                raise AssertionError(f"{why} without {wanted.pattern!r}; {self._tail()}")
            self._read()

    def read_quiet(self, quiet: float, first: float) -> bytes:
        """What is printed until nothing came for `quiet` seconds, having waited `first` for a beginning."""
        deadline = time.monotonic() + PATIENCE
        until = time.monotonic() + first
        while not self.ended and self._wait(min(until, deadline)):
            self._read()
            until = time.monotonic() + quiet
        found = bytes(self._pending)
        self._pending.clear()
        return found

    def read_all(self, timeout: float = PATIENCE) -> bytes:
        """Everything not yet consumed, up to the end of the program's output."""
        deadline = time.monotonic() + timeout
        while not self.ended:
            if not self._wait(deadline):
                raise AssertionError(f"the output did not end in {timeout:.0f} s; {self._tail()}")
            self._read()
        rest = bytes(self._pending)
        self._pending.clear()
        return rest

    def resize(self, rows: int, columns: int) -> None:
        """Change the window; the kernel sends the program SIGWINCH."""
        termios.tcsetwinsize(self._master, (rows, columns))

    def modes(self) -> list[object]:
        """The terminal's attributes (termios.tcgetattr), to compare before and after."""
        return list(termios.tcgetattr(self._master))

    def wait(self, timeout: float = PATIENCE) -> int:
        """Read to the end and return the exit status (negative: the signal)."""
        self._pending += self.read_all(timeout)
        return self.process.wait(timeout)

    def close(self) -> None:
        """Hang up, and make sure the program is gone."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
            self.ended = True
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _wait(self, deadline: float) -> bool:
        return bool(select.select([self._master], [], [], max(deadline - time.monotonic(), 0))[0])

    def _read(self) -> None:
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # EIO: the last holder of the other side is gone
            chunk = b""
        self.ended = not chunk
        self._pending += chunk
        self.seen += chunk

    def _tail(self) -> str:
        return f"last output: {bytes(self.seen[-2000:])!r}"
