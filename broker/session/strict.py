"""Strict line mode inside a live session: what its gate asks for, turned into the session's actions."""

from __future__ import annotations

from collections.abc import Sequence

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
from broker.gate.lines.ruling import Ruling, Word
from broker.gate.strict.gate import StrictGate
from broker.model import exits
from broker.session.actions import (
    Action,
    Close,
    EofTarget,
    RecordEvent,
    RecordOutput,
    SendClient,
    SendTarget,
    SetTimer,
)
from broker.session.lines import TIMER, shown
from broker.session.notices import Voice

EDIT_HINT = "Edit the line, type another, or Ctrl-C to clear it."


class StrictLines:
    """A session whose lines are edited here. What the editor draws is recorded as the output that it is."""

    def __init__(self, gate: StrictGate, voice: Voice) -> None:
        self._gate, self._voice = gate, voice

    @property
    def state(self) -> str:
        return f"line: {self._gate.state}"

    def start(self, t: int) -> list[Action]:
        return self._perform(self._gate.start(t))

    def client(self, data: bytes, t: int) -> list[Action]:
        return self._perform(self._gate.keys(data, t))

    def target(self, data: bytes, stderr: bool, t: int) -> list[Action]:
        if stderr:
            return [RecordOutput(data, stderr), SendClient(data, stderr)]
        return self._perform(self._gate.output(data, t))

    def eof(self, t: int) -> list[Action]:
        return [EofTarget()]

    def resized(self, cols: int, rows: int) -> list[Action]:
        return self._perform(self._gate.resized(cols, rows))

    def wake(self, t: int) -> list[Action]:
        return self._perform(self._gate.wake(t))

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
                    self._gate.shown(data)
                    actions.append(SendClient(data))
                case _:
                    actions += self._told(doing)
        return actions

    def _told(self, doing: Doing) -> list[Action]:
        """What the user is told."""
        match doing:
            case Kept(ruling):
                glyph, word, text = _refusal(ruling)
                return self._say(word, text, self._rows(glyph, word, text, EDIT_HINT))
            case Said(glyph, word, text):
                return self._say(word, text, self._rows(glyph, word, text))
            case Refused(ruling, line, repaint, overlay):
                glyph, word, text = _refusal(ruling)
                if overlay:
                    return self._say(word, text, self._voice.overlay(glyph, word, text))
                data = self._voice.blocked(glyph, word, text, shown(line)) + (repaint or b"")
                return self._say(word, text, data)
            case Hangup(why):
                text = f"{why}. In strict line mode a session ends when its shell cannot be held."
                notice = b"\r\n" + self._rows("ended", "ENDED", text)
                return [*self._say("ENDED", text, notice), Close(exits.DENIED, "gate-lost")]
        return []

    def _rows(self, glyph: str, word: str, text: str, hint: str = "") -> bytes:
        return self._voice.rows(glyph, word, text, hint, self._gate.cols)

    def _say(self, word: str, text: str, data: bytes) -> list[Action]:
        self._gate.shown(data)
        return [RecordEvent("notice", {"text": f"{word} {text}"}), SendClient(data)]


def _refusal(ruling: Ruling) -> tuple[str, str, str]:
    rule = f" (rule {ruling.rule})" if ruling.rule else ""
    glyph, word = ("denied", "BLOCKED") if ruling.word is Word.DENY else ("held", "NOT SENT")
    return glyph, word, f"{ruling.reason}{rule}. Nothing sent."
