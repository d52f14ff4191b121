"""The line gate inside a live session: its judge, and what it asks for turned into the session's actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker.gate.lines.doings import Doing, Fact, Refused, Restore, ToClient, ToTarget, Wake
from broker.gate.lines.gate import LineGate
from broker.gate.lines.ruling import ALLOWED, Candidate, JudgeLine, Ruling, Word
from broker.model.access import Verdict
from broker.model.command import Judgement
from broker.session.actions import Action, RecordEvent, RecordOutput, SendClient, SendTarget, SetTimer
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
            if judgement.verdict is not Verdict.ALLOW:
                return Ruling(Word.DENY, judgement.rule.name, judgement.reason)
            answer = Ruling(Word.ALLOW, judgement.rule.name, judgement.reason)
        return answer

    return rule


@dataclass(slots=True)
class GatedLines:
    """The gate of one session and the voice that speaks for it."""

    gate: LineGate
    voice: Voice

    def perform(self, doings: Sequence[Doing]) -> list[Action]:
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
        text = f"{ruling.reason}{rule}. Nothing was run."
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
