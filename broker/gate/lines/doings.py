"""What the gate asks of the session, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from broker.gate.lines.ruling import Ruling


@dataclass(frozen=True, slots=True)
class ToTarget:
    """Send to the target."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndTarget:
    """The target gets no more input."""


@dataclass(frozen=True, slots=True)
class ToClient:
    """Output of the target for the user; recorded first."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Fact:
    """Keep beside the recording. `fields` is flat."""

    kind: str
    fields: dict[str, str | int | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a notice about the line goes: below the line, or over the last row of a full-screen program.

    `down`: rows of the line below the cursor. `bare`: the row is empty, and the shell draws its prompt there
    again. `cols`: of the terminal; 0: there is none. `stands`: the line is seen above, and
    stays with its user.
    """

    cols: int = 0
    down: int = 0
    bare: bool = False
    overlay: bool = False
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Tell the user that a line was not sent. `line` empty: it may not be shown.

    `repaint`: bytes that bring back the row under the notice; None: the shell draws it itself.
    `overlay`: a full-screen program has the screen, so the last row alone is used for a while.
    `above`: bytes that draw the line again over the notice, empty where it still stands there; None: it
    cannot be drawn, so the notice names it.
    """

    ruling: Ruling
    line: str
    repaint: bytes | None
    overlay: bool = False
    above: bytes | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    """The line runs now; tell the user what is noteworthy about it. `again`: bytes that draw the line below
    the notice, where its program goes on drawing it."""

    ruling: Ruling
    line: str
    spot: Spot
    again: bytes = b""


@dataclass(frozen=True, slots=True)
class Held:
    """The line waits: for its user (CONFIRM) or for somebody else (HOLD). It ends with a `Settled` of the
    same number, or with the session.

    `behind`: lines that came with it and wait too. `screen`: rows of what the user saw.
    """

    number: int
    ruling: Ruling
    line: str
    spot: Spot
    behind: int = 0
    screen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something was typed while the line waits, and goes nowhere. Once for each line."""

    number: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """Output came below the notice of the line that waits: say it again."""

    number: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The wait is over. `outcome`: `approved`, `confirmed`; else it never runs: `denied`, `expired`,
    `failed`, `cancelled`, `unconfirmed`, `changed`, `gone`.

    `behind`: lines that came with it; after one that runs they wait for Enter, else they are dropped.
    `spot`: where the notice goes; `moved`: not below the one that told of the wait. `more`: something else is
    shown right after it.
    """

    number: int
    outcome: str
    by: str = ""
    comment: str = ""
    behind: int = 0
    spot: Spot = Spot()
    moved: bool = False
    more: bool = False

    @property
    def runs(self) -> bool:
        return self.outcome in ("approved", "confirmed")


@dataclass(frozen=True, slots=True)
class Released:
    """The line goes to the target with the next `ToTarget`: the decision is used."""

    number: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many lines wait for Enter."""

    lines: int


@dataclass(frozen=True, slots=True)
class Wake:
    """Call `wake` at this time (microseconds of the session)."""

    at: int


@dataclass(frozen=True, slots=True)
class Restore:
    """Draw what a notice covered, or the line as it was before one: not output of the target, and known to
    the gate already."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """Tell the user that a line was not sent and stands in the editor still. The cursor is on an empty row,
    and has to be on one afterwards."""

    ruling: Ruling


@dataclass(frozen=True, slots=True)
class Said:
    """Tell the user something else, in the same place. `glyph` and `word`: as for a notice."""

    glyph: str
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the session: what the shell does can no longer be seen. `why`: for people."""

    why: str


Doing = (
    ToTarget
    | EndTarget
    | ToClient
    | Fact
    | Refused
    | Warned
    | Held
    | Dropped
    | Repeat
    | Settled
    | Released
    | Waiting
    | Wake
    | Restore
    | Kept
    | Said
    | Hangup
)
