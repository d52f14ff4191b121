"""The strict gate in a conversation: a user who types, and a locked shell that answers as the hooks do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from broker.gate.lines import Candidate, Ruling, Word
from broker.gate.lines.doings import (
    Doing,
    Fact,
    Hangup,
    Kept,
    Refused,
    Restore,
    Said,
    ToClient,
    ToTarget,
    Wake,
)
from broker.gate.lines.flow import Setup
from broker.gate.strict.gate import StrictGate
from recorder.screen import Screen
from tests.playbooks.gated import NONCE, judge

FRAME = re.compile(rb"\x1e" + NONCE.encode() + rb";(\d+);(\d+);([a-z])(?:;([^\x1e]*))?\x1e")
JudgeLine = Callable[[Sequence[Candidate]], Ruling]


def allow_list(*names: str) -> JudgeLine:
    """A policy that allows what begins with one of the names, and denies the rest."""

    def rule(candidates: Sequence[Candidate]) -> Ruling:
        denied = [one.text for one in candidates if one.text.split()[:1] and one.text.split()[0] not in names]
        return Ruling(Word.DENY, "", f"{denied[0]} is not allowed") if denied else Ruling(Word.ALLOW)

    return rule


class StrictTalk:
    """`say` and `hear` are what user and target do. Where `alive`, the shell answers each frame by itself."""

    def __init__(
        self,
        *,
        cols: int = 80,
        rows: int = 24,
        judge: JudgeLine = judge,
        readers: Sequence[str] = (),
        prompt: str = "user$ ",
        alive: bool = True,
    ) -> None:
        self.gate = StrictGate(Setup(cols, rows, NONCE, "_t"), judge, frozenset(readers))
        self.screen = Screen(cols, rows)
        self.now, self.serial, self.level = 0, 0, 1
        self.sent, self.shown = bytearray(), bytearray()
        self.facts: list[Fact] = []
        self.told: list[Kept | Said | Refused] = []
        self.hung_up = ""
        self.ran: list[str] = []
        """Lines that the shell was given."""
        self.asked: list[str] = []
        """What it was asked to complete."""
        self.answers: dict[str, str] = {}
        self.ahead, self.prompt, self.alive = "", prompt, alive
        self.flags = "himBH"
        self._taken = 0
        self._wakes: list[int] = []
        self._do(self.gate.start(0))

    # ------------------------------------------------------------ both sides

    def say(self, keys: bytes | str) -> StrictTalk:
        """Keys, in one piece."""
        self.now += 10_000
        self._do(self.gate.keys(keys.encode() if isinstance(keys, str) else keys, self.now))
        return self.answer()

    def hear(self, data: bytes | str) -> StrictTalk:
        """Output of the target."""
        self.now += 1_000
        self._do(self.gate.output(data.encode() if isinstance(data, str) else data, self.now))
        return self

    def mark(self, kind: str, payload: str = "", serial: int | None = None, level: int = 0) -> StrictTalk:
        number = self.serial if serial is None else serial
        return self.hear(f"\x1b]5522;{NONCE};{level or self.level};{kind};{number};{payload}\x07")

    def wait(self, ms: int) -> StrictTalk:
        """Time passes and timers fire."""
        end = self.now + ms * 1000
        while due := [at for at in self._wakes if at <= end]:
            at = min(due)
            self._wakes.remove(at)
            self.now = max(self.now, at)
            self._do(self.gate.wake(self.now))
        self.now = end
        return self

    # ------------------------------------------------------------ the shell

    def at_prompt(self) -> StrictTalk:
        """Hook the login shell and come to its first prompt."""
        self.hear(f"\x1b[?2004h{self.prompt}").wait(200)
        self.mark("V", "5.2.15(1)-release,,,/bin/bash").mark("R", "bash")
        self._taken = len(self.sent)
        return self.call()

    def call(self, status: int = 0) -> StrictTalk:
        """The shell will read a line."""
        said = f"{status}\\037/home\\037{self.prompt}\\037> \\037{self.flags}"
        return self.mark("S", f"$'{said}'").answer()

    def finish(self, output: str = "", status: int = 0) -> StrictTalk:
        """What runs prints something and ends."""
        if output:
            self.hear(output)
        return self.call(status)

    def answer(self) -> StrictTalk:
        """Do what each frame asks for."""
        while self.alive and (match := FRAME.search(bytes(self.sent), self._taken)):
            self._taken = match.end()
            kind, text = match[3].decode(), _plain(match[4] or b"")
            if kind == "g":
                ahead, self.ahead = self.ahead, ""
                self.mark("B", f"$'{ahead}'" if ahead else "''").mark("P")
                continue
            self.serial = int(match[2])
            if kind == "l":
                self.ran.append(text)
                self.hear("\r\x1b[K").mark("A", "''").hear(f"{text}\r\n\x1b[?2004l\r").mark("X", serial=0)
            elif kind == "c":
                self.asked.append(text)
                self.hear("\r\x1b[K").mark("O", f"$'{self.answers.get(text, '')}'")
            elif kind == "i":
                self.mark("I", "''").call(130)
        return self

    # ------------------------------------------------------------ what came of it

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.screen.display()).rstrip("\n")

    @property
    def row(self) -> str:
        return "".join(self.screen.columns(self.screen.cursor.y)).rstrip()

    @property
    def judged(self) -> list[tuple[object, object]]:
        return [(fact.fields["text"], fact.fields["verdict"]) for fact in self.facts if fact.kind == "line"]

    @property
    def unframed(self) -> bytes:
        """What was sent since the shell was taken over, frames taken out."""
        return FRAME.sub(b"", bytes(self.sent)[self.start_of_frames :])

    @property
    def start_of_frames(self) -> int:
        return self.sent.find(b"\r", self.sent.find(b"gzip -d")) + 1

    def _do(self, doings: Sequence[Doing]) -> None:
        for doing in doings:
            match doing:
                case ToTarget(data):
                    self.sent += data
                case ToClient(data):
                    self._show(data)
                case Fact():
                    self.facts.append(doing)
                case Kept() | Said() | Refused():
                    self.told.append(doing)
                    notice = b"# NOTICE\r\n"
                    if isinstance(doing, Refused):
                        notice = b"\r\x1b[K" + notice + (doing.repaint or b"")
                    self._show(notice)
                    self.gate.shown(notice)
                case Restore(data):
                    self._show(data)
                    self.gate.shown(data)
                case Hangup(why):
                    self.hung_up = why
                case Wake(at):
                    self._wakes = [at]

    def _show(self, data: bytes) -> None:
        self.shown += data
        self.screen.feed(data)


def _plain(escaped: bytes) -> str:
    """As `printf %b` reads it."""
    text = re.sub(rb"\\(\\|0[0-7]{3})", lambda m: b"\\" if m[1] == b"\\" else bytes([int(m[1], 8)]), escaped)
    return text.decode()
