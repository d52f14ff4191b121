"""Where a line is read, as far as the gate can tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reads(Enum):
    """How sure it is who reads."""

    SHELL = "shell"
    """The hooked shell of that level, at its own prompt."""
    PROGRAM = "program"
    """What the last line of that shell has started."""
    EITHER = "either"
    """One of both."""
    HANDED = "handed"
    """A shell that a program gives the text to."""


@dataclass(frozen=True, slots=True)
class Where:
    """Who reads a line. `level`: of the hooked shell, 0 where none is; `shell`: its name."""

    reads: Reads = Reads.EITHER
    level: int = 0
    shell: str = ""


SOMEWHERE = Where()
"""Nothing is known of who reads."""
