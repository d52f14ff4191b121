"""Programs that give a command a terminal of its own: script, tmux, screen, machinectl."""

from __future__ import annotations

import re

from broker.gate.programs.findings import Findings, Options, leading
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import names
from broker.model.command import Deed


def script(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """`script -c TEXT FILE`; without a command an interactive shell."""
    findings = Findings(reads=[])
    split = leading(Options("aefqV", "BcEIOmoTt", names("append return flush force quiet help version"),
                            names(
    """log-io command echo log-in log-out logging-format output-limit log-timing
                            timing"""
)), args)  # fmt: skip
    texts = split.values("c", "command")
    after = args[split.first + 1 :]
    if texts:
        findings.texts += [(text, Input(terminal=True)) for text in texts]
    elif after[:1] == ["--"] or (split.first < len(args) and after and not after[0].startswith("-")):
        findings.run(after[1:] if after[:1] == ["--"] else after, Input(terminal=True))
    elif any(re.match(r"-[a-z]*c|--command", arg) for arg in after):
        inner = leading(Options("aefq", "cEIOT", names("quiet"), names("command")), after)
        findings.texts += [(text, Input(terminal=True)) for text in inner.values("c", "command")]
    elif not split.has("help", "version", "V"):
        findings.shell(name, flow)
    if split.unknown is not None and not texts:
        findings.doubt = f"the option {split.unknown} of {name} is not looked through"
    return findings


def machinectl(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """`machinectl shell HOST COMMAND`."""
    findings = Findings(reads=[])
    words = [arg for arg in args if not arg.startswith("-")]
    if words[:1] == ["shell"]:
        findings.run(args[args.index(words[1]) + 1 :] if len(words) > 1 else [], flow.stdin)
        if len(words) < 3:
            findings.shell(name, flow)
    elif words[:1] == ["login"]:
        findings.shell(name, flow)
    return findings


_TMUX_LOOKS = names(
    """ls lsw lsp lsc lsb list-sessions list-windows list-panes list-clients list-commands list-keys
    list-buffers kill-session kill-window kill-pane kill-server has-session has info start-server detach
    detach-client display-message display switch-client select-window select-pane selectw selectp
    resize-pane rename-session rename-window rename renamew show-options show show-environment showenv
    capture-pane capturep last-window next-window previous-window swap-pane swap-window move-window
    set-environment setenv refresh-client"""
)
_TMUX_COMMAND = {
    "new-session": "cefFnstxy", "new": "cefFnstxy", "new-window": "cceFnt", "neww": "ceFnt",
    "split-window": "celFpt", "splitw": "celFpt", "respawn-pane": "cet", "respawnp": "cet",
    "respawn-window": "cet", "respawnw": "cet", "display-popup": "bcdehsStTwxy", "popup": "bcdehsStTwxy",
    "run-shell": "cdt", "run": "cdt", "pipe-pane": "t", "pipep": "t",
}  # fmt: skip
"""Commands that start one, with the letters of their options that take a value."""


def multiplexer(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """tmux: sessions and windows hold a shell, or the command that is given."""
    findings = Findings(reads=[])
    split = leading(Options("2CDlNquUvV", "cfLST"), args)
    if split.unknown is not None or any(value not in {"/dev/null"} for value in split.values("f")):
        findings.doubt = f"what {name} starts is not known"
    for text in split.values("c"):
        findings.escape(text)
    if split.has("V") or split.values("c"):
        return findings
    for command in _tmux_commands(args[split.first :]):
        _tmux(name, command, flow, findings)
    return findings


def _tmux_commands(words: list[str]) -> list[list[str]]:
    """The words parted at `;`."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == ";" or (word.endswith(";") and not word.endswith("\\;")):
            found[-1] += [word[:-1]] if word[:-1] else []
            found.append([])
        else:
            found[-1].append(word)
    return found if len(found) == 1 else [command for command in found if command]


def _tmux(name: str, words: list[str], flow: Flow, findings: Findings) -> None:
    verb = words[0] if words else "new-session"
    valued = _TMUX_COMMAND.get(verb)
    if verb in _TMUX_LOOKS:
        return
    if verb in {"attach", "attach-session", "a", "at"}:
        findings.shell(name, flow)
    elif valued is None:
        findings.doubt = f"what {name} does with {verb} is not known"
        findings.does.add(Deed.SHELL)
    else:
        split = leading(Options("".join(set(_LETTERS) - set(valued)), valued), words[1:])
        command = words[1:][split.first :]
        if command:
            findings.does.add(Deed.SHELL)
            findings.texts.append((" ".join(command), Input(terminal=True)))
        else:
            findings.shell(name, flow)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def screen(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """GNU screen: a shell, or the command that is given."""
    findings = Findings(reads=[])
    split = leading(Options("aADfgilLmnOqUvwxRrd", "cehpsStTX", names("help version list wipe")), args)
    rest = args[split.first :]
    if args[:1] and re.fullmatch(r"-(?:ls|list|wipe|v|Q)\S*", args[0]):
        return findings
    if split.has("X", "c") or (
        split.unknown is not None and not re.fullmatch(r"-[dDmRrxS]+\w*", split.unknown)
    ):
        findings.doubt = f"what {name} starts is not known"
        findings.does.add(Deed.SHELL)
    elif rest and not split.has("r", "R", "x"):
        findings.does.add(Deed.SHELL)
        findings.run(rest, Input(terminal=True))
    else:
        findings.shell(name, flow)
    return findings
