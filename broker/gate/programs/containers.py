"""Programs that run a command inside a container: docker and its kind, kubectl."""

from __future__ import annotations

import re

from broker.gate.programs.findings import Findings, Options, leading
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import ANY, WORDS, names, resolved
from broker.model.command import Deed, FileRead

_DOCKER = Options("Dv", "Hlcn", names("debug tls tlsverify version help remote"),
                  names(
    """host config context log-level tlscacert tlscert tlskey connection url root namespace address"""
))  # fmt: skip
_DOCKER_RUN = Options("diPtqT", "aceEhlmpuvwnL", names(
    """detach interactive tty privileged rm init read-only publish-all no-healthcheck oom-kill-disable
    sig-proxy quiet help disable-content-trust no-deps no-TTY service-ports"""
),
                      names(
    """attach env env-file user workdir volume volumes-from name network net publish entrypoint hostname
    label link memory cpus cpu-shares mount pid platform pull restart security-opt shm-size tmpfs ulimit
    cap-add cap-drop device dns add-host gpus ipc log-driver log-opt runtime stop-signal userns uts
    cgroupns expose group-add health-cmd cidfile cpuset-cpus index detach-keys"""
))  # fmt: skip


def container(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """docker, podman, nerdctl, crictl, lxc: what exec and run start inside."""
    findings = Findings(reads=[])
    split = leading(_DOCKER, args)
    rest = args[split.first :]
    if split.unknown is not None:
        findings.doubt = f"the option {split.unknown} of {name} is not looked through"
    verb, rest = (rest[0] if rest else ""), rest[1:]
    if verb in {"container", "compose", "stack"}:
        inner = leading(
            Options(
                "", "fp", names("ansi dry-run"), names("file project-name profile env-file project-directory")
            ),
            rest,
        )
        rest = rest[inner.first :]
        verb, rest = (rest[0] if rest else ""), rest[1:]
    if WORDS in verb or ANY in verb:
        findings.doubt = f"what {name} does is not known"
    if verb == "cp" or verb == "push":
        findings.reads = [FileRead(resolved(arg, state.folder)) for arg in rest if ":" not in arg]
    if verb in {"exec", "run", "create", "debug"}:
        _in_container(name, verb, rest, flow, findings)
    elif verb == "attach":
        findings.shell(name, flow)
    elif verb == "build" and name != "crictl":
        return findings
    return findings


def _in_container(name: str, verb: str, rest: list[str], flow: Flow, findings: Findings) -> None:
    inner = leading(_DOCKER_RUN, rest)
    if inner.unknown is not None:
        findings.doubt = f"the option {inner.unknown} of {name} is not looked through"
    if inner.has("help"):
        return
    command = rest[inner.first + 1 :]
    if command[:1] == ["--"]:
        command = command[1:]
    if name in {"lxc", "incus"} and not command:
        findings.shell(name, flow)
    mounts = [
        value.partition(":")[0] for value in inner.values("v", "volume") if value.startswith(("/", "~", "."))
    ]
    findings.reads = [FileRead(resolved(path, "")) for path in mounts]
    entry = inner.values("entrypoint")
    if any(WORDS in arg for arg in rest[: inner.first + 1]):
        findings.doubt = f"what {name} runs is not known"
    if entry and entry[-1]:
        findings.run([entry[-1], *command], flow.stdin)
    elif command:
        findings.run(
            command, flow.stdin if inner.has("i", "interactive", "t", "tty") else Input(terminal=True)
        )
    elif verb != "exec":
        findings.doubt = f"what the image that {name} starts runs is not known"


def kubectl(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """kubectl, oc: options may stand anywhere before `--`."""
    findings = Findings(reads=[])
    if any(re.match(r"--kubeconfig", arg) for arg in args):
        findings.doubt = "a kubeconfig can name a program that is run"
    end = args.index("--") if "--" in args else len(args)
    words = [arg for arg in args[:end] if not arg.startswith("-")]
    verbs = {"exec", "run", "debug", "attach", "plugin", "rsh"} & set(words)
    if WORDS in "".join(words[:1]) or (verbs and any(WORDS in arg for arg in args)):
        findings.doubt = f"what {name} does is not known"
    if "cp" in words and any(":" in word for word in words):
        findings.does.add(Deed.SEND)
    if verbs & {"exec", "run", "debug", "rsh"}:
        command = args[end + 1 :]
        if not command:
            command = _after_pod(args[:end])
        if command:
            findings.run(
                command,
                flow.stdin
                if any(re.match(r"-[a-z]*i|--stdin", a) for a in args[:end])
                else Input(terminal=True),
            )
        elif "rsh" in verbs:
            findings.shell(name, flow)
        elif verbs & {"run", "debug"} and any(
            re.match(r"-[a-z]*[it]|--stdin|--tty|--attach", arg) for arg in args[:end]
        ):
            findings.doubt = "what the image that kubectl starts runs is not known"
    elif "attach" in verbs:
        findings.shell(name, flow)
    return findings


def _after_pod(args: list[str]) -> list[str]:
    """`kubectl exec POD COMMAND…`, the old form."""
    split = leading(
        Options(
            "itqh",
            "ncfs",
            names("stdin tty quiet"),
            names("namespace container context cluster user filename server"),
        ),
        args,
    )
    rest = args[split.first :]
    if not rest or rest[0] not in {"exec", "rsh"}:
        return []
    inner = leading(
        Options("itqhT", "ncf", names("stdin tty quiet"), names("namespace container filename")), rest[1:]
    )
    return rest[1:][inner.first + 1 :]
