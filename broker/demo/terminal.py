"""A terminal without a person: a program on a pty, its screen as text, keys sent when the screen is ready."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from recorder.screen import Screen

PATIENCE = 20.0
"""Seconds that a wait may take before what it waits for counts as missing."""


class Missed(Exception):
    """What was expected did not appear; `screen` is what was there instead."""

    def __init__(self, what: str, screen: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.screen = list(screen)


class Terminal:
    """Runs `argv` on a terminal of 80x24. It answers no queries, as the picker makes none."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self.screen = Screen(*size)
        self._master, slave = os.openpty()
        try:
            termios.tcsetwinsize(slave, (size[1], size[0]))
            self._process = subprocess.Popen(
                argv, stdin=slave, stdout=slave, stderr=slave, env=dict(env), start_new_session=True
            )
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._master)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def lines(self) -> list[str]:
        """What is on the screen, without blank lines at the end."""
        lines = [line.rstrip() for line in self.screen.display()]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def type(self, keys: str) -> None:
        """Press keys; few enough that the terminal's queue takes them at once."""
        os.write(self._master, keys.encode())

    def wait(self, what: str, holds: Callable[[str], bool]) -> list[str]:
        """Wait until `holds(text of the screen)`, and return its lines. Raises Missed, naming `what`."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = self.lines()
            if holds("\n".join(lines)):
                return lines
            if self._ended:
                raise Missed(f"the connection ended before: {what}", lines)
            if not self._read(deadline):
                raise Missed(f"{PATIENCE:.0f} s passed without: {what}", lines)

    def wait_for(self, *words: str) -> list[str]:
        """Wait until all the words are on the screen."""
        return self.wait(", ".join(words), lambda text: all(word in text for word in words))

    def wait_end(self) -> int:
        """The exit status of the program, once it has ended."""
        deadline = time.monotonic() + PATIENCE
        while not self._ended:
            if not self._read(deadline):
                raise Missed("the end of the connection", self.lines())
        return self._process.wait(PATIENCE)

    def _read(self, deadline: float) -> bool:
        """Feed the screen what has come; False if nothing came in time."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # EIO: the last holder of the other end is gone
            data = b""
        self._ended = not data
        self.screen.feed(data)
        return True
