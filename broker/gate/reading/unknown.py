"""A program that is not known: every plausible reading of what is typed into it."""

from __future__ import annotations

import re

from broker.gate.reading.shells import ShellLines, handed_to_shell
from broker.gate.reading.sqlclients import SqlLines
from broker.gate.sql import MYSQL, POSTGRESQL, SQLITE
from broker.model.command import CommandLine

_STRING = re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'|\"([^\"\\]*(?:\\.[^\"\\]*)*)\"")
_META = re.compile(
    r"(?:\\!|^\s*[!.]?(?:system|shell|sh)\b|^\s*!|\bprogram\s+)\s*(.*)", re.IGNORECASE | re.DOTALL
)


class UnknownLines:
    """It may be a shell, a client of a database, or anything that hands a part of its lines to a shell."""

    language = ""

    def __init__(self) -> None:
        self._shell = ShellLines()
        self._clients = [SqlLines(language) for language in (POSTGRESQL, MYSQL, SQLITE)]

    def read(self, text: str, *, whole: bool = True) -> list[CommandLine]:
        found = self._shell.read(text, whole=whole)
        for client in self._clients:
            found += client.read(text, whole=False)
        return found + [CommandLine(handed_to_shell(inner).commands) for inner in handed_over(text)]

    def take(self, text: str) -> list[CommandLine]:
        for client in self._clients:
            client.take(text)
        return self._shell.take(text)


def handed_over(line: str) -> list[str]:
    """Texts in the line that a shell could run: string literals, what follows `\\!` or `system`."""
    found = [single or double for single, double in _STRING.findall(line)]
    if match := _META.search(line):
        found.append(match[1].rstrip(" ;"))
    return [text for text in found if text.strip()]
