"""tmux as the terminal of a test: what it captures is what a person would see."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.world.process import PATIENCE, clean_env

_LOOK_EVERY = 0.03
"""Seconds between two looks at the screen; tmux has no event for "the screen shows this"."""

_NOTE_STATUS = """trap : INT QUIT HUP; "$@"; echo $? >"$0.new"; mv "$0.new" "$0" """
"""Runs a program for `wait_exit`; tmux 3.3 itself now and then forgets the status of a pane."""


class Tmux:
    """A private tmux server with one window; its socket lies in `place`, which must have a short path."""

    def __init__(self, place: Path, *, size: tuple[int, int] = (24, 80), term: str = "tmux-256color") -> None:
        """`size` is (rows, columns) of the program's screen; there is no status line."""
        self._socket = place / "tmux"
        self._status = place / "status"
        self._env = clean_env(place)
        self._size = size
        self._config = place / "tmux.conf"
        self._config.write_text(
            f"set -g default-terminal {term}\nset -g status off\nset -g remain-on-exit on\n"
            "set -s escape-time 0\nset -g history-limit 5000\n"
        )

    def _tmux(self, *arguments: str) -> str:
        argv = ["tmux", "-S", str(self._socket), "-f", str(self._config), *arguments]
        done = subprocess.run(
            argv, env=self._env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode != 0:
            raise AssertionError(f"tmux {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def run(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        """Start the window with `argv` as its program; `env` adds to a clean environment."""
        rows, columns = self._size
        extra = [word for key, value in (env or {}).items() for word in ("-e", f"{key}={value}")]
        place = ["-x", str(columns), "-y", str(rows)]
        self._tmux("new-session", "-d", *place, *extra, "sh", "-c", _NOTE_STATUS, str(self._status), *argv)

    def keys(self, *keys: str) -> None:
        """Press keys by tmux's names: `Enter`, `C-c`, `Up`, `Escape`, or single characters."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type `text` as it is, without Enter."""
        self._tmux("send-keys", "-l", "--", text)

    def screen(self, *, colours: bool = False, history: bool = False) -> str:
        """The screen's lines as text; with escape sequences for attributes, or with what scrolled away."""
        flags = (["-e"] if colours else []) + (["-S", "-"] if history else [])
        return self._tmux("capture-pane", "-p", *flags)

    def cursor(self) -> tuple[int, int]:
        """(row, column), both from 0."""
        row, column = self._format("#{cursor_y} #{cursor_x}").split()
        return int(row), int(column)

    def in_alternate_screen(self) -> bool:
        return self._format("#{alternate_on}") == "1"

    def resize(self, rows: int, columns: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def wait_for(self, pattern: str, timeout: float = PATIENCE) -> str:
        """The first screen that matches `pattern`; AssertionError with the last screen after `timeout`."""
        return self._wait(
            lambda text: re.search(pattern, text, re.MULTILINE) is not None, repr(pattern), timeout
        )

    def wait_gone(self, pattern: str, timeout: float = PATIENCE) -> str:
        """The first screen that does not match `pattern` (any more)."""
        return self._wait(lambda text: not re.search(pattern, text, re.MULTILINE), f"no {pattern!r}", timeout)

    def wait_exit(self, timeout: float = PATIENCE) -> int:
        """The exit status of the window's program as a shell tells it; the screen stays to be read."""
        self._wait(lambda _: self._status.exists(), "the end of the program", timeout)
        return int(self._status.read_text())

    def _wait(self, holds: Callable[[str], bool], what: str, timeout: float) -> str:
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while True:
            text = self.screen()
            if holds(text):
                return text
            if time.monotonic() > deadline:
                raise AssertionError(f"{timeout:.0f} s passed without {what}; the screen:\n{text}")
            pause.wait(_LOOK_EVERY)

    def _format(self, template: str) -> str:
        return self._tmux("display-message", "-p", template).strip()

    def kill(self) -> None:
        """End the server and all it runs."""
        argv = ["tmux", "-S", str(self._socket), "kill-server"]
        subprocess.run(argv, env=self._env, capture_output=True, timeout=PATIENCE, check=False)
