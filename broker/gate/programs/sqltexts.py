"""SQL that a client program runs, and what the client's own commands in it do on its machine."""

from __future__ import annotations

from broker.gate.programs.findings import Findings
from broker.gate.shell.state import Input
from broker.gate.sql import Splitter
from broker.gate.sql.commands import effect_of
from broker.gate.text import UNKNOWN, known, open_ended, resolved
from broker.model.command import Deed, FileRead, SqlText


def run_text(name: str, dialect: str, text: str, folder: str, findings: Findings) -> None:
    """A text that is given as a whole."""
    if open_ended(text):
        _partly(name, dialect, text, findings)
        return
    findings.sql.append(SqlText(dialect, text))
    for piece in Splitter(dialect).feed(text, last=True):
        if piece.command is not None:
            run_command(name, dialect, piece.command, folder, findings, terminal=False)


def run_command(
    name: str, dialect: str, command: str, folder: str, findings: Findings, *, terminal: bool
) -> None:
    """A command of the client. `terminal`: the person sits there and could type into what it starts."""
    effect = effect_of(dialect, command)
    for text in effect.texts:
        if text:
            findings.does.add(Deed.SHELL)
            findings.texts.append((text, Input(terminal=terminal)))
        else:
            findings.does.add(Deed.SHELL)
            findings.listens = "shell"
    findings.reads = [*(findings.reads or []), *(FileRead(resolved(path, folder)) for path in effect.reads)]
    findings.writes += [resolved(path, folder) for path in effect.writes]
    if effect.sql:
        findings.sql.append(SqlText(dialect, None))
    findings.doubt = findings.doubt or effect.doubt


def _partly(name: str, dialect: str, text: str, findings: Findings) -> None:
    findings.sql.append(SqlText(dialect, None))
    begins = next((char for char in text if not char.isspace()), "")
    if "\\" in text or begins in UNKNOWN or begins == "." or not known(text[:1]):
        findings.doubt = findings.doubt or f"what {name} is asked to do is not known"
