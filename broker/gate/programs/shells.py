"""Starting a shell: with a text, a script, its input, or for a person."""

from __future__ import annotations

import re
from dataclasses import dataclass

from broker.gate.programs.findings import Findings
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import WORDS, known, names, open_ended, resolved
from broker.model.command import Deed, FileRead

SHELLS = names(
    """sh bash dash ash ksh ksh93 mksh lksh oksh pdksh zsh rbash rksh rzsh yash posh sash hush bosh osh ysh
    brush"""
)
OTHER_SHELLS = names("""fish csh tcsh rc es elvish nu pwsh powershell xonsh ion oil scsh murex closh rush""")
"""Shells with a language of their own."""
_VALUED = names("-o +o -O +O --rcfile --init-file")
_HARMLESS = names("--version --help")


@dataclass(slots=True)
class _Options:
    """How a shell is started."""

    text: bool = False
    interactive: bool = False
    from_input: bool = False
    only_looks: bool = False
    """It prints its version, or checks the syntax."""


def shell(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """Any shell, by its arguments."""
    findings = Findings(reads=[])
    options = _Options()
    operands = args[_options(name, args, options, findings) :]
    if options.only_looks:
        return findings
    if options.text and operands[:1] == ["--"]:
        operands = operands[1:]
    if options.interactive:
        findings.does.add(Deed.SHELL)
        findings.listens = "shell" if flow.stdin.terminal and not options.text else ""
    if options.text:
        _text(name, operands, flow, findings)
    elif operands and not options.from_input:
        _script(name, operands, state, flow, findings)
    else:
        _input(name, flow, findings)
        findings.positional = tuple(operands)
    if name in OTHER_SHELLS and (findings.texts or findings.commands):
        findings.does.add(Deed.SHELL)
        findings.doubt = findings.doubt or f"{name} is a shell with another language"
    return findings


def _options(name: str, args: list[str], options: _Options, findings: Findings) -> int:
    """Read the options; the place of the first operand."""
    at = 0
    while at < len(args) and re.match(r"[-+].", args[at]):
        arg = args[at]
        at += 1
        if arg == "--":
            break
        if open_ended(arg):
            findings.doubt = f"the options of {name} are not known"
        if arg in _HARMLESS or arg == "-n":
            options.only_looks = True
        if arg.startswith("--"):
            at += _long(arg, args, at, findings)
            options.interactive = options.interactive or arg == "--interactive"
            continue
        options.text = options.text or "c" in arg[1:]
        options.interactive = options.interactive or "i" in arg[1:]
        options.from_input = options.from_input or "s" in arg[1:]
        if arg in _VALUED or arg[-1] in "oO":
            at += 1
    return at + 1 if args[at : at + 1] == ["-"] else at


def _long(arg: str, args: list[str], at: int, findings: Findings) -> int:
    """See to a long option; 1 if it takes the next word."""
    name, equals, value = arg.partition("=")
    if name in {"--rcfile", "--init-file"}:
        file = value if equals else args[at] if at < len(args) else ""
        if file != "/dev/null":
            findings.doubt = "a file is run whose text is not on the line"
        return 0 if equals else 1
    return 0


def _text(name: str, operands: list[str], flow: Flow, findings: Findings) -> None:
    if not operands:
        return
    text = operands[0]
    if WORDS in text:
        findings.doubt = "the text a shell is to run is not known"
    findings.texts.append((text, flow.stdin))
    findings.zero = operands[1] if len(operands) > 1 else name
    findings.positional = tuple(operands[2:])
    findings.captures = True
    if "zmodload" in text or "ztcp" in text:
        findings.doubt = "a module is loaded"


def _script(name: str, operands: list[str], state: State, flow: Flow, findings: Findings) -> None:
    file = operands[0]
    content = state.files.get(file) if known(file) else None
    if file in {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}:
        if flow.stdin.terminal:
            findings.does.add(Deed.SHELL)
            findings.listens = "shell"
            return
        content = flow.stdin.rest
    findings.reads = [FileRead(resolved(file, state.folder))]
    if content is None:
        findings.doubt = f"{name} runs a script whose text is not on the line"
        content = state.written.get(resolved(file, state.folder))
        if content is None:
            return
    findings.texts.append((content, flow.stdin))
    findings.positional = tuple(operands[1:])


def _input(name: str, flow: Flow, findings: Findings) -> None:
    if flow.stdin.terminal:
        findings.does.add(Deed.SHELL)
        findings.listens = "shell"
    elif flow.stdin.rest is not None:
        findings.texts.append((flow.stdin.rest, Input()))
    else:
        findings.doubt = f"{name} runs its input, which is not known"
