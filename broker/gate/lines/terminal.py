"""What every gate of a session with a terminal does: lines that wait, notices over a full-screen program, and
when to be woken."""

from __future__ import annotations

from abc import ABC, abstractmethod

from broker.gate.lines import picture
from broker.gate.lines.doings import Doing, Restore, Wake
from broker.gate.lines.flow import MS, Flow, Setup, Why
from broker.gate.lines.holding import Holding
from broker.gate.lines.ruling import Accepted, JudgeLine

COVER_TIME = 5000 * MS
LASTING = 3_600_000 * MS


class TerminalGate(ABC):
    """Every method returns what to do, in order; none raises. `t`: microseconds of the session."""

    def __init__(self, setup: Setup, judge: JudgeLine, accepted: Accepted) -> None:
        self._flow = Flow(setup, judge, accepted)
        self._holding = Holding(self._flow)
        self._cover: bytes | None = None
        self._covered_until = 0
        """The notice over a full-screen program, and when it goes; a key takes it away too."""
        self._armed: int | None = None
        """The time of the last `Wake` that has not come yet."""

    @property
    def state(self) -> str:
        """Where the user's keys go, in one or two words for people."""
        if self._holding.line is not None:
            return "confirming" if self._holding.confirms else "held"
        return self._flow.place.value

    @property
    def hooked(self) -> bool:
        """A shell of this session reports its lines."""
        return self._flow.hooked

    @property
    def cols(self) -> int:
        """Columns of the terminal."""
        return self._flow.view.sync().cols

    @property
    def title(self) -> str:
        """The window title that a program has set."""
        return self._flow.view.sync().title

    # ------------------------------------------------------------ events

    @abstractmethod
    def start(self, t: int) -> list[Doing]:
        """The session's program runs."""

    @abstractmethod
    def keys(self, data: bytes, t: int) -> list[Doing]:
        """Input of the user."""

    @abstractmethod
    def output(self, data: bytes, t: int) -> list[Doing]:
        """Output of the target."""

    @abstractmethod
    def resized(self, cols: int, rows: int) -> list[Doing]:
        """The terminal has another size."""

    @abstractmethod
    def wake(self, t: int) -> list[Doing]:
        """The time that a `Wake` named has come."""

    def opened(self, number: int, within: int, t: int) -> list[Doing]:
        """Somebody was asked about the held line of that number; `within`: microseconds to decide."""
        self._holding.opened(number, within, t)
        return self._done()

    def settle(self, number: int, outcome: str, t: int, by: str = "", comment: str = "") -> list[Doing]:
        """The held line of that number was decided; only `approved` lets it run."""
        self._holding.settle(number, outcome, by, comment, t)
        self._drain(t)
        return self._done()

    def end(self, t: int) -> list[Doing]:
        """The user sends nothing more: nobody could take back a line that waits."""
        self._holding.cancel(t)
        return self._done()

    def shown(self, data: bytes) -> None:
        """Something of the broker's own was put on the user's terminal."""
        self._flow.view.add(data)

    def abandon(self) -> list[Doing]:
        """The session is over."""
        self._holding.abandon()
        return self._done()

    def cover(self, notice: bytes, t: int, lasting: bool = False) -> list[Doing]:
        """Draw a notice on the last row, over a full-screen program: for a while, or until a key."""
        self._cover, self._covered_until = notice, t + (LASTING if lasting else COVER_TIME)
        self._flow.out.append(Restore(notice))
        return self._done()

    # ------------------------------------------------------------ inside

    @abstractmethod
    def _drain(self, t: int) -> None:
        """Pass on what has queued up, until something has to be waited for."""

    def _take(self, data: bytes, t: int) -> None:
        """Input of the user: for the line that waits, else for whoever reads."""
        self._uncover()
        if self._holding.rest and data and not self._flow.waits(Why.HELD):
            data = self._holding.resting(data, t)
        if not self._flow.waits(Why.HELD):
            self._flow.take(data, t)
        elif data:
            self._holding.keys(data, t)

    def _uncover(self) -> None:
        """Draw what the notice covered."""
        if self._cover is not None:
            self._cover = None
            self._flow.out.append(Restore(picture.last_row(self._flow.view.sync())))

    def _cover_again(self) -> None:
        """Output may have drawn over the notice, or the program may have left its screen."""
        if self._cover is None:
            return
        screen = self._flow.view.sync()
        if not screen.alternate:
            self._cover = None
        elif screen.complete:
            self._flow.out.append(Restore(self._cover))

    def _times(self) -> list[int]:
        """When the gate has something to do if nothing comes."""
        flow = self._flow
        times = [] if flow.wait is None else [flow.due(flow.wait)]
        return times if self._cover is None else [*times, self._covered_until]

    def _done(self) -> list[Doing]:
        """What was asked for, and when to be woken: early is harmless, late is not."""
        flow = self._flow
        self._holding.announce()
        times = self._times()
        if times and (self._armed is None or min(times) < self._armed):
            self._armed = min(times)
            flow.out.append(Wake(self._armed))
        out, flow.out = flow.out, []
        return out
