"""`LineGate`: lets keys through, holds whatever may run a line, and sends it on when it was allowed.

At a hooked prompt keys pass as they are: the shell reports the line at Enter and waits for the answer
(`reporting`). In every other place each key that may run a line is held until the line is known from the
keys and the screen (`watching`). While the gate waits for something, input queues up behind it, in order.
"""

from __future__ import annotations

from broker.gate.lines import picture
from broker.gate.lines.doings import Doing, Restore, Wake
from broker.gate.lines.flow import MS, Flow, Place, Setup, Wait, Why
from broker.gate.lines.holding import Holding
from broker.gate.lines.keys import Key, KeyReader, Kind
from broker.gate.lines.marks import Mark, MarkScanner
from broker.gate.lines.reporting import Reporting
from broker.gate.lines.ruling import Accepted, JudgeLine, ignored
from broker.gate.lines.watching import Watching

COVER_TIME = 5000 * MS
LASTING = 3_600_000 * MS
_UP = frozenset({b"\x1b[A", b"\x1bOA"})

__all__ = ["LineGate", "Place", "Setup"]


class LineGate:
    """The gate of one session with a terminal. Every method returns what to do, in order; none raises."""

    def __init__(self, setup: Setup, judge: JudgeLine, accepted: Accepted = ignored) -> None:
        self._flow = Flow(setup, judge, accepted)
        self._holding = Holding(self._flow)
        self._reporting = Reporting(self._flow, self._holding)
        self._watching = Watching(self._flow, self._holding)
        self._marks = MarkScanner(setup.nonce)
        self._reader = KeyReader()
        self._literal = False
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

    def start(self, t: int) -> list[Doing]:
        """The session's program runs."""
        if self._flow.setup.hook:
            self._reporting.begin(t)
        return self._done()

    def keys(self, data: bytes, t: int) -> list[Doing]:
        """Input of the user. The nonce is never among it, so no answer to the shell can be typed."""
        data = data.replace(self._flow.setup.nonce.encode(), b"")
        self._uncover()
        if self._holding.rest and data and not self._flow.waits(Why.HELD):
            data = self._holding.resting(data, t)
        if not self._flow.waits(Why.HELD):
            self._flow.take(data, t)
        elif data:
            self._holding.keys(data, t)
        self._drain(t)
        return self._done()

    def output(self, data: bytes, t: int) -> list[Doing]:
        """Output of the target."""
        flow = self._flow
        flow.output_at = t
        for piece in self._marks.feed(data):
            if isinstance(piece, Mark):
                self._reporting.mark(piece, t)
                if flow.place is Place.PROMPT:
                    self._watching.forget()
            elif not self._holding.output(piece, t) and not self._reporting.output(piece, t):
                flow.show(piece)
        self._cover_again()
        self._watching.look_again(t)
        self._drain(t)
        return self._done()

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

    def abandon(self) -> list[Doing]:
        """The session is over."""
        self._holding.abandon()
        return self._done()

    def shown(self, data: bytes) -> None:
        """Something of the broker's own was put on the user's terminal."""
        self._flow.view.add(data)

    def cover(self, notice: bytes, t: int, lasting: bool = False) -> list[Doing]:
        """Draw a notice on the last row, over a full-screen program: for a while, or until a key."""
        self._cover, self._covered_until = notice, t + (LASTING if lasting else COVER_TIME)
        self._flow.out.append(Restore(notice))
        return self._done()

    def resized(self, cols: int, rows: int) -> None:
        self._flow.view.resize(cols, rows)

    def wake(self, t: int) -> list[Doing]:
        """The time that a `Wake` named has come."""
        self._armed = None
        if t >= self._covered_until:
            self._uncover()
        wait = self._flow.wait
        if wait is not None and t >= self._flow.due(wait):
            self._over(wait, t)
            self._drain(t)
        return self._done()

    # ------------------------------------------------------------ inside

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

    def _drain(self, t: int) -> None:
        """Pass on what has queued up, until something has to be waited for."""
        flow = self._flow
        while flow.wait is None and flow.next_burst():
            keys = self._reader.feed(bytes(flow.burst))
            flow.burst.clear()
            flow.refused = False
            for number, key in enumerate(keys):
                self._key(key, t)
                if flow.wait is not None or flow.burst:
                    self._put_back(keys[number + 1 :])
                    break

    def _put_back(self, keys: list[Key]) -> None:
        """These keys have to wait."""
        if keys:
            self._reader = KeyReader()
            self._flow.burst += b"".join(key.raw for key in keys)
        if self._flow.refused:
            self._flow.drop_lines()

    def _key(self, key: Key, t: int) -> None:
        flow = self._flow
        recall, flow.recall = flow.recall, ""
        if key.kind is Kind.PASTED:
            flow.pasting = False
        if flow.dropping:
            flow.dropping = flow.pasting
            return
        if key.kind is Kind.PASTE:
            flow.pasting = True
        if recall and key.full in _UP:
            flow.burst += recall.encode()
        elif flow.place is Place.PROMPT:
            self._reporting.key(key, t, self._literal)
        else:
            self._watching.key(key, t)
        self._literal = key.full == b"\x16" and not self._literal

    def _over(self, wait: Wait, t: int) -> None:
        """What was waited for did not come in time."""
        if wait.why is Why.HELD:
            self._holding.over(t)
            return
        self._flow.wait = None
        if wait.why is Why.BOOT:
            self._reporting.boot_over(t)
        elif wait.why is Why.REPORT and wait.key is not None:
            self._reporting.unreported(wait.key, t)
        elif wait.why in (Why.PONG, Why.ACK):
            self._reporting.lost("the shell did not answer")
        elif wait.why is Why.ANSWER:
            self._reporting.answered()
        elif wait.why is Why.SETTLE and wait.key is not None:
            self._watching.settled(wait.key, t)
        elif wait.why is Why.KILL:
            self._watching.killed(t)

    def _done(self) -> list[Doing]:
        """What was asked for, and when to be woken: early is harmless, late is not."""
        flow = self._flow
        self._holding.announce()
        times = [] if flow.wait is None else [flow.due(flow.wait)]
        if self._cover is not None:
            times.append(self._covered_until)
        if times and (self._armed is None or min(times) < self._armed):
            self._armed = min(times)
            flow.out.append(Wake(self._armed))
        out, flow.out = flow.out, []
        return out
