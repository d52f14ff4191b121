"""Programs in the background whose output can be waited for, and the environment they get."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 30.0
"""Seconds any wait may take on a busy machine before it counts as hung."""

HOST = "127.0.0.1"


def free_port() -> int:
    """A TCP port of the loopback interface that is free now.

    Drawn from below the range of ports the kernel gives to outgoing connections: one of those could
    otherwise take it before the server does.
    """
    while True:
        port = random.randrange(10_240, 32_768)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not _taken(probe, port):
                return port


def _taken(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((HOST, port))
    except OSError:
        return True
    return False


def clean_env(home: Path, **extra: str) -> dict[str, str]:
    """An environment that does not depend on who runs the tests: no agent, no tmux, no locale of theirs."""
    here = str(Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join((here, os.environ["PATH"], "/usr/sbin", "/sbin")),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},  # the code under test
        **extra,
    }


class Child:
    """A program in a process group of its own; a thread collects what it prints."""

    def __init__(
        self, argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        self.argv = [str(word) for word in argv]
        self._news = threading.Condition()
        self._output = bytearray()
        self._closed = False
        self.process = subprocess.Popen(
            self.argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        while chunk := os.read(pipe, 65536):
            with self._news:
                self._output += chunk
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()
        self.process.stdout.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        """What it has printed so far, stdout and stderr in order."""
        with self._news:
            return self._output.decode(errors="replace")

    def wait_for(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """The first match in its output. AssertionError once the output ended or `timeout` passed without."""
        deadline = time.monotonic() + timeout
        while True:
            with self._news:
                text, closed = self._output.decode(errors="replace"), self._closed
                if found := re.search(pattern, text, re.MULTILINE):
                    return found
                left = deadline - time.monotonic()
                if closed or left <= 0:
                    why = "ended" if closed else f"{timeout:.0f} s passed"
                    raise AssertionError(f"{self.argv[0]}: {why} without {pattern!r} in its output:\n{text}")
                self._news.wait(left)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status (negative: the signal), once it has ended."""
        return self.process.wait(timeout)

    def stop(self, timeout: float = PATIENCE) -> int:
        """Ask it to end (SIGTERM) and return its exit status; AssertionError if it must be killed."""
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill9()
                raise AssertionError(f"{self.argv[0]} ignored SIGTERM for {timeout:.0f} s") from None
        self._end_group()
        return self.process.returncode

    def kill9(self) -> None:
        """SIGKILL to the program alone, as a crash would be; what it had started is left to notice."""
        self.process.kill()
        self.process.wait()

    def _end_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def dispose(self) -> None:
        """End it and whatever is left of its process group, without ceremony."""
        self.kill9()
        self._end_group()
