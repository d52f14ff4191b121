"""Programs that run a command for each of many words: xargs, find, parallel."""

from __future__ import annotations

import re

from broker.gate.programs.findings import Findings, Options, leading
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import ANY, WORDS, names, open_ended, resolved
from broker.model.command import Deed, FileRead

_MOST = 50
_XARGS = Options(
    "0oprtx",
    "aEdILnPsR",
    names("null open-tty interactive no-run-if-empty verbose exit help version show-limits"),
    names("""arg-file delimiter eof max-lines max-args max-procs max-chars replace process-slot-var"""),
    optional="eil",
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
    for _, inside in findings.commands:
        inside.content = flow.stdin.content or bool(files)
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
