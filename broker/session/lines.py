"""The line gate inside a live session: its judge, and what it asks for turned into the session's actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from broker.gate.lines.doings import (
    Doing,
    Dropped,
    EndTarget,
    Fact,
    Held,
    Refused,
    Released,
    Repeat,
    Restore,
    Settled,
    ToClient,
    ToTarget,
    Waiting,
    Wake,
    Warned,
)
from broker.gate.lines.ruling import (
    ALLOWED,
    Candidate,
    JudgeDoubt,
    JudgeLine,
    Ruling,
    Source,
    Word,
    doubted,
)
from broker.gate.lines.terminal import TerminalGate
from broker.gate.reading import LineReaders
from broker.model.command import Answer, CommandLine, Judgement
from broker.model.command import strictest as strictest_of
from broker.model.session import LineReport
from broker.model.target import OnDoubt
from broker.session.actions import (
    Action,
    CancelApproval,
    EofTarget,
    RecordEvent,
    RecordOutput,
    SendClient,
    SendTarget,
    SetTimer,
    UseApproval,
)
from broker.session.events import ApprovalOpened, ApprovalSettled
from broker.session.held import REST, HeldNotice, ending, opening, waiting
from broker.session.notices import BELL, Voice, because, shown
from broker.session.tally import Tally

JudgeText = Callable[[bytes | CommandLine], Judgement | None]
TIMER = "gate"
NOTICE = "gate-notice"
TIMERS = frozenset({TIMER, NOTICE})
NOBODY = "it needs approval, and no rule says whose"


def strictest(judge: JudgeText, readers: LineReaders) -> JudgeLine:
    """Judges every reading of a line by everything that could read it; the strictest answer of all holds."""

    def rule(candidates: Sequence[Candidate]) -> Ruling:
        judgements = [judge(line) for line in _readings(candidates, readers)]
        said = strictest_of(one for one in judgements if one is not None)
        return ALLOWED if said is None else ruled(said)

    return rule


def _readings(candidates: Sequence[Candidate], readers: LineReaders) -> Iterator[CommandLine]:
    for candidate in candidates:
        if candidate.text.strip():
            whole = candidate.source is not Source.ROWS and not candidate.secret
            yield from readers.read(candidate.text, candidate.where, whole=whole)


def ruled(said: Judgement) -> Ruling:
    """A judgement as the gate's ruling. What nobody is named for to approve is refused."""
    ruling = Ruling(
        Word(said.verdict.value),
        said.rule.name,
        said.reason,
        said.rule.origin,
        said.approval,
        said.observed,
    )
    if ruling.word is Word.HOLD and ruling.approval is None:
        return replace(ruling, word=Word.DENY, reason=f"{said.reason}: {NOBODY}")
    return ruling


def on_doubt(how: OnDoubt, judge: Callable[[str], Judgement]) -> JudgeDoubt:
    """What becomes of lines that cannot be read, as the target says. `judge`: what the policy says."""

    def rule(why: str) -> Ruling:
        if how is OnDoubt.PASS:
            return ALLOWED
        if how is OnDoubt.CONFIRM:
            return Ruling(Word.CONFIRM, "", why)
        if how is OnDoubt.DENY:
            return Ruling(Word.DENY, "", why)
        said = judge(why)
        held = said.verdict is Answer.HOLD and said.approval is not None
        return ruled(said) if held else doubted(why)

    return rule


class Lines(Protocol):
    """What a session core asks of its gate; every method returns what to do, in order."""

    @property
    def state(self) -> str:
        """Where the user's input goes now, for people."""

    @property
    def holds(self) -> bool:
        """True while a line waits for somebody's word."""

    @property
    def report(self) -> LineReport:
        """How lines are judged here, and how that went so far."""

    def start(self, t: int) -> list[Action]: ...

    def client(self, data: bytes, t: int) -> list[Action]: ...

    def target(self, data: bytes, stderr: bool, t: int) -> list[Action]: ...

    def eof(self, t: int) -> list[Action]: ...

    def opened(self, event: ApprovalOpened, t: int) -> list[Action]: ...

    def settled(self, event: ApprovalSettled, t: int) -> list[Action]: ...

    def ended(self, why: str) -> list[Action]:
        """The session is over, for this reason."""

    def resized(self, cols: int, rows: int) -> list[Action]: ...

    def wake(self, t: int) -> list[Action]: ...

    def status(self, status: int) -> int:
        """What the user's side exits with, when the program on the target did with `status`."""


class GatedLines:
    """A session with a terminal: its gate, and the voice that speaks for it. `began`: the wall clock at the
    session's start, in microseconds."""

    def __init__(self, gate: TerminalGate, voice: Voice, began: int = 0) -> None:
        self._gate, self._voice, self._began = gate, voice, began
        self._tally = Tally()
        self._notice: HeldNotice | None = None
        self._approved = 0
        """Number of the line that somebody else has let run just now."""

    @property
    def state(self) -> str:
        return self._gate.state

    @property
    def holds(self) -> bool:
        return self._notice is not None

    @property
    def report(self) -> LineReport:
        request = self._notice.request if self._notice is not None else ""
        return self._tally.report(self._known_by, self.state, request)

    @property
    def _known_by(self) -> str:
        """How lines become known."""
        return "hook" if self._gate.hooked else "keys+screen"

    # ------------------------------------------------------------ events

    def start(self, t: int) -> list[Action]:
        return self._perform(self._gate.start(t), t)

    def client(self, data: bytes, t: int) -> list[Action]:
        return self._perform(self._gate.keys(data, t), t)

    def target(self, data: bytes, stderr: bool, t: int) -> list[Action]:
        if stderr:
            return [RecordOutput(data, stderr), SendClient(data, stderr)]
        return self._perform(self._gate.output(data, t), t)

    def eof(self, t: int) -> list[Action]:
        return [*self._perform(self._gate.end(t), t), EofTarget()]

    def opened(self, event: ApprovalOpened, t: int) -> list[Action]:
        notice = self._notice
        if notice is None or notice.held.number != event.number:
            return []
        notice.opened(event, t)
        within = event.within_s * 1_000_000
        return [*self._perform(self._gate.opened(event.number, within, t), t), *self._draw(notice, t)]

    def settled(self, event: ApprovalSettled, t: int) -> list[Action]:
        doings = self._gate.settle(event.number, event.outcome, t, event.by, event.comment)
        return self._perform(doings, t)

    def ended(self, why: str) -> list[Action]:
        notice, self._notice = self._notice, None
        if notice is None:
            return []
        back = notice.title_back(self._gate.title)
        actions: list[Action] = [SendClient(back)] if back else []
        if why != "recording":  # what cannot be recorded any more is not shown either
            left = self._perform(self._gate.abandon(), 0)
            actions += [action for action in left if not isinstance(action, SetTimer)]
        return actions if notice.confirm else [*actions, CancelApproval(notice.held.number, why)]

    def resized(self, cols: int, rows: int) -> list[Action]:
        if self._notice is not None:
            self._notice.moved(cols)
        return self._perform(self._gate.resized(cols, rows), 0)

    def wake(self, t: int) -> list[Action]:
        actions = self._perform(self._gate.wake(t), t)
        notice = self._notice
        if notice is not None and notice.due is not None and t >= notice.due:
            actions += self._draw(notice, t)
        return actions

    def status(self, status: int) -> int:
        return status

    # ------------------------------------------------------------ doings

    def _perform(self, doings: Sequence[Doing], t: int) -> list[Action]:
        """The session's actions for what the gate asks, in the same order."""
        actions: list[Action] = []
        for doing in doings:
            match doing:
                case ToTarget(data):
                    actions.append(SendTarget(data))
                case EndTarget():
                    actions.append(EofTarget())
                case ToClient(data):
                    actions += (RecordOutput(data), SendClient(data))
                case Fact():
                    actions += self._tally.keep(doing)
                case Wake(at):
                    actions.append(SetTimer(TIMER, at))
                case Restore(data):
                    actions.append(SendClient(data))
                case Released(number):
                    actions += [UseApproval(number)] if number == self._approved else []
                case _:
                    actions += self._tell(doing, t)
        return actions

    def _tell(self, doing: Doing, t: int) -> list[Action]:
        """What the user is told."""
        match doing:
            case Refused():
                return self._refused(doing, t)
            case Warned():
                return self._warned(doing, t)
            case Held():
                self._notice = HeldNotice(self._voice, doing, t, self._began)
                return [*opening(doing), *self._draw_if_due(t)]
            case Settled():
                return self._over(doing, t)
            case Dropped() | Repeat():
                return self._again(doing, t)
            case Waiting(count):
                return self._waiting(count)
        return []

    def _refused(self, refused: Refused, t: int) -> list[Action]:
        ruling = refused.ruling
        word, glyph = ("BLOCKED", "denied") if ruling.word is Word.DENY else ("NOT SENT", "held")
        text = f"{because(ruling)}. Nothing sent."
        note = RecordEvent("notice", {"text": f"{word} {text}"})
        if refused.overlay:
            return [
                note,
                *self._over_screen(BELL, self._voice.overlay(glyph, word, text, self._gate.cols), t),
            ]
        stands = refused.above is not None
        data = self._voice.blocked(glyph, word, text, shown(refused.line), self._gate.cols, stands)
        return [note, *self._show((refused.above or b"") + data + (refused.repaint or b""))]

    def _warned(self, warned: Warned, t: int) -> list[Action]:
        text = f"{because(warned.ruling)}."
        actions: list[Action] = [RecordEvent("warned", {"text": warned.line, "rule": warned.ruling.rule})]
        if warned.spot.overlay:
            data = self._voice.overlay("warning", "WARNING", text, warned.spot.cols)
            return [*actions, *self._over_screen(BELL, data, t)]
        data = self._voice.below(warned.spot, [self._voice.words("warning", "WARNING", text)])
        fresh = b"\r\n" if warned.spot.bare or warned.again else b""
        return [*actions, *self._show(data + fresh + warned.again)]

    # ------------------------------------------------------------ a line that waits

    def _draw_if_due(self, t: int) -> list[Action]:
        notice = self._notice
        if notice is None or notice.due is None:
            return []
        return self._draw(notice, t) if t >= notice.due else [SetTimer(NOTICE, notice.due)]

    def _draw(self, notice: HeldNotice, t: int) -> list[Action]:
        """The notice as it is now, and when to look again."""
        first = not notice.drawn
        data = notice.draw(t)
        said: list[Action] = [RecordEvent("notice", {"text": notice.text(t)})] if first else []
        if notice.overlaid:
            shows = self._over_screen(notice.call(t) if first else b"", data, t, notice.confirm)
        else:
            shows = self._show(data)
        again: list[Action] = [SetTimer(NOTICE, notice.due)] if notice.due is not None else []
        return [*said, *shows, *again]

    def _again(self, doing: Dropped | Repeat, t: int) -> list[Action]:
        notice = self._notice
        if notice is None:
            return []
        if isinstance(doing, Dropped):
            notice.typed = True
        else:
            notice.moved()
        return self._draw(notice, t) if notice.drawn else []

    def _over(self, settled: Settled, t: int) -> list[Action]:
        notice, self._notice = self._notice, None
        assert notice is not None, "only what is held is settled"
        self._approved = settled.number if settled.runs and not notice.confirm else 0
        data, back = notice.end(settled, t), notice.title_back(self._gate.title)
        shows = self._over_screen(back, data, t) if notice.overlaid else self._show(data)
        return [*ending(notice.held, settled, notice.request), *shows]

    def _waiting(self, count: int) -> list[Action]:
        text = f"{waiting(count)}: {REST}"
        return self._show(self._voice.say("warning", "WAITING", text))

    def _show(self, data: bytes) -> list[Action]:
        self._gate.shown(data)
        return [SendClient(data)]

    def _over_screen(self, call: bytes, data: bytes, t: int, lasting: bool = False) -> list[Action]:
        """A notice on the last row; what it covers is drawn again later. `call`: goes with it, once."""
        calls: list[Action] = [SendClient(call)] if call else []
        return [*calls, *self._perform(self._gate.cover(data, t, lasting), t)]
