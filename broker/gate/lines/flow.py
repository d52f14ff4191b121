"""What the parts of a gate share: where the keys go, what is waited for, what is to be done."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from broker.gate.lines import picture
from broker.gate.lines.doings import Doing, Fact, Refused, ToClient, ToTarget, Warned
from broker.gate.lines.keys import Key
from broker.gate.lines.programs import starts_shell
from broker.gate.lines.ruling import (
    Accepted,
    Candidate,
    JudgeDoubt,
    JudgeLine,
    Ruling,
    Source,
    Word,
    doubted,
)
from broker.gate.lines.typing import Typing
from broker.gate.reading.place import Reads, Where
from recorder.screen import LazyScreen

MS = 1000
QUIET = 60 * MS
"""So long a silence means that an answer is complete."""
SETTLE_LATEST = 400 * MS
BURST_GAP = 3 * MS
"""Input that comes so soon after other input belongs to it: a paste, not two things typed."""
PASTE_END = b"\x1b[201~"
MAX_QUEUE = 1 << 20
LONGEST_KEPT = 4096
"""Characters of a line that are kept beside the recording."""


class Place(StrEnum):
    """Where the user's keys go; shown to people."""

    BOOT = "starting"
    PROMPT = "prompt"
    ASKED = "asked"
    RUNNING = "running"
    UNHOOKED = "unhooked"
    LOST = "lost"


class Why(Enum):
    """What the gate waits for."""

    BOOT = 0
    REPORT = 1
    PONG = 2
    ACK = 3
    ANSWER = 4
    SETTLE = 5
    KILL = 6
    HELD = 7


@dataclass(slots=True)
class Wait:
    """Until something comes, until `quiet` of silence, at the latest until `until`. `key`: held meanwhile."""

    why: Why
    since: int
    until: int
    quiet: int | None = None
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """One session's gate. `nonce` and `tag`: random; `hook`: teach the shell to report.

    `running`: the command that was started instead of a login shell. `doubt`: what becomes of lines that
    cannot be read.
    """

    cols: int
    rows: int
    nonce: str
    tag: str
    hook: bool = True
    running: str = ""
    doubt: JudgeDoubt = doubted


class Flow:
    """The shared state, and the few ways in which it changes."""

    def __init__(self, setup: Setup, judge: JudgeLine, accepted: Accepted) -> None:
        self.setup, self.judge = setup, judge
        self._accepted = accepted
        self.level = 0
        """The hooked shell that was at its prompt last; 0: none was."""
        self.shells: dict[int, str] = {}
        """Names of the hooked shells."""
        self.view = LazyScreen(setup.cols, setup.rows)
        self.typing = Typing()
        self.place = Place.UNHOOKED
        self.wait: Wait | None = None
        self.burst = bytearray()
        """The rest of the input whose turn it is; what came in one piece with it is one burst."""
        self.refused = False
        """A line of this burst was refused."""
        self._later: deque[bytearray] = deque()
        self._input_at = -BURST_GAP
        self.out: list[Doing] = []
        self.pasting = self.dropping = False
        """Inside a bracketed paste; inside one of which the rest is dropped."""
        self.output_at = 0
        self.accepted = setup.running
        """The last line that went out, and the prompt it was typed at where no shell reported it."""
        self.accepted_at = ""
        self.nestable = starts_shell(setup.running)
        """Another shell could come up that can be hooked."""
        self.recall = ""
        """The refused line, for an arrow up that comes next."""
        self.hooked = False
        """A shell of this session reports its lines."""

    # ------------------------------------------------------------ input

    def together(self, t: int) -> bool:
        """Note that input comes; True if it belongs to what came just before."""
        together, self._input_at = t - self._input_at < BURST_GAP, t
        return together

    def take(self, data: bytes, t: int) -> None:
        """Input of the user, behind all that waits already."""
        together = self.together(t)
        if together and self._later:
            self._later[-1] += data
        elif together and self.burst:
            self.burst += data
        else:
            self._later.append(bytearray(data))
        if len(self.burst) + sum(map(len, self._later)) > MAX_QUEUE:
            self.burst.clear()
            self._later.clear()
            self.fact("input-dropped", why="too much input while a line was held")

    def next_burst(self) -> bool:
        """Make the next input the one whose turn it is; False if none waits."""
        if not self.burst and self._later:
            self.burst = self._later.popleft()
        return bool(self.burst)

    def take_back(self) -> bytes:
        """All input that waits; none of it does any more."""
        waiting = bytes(self.burst) + b"".join(self._later)
        self.burst.clear()
        self._later.clear()
        return waiting

    # ------------------------------------------------------------ waiting

    def waits(self, *whys: Why) -> bool:
        return self.wait is not None and self.wait.why in whys

    def hold(self, wait: Wait) -> None:
        """From now on input queues up until this is over."""
        self.wait = wait

    def due(self, wait: Wait) -> int:
        """When the wait is over if nothing more comes."""
        answered = self.output_at > wait.since or wait.why is not Why.KILL
        if wait.quiet is None or not answered:
            return wait.until
        return min(wait.until, max(self.output_at, wait.since) + wait.quiet)

    # ------------------------------------------------------------ doing

    def send(self, data: bytes) -> None:
        """To the target, together with what goes there just before."""
        last = self.out[-1] if self.out else None
        if isinstance(last, ToTarget):
            self.out[-1] = ToTarget(last.data + data)
        else:
            self.out.append(ToTarget(data))

    def show(self, data: bytes) -> None:
        """Output for the user."""
        self.out.append(ToClient(data))
        self.view.add(data)

    def fact(self, kind: str, **fields: str | int | bool | None) -> None:
        self.out.append(Fact(kind, fields))

    def rule(self, candidates: Sequence[Candidate], where: Where | None = None) -> Ruling:
        """`where`: who reads the line, if it is not who reads the user's keys."""
        place = where or self.where
        return self.judge([replace(candidate, where=place) for candidate in candidates])

    @property
    def where(self) -> Where:
        """Who reads the user's lines."""
        if not self.hooked:
            return Where()
        reads = {Place.ASKED: Reads.SHELL, Place.PROMPT: Reads.SHELL, Place.RUNNING: Reads.PROGRAM}
        return Where(reads.get(self.place, Reads.EITHER), self.level, self.shells.get(self.level, ""))

    def went_out(self, text: str) -> None:
        """A line was sent on to its reader."""
        self._accepted(text, self.where)

    def note(self, text: str, source: Source, agreed: bool, ruling: Ruling, secret: bool = False) -> None:
        """Keep what was judged and how; of a line typed without echo only that there was one."""
        kept = "" if secret else text[:LONGEST_KEPT]
        self.fact(
            "line",
            text=kept,
            secret=secret,
            source=source.value,
            agreed=agreed,
            verdict=ruling.word.value,
            rule=ruling.rule,
            reason=ruling.reason,
            state=self.place.value,
        )
        for rule in ruling.observed:
            self.fact("observed", rule=rule.name, origin=rule.origin, text=kept)

    def warn(self, ruling: Ruling, line: str, redraw: bool = False) -> None:
        """Tell the user about a line that is sent on now. `redraw`: and draw it again below."""
        if ruling.word is Word.WARN:
            screen = self.view.sync()
            again = picture.repaint_line(screen) if redraw else b""
            self.out.append(Warned(ruling, line, picture.spot(screen), again))

    def refuse(self, refused: Refused) -> None:
        """Tell the user; the next arrow up types the line again."""
        if not refused.overlay:
            self.bring_back(refused.line)
        self.out.append(refused)

    def bring_back(self, line: str) -> None:
        """The next arrow up types this line, which did not run."""
        self.recall = line if line.isprintable() else ""

    def drop_lines(self) -> None:
        """What came in one piece with a refused line and behind it does not run on its own."""
        self.refused = True
        end = self.burst.find(PASTE_END) if self.pasting else -1
        if end >= 0:
            del self.burst[:end]
        elif b"\r" in self.burst or b"\n" in self.burst:
            self.burst.clear()

    def expect(self, line: str, prompt: str = "") -> None:
        """An accepted line is about to run."""
        self.accepted, self.accepted_at = line, prompt
        self.nestable = starts_shell(line)
