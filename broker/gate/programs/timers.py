"""Programs that run a command later, or again and again."""

from __future__ import annotations

import re

from broker.gate.programs.findings import Findings, Options, leading
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import names, resolved
from broker.model.command import FileRead


def watch(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """The words joined, for a shell; with `-x` a command."""
    findings = Findings(reads=[])
    split = leading(Options("bcCdegtpwrx", "nqs", names(
    """beep color no-color differences errexit chgexit no-title precise no-wrap exec no-rerun follow help
    version"""
), names("interval equexit shotsdir")), args)  # fmt: skip
    if split.unknown is not None:
        findings.doubt = f"the option {split.unknown} of {name} is not looked through"
    inner = args[split.first :]
    if split.has("x", "exec"):
        findings.run(inner, Input(terminal=True))
    elif inner:
        findings.texts.append((" ".join(inner), Input(terminal=True)))
    return findings


def timed(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """at, batch: the input is a shell's text."""
    findings = Findings(reads=[])
    files = [args[index + 1] for index, arg in enumerate(args[:-1]) if arg == "-f"]
    findings.reads = [FileRead(resolved(file, state.folder)) for file in files]
    if any(re.fullmatch(r"-[lrdcV]+", arg) for arg in args) or name in {"atq", "atrm"}:
        return findings
    if files:
        findings.doubt = f"{name} runs a file whose text is not on the line"
    elif flow.stdin.rest is not None:
        findings.texts.append((flow.stdin.rest, Input("")))
    elif flow.stdin.terminal:
        findings.listens = "shell"
    else:
        findings.doubt = f"{name} runs its input, which is not known"
    return findings


def crontab(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """The commands of a table from standard input."""
    findings = Findings(reads=[])
    operands = [
        arg
        for index, arg in enumerate(args)
        if (not arg.startswith("-") or arg == "-") and args[index - 1 : index] != ["-u"]
    ]
    if "-l" in args or "-r" in args:
        return findings
    if "-e" in args:
        return findings
    findings.reads = [FileRead(resolved(arg, state.folder)) for arg in operands if arg != "-"]
    text = flow.stdin.rest if operands in ([], ["-"]) else None
    if text is None:
        findings.doubt = "crontab runs a file whose text is not on the line"
        return findings
    for line in text.splitlines():
        job = re.match(r"\s*(?:@[a-z]+|(?:\S+\s+){4}\S+)\s+(.*)", line)
        if job and not line.lstrip().startswith("#"):
            findings.texts.append((job[1].partition("%")[0], Input("")))
        elif "=" in line:
            findings.assigns.append(line.strip())
    return findings


def start_stop_daemon(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """The program of `--exec` or `--startas` with the words behind `--`."""
    findings = Findings(reads=[])
    end = args.index("--") if "--" in args else len(args)
    for index, arg in enumerate(args[:end]):
        match = re.match(r"(?:--exec|--startas|-x|-a|-[bCmoqtvKSTH]*[xa])(?:=(.*))?\Z", arg)
        if match:
            program = match[1] or (args[index + 1] if index + 1 < end else "")
            findings.run([program, *args[end + 1 :]], flow.stdin)
    if not findings.commands and not any(
        re.match(r"-K|--stop|-T|--status|--help|--version|-H|-V", arg) for arg in args
    ):
        findings.doubt = "what start-stop-daemon starts is not known"
    return findings


def run_parts(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    findings = Findings(reads=[])
    if not any(arg in {"--test", "--list"} for arg in args):
        findings.doubt = f"{name} runs the files of a folder"
    return findings
