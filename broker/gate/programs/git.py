"""git: settings, options and verbs by which it starts commands (git-config(1), manuals of the verbs)."""

from __future__ import annotations

import re

from broker.gate.programs.findings import Findings
from broker.gate.shell.state import Input
from broker.gate.text import basename, known, names
from broker.model.command import Deed

RISKY = re.compile(
    r"(?i)(?:.*(?:pager|editor|sshcommand|askpass|helper|external|textconv|command|hookspath|fsmonitor|program|"
    r"driver|proxy|uploadpack|receivepack|exec|clean|smudge|process|browser|cmd|attributesfile|include).*|"
    r"alias\..*|filter\..*|protocol\..*|url\..*|core\.(?:worktree|gitproxy))="
)
"""Settings that can make git start something."""
_COMMANDS = re.compile(
    r"(?i)(?:(?:core\.|sequence\.)?editor|(?:core\.|.*\.)?pager(?:\..*)?|core\.sshcommand|core\.askpass|core\.fsmonitor|"
    r"core\.gitproxy|diff\.external|diff\..*\.(?:textconv|command)|merge\..*\.driver|filter\..*\.(?:clean|smudge|process)|"
    r"gpg\.(?:.*\.)?program|(?:difftool|mergetool|browser|man|guitool)\..*\.cmd|remote\..*\.(?:uploadpack|receivepack)|"
    r"interactive\.difffilter|trailer\..*\.(?:command|cmd)|credential\.(?:.*\.)?helper|sendemail\..*cmd|alias\..*)\Z"
)
"""Settings whose value is a command."""
_FOLDERS = re.compile(
    r"(?i)(?:core\.hookspath|core\.attributesfile|core\.fsmonitor|include(?:if\..*)?\.path|init\.templatedir)\Z"
)
_HELPERS = names("cache store manager manager-core osxkeychain libsecret wincred oauth netrc gcloud.sh gh")
_PLAIN = names("cat less more most vi vim nvim nano emacs ed true false code delta bat diff-so-fancy")
_TEXT_OPTIONS = re.compile(
    r"(?:--(?:upload-pack|receive-pack|exec|extcmd|to-cmd|cc-cmd|(?:index|tree|msg|commit|env|parent|tag-name)-filter|"
    r"open-files-in-pager|editor|pager))(?:=(?P<v>.*))?\Z|-O(?P<v1>.+)\Z",
    re.DOTALL,
)
_SHORT_BY_VERB = {"rebase": "-x", "difftool": "-x", "clone": "-u", "ls-remote": "-u", "fetch-pack": "-u"}
_VALUED = names("-C -c --git-dir --work-tree --namespace --config-env --super-prefix")


def git(args: list[str], findings: Findings) -> None:
    """Note what it surely starts."""
    verb_at = _settings(args, findings)
    verb, rest = (args[verb_at], args[verb_at + 1 :]) if verb_at < len(args) else ("", [])
    words = [arg for arg in rest if not arg.startswith("-")]
    if (verb, words[:1]) == ("submodule", ["foreach"]):
        _start(" ".join(words[1:]), findings)
    elif (verb, words[:1]) == ("bisect", ["run"]):
        findings.does.add(Deed.SHELL)
        findings.run(rest[rest.index("run") + 1 :], Input(terminal=True))
    elif verb == "config":
        _configured(words, findings)
    _options(verb, rest, findings)


def _settings(args: list[str], findings: Findings) -> int:
    """Look at `-c name=value`; the place of the verb."""
    at = 0
    while at < len(args) and args[at].startswith("-"):
        if args[at] == "-c" and at + 1 < len(args):
            name, _, value = args[at + 1].partition("=")
            _setting(name, value, findings)
        at += 2 if args[at] in _VALUED else 1
    return at


def _setting(name: str, value: str, findings: Findings) -> None:
    if not _COMMANDS.match(name) or not value.strip():
        return
    if name.lower().startswith("alias."):
        if value.startswith("!"):
            _start(value[1:], findings)
        return
    words = value.split()
    first = basename(words[0])
    if "helper" in name.lower():
        if value.startswith("!") or "/" in words[0]:
            _start(value.lstrip("!"), findings)
        elif first not in _HELPERS:
            findings.doubt = findings.doubt or f"git starts a helper called {first}"
    elif first == "ssh" and name.lower() == "core.sshcommand":
        findings.texts.append((value, Input()))
    elif first not in _PLAIN or re.search(r"[;&|<>$`()#\n]", value):
        _start(value, findings)


def _configured(words: list[str], findings: Findings) -> None:
    """A setting that is stored: it runs later, so that its text counts, but nothing is started now."""
    if len(words) > 1 and _FOLDERS.match(words[-2]):
        findings.doubt = findings.doubt or f"git runs what lies at {words[-2]}"
    if len(words) > 1 and _COMMANDS.match(words[-2]) and known(words[-1]):
        inner = Findings()
        _setting(words[-2], words[-1], inner)
        findings.texts += inner.texts


def _options(verb: str, rest: list[str], findings: Findings) -> None:
    short = _SHORT_BY_VERB.get(verb)
    for index, arg in enumerate(rest):
        following = rest[index + 1] if index + 1 < len(rest) else ""
        match = _TEXT_OPTIONS.match(arg)
        if match is not None:
            attached = match["v"] if match["v"] is not None else match["v1"]
            _option(verb, attached if attached is not None else following, findings)
        elif arg == short:
            _option(verb, following, findings)
        elif arg.startswith("ext::"):
            _start(arg[5:], findings)
        elif re.match(r"--smtp-server=/", arg):
            _start(arg.partition("=")[2], findings)


def _option(verb: str, text: str, findings: Findings) -> None:
    if (
        text
        and basename(text.split()[0])
        not in {"git-upload-pack", "git-receive-pack", "git-upload-archive"} | _PLAIN
    ):
        _start(text, findings)


def _start(text: str, findings: Findings) -> None:
    findings.does.add(Deed.SHELL)
    if text.strip() and known(text):
        findings.texts.append((text, Input(terminal=True)))
