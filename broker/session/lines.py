"""The line gate inside a live session: its judge, and what it asks for turned into the session's actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.gate.lines.doings import Doing, Fact, Refused, Restore, ToClient, ToTarget, Wake
from broker.gate.lines.gate import LineGate
from broker.gate.lines.piped import PipedGate
from broker.gate.lines.ruling import ALLOWED, Candidate, JudgeLine, Ruling, Word
from broker.model import exits
from broker.model.command import Answer, Judgement
from broker.session.actions import (
    Action,
    EofTarget,
    RecordEvent,
    RecordOutput,
    SendClient,
    SendTarget,
    SetTimer,
)
from broker.session.notices import Voice, inert

JudgeBytes = Callable[[bytes], Judgement | None]
TIMER = "gate"


def strictest(judge: JudgeBytes) -> JudgeLine:
    """Judges every reading of a line; one that is denied decides."""

    def rule(candidates: Sequence[Candidate]) -> Ruling:
        answer = ALLOWED
        for candidate in candidates:
            if not candidate.text.strip():
                continue
            judgement = judge(candidate.text.encode("utf-8", "replace"))
            if judgement is None:
                continue
            if judgement.verdict is not Answer.ALLOW:
                return Ruling(Word.DENY, judgement.rule.name, judgement.reason)
            answer = Ruling(Word.ALLOW, judgement.rule.name, judgement.reason)
        return answer

    return rule


class Lines(Protocol):
    """What a session core asks of its gate; every method returns what to do, in order."""

    @property
    def state(self) -> str:
        """Where the user's input goes now, for people."""

    def start(self, t: int) -> list[Action]: ...

    def client(self, data: bytes, t: int) -> list[Action]: ...

    def target(self, data: bytes, stderr: bool, t: int) -> list[Action]: ...

    def eof(self, t: int) -> list[Action]: ...

    def resized(self, cols: int, rows: int) -> list[Action]: ...

    def wake(self, t: int) -> list[Action]: ...

    def status(self, status: int) -> int:
        """What the user's side exits with, when the program on the target did with `status`."""


@dataclass(slots=True)
class PipedLines:
    """A shell without a terminal: its input is judged line by line."""

    gate: PipedGate
    voice: Voice

    @property
    def state(self) -> str:
        return self.gate.state

    def start(self, t: int) -> list[Action]:
        return []

    def client(self, data: bytes, t: int) -> list[Action]:
        return self._perform(self.gate.keys(data))

    def target(self, data: bytes, stderr: bool, t: int) -> list[Action]:
        return [RecordOutput(data, stderr), SendClient(data, stderr)]

    def eof(self, t: int) -> list[Action]:
        return [*self._perform(self.gate.end()), EofTarget()]

    def resized(self, cols: int, rows: int) -> list[Action]:
        return []

    def wake(self, t: int) -> list[Action]:
        return []

    def status(self, status: int) -> int:
        return exits.DENIED if self.gate.refused else status

    def _perform(self, doings: Sequence[Doing]) -> list[Action]:
        actions: list[Action] = []
        for doing in doings:
            if isinstance(doing, ToTarget):
                actions.append(SendTarget(doing.data))
            elif isinstance(doing, Fact):
                actions.append(RecordEvent(doing.kind, doing.fields))
            elif isinstance(doing, Refused):
                code = "E-DENIED" if doing.ruling.word is Word.DENY else "E-HELD"
                rule = f" (rule {doing.ruling.rule})" if doing.ruling.rule else ""
                text = f"{doing.ruling.reason}{rule}. Nothing is run from here on: {shown(doing.line)}"
                notice = self.voice.say("denied", code, text)
                said = RecordEvent("notice", {"text": notice.decode("utf-8", "replace").strip()})
                actions += (said, SendClient(notice, stderr=True), EofTarget())
        return actions


@dataclass(slots=True)
class GatedLines:
    """A session with a terminal: its gate, and the voice that speaks for it."""

    gate: LineGate
    voice: Voice

    @property
    def state(self) -> str:
        return self.gate.state

    def start(self, t: int) -> list[Action]:
        return self._perform(self.gate.start(t))

    def client(self, data: bytes, t: int) -> list[Action]:
        return self._perform(self.gate.keys(data, t))

    def target(self, data: bytes, stderr: bool, t: int) -> list[Action]:
        if stderr:
            return [RecordOutput(data, stderr), SendClient(data, stderr)]
        return self._perform(self.gate.output(data, t))

    def eof(self, t: int) -> list[Action]:
        return [EofTarget()]

    def resized(self, cols: int, rows: int) -> list[Action]:
        self.gate.resized(cols, rows)
        return []

    def wake(self, t: int) -> list[Action]:
        return self._perform(self.gate.wake(t))

    def status(self, status: int) -> int:
        return status

    def _perform(self, doings: Sequence[Doing]) -> list[Action]:
        """The session's actions for what the gate asks, in the same order."""
        actions: list[Action] = []
        for doing in doings:
            match doing:
                case ToTarget(data):
                    actions.append(SendTarget(data))
                case ToClient(data):
                    actions += (RecordOutput(data), SendClient(data))
                case Fact(kind, fields):
                    actions.append(RecordEvent(kind, fields))
                case Wake(at):
                    actions.append(SetTimer(TIMER, at))
                case Restore(data):
                    self.gate.shown(data)
                    actions.append(SendClient(data))
                case Refused():
                    actions += self._refused(doing)
        return actions

    def _refused(self, refused: Refused) -> list[Action]:
        ruling = refused.ruling
        rule = f" (rule {ruling.rule})" if ruling.rule else ""
        word, glyph = ("BLOCKED", "denied") if ruling.word is Word.DENY else ("NOT SENT", "held")
        text = f"{ruling.reason}{rule}. Nothing sent."
        if refused.overlay:
            data = self.voice.overlay(glyph, word, text)
        else:
            data = self.voice.blocked(glyph, word, text, shown(refused.line))
            data += refused.repaint or b""
        self.gate.shown(data)
        note = RecordEvent("notice", {"text": f"{word} {text}"})
        return [note, SendClient(data)]


def shown(line: str) -> str:
    """A line as it may stand in a notice: one row, harmless, of bounded length."""
    text = inert(line.replace("\n", " ⏎ "))
    return text if len(text) <= 200 else text[:199] + "…"
