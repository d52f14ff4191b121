"""The line that waits for somebody's word, and what happens around it meanwhile.

Nothing that is typed while a line waits goes anywhere, then or later. Keys that take the line back are
Ctrl-C and Ctrl-D. What came in one piece with the line, behind it, is kept: after a line that runs, Enter on
its own sends it on, Ctrl-C drops it; after one that does not run it is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from broker.gate.lines import picture
from broker.gate.lines.doings import Dropped, Held, Released, Repeat, Restore, Settled, Spot, Waiting
from broker.gate.lines.flow import MAX_QUEUE, MS, QUIET, SETTLE_LATEST, Flow, Wait, Why
from broker.gate.lines.ruling import Ruling, Word

SECOND = 1000 * MS
CONFIRM_LATEST = 300 * SECOND
"""How long a user may think about a line of his own."""
OPENED_LATEST = 30 * SECOND
"""How long it may take until somebody has been asked."""
GRACE = 5 * SECOND
"""A request expires where it is kept; so much later it has, whatever is heard from there."""
ARMED_AFTER = 500 * MS
"""A key that confirms comes so long after the question and after any other input: nothing typed ahead and no
paste does."""
MOST_KEPT = 64 << 10
NO_TEXT = "it needs a word of approval and holds bytes that are no text, so it cannot be shown to anybody"
_CANCEL = re.compile(rb"[\x03\x04]|\x1b\[(?:99|100);5(?::1)?u")
"""Ctrl-C and Ctrl-D, also as the kitty keyboard protocol sends them."""
_INTERRUPT = re.compile(rb"\x03|\x1b\[99;5(?::1)?u")
_YES = frozenset({b"y", b"Y"})
_ENTER = frozenset({b"\r", b"\n"})
_PASTE, _PASTED = b"\x1b[200~", b"\x1b[201~"


def line_count(data: bytes) -> int:
    """How many lines the input is, one that is not finished included."""
    return len([part for part in re.split(rb"[\r\n]+", data) if part.strip()])


@dataclass(slots=True)
class HeldLine:
    """`release` sends the line on, `drop` takes it back. `redraw`: bytes that draw it again, where no shell
    does. `unchanged`: whether it is still what was judged."""

    number: int
    ruling: Ruling
    line: str
    spot: Spot
    release: Callable[[int], None]
    drop: Callable[[int], None]
    redraw: bytes = b""
    unchanged: Callable[[], bool] | None = None
    screen: tuple[str, ...] = ()
    kept: bytearray = field(default_factory=bytearray)
    """Output that came meanwhile."""
    disturbed: bool = False
    """There was output: the program may have changed its line."""
    quiet_since: int = 0
    told: bool = False
    announced: bool = False
    asked: bool = False
    """Somebody who decides has been asked."""
    decided: Settled | None = None
    """What becomes of it, as soon as the output that came, or the notice, is on the screen."""


class Holding:
    """At most one line waits."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._number = 0
        self.line: HeldLine | None = None
        self.rest = b""
        """Input that came with a line that waited, and waits for Enter since."""
        self._begun = False
        """The user has typed something since, so the next Enter is not for the rest."""

    @property
    def confirms(self) -> bool:
        return self.line is not None and self.line.ruling.word is Word.CONFIRM

    # ------------------------------------------------------------ the beginning

    def open(
        self,
        ruling: Ruling,
        line: str,
        t: int,
        *,
        release: Callable[[int], None],
        drop: Callable[[int], None],
        unchanged: Callable[[], bool] | None = None,
        redraw: bool = False,
        stands: bool = False,
    ) -> None:
        """From now on the line waits. `unchanged` None: the shell keeps the line as it reported it. `redraw`:
        the program goes on as if its line was still where it has drawn it. `stands`: the line is seen above
        the empty row that the cursor is on."""
        flow, screen = self._flow, self._flow.view.sync()
        self._number += 1
        spot = Spot(screen.cols, bare=True, stands=True) if stands else picture.spot(screen)
        drawn = picture.repaint_line(screen) if redraw and not spot.overlay else b""
        rows = picture.shown_rows(screen)
        self.line = HeldLine(self._number, ruling, line, spot, release, drop, drawn, unchanged, rows)
        self.line.quiet_since = t
        latest = CONFIRM_LATEST if self.confirms else OPENED_LATEST
        flow.hold(Wait(Why.HELD, t, t + latest))

    def announce(self) -> None:
        """Once all that came with the line is known to be behind it: tell the session."""
        held = self.line
        if held is None or held.announced:
            return
        held.announced = True
        self.rest = self._flow.take_back()
        doing = Held(held.number, held.ruling, held.line, held.spot, line_count(self.rest), held.screen)
        self._flow.out.append(doing)

    def opened(self, number: int, within: int, t: int) -> None:
        """Somebody has been asked, who has so long to decide (microseconds)."""
        held = self._waiting(number)
        if held is not None:
            held.asked = True
            self._flow.hold(Wait(Why.HELD, t, t + within + GRACE))

    def _waiting(self, number: int) -> HeldLine | None:
        """The line of that number, if it waits and nothing is decided."""
        held = self.line
        return held if held is not None and held.number == number and held.decided is None else None

    # ------------------------------------------------------------ meanwhile

    def keys(self, data: bytes, t: int) -> None:
        """Input while the line waits."""
        held, together = self.line, self._flow.together(t)
        if held is None or (held.decided is not None and not held.decided.runs):
            return
        quiet, held.quiet_since = t - held.quiet_since >= ARMED_AFTER, t
        if together and self.rest and not held.told and len(self.rest) + len(data) <= MAX_QUEUE:
            self.rest += data
        elif _CANCEL.search(data):
            self._end(held, Settled(held.number, "cancelled"), t)
        elif self.confirms and quiet and held.decided is None:
            outcome = "confirmed" if data in _YES else "unconfirmed"
            self._settle(held, Settled(held.number, outcome), t)
        else:
            self._typed_for_nothing(held)

    def _typed_for_nothing(self, held: HeldLine) -> None:
        """Say so once. If a paste is cut off by it, only its whole lines are kept."""
        whole = max(self.rest.rfind(b"\r"), self.rest.rfind(b"\n")) + 1
        rest = self.rest[:whole]
        start = rest.rfind(_PASTE)
        self.rest = rest[:start] if start > rest.rfind(_PASTED) else rest
        if not held.told:
            held.told = True
            self._flow.out.append(Dropped(held.number))

    def output(self, data: bytes, t: int) -> bool:
        """Output of the target; True if it is kept for later."""
        held = self.line
        if held is None:
            return False
        held.disturbed = True
        if held.decided is not None:
            self._flow.show(data)
            return True
        held.kept += data
        if len(held.kept) > MOST_KEPT:
            self._show_kept(held, b"\r\n")
            self._flow.out.append(Repeat(held.number))
        return True

    def _show_kept(self, held: HeldLine, before: bytes = b"") -> None:
        """`before`: what the broker puts in front of it."""
        if held.kept:
            self._draw(before)
            self._flow.show(bytes(held.kept))
            held.kept.clear()

    def _draw(self, data: bytes) -> None:
        if data:
            self._flow.out.append(Restore(data))
            self._flow.view.add(data)

    # ------------------------------------------------------------ the end

    def settle(self, number: int, outcome: str, by: str, comment: str, t: int) -> None:
        """It was decided. What comes for a line that does not wait any more changes nothing."""
        held = self._waiting(number)
        if held is not None:
            self._settle(held, Settled(number, outcome, by, comment), t)

    def _settle(self, held: HeldLine, settled: Settled, t: int) -> None:
        if settled.runs and held.disturbed and held.unchanged is not None:
            held.decided = settled
            self._draw(b"\r\n" + held.redraw if held.redraw else b"")
            self._show_kept(held)
            self._flow.hold(Wait(Why.HELD, t, t + SETTLE_LATEST, QUIET))
        else:
            self._end(held, settled, t)

    def over(self, t: int) -> None:
        """The time is over: for the decision, or for what had to come on the screen after it."""
        held = self.line
        if held is None:
            return
        if held.decided is None:
            outcome = "unconfirmed" if self.confirms else "expired" if held.asked else "failed"
            self._end(held, Settled(held.number, outcome), t)
        elif not held.decided.runs:
            self._take_back(held, t)
        elif held.unchanged is not None and held.unchanged():
            held.spot = picture.spot(self._flow.view.sync())
            self._end(held, replace(held.decided, moved=True), t)
        else:
            held.spot = picture.spot(self._flow.view.sync())
            self._end(held, Settled(held.number, "changed", moved=True), t)

    def gone(self, t: int) -> None:
        """The shell that asked does not wait any more, so there is nothing to decide."""
        held = self.line
        if held is not None:
            held.drop, held.redraw = lambda t: None, b""
            self._end(held, Settled(held.number, "gone"), t)

    def cancel(self, t: int) -> None:
        """The user's input has ended."""
        held = self.line
        if held is not None and (held.decided is None or held.decided.runs):
            self._end(held, Settled(held.number, "cancelled"), t)

    def _end(self, held: HeldLine, settled: Settled, t: int) -> None:
        """Tell the outcome and do what follows from it."""
        drawn_on = held.unchanged is None or not settled.runs
        more = bool(held.kept) or bool(held.redraw and drawn_on)
        settled = replace(settled, behind=line_count(self.rest), spot=held.spot, more=more)
        self._flow.out.append(settled)
        self._begun = False
        if settled.runs:
            self._draw(held.redraw if settled.more else b"")
            self._leave(held)
            self._flow.out.append(Released(held.number))
            held.release(t)
            return
        self.rest = b""
        if held.redraw:  # once the notice is on the screen: the proof that the line is gone is read from it
            held.decided = settled
            self._flow.hold(Wait(Why.HELD, t, t))
        else:
            self._take_back(held, t)

    def _take_back(self, held: HeldLine, t: int) -> None:
        self._draw(held.redraw)
        self._leave(held)
        held.drop(t)

    def _leave(self, held: HeldLine) -> None:
        """Nothing waits any more."""
        self.line, self._flow.wait = None, None
        self._show_kept(held)

    def abandon(self) -> None:
        """The session is over: only what was printed meanwhile is left to show."""
        held = self.line
        if held is not None:
            self._show_kept(held, b"\r\n")
            self.line, self.rest = None, b""

    # ------------------------------------------------------------ what waits behind a line that ran

    def resting(self, data: bytes, t: int) -> bytes:
        """Input while a rest waits: what of it goes on as usual."""
        if _INTERRUPT.search(data):
            self._flow.fact("rest-dropped", lines=line_count(self.rest))
            self.rest = b""
            return data
        if data in _ENTER and not self._begun:
            rest, self.rest = self.rest, b""
            self._flow.fact("rest-sent", lines=line_count(rest))
            return rest
        self._begun = data[-1:] not in _ENTER
        return data

    def bounced(self, data: bytes) -> None:
        """Input that the shell had read before it asked: it came before all that waits."""
        if data:
            self.rest = data + self.rest
            self._flow.out.append(Waiting(line_count(self.rest)))
