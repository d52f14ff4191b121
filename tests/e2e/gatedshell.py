"""A real shell on a pty of its own behind a session's runner and gate, and a desk that the test sits at."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from broker.adapters.clock import SystemClock
from broker.gate.lines.gate import LineGate, Setup
from broker.gate.reading import readers_of
from broker.model.access import Rule
from broker.model.approval import ApprovalTerms, Panel
from broker.model.command import Answer, CommandLine, Judgement
from broker.model.session import SessionRow, SessionState
from broker.model.target import Dialect
from broker.relay.client import ClientSide, Terminal, Window
from broker.relay.holds import Settle
from broker.relay.runner import Runner
from broker.relay.target import TargetProgram
from broker.services.recordings import SessionRecording
from broker.session.actions import OpenApproval
from broker.session.core import SessionCore, Terms
from broker.session.events import ApprovalOpened, ApprovalSettled
from broker.session.lines import GatedLines, strictest
from broker.session.notices import Voice
from recorder.cast import Header
from recorder.screen import Screen
from recorder.writer import open_recording
from tests.signer import SIGNER
from tests.unit.rows import row
from tests.world.homes import furnish
from tests.world.process import PATIENCE, clean_env

SHELLS = {
    "bash": ["bash", "-l"],
    "zsh": ["zsh", "-l"],
    "fish": ["fish", "-l"],
    "dash": ["dash", "-l"],
}
TERMS = ApprovalTerms((Panel(1, frozenset({"bob", "carol"})),))
_ANSWERS = {"touch": Answer.HOLD, "mkdir": Answer.CONFIRM, "uname": Answer.WARN, "forbidden": Answer.DENY}
Typed = tuple[str, bytes]


def judge(line: bytes | CommandLine) -> Judgement:
    """By words anywhere in the line."""
    assert isinstance(line, CommandLine)
    for word, answer in _ANSWERS.items():
        if word in (line.text or ""):
            rule = Rule(f"{answer.value}-{word}", "lab.yaml:9")
            return Judgement(answer, rule, f"{word} is not for everybody", approval=TERMS)
    return Judgement(Answer.ALLOW, Rule("rest", "lab.yaml:1"), "nothing denies it")


class Desk:
    """Asks nobody: `opened` has what came in, and the test decides."""

    def __init__(self) -> None:
        self.asked: list[OpenApproval] = []
        self.ended: list[tuple[int, str]] = []
        self.used: list[int] = []
        self._settle: dict[int, Settle] = {}

    def open(self, row: SessionRow, ask: OpenApproval, settle: Settle) -> None:
        self.asked.append(ask)
        self._settle[ask.number] = settle
        settle(ApprovalOpened(ask.number, f"R-{ask.number}", ask.terms.text, 900))

    def cancel(self, row: SessionRow, number: int, why: str) -> None:
        self.ended.append((number, why))

    def use(self, row: SessionRow, number: int) -> None:
        self.used.append(number)

    def decide(self, outcome: str = "approved", comment: str = "") -> None:
        """About the line asked for last."""
        number = self.asked[-1].number
        self._settle[number](ApprovalSettled(number, outcome, "bob", comment))


class _Pty(TargetProgram):
    """A program on a local pty, as the target's side of a session. `typed`: all that it was sent."""

    def __init__(self, argv: list[str], home: Path, size: tuple[int, int], runner: Runner) -> None:
        self.master, slave = os.openpty()
        termios.tcsetwinsize(slave, size)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *argv],
            stdin=slave, stdout=slave, stderr=slave, cwd=home, env=clean_env(home),
        )  # fmt: skip
        os.close(slave)
        self.typed = bytearray()
        self._runner = runner
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._loop.add_reader(self.master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        if data:
            self._runner.target_bytes(data, False)
        else:
            self._loop.remove_reader(self.master)
            self._runner.target_exited(0)
            self._runner.target_gone("")

    def write(self, data: bytes) -> None:
        self.typed += data
        os.write(self.master, data)

    def write_eof(self) -> None:
        pass

    def resize(self, window: Window) -> None:
        termios.tcsetwinsize(self.master, (window.rows, window.cols))

    def signal(self, name: str) -> None:
        self.process.send_signal(signal.Signals[f"SIG{name}"])

    def send_break(self, msec: int) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        """Hang up."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self.master)
            os.close(self.master)


class _User(ClientSide):
    def __init__(self, window: Window) -> None:
        super().__init__()
        self.terminal = Terminal("xterm-256color", window)
        self.shown = bytearray()

    def write(self, data: bytes, stderr: bool = False) -> None:
        self.shown += data

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@dataclass
class GatedShell:
    """What the user types, sees, and the desk. `close` hangs up, as a lost connection does."""

    home: Path
    shell: str
    size: tuple[int, int] = (24, 80)
    hook: bool = True
    desk: Desk = field(default_factory=Desk)
    _at: int = 0

    async def start(self) -> GatedShell:
        furnish(self.home)
        rows, cols = self.size
        clock = SystemClock()
        self.live = open_recording(
            self.home.parent, f"S-{self.shell}", Header(width=cols, height=rows), {}, signer=SIGNER
        )
        recording = SessionRecording(self.live, clock, clock.monotonic())
        readers = readers_of(None, Dialect.SHELL)
        setup = Setup(cols, rows, os.urandom(16).hex(), "_t", hook=self.hook)
        gate = LineGate(setup, strictest(judge, readers), readers.take)
        self.lines = GatedLines(gate, Voice(terminal=True), clock.now())
        self.user = _User(Window(cols, rows))
        core = SessionCore(Terms(Voice(terminal=True), None, None, lines=self.lines))
        self.runner = Runner(core, row(state=SessionState.LIVE), self.user, recording, self.desk)
        self.program = _Pty(SHELLS[self.shell], self.home, self.size, self.runner)
        self.runner.start(self.program)
        return self

    def type(self, text: str) -> None:
        self.user.on_bytes(text.encode())

    def resize(self, rows: int, cols: int) -> None:
        self.size = (rows, cols)
        self.user.on_resize(Window(cols, rows))

    async def expect(self, pattern: str) -> re.Match[bytes]:
        """A match in what is shown from the last one on."""
        wanted = re.compile(pattern.encode(), re.DOTALL)
        return await self.until(lambda: self._search(wanted), pattern)

    def _search(self, wanted: re.Pattern[bytes]) -> re.Match[bytes] | None:
        found = wanted.search(bytes(self.user.shown), self._at)
        if found is not None:
            self._at = found.end()
        return found

    async def until(self, look: Callable[[], object], what: str):  # type: ignore[no-untyped-def]
        """The first true value of `look`."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := look()):
                    await asyncio.sleep(0.01)
                return found
        except TimeoutError:
            raise AssertionError(f"no {what!r} in {bytes(self.user.shown[-2000:])!r}") from None

    async def prompt(self) -> None:
        await self.expect(r"target\$ ")
        if self.hook and self.shell != "dash":
            await self.until(lambda: self.lines.state == "prompt", "prompt")

    @property
    def screen(self) -> list[str]:
        """What the user's terminal looks like."""
        rows, cols = self.size
        terminal = Screen(cols, rows)
        terminal.feed(bytes(self.user.shown))
        return [line.rstrip() for line in terminal.display() if line.strip()]

    async def close(self) -> None:
        self.runner.abandon()
        try:
            await asyncio.to_thread(self.program.process.wait, 10)
        except subprocess.TimeoutExpired:
            self.program.process.kill()
