"""What the gate asks and what it is told: candidates for a line, and the ruling on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from broker.gate.reading.place import SOMEWHERE, Where
from broker.model.access import Rule
from broker.model.approval import ApprovalTerms


class Source(StrEnum):
    """Where the text of a line was learnt, in the order of trust."""

    EDITOR = "editor"
    """It was edited here: no other text reaches the shell. Exact."""
    HOOK = "hook"
    """The shell itself reported it, with the session's nonce and the next serial number: exact."""
    AGREED = "keys+screen"
    """What was typed and what the screen shows are the same."""
    KEYS = "keys"
    """What was typed, where only keys of known meaning were."""
    SCREEN = "screen"
    """What stands on the screen behind the place where typing began."""
    ROWS = "rows"
    """Whole rows around the cursor, which may hold a prompt."""
    STREAM = "stream"
    """Input without a terminal: exact."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reading of the line. `secret`: it was typed without echo and may never be shown or kept. `where`:
    who reads it, as far as that is known."""

    text: str
    source: Source
    secret: bool = False
    where: Where = SOMEWHERE


class Word(Enum):
    """The answer to a line, the later the stricter. WARN: it runs, and the user is told; CONFIRM waits for
    the user to say it again, HOLD for somebody else; DOUBT: it could not be read."""

    ALLOW = "allow"
    WARN = "warn"
    CONFIRM = "confirm"
    HOLD = "hold"
    DENY = "deny"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Ruling:
    """An answer, the rule it rests on (empty: none) and why."""

    word: Word
    rule: str = ""
    reason: str = ""
    origin: str = ""
    """Where the rule stands: `prod.yaml:12`."""
    approval: ApprovalTerms | None = None
    """For HOLD: who decides."""
    observed: tuple[Rule, ...] = ()
    """Rules that fit and only observe."""

    @property
    def allowed(self) -> bool:
        return self.word in (Word.ALLOW, Word.WARN)

    @property
    def waits(self) -> bool:
        """True if somebody has to say that the line shall run."""
        return self.word in (Word.CONFIRM, Word.HOLD)


def stricter(one: Ruling, other: Ruling) -> Ruling:
    """The stricter of two; the first where they are alike."""
    words = list(Word)
    return other if words.index(other.word) > words.index(one.word) else one


JudgeLine = Callable[[Sequence[Candidate]], Ruling]
"""Judges all readings of one line; the strictest answer of all holds. Total."""

JudgeDoubt = Callable[[str], Ruling]
"""What becomes of a line that could not be read, given why. Total."""


def ignored(text: str, where: Where) -> None:
    """For a judge that looks at each line alone."""


Accepted = Callable[[str, Where], None]
"""Is told each line that went out, and who reads it."""

ALLOWED = Ruling(Word.ALLOW)


def doubted(why: str) -> Ruling:
    """The answer to a line that could not be read where nobody says otherwise: it is not sent."""
    return Ruling(Word.DOUBT, "", why)
