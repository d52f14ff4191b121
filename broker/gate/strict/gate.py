"""`StrictGate`: at a prompt the user edits here and the shell gets what was judged; a program gets its keys.

Where no prompt of ours is, each key that may run a line is held as in guard mode. What the shell does has to
be seen at every moment: where it no longer is, the session ends.
"""

from __future__ import annotations

from broker.gate.lines.doings import Doing, Hangup
from broker.gate.lines.flow import MS, Place, Setup, Wait, Why
from broker.gate.lines.keys import Key, KeyReader, Kind
from broker.gate.lines.marks import Mark, MarkScanner
from broker.gate.lines.ruling import Accepted, JudgeLine, ignored
from broker.gate.lines.terminal import TerminalGate
from broker.gate.lines.typing import Typing
from broker.gate.lines.watching import Watching
from broker.gate.strict.inputs import InputJudge
from broker.gate.strict.prompting import LATEST, Prompting, Stage
from broker.gate.strict.teaching import Teaching

INNER_PROMPT_QUIET = 80 * MS
INNER_LATEST = 30_000 * MS
"""So long after the last key a shell inside the shell may take until its prompt is seen."""
STRANGE_LATEST = 2_000 * MS
"""So long after a line editor came up that the line does not explain the shell may take to say it is ours."""
_UP = frozenset({b"\x1b[A", b"\x1bOA"})

__all__ = ["StrictGate"]


class StrictGate(TerminalGate):
    """The gate of one session in strict line mode. Every method returns what to do, in order; none raises.

    `readers`: programs that may read lines of their own although those are only watched.
    """

    def __init__(
        self,
        setup: Setup,
        judge: JudgeLine,
        readers: frozenset[str] = frozenset(),
        accepted: Accepted = ignored,
    ) -> None:
        self._inputs = InputJudge(judge)
        super().__init__(setup, self._inputs, accepted)
        self._watching = Watching(self._flow, self._holding)
        self._prompting = Prompting(self._flow, self._holding, judge, self._inputs, readers)
        self._teaching = Teaching(self._flow, self)
        self._marks = MarkScanner(setup.nonce)
        self._reader = KeyReader()
        self._inner: int | None = None
        """When the shell inside the shell has to be ours."""
        self._strange: int | None = None
        """When a line editor that came up, and should not have, is taken for the shell's."""
        self.closed = False

    # ------------------------------------------------------------ events

    def start(self, t: int) -> list[Doing]:
        """The login shell runs."""
        self._teaching.begin(t)
        return self._done()

    def keys(self, data: bytes, t: int) -> list[Doing]:
        """Input of the user. The nonce is never among it, so no frame can be typed."""
        self._take(data.replace(self._flow.setup.nonce.encode(), b""), t)
        self._drain(t)
        return self._done()

    def output(self, data: bytes, t: int) -> list[Doing]:
        """Output of the target."""
        self._flow.output_at = t
        for piece in self._marks.feed(data):
            if self._hung_up:
                break
            if isinstance(piece, Mark):
                self._mark(piece, t)
            elif left := self._teaching.output(piece, t):
                self._editor_up(left, t)
                if not self._holding.output(left, t):
                    self._prompting.output(left, t)
        self._cover_again()
        if self._prompting.stage is Stage.RUNNING:
            self._watching.look_again(t)
        self._drain(t)
        return self._done()

    def resized(self, cols: int, rows: int) -> list[Doing]:
        """The terminal has another size."""
        self._flow.view.resize(cols, rows)
        self._prompting.resized(cols, rows)
        return self._done()

    def wake(self, t: int) -> list[Doing]:
        """The time that a `Wake` named has come."""
        self._armed = None
        flow = self._flow
        if t >= self._covered_until:
            self._uncover()
        if flow.wait is not None and t >= flow.due(flow.wait):
            self._over(flow.wait, t)
            self._drain(t)
        if self._inner is not None and t >= self._inner:
            self._inner = None
            self._prompting.hang_up("the shell inside the shell cannot be held")
        if self._strange is not None and t >= self._strange:
            self._strange = None
            if not flow.view.sync().alternate:
                self._prompting.hang_up("a line editor came up that is not held from here")
        return self._done()

    # ------------------------------------------------------------ shells

    def taught(self, level: int, shell: str, t: int) -> None:
        """A shell's editor is ours; its prompt comes next."""
        self._inner = None
        self._prompting.begin(level, shell)
        self._flow.fact("gate-hooked", shell=shell, level=level, mode="line")
        self._flow.hold(Wait(Why.ACK, t, t + LATEST))

    def untaught(self, level: int, why: str, t: int) -> None:
        """A shell's editor cannot be ours. Where its name is listed among the readers it is watched."""
        if level == 1 or not self._prompting.opened.listed:
            self._prompting.hang_up(why)
            return
        self._flow.place, self._flow.typing = Place.RUNNING, Typing()
        self._flow.fact("gate-unhooked", why=why)

    def _editor_up(self, data: bytes, t: int) -> None:
        """A line editor inside a line: take it over if the line opens a shell; else it should go again."""
        flow, prompting = self._flow, self._prompting
        if prompting.stage is not Stage.RUNNING:
            return
        if b"\x1b[?2004l" in data:
            self._strange = None
        if not self._teaching.editor_up(data):
            return
        if flow.nestable and flow.typing.fresh and not flow.waits(Why.SETTLE, Why.ACK, Why.HELD):
            flow.nestable = False
            self._teaching.begin(t, INNER_PROMPT_QUIET)
        elif prompting.changing and not (prompting.opened.taught or prompting.opened.listed):
            self._strange = t + STRANGE_LATEST

    def _mark(self, mark: Mark, t: int) -> None:
        if self._teaching.level:
            if mark.level == self._teaching.level:
                self._teaching.mark(mark, t)
                return
            if mark.kind != "S" or not self._prompting.knows(mark.level):
                return
            self._teaching.give_up()
        running = self._prompting.stage is Stage.RUNNING
        if self._prompting.knows(mark.level) and (mark.kind == "S" or (mark.kind == "X" and running)):
            self._holding.gone(t)  # a new prompt, or the next part of a line: what waited has ended
        if mark.kind == "S":
            self._reader, self._inner, self._strange = KeyReader(), None, None
            self._watching.forget()
        self._prompting.mark(mark, t)
        if mark.kind == "X" and self._prompting.opened.taught:
            self._inner = t + INNER_LATEST

    # ------------------------------------------------------------ keys

    def _drain(self, t: int) -> None:
        """Pass on what has queued up, until something has to be waited for."""
        flow = self._flow
        while not self._hung_up and flow.wait is None and flow.next_burst():
            keys = self._reader.feed(bytes(flow.burst))
            flow.burst.clear()
            flow.refused = self._prompting.dropped = False
            for number, key in enumerate(keys):
                self._key(key, t)
                if flow.wait is not None or flow.burst or self._prompting.dropped or flow.refused:
                    self._put_back(keys[number + 1 :])
                    break

    def _put_back(self, keys: list[Key]) -> None:
        """These keys have to wait; behind a refused line of the same piece of input they go nowhere."""
        if keys:
            self._reader = KeyReader()
            self._flow.burst += b"".join(key.raw for key in keys)
        if self._flow.refused or self._prompting.dropped:
            self._flow.drop_lines()

    def _key(self, key: Key, t: int) -> None:
        flow = self._flow
        recall, flow.recall = flow.recall, ""
        if self._prompting.stage is Stage.EDIT:
            self._prompting.key(key, t)
            return
        if self._inner is not None:
            self._inner = t + INNER_LATEST
        if key.kind is Kind.PASTED:
            flow.pasting = False
        if flow.dropping:
            flow.dropping = flow.pasting
            return
        if key.kind is Kind.PASTE:
            flow.pasting = True
        if recall and key.full in _UP:
            flow.burst += recall.encode()
        elif self._inputs.is_data:
            flow.send(key.raw)
        else:
            self._watching.key(key, t)

    def _over(self, wait: Wait, t: int) -> None:
        """What was waited for did not come in time."""
        if wait.why is Why.HELD:
            self._holding.over(t)
            return
        self._flow.wait = None
        if wait.why is Why.BOOT:
            self._teaching.over(t)
        elif wait.why in (Why.ACK, Why.PONG):
            self._prompting.late(t)
        elif wait.why is Why.SETTLE and wait.key is not None:
            self._watching.settled(wait.key, t)
        elif wait.why is Why.KILL:
            self._watching.killed(t)

    # ------------------------------------------------------------ inside

    @property
    def _hung_up(self) -> bool:
        return self._flow.place is Place.LOST

    def _times(self) -> list[int]:
        return super()._times() + [at for at in (self._inner, self._strange) if at is not None]

    def _done(self) -> list[Doing]:
        """As for every gate; nothing more follows the end."""
        out = super()._done()
        if self.closed:
            return []
        for number, doing in enumerate(out):
            if isinstance(doing, Hangup):
                self.closed = True
                return out[: number + 1]
        return out
