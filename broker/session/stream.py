"""The line gate of a session without a terminal: its doings as the session's actions, one plain line on
stderr for each notice."""

from __future__ import annotations

from collections.abc import Sequence

from broker.gate.lines.doings import (
    Doing,
    EndTarget,
    Fact,
    Held,
    Refused,
    Released,
    Settled,
    ToTarget,
    Warned,
)
from broker.gate.lines.piped import PipedGate
from broker.gate.lines.ruling import Word
from broker.model import exits
from broker.model.session import LineReport
from broker.session.actions import (
    Action,
    CancelApproval,
    EofTarget,
    PauseClient,
    RecordEvent,
    RecordOutput,
    SendClient,
    SendTarget,
    UseApproval,
)
from broker.session.events import ApprovalOpened, ApprovalSettled
from broker.session.held import clock, ending, ending_words, opening
from broker.session.notices import Voice, because, shown
from broker.session.tally import Tally

MOST_WAITING = 1 << 20
"""Bytes of input that wait behind a held line before no more is taken."""
SECOND = 1_000_000


class PipedLines:
    """A shell without a terminal: its input is judged line by line."""

    def __init__(self, gate: PipedGate, voice: Voice) -> None:
        self._gate, self._voice = gate, voice
        self._tally = Tally()
        self._held: Held | None = None
        self._request = ""
        self._paused = False
        self._status: int | None = None

    @property
    def state(self) -> str:
        return self._gate.state

    @property
    def holds(self) -> bool:
        return self._held is not None

    @property
    def report(self) -> LineReport:
        return self._tally.report("stream", self.state, self._request if self.holds else "")

    def start(self, t: int) -> list[Action]:
        return []

    def client(self, data: bytes, t: int) -> list[Action]:
        actions = self._perform(self._gate.keys(data))
        if self.holds and self._gate.waiting > MOST_WAITING and not self._paused:
            self._paused = True
            actions.append(PauseClient(True))
        return actions

    def target(self, data: bytes, stderr: bool, t: int) -> list[Action]:
        return [RecordOutput(data, stderr), SendClient(data, stderr)]

    def eof(self, t: int) -> list[Action]:
        return self._perform(self._gate.end())

    def opened(self, event: ApprovalOpened, t: int) -> list[Action]:
        held = self._held
        if held is None or held.number != event.number:
            return []
        self._request = event.id
        within = clock(event.within_s * SECOND)
        text = f"needs {event.deciders} within {within}: {because(held.ruling)}: {shown(held.line)}"
        return self._say("held", f"E-HELD {event.id}", text)

    def settled(self, event: ApprovalSettled, t: int) -> list[Action]:
        actions = self._perform(self._gate.settle(event.number, event.outcome, event.by, event.comment))
        if self._paused and not self.holds:
            self._paused = False
            actions.append(PauseClient(False))
        return actions

    def ended(self, why: str) -> list[Action]:
        held, self._held = self._held, None
        return [] if held is None else [CancelApproval(held.number, why)]

    def resized(self, cols: int, rows: int) -> list[Action]:
        return []

    def wake(self, t: int) -> list[Action]:
        return []

    def status(self, status: int) -> int:
        return status if self._status is None else self._status

    def _perform(self, doings: Sequence[Doing]) -> list[Action]:
        actions: list[Action] = []
        for doing in doings:
            match doing:
                case ToTarget(data):
                    actions.append(SendTarget(data))
                case EndTarget():
                    actions.append(EofTarget())
                case Fact():
                    actions += self._tally.keep(doing)
                case Warned(ruling, line):
                    actions += self._say("warning", "WARNING", f"{because(ruling)}: {shown(line)}")
                case Held():
                    self._held, self._request = doing, ""
                    actions += opening(doing)
                case Settled():
                    actions += self._over(doing)
                case Released(number):
                    actions.append(UseApproval(number))
                case Refused(ruling, line):
                    code = "E-DENIED" if ruling.word is Word.DENY else "E-HELD"
                    actions += self._stop(code, because(ruling), line, exits.DENIED)
        return actions

    def _over(self, settled: Settled) -> list[Action]:
        held, self._held = self._held, None
        assert held is not None, "only what is held is settled"
        glyph, word, text = ending_words(settled, "", stream=True)
        actions = ending(held, settled, self._request)
        if settled.runs:
            return actions + self._say(glyph, f"{word} {self._request}".strip(), text)
        expired = settled.outcome == "expired"
        code, status = ("E-EXPIRED", exits.WAITING) if expired else ("E-DENIED", exits.DENIED)
        word = f"{word.lower()} " if settled.outcome == "denied" else ""
        return actions + self._stop(f"{code} {self._request}".strip(), f"{word}{text}", held.line, status)

    def _stop(self, code: str, text: str, line: str, status: int) -> list[Action]:
        """Nothing more is passed on, and the shell is told that its input has ended."""
        self._status = status
        text = f"{text.rstrip('.')}. Nothing is run from here on: {shown(line)}"
        return [*self._say("denied", code, text), EofTarget()]

    def _say(self, glyph: str, word: str, text: str) -> list[Action]:
        notice = self._voice.say(glyph, word, text)
        said = RecordEvent("notice", {"text": notice.decode("utf-8", "replace").strip()})
        return [said, SendClient(notice, stderr=True)]
