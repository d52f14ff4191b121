"""What is said of a line that waits: to its user, to those who decide, and in the recording."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace

from broker.gate.lines.doings import Held, Settled
from broker.gate.lines.ruling import Word
from broker.session.actions import Action, CancelApproval, OpenApproval, RecordEvent, RecordMarker
from broker.session.events import ApprovalOpened
from broker.session.notices import BELL, Voice, because, shown

SECOND = 1_000_000
ASKING = 300_000
"""Somebody has usually been asked by then, and the notice begins with the number of the request."""
EVERY = 10 * SECOND
"""So often the time in the notice is brought up to date."""

EDIT_HINT = "Edit the line, type another, or Ctrl-C to clear it."
REST = "Enter sends on, Ctrl-C drops."
"""What to do about lines that wait behind one that runs."""

_ENDS = {
    "denied": ("denied", "DENIED", ""),
    "expired": ("expired", "EXPIRED", "nobody decided in time."),
    "cancelled": ("expired", "CANCELLED", ""),
    "unconfirmed": ("expired", "DROPPED", "it was not confirmed."),
    "changed": ("denied", "NOT SENT", "the line may have changed while it waited: type it again."),
    "gone": ("expired", "CANCELLED", "the program does not wait for it any more."),
    "failed": ("denied", "NOT SENT", "nobody could be asked."),
}
"""Glyph, word and text of each end other than that it runs."""


def opening(held: Held) -> list[Action]:
    """The line is held: keep it, and ask."""
    ruling = held.ruling
    digest = hashlib.sha256(held.line.encode("utf-8", "replace")).hexdigest()
    fields: dict[str, str | int | bool | None] = {
        "number": held.number, "text": held.line, "sha256": digest, "word": ruling.word.value,
        "rule": ruling.rule, "origin": ruling.origin, "reason": ruling.reason, "behind": held.behind,
    }  # fmt: skip
    actions: list[Action] = [RecordEvent("held", fields), RecordMarker(f"held: {shown(held.line)}")]
    if ruling.approval is not None and ruling.word is Word.HOLD:
        ask = OpenApproval(
            held.number, held.line, ruling.rule, ruling.origin, ruling.reason, ruling.approval, held.screen
        )
        actions.append(ask)
    return actions


def ending(held: Held, settled: Settled, request: str) -> list[Action]:
    """The wait is over: keep that, and take the question back where nobody has answered it."""
    fields: dict[str, str | int | bool | None] = {
        "number": settled.number, "request": request, "by": settled.by, "comment": settled.comment,
    }  # fmt: skip
    actions: list[Action] = [RecordEvent(settled.outcome, fields)]
    if settled.runs:
        actions.append(RecordMarker(f"{settled.outcome}: {shown(held.line)}"))
    elif held.ruling.word is Word.HOLD and settled.outcome in ("cancelled", "changed", "gone", "expired"):
        actions.append(CancelApproval(settled.number, settled.outcome))
    return actions


def waiting(count: int) -> str:
    """That so many lines wait, in words; empty for none."""
    return "" if not count else "1 more line waits" if count == 1 else f"{count} more lines wait"


def ending_words(settled: Settled, at: str, stream: bool = False) -> tuple[str, str, str]:
    """Glyph, word and text for the end of a wait. `at`: the time of day, empty: unknown."""
    said = f' "{settled.comment}"' if settled.comment else ""
    by = f"by {settled.by}{f' {at}' if at else ''}{said}." if settled.by else ""
    if settled.runs:
        rest = f"  {waiting(settled.behind)}: {REST}" if settled.behind else ""
        return "approved", settled.outcome.upper(), f"{by}  Running.{rest}".strip()
    glyph, word, text = _ENDS.get(settled.outcome, _ENDS["failed"])
    if settled.outcome == "failed" and settled.comment:
        text = f"{settled.comment}."
    sent = "" if stream else "  Nothing sent."
    rest = "  What came with it is dropped." if settled.behind and not stream else ""
    return glyph, word, f"{by or text}{sent}{rest}".strip()


def clock(us: int) -> str:
    """A stretch of time in minutes and seconds, in hours where it is long."""
    seconds = max(us, 0) // SECOND
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes:02}:{seconds:02}" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


@dataclass(slots=True)
class HeldNotice:
    """The notice of one held line on a terminal: one row rewritten in place, as long as nothing came below.

    `since`, and all `t`: microseconds of the session; `began`: the wall clock's at its start, 0: unknown.
    """

    voice: Voice
    held: Held
    since: int
    began: int = 0
    request: str = ""
    deciders: str = ""
    until: int | None = None
    typed: bool = False
    """Something was typed meanwhile, and the user is told that it goes nowhere."""
    drawn: bool = False
    due: int | None = None
    """When to draw it next."""
    _rows: int = 0
    """Rows of the notice whose end the cursor is at; 0: it has to be drawn anew, below."""

    def __post_init__(self) -> None:
        confirm = self.held.ruling.word is Word.CONFIRM
        self.due = self.since if confirm else self.since + ASKING

    @property
    def confirm(self) -> bool:
        return self.held.ruling.word is Word.CONFIRM

    @property
    def overlaid(self) -> bool:
        return self.held.spot.overlay

    def opened(self, event: ApprovalOpened, t: int) -> None:
        """Somebody was asked."""
        self.request, self.deciders = event.id, event.deciders
        self.until = t + event.within_s * SECOND
        self.due = t

    def moved(self, cols: int | None = None) -> None:
        """Something else was drawn, or the window has another width: the notice is not where it was."""
        self._rows = 0
        if cols:
            self.held = replace(self.held, spot=replace(self.held.spot, cols=cols))

    def draw(self, t: int) -> bytes:
        """The notice as it is now; the cursor stays at its end."""
        self.due = None if self.confirm or self.overlaid else t + EVERY
        first, self.drawn = not self.drawn, True
        if self.overlaid:
            return self._over(t)
        spot = self.held.spot
        row = self.voice.words(*self._words(t))
        rows = self.voice.rows(spot, [row])
        if first:
            data = self.voice.below(spot, [*self._details(), row])
        elif self._rows:
            up = f"\x1b[{self._rows - 1}A" if self._rows > 1 else ""
            data = self.voice.encoded(f"\r{up}\x1b[J{rows}")
        else:
            data = self.voice.encoded(f"\r\n\x1b[0m{rows}")
        self._rows = rows.count("\n") + 1
        return data

    def _over(self, t: int) -> bytes:
        glyph, word, text = self._words(t)
        if self.confirm:
            text = f"{text}  {because(self.held.ruling)}"
        return self.voice.overlay(glyph, word, text, self.held.spot.cols)

    def call(self, t: int) -> bytes:
        """What makes a user look who may be elsewhere: the window's title, and a bell."""
        word = self._words(t)[1]
        return self.voice.title(f"{word}: {shown(self.held.line)}") + BELL

    def _words(self, t: int) -> tuple[str, str, str]:
        if self.confirm:
            return "warning", "CONFIRM", "Press y to run it, any other key drops it."
        if not self.request:
            text = "asking for approval."
        else:
            waited, left = clock(t - self.since), clock((self.until or t) - t)
            text = f"needs {self.deciders}.  {waited} waited, {left} left."
        typed = "  What is typed now is dropped." if self.typed else ""
        return "held", f"HELD {self.request}".strip(), f"{text}  Ctrl-C cancels.{typed}"

    def _details(self) -> list[str]:
        """What does not change: the line where the shell has taken it from the screen, why, how many more."""
        held = self.held
        behind = f"  {waiting(held.behind)} behind it." if held.behind else ""
        line = [f"  {shown(held.line)}"] if held.spot.bare and not held.spot.stands else []
        return [*line, f"  {shown(because(held.ruling))}.{behind}"]

    def end(self, settled: Settled, t: int) -> bytes:
        """How it came out."""
        glyph, word, text = ending_words(settled, self._wall(t))
        if self.overlaid:
            return self.voice.overlay(glyph, word, text, self.held.spot.cols)
        if not settled.runs and settled.spot.stands:
            text += f"  {EDIT_HINT}" if settled.outcome != "gone" else ""
        elif not settled.runs and self.held.line.isprintable():
            text += "  Arrow up brings it back."
        texts = [self.voice.words(glyph, word, text)]
        spot = settled.spot
        if self.drawn and not settled.moved:
            data = self.voice.encoded(f"\r\n\x1b[0m{self.voice.rows(spot, texts)}")
        else:
            first = [f"  {shown(self.held.line)}"] if spot.bare and not spot.stands else []
            data = self.voice.below(spot, [*first, *texts])
        fresh = not settled.runs or settled.more or spot.bare
        return data + (b"\r\n" if fresh else b"")

    def title_back(self, title: str) -> bytes:
        """The window's title as a program has set it, if the notice has changed it."""
        return self.voice.title_back(title) if self.overlaid and self.drawn else b""

    def text(self, t: int) -> str:
        """The notice for the record."""
        return f"{self.voice.words(*self._words(t))}  {because(self.held.ruling)}"

    def _wall(self, t: int) -> str:
        if not self.began:
            return ""
        return time.strftime("%H:%M:%SZ", time.gmtime((self.began + t) / SECOND))
