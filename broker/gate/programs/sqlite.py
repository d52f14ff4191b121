"""The shell of SQLite: a database, then SQL or commands, else what is typed or piped in."""

from __future__ import annotations

from broker.gate.programs.findings import Findings
from broker.gate.programs.sqltexts import run_text
from broker.gate.shell.run import Flow
from broker.gate.shell.state import State
from broker.gate.sql import SQLITE
from broker.gate.text import known, names, open_ended, resolved
from broker.model.command import FileRead, SqlText

SQLITES = names("sqlite3 sqlite litecli")
_VALUED = names(
    """cmd init separator nullvalue newline mmap maxsize lookaside pagecache vfs heap escape A prompt"""
)
_FLAGS = names(
    """append ascii bail batch box column csv deserialize echo header noheader help html interactive json
    line list markdown memtrace multiplex nofollow quote readonly safe sorterref stats table tabs
    unsafe-testing version zip nonce"""
)


def sqlite(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """What it is asked by its arguments, or its input."""
    findings = Findings()
    operands: list[str] = []
    texts: list[str] = []
    at = 0
    while at < len(args):
        arg = args[at]
        at += 1
        if not arg.startswith("-") or arg == "-":
            operands.append(arg)
            continue
        option = arg.lstrip("-")
        value = args[at] if option in _VALUED and at < len(args) else ""
        at += option in _VALUED
        if option in {"help", "version"}:
            return findings
        _option(name, option, value, texts, findings)
    findings.reads = [FileRead(resolved(operand, state.folder)) for operand in operands[:1]]
    texts += operands[1:]
    if len(operands) < 2:
        _input(name, flow, texts, findings)
    for text in texts:
        run_text(name, SQLITE, text, state.folder, findings)
    return findings


def _option(name: str, option: str, value: str, texts: list[str], findings: Findings) -> None:
    if option == "cmd":
        texts.append(value)
    elif option == "init" and value != "/dev/null":
        findings.doubt = f"{name} runs a file whose text is not on the line"
        findings.sql.append(SqlText(SQLITE, None))
    elif open_ended(option) or (option not in _VALUED | _FLAGS and known(option)):
        findings.doubt = findings.doubt or f"the option {option} of {name} is not looked through"


def _input(name: str, flow: Flow, texts: list[str], findings: Findings) -> None:
    if flow.stdin.rest is not None:
        texts.append(flow.stdin.rest)
    elif flow.stdin.terminal:
        findings.listens = SQLITE
        findings.sql.append(SqlText(SQLITE, None, typed=True))
    else:
        findings.sql.append(SqlText(SQLITE, None))
        findings.doubt = f"{name} runs its input, which is not known"
