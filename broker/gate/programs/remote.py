"""Programs that run a command on other hosts."""

from __future__ import annotations

import re

from broker.gate.programs.findings import Findings, Options, leading
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import WORDS, known, names, resolved
from broker.model.command import Deed, FileRead

_SSH = Options("46AaCfGgKkMNnqsTtVvXxYy", "BbcDEeFIiJLlmOoPpQRSWw")
_COMMAND_OPTIONS = re.compile(
    r"\s*(?:Proxy(?:Command|UseFdpass)|LocalCommand|KnownHostsCommand|PermitLocalCommand|RemoteCommand"
    r"|PKCS11Provider|SecurityKeyProvider|XAuthLocation|Match|Include)\b[\s=]*(.*)",
    re.IGNORECASE | re.DOTALL,
)


def ssh(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """The text for the other side, and the commands that options run on this one."""
    findings = Findings(reads=[])
    split = leading(_SSH, args)
    host, rest = args[split.first : split.first + 1], args[split.first + 1 :]
    options = list(split.options)
    if rest[:1] and rest[0].startswith("-") and rest[0] != "--":  # options may stand behind the host
        more = leading(_SSH, rest)
        options += more.options
        rest = rest[more.first :]
    if rest[:1] == ["--"]:
        rest = rest[1:]
    _ssh_options(options, state, findings)
    letters = {option for option, _ in options}
    if host and (WORDS in host[0] or host[0].startswith("-")):
        findings.doubt = "what ssh runs is not known"
    if host and not letters & {"V", "G", "Q", "O"}:
        _ssh_remote(rest, letters, flow, findings)
    return findings


def _ssh_options(options: list[tuple[str, str | None]], state: State, findings: Findings) -> None:
    for option, value in options:
        if option == "o" and value is not None:
            _ssh_option(value, findings)
        elif option in {"F", "i", "E", "S"} and value is not None:
            findings.reads = [*(findings.reads or []), FileRead(resolved(value, state.folder))]
            if option == "F" and value not in {"/dev/null", "none"}:
                findings.doubt = findings.doubt or "ssh reads its options from a file"
        elif option == "I":
            findings.doubt = "ssh loads a library"


def _ssh_remote(rest: list[str], letters: set[str], flow: Flow, findings: Findings) -> None:
    """What the other side runs: the text given, the input, or a shell for the person."""
    fed = not flow.stdin.terminal and flow.stdin.text != "" and "n" not in letters
    if fed and "f" not in letters:
        findings.does.add(Deed.SEND)
    if rest:
        findings.texts.append((" ".join(rest), Input(flow.stdin.rest, terminal=flow.stdin.terminal)))
    elif not letters & {"N", "W"} and fed and flow.stdin.rest is not None:
        findings.texts.append((flow.stdin.rest, Input()))
    elif not letters & {"N", "W"}:
        findings.does.add(Deed.SHELL)
        findings.listens = "shell"
        if fed:
            findings.doubt = "ssh runs its input, which is not known"


def _ssh_option(value: str, findings: Findings) -> None:
    if not known(value):
        findings.doubt = "an option of ssh is not known"
    text = option_command(value)
    if text is not None:
        findings.escape(text)


def option_command(value: str) -> str | None:
    """The command in an option of ssh (`ProxyCommand=nc %h %p`); None if it holds none."""
    match = _COMMAND_OPTIONS.match(value)
    if match is None or match[1].strip().lower() in {"none", "no", ""}:
        return None
    return match[1]


# ---- many hosts at once ----

_HOSTS: dict[str, Options] = {
    "pdsh": Options("abehLNqRSsvV", "cCfFgGIlmMRtuwxX"),
    "pssh": Options("iPvAx", "hHlpoetO", names("inline print verbose"), names(
        """hosts host user par outdir errdir timeout options extra-args"""
    )),
    "dsh": Options("acimMqvV", "fFgnpr", names("all show-machine-names concurrent-shell"), names(
        """file group machine num-topology"""
    )),
    "clush": Options("abBcdDGhLNpqRrSv", "fgOoltuwxX", names("all quiet verbose diff"), names(
        """worker hostfile topology pick option user connect_timeout command_timeout group conf rsh"""
    )),
    "mussh": Options("abBdiklmPqstuvV", "hHcClopT"),
    "fab": Options("hlVD", "HitTucf", names("list version help"), names("hosts identity user timeout")),
}  # fmt: skip
_HOSTS |= {"parallel-ssh": _HOSTS["pssh"], "pslurp": _HOSTS["pssh"], "pnuke": _HOSTS["pssh"]}
_FLEET = names("ansible salt salt-ssh salt-call knife")
REMOTE = frozenset(_HOSTS) | _FLEET


def many_hosts(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """pdsh, pssh, clush …: the words behind the options are a text for the shells of the hosts."""
    if name in _FLEET:
        return _fleet(name, args)
    findings = Findings(reads=[])
    split = leading(_HOSTS[name], args)
    rest = [arg for arg in args[split.first :] if arg != "--"]
    if split.unknown is not None:
        findings.doubt = f"the option {split.unknown} of {name} is not looked through"
    texts = split.values("c") if name == "mussh" else [" ".join(rest)] if rest else []
    findings.texts += [(text, Input()) for text in texts]
    if not texts and not split.has("h", "help", "L", "V", "version", "l", "list"):
        findings.shell(name, flow)
    return findings


_ANSIBLE_TEXT = names("command shell raw ansible.builtin.command ansible.builtin.shell ansible.builtin.raw")
_ANSIBLE_LOOKS = names("ping setup debug stat ansible.builtin.ping ansible.builtin.setup")


def _fleet(name: str, args: list[str]) -> Findings:
    """ansible ad hoc, salt, knife ssh: a module or a function, and its arguments."""
    findings = Findings(reads=[])
    if name == "ansible":
        return _ansible(args, findings)
    words = [arg for arg in args if not arg.startswith("-")]
    for index, word in enumerate(words):
        if word in {"cmd.run", "cmd.shell", "cmd.run_all", "cmd.exec_code", "-r"} and index + 1 < len(words):
            findings.texts.append((words[index + 1], Input()))
            return findings
        if word == "ssh" and name == "knife" and index + 2 < len(words):
            findings.texts.append((words[index + 2], Input()))
            return findings
    if any(
        word in {"test.ping", "test.version", "grains.items", "node", "list", "show"} for word in words[:3]
    ):
        return findings
    findings.doubt = f"{name} can start what is not known from the line"
    return findings


_ANSIBLE_OPTIONS = Options("bKkCDvoOhl", "aBcefimMpPTuUst", names(
    """become ask-become-pass ask-pass check diff verbose one-line list-hosts version help syntax-check"""
), names(
    """args background connection extra-vars forks inventory limit module-name module-path timeout user
    poll private-key become-user become-method playbook-dir ssh-common-args ssh-extra-args vault-id tree"""
))  # fmt: skip


def _ansible(args: list[str], findings: Findings) -> Findings:
    options: list[tuple[str, str | None]] = []
    rest = list(args)
    while rest:
        split = leading(_ANSIBLE_OPTIONS, rest)
        options += split.options
        if split.unknown is not None:
            findings.doubt = f"the option {split.unknown} of ansible is not looked through"
        rest = rest[split.first + 1 :]
    module = next((value for option, value in options if option in {"m", "module-name"} and value), "command")
    text = next((value for option, value in options if option in {"a", "args"} and value), "")
    if module in _ANSIBLE_TEXT:
        findings.escape(text or None)
    elif module in {"copy", "synchronize", "ansible.builtin.copy"}:
        findings.does.add(Deed.SEND)
    elif module not in _ANSIBLE_LOOKS:
        findings.doubt = f"what the module {module} of ansible does is not known"
    return findings
