"""`LineGate`: lets keys through, holds whatever may run a line, and sends it on when it was allowed.

At a hooked prompt keys pass as they are: the shell reports the line at Enter and waits for the answer
(`reporting`). In every other place each key that may run a line is held until the line is known from the
keys and the screen (`watching`). While the gate waits for something, input queues up behind it, in order.
"""

from __future__ import annotations

from broker.gate.lines.doings import Doing
from broker.gate.lines.flow import Place, Setup, Wait, Why
from broker.gate.lines.keys import Key, KeyReader, Kind
from broker.gate.lines.marks import Mark, MarkScanner
from broker.gate.lines.reporting import Reporting
from broker.gate.lines.ruling import Accepted, JudgeLine, ignored
from broker.gate.lines.terminal import TerminalGate
from broker.gate.lines.watching import Watching

_UP = frozenset({b"\x1b[A", b"\x1bOA"})

__all__ = ["LineGate", "Place", "Setup"]


class LineGate(TerminalGate):
    """The gate of one session with a terminal. Every method returns what to do, in order; none raises."""

    def __init__(self, setup: Setup, judge: JudgeLine, accepted: Accepted = ignored) -> None:
        super().__init__(setup, judge, accepted)
        self._reporting = Reporting(self._flow, self._holding)
        self._watching = Watching(self._flow, self._holding)
        self._marks = MarkScanner(setup.nonce)
        self._reader = KeyReader()
        self._literal = False

    @property
    def hooked(self) -> bool:
        """A shell of this session reports its lines."""
        return self._flow.hooked

    # ------------------------------------------------------------ events

    def start(self, t: int) -> list[Doing]:
        """The session's program runs."""
        if self._flow.setup.hook:
            self._reporting.begin(t)
        return self._done()

    def keys(self, data: bytes, t: int) -> list[Doing]:
        """Input of the user. The nonce is never among it, so no answer to the shell can be typed."""
        self._take(data.replace(self._flow.setup.nonce.encode(), b""), t)
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

    def resized(self, cols: int, rows: int) -> list[Doing]:
        """The terminal has another size."""
        self._flow.view.resize(cols, rows)
        return []

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
