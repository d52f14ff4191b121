"""Wrappers whose command line has a grammar of its own: xargs, find, ssh, containers, timers."""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.gate.programs.containers import container, kubectl
from broker.gate.programs.findings import Findings, Options, leading
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import ANY, WORDS, known, names, open_ended, resolved
from broker.model.command import Deed, FileRead

_MOST = 50
Handler = Callable[[str, list[str], State, Flow], Findings]

_XARGS = Options(
    "0oprtx",
    "aEdILnPsR",
    names("null open-tty interactive no-run-if-empty verbose exit help version show-limits"),
    names("""arg-file delimiter eof max-lines max-args max-procs max-chars replace process-slot-var"""),
    optional="eil",
)
_SSH = Options("46AaCfGgKkMNnqsTtVvXxYy", "BbcDEeFIiJLlmOoPpQRSWw")
_COMMAND_OPTIONS = re.compile(
    r"\s*(?:Proxy(?:Command|UseFdpass)|LocalCommand|KnownHostsCommand|PermitLocalCommand|RemoteCommand"
    r"|PKCS11Provider|SecurityKeyProvider|XAuthLocation|Match|Include)\b[\s=]*(.*)",
    re.IGNORECASE | re.DOTALL,
)


def xargs(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """The command with the words of standard input, or with what is not known of them."""
    findings = Findings(reads=[])
    split = leading(_XARGS, args)
    if split.unknown is not None:
        findings.doubt = f"the option {split.unknown} of {name} is not looked through"
    if split.has("help", "version"):
        return findings
    inner = args[split.first :] or ["echo"]
    files = split.values("a", "arg-file")
    findings.reads = [FileRead(resolved(file, state.folder)) for file in files]
    text = None if files else flow.stdin.rest
    text = "" if files and files[-1] == "/dev/null" else text
    marks = split.values("I", "replace", "i")
    mark = (marks[-1] or "{}") if marks or split.has("i", "replace") else None
    stdin = Input(terminal=True) if split.has("o", "open-tty") else Input("")
    plain = not split.has("d", "delimiter", "0", "null", "E", "eof", "e")
    words = _words(text, plain=plain and mark is None) if mark is None else _lines(text)
    if mark is not None:
        if words is not None and len(words) > _MOST:
            findings.doubt = f"more lines for {name} than are followed"
        for line in (words if words is not None else [ANY])[:_MOST] or [""]:
            findings.run([part.replace(mark, line) for part in inner], stdin)
    else:
        findings.run([*inner, *(words if words is not None else [WORDS])], stdin)
    return findings


def _words(text: str | None, *, plain: bool) -> list[str] | None:
    if text is None or not plain or re.search(r"[\"'\\]", text):
        return None
    return [word if not open_ended(word) else WORDS for word in text.split()]


def _lines(text: str | None) -> list[str] | None:
    if text is None or re.search(r"[\"'\\]", text):
        return None
    return [line.strip() for line in text.splitlines() if line.strip()]


_FIND_VALUED = names(
    """-name -iname -path -ipath -wholename -iwholename -lname -ilname -regex -iregex -regextype -type
    -xtype -mtime -atime -ctime -mmin -amin -cmin -newer -anewer -cnewer -size -user -group -uid -gid
    -perm -maxdepth -mindepth -samefile -inum -links -fstype -printf -used -context -newermt -newerat
    -newerct -newerBt"""
)
_FIND_WRITES = names("-fprint -fprint0 -fls -fprintf")


def find(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """Commands of -exec, -execdir, -ok and -okdir. `-delete` stays an argument, which a policy can name."""
    findings = Findings(reads=[])
    at = 0
    while at < len(args) and re.match(r"-(?:[HLP]+|O\d|D)\Z", args[at]):
        at += 2 if args[at] == "-D" else 1
    start = at
    while at < len(args) and not re.match(r"[-(!)]", args[at]):
        at += 1
    places = args[start:at] or ["."]
    if len(places) > _MOST:
        findings.doubt = f"more places for {name} than are followed"
    last = ""
    for index, arg in enumerate(args):
        if arg in {"-name", "-iname"} and index + 1 < len(args):
            last = args[index + 1]
    if any(open_ended(arg) for arg in args[at:] if arg != "{}") and _loose(args[at:]):
        findings.doubt = "what find is asked to do is not known"
    if any(WORDS in place for place in places):
        findings.doubt = "what find is asked to do is not known"
    while at < len(args):
        if args[at] in {"-exec", "-execdir", "-ok", "-okdir"}:
            at = _find_exec(args, at + 1, places, last, findings)
        elif args[at] == "-files0-from":
            findings.reads = [FileRead(resolved(args[at + 1], state.folder))] if at + 1 < len(args) else []
            at += 2
        elif args[at] in _FIND_VALUED:
            at += 2
        else:
            at += 1
    return findings


def _loose(args: list[str]) -> bool:
    """True if something not known stands where find expects an action."""
    at = 0
    while at < len(args):
        if args[at] in _FIND_VALUED:
            if at + 1 < len(args) and WORDS in args[at + 1]:
                return True
            at += 2
        elif args[at] in {"-exec", "-execdir", "-ok", "-okdir"}:
            while at < len(args) and args[at] not in {";", "+"}:
                at += 1
            at += 1
        elif open_ended(args[at]):
            return True
        else:
            at += 1
    return False


def _find_exec(args: list[str], at: int, places: list[str], last: str, findings: Findings) -> int:
    inner: list[str] = []
    while at < len(args) and args[at] != ";" and not (args[at] == "+" and inner[-1:] == ["{}"]):
        inner.append(args[at])
        at += 1
    pattern = re.sub(r"\[[^\]]*\]|\?", "\ufdd3", last).replace("*", "\ufdd2") if last else ""
    for place in places[:_MOST]:
        found = f"{place}{ANY}/{pattern}" if pattern else f"{place}{ANY}"
        text = place.rstrip("/") + "/" + pattern if pattern else None
        findings.run([part.replace("{}", found) for part in inner], Input(terminal=True))
        if text is not None and "{}" in inner:
            findings.run([text if part == "{}" else part for part in inner], Input(terminal=True))
    return at + 1


def parallel(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """GNU parallel: the words up to `:::` are a shell's text."""
    findings = Findings(reads=[])
    options = Options("0cuvktqXmIx", "jPnNLaIdSCDTs", names(
    """bar progress dry-run keep-order line-buffer ungroup verbose pipe halt-on-error no-notice will-cite
    lb eta tag group null xargs shebang no-run-if-empty resume shuf pipe-part"""
),
                      names(
    """jobs max-args arg-file delay joblog timeout retries colsep halt max-lines tmpdir results sshlogin
    workdir delimiter basefile trc return block recstart recend nice load memfree env"""
))  # fmt: skip
    split = leading(options, args)
    if split.unknown is not None:
        findings.doubt = f"the option {split.unknown} of {name} is not looked through"
    if split.has("help", "version"):
        return findings
    rest = args[split.first :]
    marks = [index for index, arg in enumerate(rest) if re.fullmatch(r":::[:+]?\+?", arg)]
    inner = rest[: marks[0]] if marks else rest
    values = (
        [arg for arg in rest[marks[0] + 1 :] if not re.fullmatch(r":::[:+]?\+?", arg)] if marks else [ANY]
    )
    if marks and any(rest[mark].startswith("::::") for mark in marks):
        values = [ANY]
    if not marks:
        lines = _lines(flow.stdin.rest)
        values = lines if lines is not None and not split.has("a", "arg-file") else [ANY]
    if len(values) > _MOST:
        findings.doubt = f"more values for {name} than are followed"
    if not inner:
        findings.texts += [(value, Input()) for value in values[:_MOST]]
        return findings
    text = " ".join(inner)
    if split.has("S", "sshlogin", "trc", "return"):
        findings.does.add(Deed.SEND)
    none = any(value == "0" for value in split.values("n", "N", "max-args"))
    for value in values[:_MOST]:
        filled = value.join(re.split(r"\{[^{} ]*\}", text)) if "{" in text else None
        findings.texts.append(
            (filled if filled is not None else text if none else f"{text} {value}", Input(""))
        )
    return findings


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
    match = _COMMAND_OPTIONS.match(value)
    if match is None or match[1].strip().lower() in {"none", "no", ""}:
        return
    findings.escape(match[1])


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


def script(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """`script -c TEXT FILE`; without a command an interactive shell."""
    findings = Findings(reads=[])
    split = leading(Options("aefqV", "BcEIOmoTt", names("append return flush force quiet help version"),
                            names(
    """log-io command echo log-in log-out logging-format output-limit log-timing timing"""
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


def run_parts(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    findings = Findings(reads=[])
    if not any(arg in {"--test", "--list"} for arg in args):
        findings.doubt = f"{name} runs the files of a folder"
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
