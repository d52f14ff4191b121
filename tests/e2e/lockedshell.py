"""A real shell on a terminal behind the strict gate, without SSH: the broker's decisions and nothing else."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from broker.gate.lines import Candidate, Ruling, Word
from broker.gate.lines.flow import Setup
from broker.gate.strict.gate import StrictGate
from broker.session import actions as act
from broker.session.notices import Voice
from broker.session.strict import StrictLines
from recorder.screen import Screen
from tests.world.process import PATIENCE

NONCE = "c0ffee" * 5
FORBIDDEN = "forbidden"


def judge(candidates: Sequence[Candidate]) -> Ruling:
    """One rule: no text may hold the word."""
    for candidate in candidates:
        if FORBIDDEN in candidate.text:
            return Ruling(Word.DENY, "no-forbidden", "forbidden never runs")
    return Ruling(Word.ALLOW, "rest", "no rule denies it")


class LockedShell:
    """The user's side: keys in with `type`, the screen out with `see`. `sent`: what the shell was sent."""

    def __init__(
        self,
        argv: Sequence[str],
        home: Path,
        *,
        cols: int = 80,
        rows: int = 24,
        readers: Sequence[str] = (),
        judge: object = judge,
    ) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(home)
            keep = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "xterm-256color"}
            os.execvpe(argv[0], argv, {**keep, "HOME": str(home)})
        termios.tcsetwinsize(self._fd, (rows, cols))
        self.screen = Screen(cols, rows)
        self.sent, self.shown = bytearray(), bytearray()
        self.facts: list[act.RecordEvent] = []
        self.closed: act.Close | None = None
        self._began = time.monotonic_ns()
        self._timer: int | None = None
        setup = Setup(cols, rows, NONCE, "_t", hook=True)
        self.gate = StrictGate(setup, judge, frozenset(readers))  # type: ignore[arg-type]
        self.lines = StrictLines(self.gate, Voice(terminal=True))
        self._do(self.lines.start(0))

    # ------------------------------------------------------------ the user

    def type(self, keys: bytes | str) -> Self:
        """Keys, in one piece."""
        self._do(self.lines.client(keys.encode() if isinstance(keys, str) else keys, self._now()))
        return self

    def see(self, pattern: str, timeout: float = PATIENCE) -> str:
        """Wait until the screen shows it (rows without blanks at their ends); returns the whole screen."""
        self.until(lambda: re.search(pattern, self.text, re.MULTILINE) is not None, pattern, timeout)
        return self.text

    def prompt(self) -> Self:
        """Wait until the user may edit, and all that was typed has been dealt with."""
        self.until(lambda: self.gate.state == "prompt", "a prompt")
        return self

    def run(self, line: str) -> str:
        """Enter a line at the prompt and wait for the next prompt; what is on the screen then."""
        before = sum(fact.kind == "line-done" for fact in self.facts)
        self.prompt().type(line + "\r")
        self.until(
            lambda: sum(fact.kind == "line-done" for fact in self.facts) > before, f"the end of {line}"
        )
        self.prompt()
        return self.text

    def resize(self, cols: int, rows: int) -> Self:
        self.screen.resize(cols, rows)
        self._do(self.lines.resized(cols, rows))
        termios.tcsetwinsize(self._fd, (rows, cols))
        return self

    # ------------------------------------------------------------ what came of it

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.screen.display()).rstrip("\n")

    @property
    def row(self) -> str:
        """The row that the cursor is on."""
        return "".join(self.screen.columns(self.screen.cursor.y)).rstrip()

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]

    @property
    def judged(self) -> list[tuple[object, object]]:
        """Text and verdict of each line that was judged."""
        return [(fact.fields["text"], fact.fields["verdict"]) for fact in self.facts if fact.kind == "line"]

    def until(self, done: object, what: str, timeout: float = PATIENCE) -> None:
        """Let time pass until `done()`."""
        end = time.monotonic() + timeout
        while not done():  # type: ignore[operator]
            if time.monotonic() > end:
                raise AssertionError(f"{timeout:.0f} s passed without {what!r}; the screen:\n{self.text}")
            self.pass_on(0.02)

    def pass_on(self, seconds: float) -> None:
        """Carry output and let timers fire, for so long or until something came."""
        readable, _, _ = select.select([self._fd], [], [], seconds) if self._fd >= 0 else ([], [], [])
        if readable:
            try:
                data = os.read(self._fd, 65536)
            except OSError:  # EIO: the shell is gone
                data = b""
            if data:
                self._do(self.lines.target(data, False, self._now()))
            else:
                self._hang_up()
        if self._timer is not None and self._now() >= self._timer:
            self._timer = None
            self._do(self.lines.wake(self._now()))

    def _do(self, actions: Sequence[act.Action]) -> None:
        for action in actions:
            match action:
                case act.SendTarget(data):
                    self.sent += data
                    if self._fd >= 0:
                        os.write(self._fd, data)
                case act.SendClient(data):
                    self.shown += data
                    self.screen.feed(data)
                case act.RecordEvent():
                    self.facts.append(action)
                case act.SetTimer(_, at):
                    self._timer = at
                case act.Close():
                    self.closed = action
                    self._hang_up()

    def _now(self) -> int:
        return (time.monotonic_ns() - self._began) // 1000

    @property
    def ended(self) -> bool:
        return self._fd < 0

    def _hang_up(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        self._hang_up()
        try:
            os.kill(self.pid, signal.SIGHUP)
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
