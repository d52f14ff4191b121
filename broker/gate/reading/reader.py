"""What reads the lines of a session: a shell, a client of a database, an interpreter, or who knows what."""

from __future__ import annotations

from typing import Protocol

from broker.model.command import CommandLine


class LineReader(Protocol):
    """One program that lines are typed into, and what it knows from earlier ones."""

    @property
    def language(self) -> str:
        """As `SimpleCommand.listens`; empty where it is not known."""

    def read(self, text: str, *, whole: bool = True) -> list[CommandLine]:
        """What the line could start, by every way in which it can be read; nothing stays of it. Never raises.

        `whole`: the text is what was typed; else it perhaps holds a prompt, or another program reads it, and
        what is no line of the language says nothing."""

    def take(self, text: str) -> list[CommandLine]:
        """As `read`, for a line that went out: it counts for later ones."""


def without_earlier(text: str, pending: str) -> str | None:
    """The text without what the program has already, where it was handed over with it; None if it was not.

    >>> without_earlier("a\\nb\\nc", "x\\na\\nb")
    'c'
    """
    lines, earlier = text.split("\n"), pending.split("\n")
    for count in range(min(len(lines) - 1, len(earlier)), 0, -1):
        if earlier[-count:] == lines[:count]:
            return "\n".join(lines[count:])
    return None
