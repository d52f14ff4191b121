"""Wrappers whose command line has a grammar of its own, and the table of all of them."""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.gate.programs.batches import find, parallel, xargs
from broker.gate.programs.containers import container, kubectl
from broker.gate.programs.findings import Findings
from broker.gate.programs.remote import REMOTE, many_hosts, ssh
from broker.gate.programs.terminals import machinectl, multiplexer, screen, script
from broker.gate.programs.timers import crontab, run_parts, start_stop_daemon, timed, watch
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import names, resolved
from broker.model.command import Deed, FileRead

Handler = Callable[[str, list[str], State, Flow], Findings]


def capsh(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """`capsh -- ARGUMENTS` gives them to bash."""
    findings = Findings(reads=[])
    for mark in ("--", "=="):
        if mark in args:
            findings.run(["bash", *args[args.index(mark) + 1 :]], flow.stdin)
            return findings
    if any(arg.startswith("--shell=") for arg in args):
        findings.doubt = "capsh starts what is not known"
    return findings


def busybox(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """The applet is a program of its own."""
    findings = Findings(reads=[], captures=True)
    if args and not args[0].startswith("-"):
        findings.run(args, flow.stdin)
    return findings


def ip(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """`ip netns exec NAME COMMAND`, `ip vrf exec`; `-b` reads commands of its own."""
    findings = Findings(reads=[])
    words = list(args)
    if "exec" in words and {"netns", "vrf"} & set(words[: words.index("exec")]):
        findings.run(words[words.index("exec") + 2 :], flow.stdin)
    elif any(re.match(r"-(?:b|force|batch)", arg) for arg in args):
        findings.reads = [FileRead(resolved(arg, state.folder)) for arg in args if not arg.startswith("-")]
    return findings


def pee(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """Each argument is a shell's text."""
    texts = [arg for arg in args if not arg.startswith("--")]
    return Findings(reads=[], texts=[(text, Input(flow.stdin.rest)) for text in texts])


def second_word(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """bundle exec, poetry run, npx …: a command behind a verb."""
    findings = Findings(reads=[])
    verbs = _VERBS[name]
    words = args
    if verbs:
        at = next((index for index, arg in enumerate(args) if arg in verbs), None)
        if at is None:
            if any(arg.startswith("!") for arg in args):
                findings.doubt = f"{name} runs what is not known"
            return findings
        words = args[at + 1 :]
    while words and words[0].startswith("-"):
        words = words[1:]
    findings.does.add(Deed.SHELL)
    findings.run(words, flow.stdin)
    if name in {"npx", "pipx", "uvx", "bunx"}:
        findings.doubt = f"{name} runs what it fetches"
    return findings


_VERBS: dict[str, frozenset[str]] = {
    "bundle": names("exec console e"),
    "bundler": names("exec console e"),
    "poetry": names("run shell"),
    "pipenv": names("run shell"),
    "uv": names("run x tool"),
    "rbenv": names("exec shell"),
    "pyenv": names("exec"),
    "nodenv": names("exec"),
    "direnv": names("exec"),
    "mise": names("exec x"),
    "asdf": names("exec"),
    "yarn": names("exec node dlx run"),
    "pnpm": names("exec dlx x"),
    "npx": frozenset(),
    "uvx": frozenset(),
    "bunx": frozenset(),
    "pipx": names("run runpip"),
    "task": names("execute exec"),
    "xdotool": names("exec behave"),
    "pixi": names("run exec"),
    "hatch": names("run shell"),
    "pdm": names("run"),
    "rye": names("run"),
    "runc": names("exec run"),
    "ctr": names("exec run"),
    "toolbox": names("run enter"),
    "distrobox": names("enter exec run"),
    "apptainer": names("exec shell run"),
    "singularity": names("exec shell run"),
    "snap": names("run"),
    "flatpak": names("run enter"),
    "nix": names("shell develop run"),
    "gem": names("exec open"),
    "cargo": names("run test bench"),
    "go": names("run generate test tool"),
    "dotnet": names("fsi run exec watch"),
    "mosquitto": frozenset({"-x"}),
    "csvtool": names("call"),
    "aws-vault": names("exec"),
    "op": names("run"),
    "doppler": names("run"),
    "vault": names("agent"),
    "teleport": names("exec"),
    "tsh": names("ssh"),
}

HANDLERS: dict[str, Handler] = {
    "xargs": xargs,
    "gxargs": xargs,
    "find": find,
    "gfind": find,
    "bfs": find,
    "parallel": parallel,
    "watch": watch,
    "ssh": ssh,
    "autossh": ssh,
    "docker": container,
    "podman": container,
    "nerdctl": container,
    "crictl": container,
    "lxc": container,
    "incus": container,
    "docker-compose": container,
    "podman-compose": container,
    "buildah": container,
    "kubectl": kubectl,
    "oc": kubectl,
    "k3s": kubectl,
    "microk8s": kubectl,
    "at": timed,
    "batch": timed,
    "atq": timed,
    "atrm": timed,
    "crontab": crontab,
    "script": script,
    "tmux": multiplexer,
    "byobu": multiplexer,
    "screen": screen,
    "start-stop-daemon": start_stop_daemon,
    "capsh": capsh,
    "busybox": busybox,
    "toybox": busybox,
    "ip": ip,
    "run-parts": run_parts,
    "machinectl": machinectl,
    "pee": pee,
}
HANDLERS.update(dict.fromkeys(_VERBS, second_word))
HANDLERS.update(dict.fromkeys(REMOTE, many_hosts))
