"""Teaching a shell to report its lines: type a probe, then the hook, and swallow what that echoes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from broker.gate import hooks

PROMPT_LATEST = 3_000_000
ANSWER_LATEST = 4_000_000
PROMPT_QUIET = 150_000
PROMPT_SHOWN_QUIET = 20_000
"""Once the shell has switched bracketed paste on, its prompt stands there."""


class Step(Enum):
    PROMPT = 0
    VERSIONS = 1
    READY = 2


@dataclass(slots=True)
class Boot:
    """One shell being hooked. `swallowed`: output since the first line was typed, kept from the user."""

    nonce: str
    tag: str
    level: int
    step: Step = Step.PROMPT
    shell: str = ""
    swallowed: bytearray = field(default_factory=bytearray)

    @property
    def swallowing(self) -> bool:
        return self.step is not Step.PROMPT

    def probe(self) -> bytes:
        self.step = Step.VERSIONS
        return hooks.probe(self.nonce, self.level)

    def inject(self, versions: bytes) -> bytes | None:
        """What to type next; None: this shell cannot be hooked."""
        shell = hooks.shell_of(versions)
        self.swallowed.clear()
        if shell is None:
            return None
        self.step, self.shell = Step.READY, shell
        return hooks.injection(shell, self.nonce, self.level, self.tag)
