"""What the gate asks and what it is told: candidates for a line, and the ruling on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

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
    """One reading of the line. `secret`: it was typed without echo and may never be shown or kept."""

    text: str
    source: Source
    secret: bool = False


class Word(Enum):
    """The answer to a line. WARN: it runs, and the user is told; CONFIRM waits for the user to say it again,
    HOLD for somebody else; DOUBT: it could not be read."""

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

    @property
    def allowed(self) -> bool:
        return self.word in (Word.ALLOW, Word.WARN)


JudgeLine = Callable[[Sequence[Candidate]], Ruling]
"""Judges all readings of one line; the strictest answer of all holds. Total."""

ALLOWED = Ruling(Word.ALLOW)
