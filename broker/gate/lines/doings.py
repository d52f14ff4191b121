"""What the gate asks of the session, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from broker.gate.lines.ruling import Ruling


@dataclass(frozen=True, slots=True)
class ToTarget:
    """Send to the target."""

    data: bytes


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
class Refused:
    """Tell the user that a line was not sent. `line` empty: it may not be shown.

    `repaint`: bytes that bring back the row under the notice; None: the shell draws it itself.
    `overlay`: a full-screen program has the screen, so the last row alone is used for a while.
    """

    ruling: Ruling
    line: str
    repaint: bytes | None
    overlay: bool = False


@dataclass(frozen=True, slots=True)
class Wake:
    """Call `wake` at this time (microseconds of the session)."""

    at: int


@dataclass(frozen=True, slots=True)
class Restore:
    """Draw the row that an overlay covered."""

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


Doing = ToTarget | ToClient | Fact | Refused | Wake | Restore | Kept | Said | Hangup
