"""psql and the mysql client: the SQL they are given, and their own commands, which run programs."""

from __future__ import annotations

import re

from broker.gate.programs.findings import Findings, Options, leading
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.sql import MYSQL, POSTGRESQL, read_sql
from broker.gate.text import known, names, open_ended, resolved
from broker.model.command import FileRead, SqlKind, SqlText

CLIENTS = {"psql": POSTGRESQL, "pgcli": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "mycli": MYSQL}
_PSQL = Options("AaEeHlqSstVwWXxz01?bn", "cdfFLoPRTvhpU", names(
    """echo-all echo-queries echo-hidden html list quiet single-step single-line tuples-only version
    no-password password no-psqlrc expanded no-align field-separator-zero record-separator-zero
    single-transaction csv no-readline help"""
),
                names(
    """command dbname file field-separator log-file output pset record-separator table-attr set variable
    host port username"""
))  # fmt: skip
_MYSQL = Options("ABCEGHINPSTVVbfijnqrstvwX?Kco", "DehPSu", names(
    """batch column-names compress force html no-auto-rehash quick raw safe-updates silent
    skip-column-names table vertical verbose version wait xml password ssl help one-database no-beep
    unbuffered auto-rehash line-numbers"""
),
                 names(
    """database execute host port socket user defaults-file defaults-extra-file default-character-set
    protocol ssl-ca ssl-mode connect-timeout delimiter"""
),
                 optional="p#")  # fmt: skip


def client(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """The texts of -c or -e, or the input."""
    dialect = CLIENTS[name]
    findings = Findings(reads=[])
    options: list[tuple[str, str | None]] = []
    rest = list(args)
    while rest:
        split = leading(_PSQL if dialect == POSTGRESQL else _MYSQL, rest)
        options += split.options
        if split.unknown is not None:
            findings.doubt = f"the option {split.unknown} of {name} is not looked through"
        rest = rest[split.first + 1 :]
    found = {option for option, _ in options}
    if found & {"help", "version", "V", "?"}:
        return findings
    texts = [
        value or ""
        for option, value in options
        if option in {"c", "command", "e", "execute"} and not (dialect == POSTGRESQL and option == "e")
    ]
    files = [value or "" for option, value in options if option in {"f", "file"} and dialect == POSTGRESQL]
    risky = [
        value or ""
        for option, value in options
        if option in {"o", "output", "defaults-file", "defaults-extra-file", "L", "log-file"} and value
    ]
    if any(value.lstrip().startswith("|") for value in risky) or found & {
        "defaults-file",
        "defaults-extra-file",
    }:
        findings.doubt = f"{name} can start a command by its options"
    _files(name, files, state, flow, findings, texts)
    if not texts and not files:
        _input(name, flow, findings, texts)
    for text in texts:
        _text(name, dialect, text, findings)
    return findings


def _files(
    name: str, files: list[str], state: State, flow: Flow, findings: Findings, texts: list[str]
) -> None:
    for file in files:
        content = (
            flow.stdin.rest if file in {"-", "/dev/stdin"} else state.files.get(file) if known(file) else None
        )
        if content is not None:
            texts.append(content)
            continue
        findings.reads = [*(findings.reads or []), FileRead(resolved(file, state.folder))]
        findings.sql.append(SqlText(CLIENTS[name], None))
        findings.doubt = findings.doubt or f"{name} runs a file whose text is not on the line"


def _input(name: str, flow: Flow, findings: Findings, texts: list[str]) -> None:
    if flow.stdin.rest is not None:
        texts.append(flow.stdin.rest)
        return
    findings.sql.append(SqlText(CLIENTS[name], None))
    if not flow.stdin.terminal:
        findings.doubt = findings.doubt or f"{name} runs its input, which is not known"


def _text(name: str, dialect: str, text: str, findings: Findings) -> None:
    if open_ended(text):
        findings.sql.append(SqlText(dialect, None))
        if "\\" in text or text[:1] in "\ufdd0\ufdd1":
            findings.doubt = findings.doubt or f"what {name} is asked to do is not known"
        return
    findings.sql.append(SqlText(dialect, text))
    reading = read_sql(dialect, text)
    if SqlKind.META in reading.kinds and not reading.read_only:
        findings.doubt = findings.doubt or f"{name} can start a command: {reading.reason}"
        findings.escape()
        for match in re.finditer(
            r"\\!\s*([^\n]+)|\\[ogw]x?\s*\|\s*([^\n]+)|(?m:^)\s*system\s+([^\n;]+)", text
        ):
            findings.texts.append((next(group for group in match.groups() if group), Input()))
    for match in re.finditer(r"\\(?:lo_import|i|ir|include)\s+(\S+)", text):
        findings.reads = [*(findings.reads or []), FileRead(resolved(match[1].strip("'")))]
