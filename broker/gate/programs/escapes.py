"""Programs that are no wrappers and yet can start a shell or a command: what they are asked to do.

`hooks` and `git` say what surely is started; here is what perhaps is.
"""

from __future__ import annotations

import re

from broker.gate.options import verbs
from broker.gate.programs.arguments import ALWAYS, ARGUMENTS, CONSOLES, QUIET, TASKS
from broker.gate.programs.editors import console_commands
from broker.gate.programs.findings import Findings, asks_only
from broker.gate.programs.git import RISKY as GIT_RISKY
from broker.gate.programs.git import git
from broker.gate.programs.harmless import harmless
from broker.gate.programs.shells import OTHER_SHELLS, SHELLS
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input
from broker.gate.text import names, open_ended
from broker.model.command import Deed

_ASKED = names("--help --version -h -V")
_PLAIN_WORD = re.compile(r"[\w.:=@+,-]*\Z")
_TASK_OPTION = re.compile(
    r"-(?:[fbIcxePp]|-init-script|-file|-eval|-execute|-command)\b|exec|console|shell|repl"
)
_INPUT_ESCAPE = re.compile(
    r"(?m)!|\\[!oigw]|\\copy|^\s*(?:shell|python|system|source|exec|pipe|make|sy?s?|\.)\b|\|\s*\w|syscmd|^\s*\.|\bsh\b|\bshell\b|`|system|\\"
)
_LOOKS_LIKE = re.compile(
    r"(?:[a-z/]*/)?(?:"
    + "|".join(sorted(re.escape(name) for name in SHELLS | OTHER_SHELLS - {"rc", "es", "ion", "oil"}))
    + r")(?:\s+-[a-z]*[cil].*)?\Z",
    re.DOTALL,
)


def escapes(name: str, args: list[str], flow: Flow) -> Findings:
    """Whether the program starts a shell or a command by these arguments or its input."""
    findings = Findings()
    if asks_only(args):
        return findings
    if name == "git":
        git(args, findings)
        if _git_runs(args):
            findings.doubt = "git starts a command"
    if name in ALWAYS and not _ASKED.issuperset(args or ["-"]):
        findings.doubt = f"{name} can start what is not known from the line"
        _named_shell(args, findings)
        return findings
    if name in TASKS and not all(_PLAIN_WORD.match(arg) and not _TASK_OPTION.match(arg) for arg in args):
        findings.doubt = f"{name} can start what is not known from the line"
    if name in {"chsh", "chfn"} and not args:
        findings.doubt = f"{name} changes what a login starts"
    pattern = ARGUMENTS.get(name)
    if pattern is not None:
        _by_argument(name, pattern, args, findings)
    if name in CONSOLES and not flow.stdin.terminal:
        _by_input(name, flow, findings)
    if name not in QUIET | TASKS and pattern is None:
        _guessed(name, args, findings)
    return findings


def _git_runs(args: list[str]) -> bool:
    """Verbs of git that run what they are given, and settings that hold a command."""
    words = [arg for arg in args if not arg.startswith("-")]
    if words[:2] == ["submodule", "foreach"] or words[:2] == ["bisect", "run"]:
        return True
    if words[:1] == ["config"] and len(words) > 2:
        return bool(GIT_RISKY.match(f"{words[-2]}=")) and bool(re.search(r"[!;|&$`\s]", words[-1]))
    return False


def _by_argument(name: str, pattern: re.Pattern[str], args: list[str], findings: Findings) -> None:
    if name in {"zypper", "npm"}:
        args = [*(arg for arg in args if arg.startswith("-")), *verbs(name, tuple(args))[:1]]
    for index, arg in enumerate(args):
        if open_ended(arg) and name in {
            "tar",
            "git",
            "make",
            "gdb",
            "vim",
            "vi",
            "man",
            "rsync",
        }:
            if "\ufdd1" in arg and not (name == "rsync" or name == "git"):
                findings.doubt = f"what {name} is asked to do is not known"
            continue
        if pattern.match(arg) is None:
            continue
        value = args[index + 1] if index + 1 < len(args) else ""
        if harmless(name, arg, value):
            continue
        findings.doubt = findings.doubt or f"{name} can start a command by {arg}"
        for text in (arg.partition("=")[2], value):
            if re.search(r"\s|;", text) or text in SHELLS:
                findings.texts.append((text.lstrip("!|- "), Input()))


def _by_input(name: str, flow: Flow, findings: Findings) -> None:
    text = flow.stdin.rest
    if text is None or open_ended(text):
        findings.doubt = findings.doubt or f"{name} runs its input, which is not known"
        return
    found = console_commands(name, text)
    if found:
        findings.does.add(Deed.SHELL)
        findings.texts += [(command, Input()) for command in found if command]
    if found or _INPUT_ESCAPE.search(text):
        findings.doubt = findings.doubt or f"{name} can start a command by its input"


def _named_shell(args: list[str], findings: Findings) -> None:
    if any(_LOOKS_LIKE.match(arg) for arg in args):
        findings.does.add(Deed.SHELL)


def _guessed(name: str, args: list[str], findings: Findings) -> None:
    """A program that is not in any table: an argument that names a shell or looks like an escape."""
    for arg in args:
        value = arg.partition("=")[2] if arg.startswith("-") else arg
        if _LOOKS_LIKE.match(value) or re.match(r"(?:!|\|)\s*[a-z/]|exec:|system:", value):
            findings.doubt = f"{name} is given what looks like a command to start"
            findings.does.add(Deed.SHELL)
        elif re.search(
            r"\b(?:system|exec|popen|spawn)\s*\(|\$\(\s*\w|`[^`]+`|\bsh -c\b|/bin/(?:ba|da|z|k)?sh\b", value
        ):
            findings.doubt = f"{name} is given what looks like a command to start"
        elif re.match(
            r"--?(?:exec|command|cmd|run|shell|pre-hook|post-hook|hook|on-\w+|script|plugin|filter|pager|editor|askpass|ssh-cmd|server)(?:=|\Z)",
            arg,
        ):
            findings.doubt = f"{name} can start a command by {arg}"
