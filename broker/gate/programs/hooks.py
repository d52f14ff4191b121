"""Options by which a program that is no wrapper surely starts a command, and the command's text.

Facts from the programs' manuals. `escapes` has the doubts: what perhaps starts something.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.gate.programs.editors import console_commands, editor_commands
from broker.gate.programs.findings import Findings
from broker.gate.programs.harmless import COMPRESSORS
from broker.gate.programs.remote import option_command
from broker.gate.shell.state import Input
from broker.gate.text import basename, known, names
from broker.model.command import Deed

_OPTIONS: dict[str, str] = {
    "tar gtar bsdtar star": (
        r"--checkpoint-a\w*(?:=(?P<v>.*))?|--to-c\w*(?:=(?P<v1>.*))?|(?:-[a-zA-Z]*I|--use-c[\w-]*)(?:=(?P<v2>.*))?|"
        r"(?:-[a-zA-Z]*F|--info-s[\w-]*|--new-v[\w-]*)(?:=(?P<v3>.*))?|--rsh-c\w*(?:=(?P<v4>.*))?|--rmt-c\w*(?:=(?P<v5>.*))?"
    ),
    "zip": r"-[a-zA-Z]*TT|--unzip-command(?:=(?P<v>.*))?",
    "cpio": r"--rsh-command(?:=(?P<v>.*))?",
    "rsync": r"-[a-df-zA-Z]*e(?P<v0>.+)?\Z|--rsh(?:=(?P<v>.*))?\Z|--rsync-path(?:=(?P<v1>.*))?\Z",
    "scp sftp": r"-[a-zA-Z0-9]*?[SDo](?P<v>.*)",
    "split gsplit": r"--fil\w*(?:=(?P<v>.*))?",
    "sort gsort": r"--comp[\w-]*(?:=(?P<v>.*))?",
    "man": r"(?:-[a-zA-Z]*[PH]|--pager|--html)(?:=?(?P<v>.*))",
    "bat batcat delta": r"--pager(?:=(?P<v>.*))?",
    "fzf sk": r"--(?:preview|execute|become)(?:=(?P<v>.*))?|--bind(?:=(?P<v1>.*))?",
    "svn": r"--(?:editor-cmd|diff-cmd|diff3-cmd|merge-cmd)(?:=(?P<v>.*))?",
    "hg": r"--config(?:=?(?P<v>.*))",
    "emacs emacsclient": r"-(?:f|-funcall)\Z",
    "nano pico rnano": r"(?:-[a-zA-Z]*s|--speller)(?:=?(?P<v>.*))",
    "joe jmacs jstar jpico": r"-exec\Z",
    "wget": r"--use-askpass(?:=(?P<v>.*))?",
    "dpkg": r"--(?:pre-invoke|post-invoke|status-logger)(?:=(?P<v>.*))?",
    "gcc g++ cc c++ c89 c99 clang clang++ tcc": r"-wrapper(?:=(?P<v>.*))?",
    "tcpdump": r"-[a-zA-Z0-9]*z(?P<v>.*)|--postrotate-command(?:=(?P<v1>.*))?",
    "gpg gpg2": r"--(?:photo-viewer|agent-program|dirmngr-program|pinentry-program)(?:=(?P<v>.*))?",
    "zic": r"-y\Z|--yearistype\Z",
    "certbot": r"--\w+(?:-auth|-cleanup)?-hook(?:=(?P<v>.*))?",
    "valgrind": r"--db-command(?:=(?P<v>.*))?",
    "plymouth": r"--command(?:=(?P<v>.*))?",
    "pidstat": r"-[a-zA-Z]*e\Z",
    "install ginstall": r"--strip-program(?:=(?P<v>.*))?",
    "ncat nc netcat nc.traditional nc.openbsd": (
        r"-[a-zA-Z0-9]*[ec](?P<v>/.*)?\Z|--(?:exec|sh-exec|lua-exec)(?:=(?P<v1>.*))?"
    ),
    "logrotate": r"(?:-m|--mail)(?:=(?P<v>.*))?",
    "mosh": r"--(?:server|client|ssh)(?:=(?P<v>.*))?",
    "vagrant": r"(?:-c|--command)(?:=(?P<v>.*))?",
    "gcloud": r"--command(?:=(?P<v>.*))?",
    "gnuplot": r"-e(?P<v>.+)?\Z",
    "lldb": r"(?:-[oOsSk]|--(?:one-line\S*|source\S*))(?:=(?P<v>.*))?",
    "gdb": r"(?:--?(?:ex|iex|eval-command|init-eval-command))(?:=(?P<v>.*))?",
    "vim vi nvim view vimdiff gvim rvim rview ex elvis vile nvi": (
        r"(?:-[a-zA-Z]*c|--cmd)(?P<v0>.+)?\Z|\+(?P<v>.+)"
    ),
    "less most more pg zless": r"\+(?P<v>.*!.*)|-[A-Za-z]*[pP](?P<v1>.*!.*)",
    "lftp ftp": r"-[ce](?P<v>.+)?\Z",
    "dc": r"(?:-e|--expression)(?:=?(?P<v>.*))",
    "borg restic": r"--(?:rsh|password-command|remote-path)(?:=(?P<v>.*))?",
    "sshfs": r"-o(?:ssh_command=(?P<v>.*))",
    "msfconsole": r"-x(?P<v>.+)?\Z",
    "exiftool": r"-(?:if|p|api|userParam)\d*\Z",
    "apt apt-get aptitude apt-cache": r"(?:-o|--option)(?:=?(?P<v>.*))",
    "sqlmap": r"--(?:eval|os-cmd)(?:=(?P<v>.*))?|--os-shell\Z|--os-pwn\Z",
    "debugfs": r"-R(?P<v>.+)?\Z",
    "openvpn": r"--(?:up|down|ipchange|route-up|tls-verify|auth-user-pass-verify|client-\w+|learn-address)\Z",
    "curlftpfs gphoto2": r"--hook-script(?:=(?P<v>.*))?",
    "cpan": r"-e\Z",
    "rpm rpmquery rpmdb rpmspec": r"(?:--eval|-E|--define|-D|--pipe)(?:=(?P<v>.*))?\Z",
    "xdg-user-dir": r"(?P<v>.*)",
    "lualatex luatex pdflatex latex pdftex tex xelatex xetex etex": (
        r"(?P<v>.*(?:directlua|write18|\\input\|).*)"
    ),
    "make gmake bmake": r"--eval(?:=(?P<v>.*))?|(?P<v1>.*\$[({]shell\s.*)",
    "m4": r"(?P<v>.*syscmd.*)",
    "tdbtool": r"(?P<v>\s*!.*)",
    "socat": r"(?i:(?P<v>(?:.*[,!])?(?:exec|system|shell):.*))",
    "gs": r"(?P<v>.*%pipe%.*)",
    "convert magick identify mogrify montage": r"(?P<v>\|.*)",
    "mail mailx s-nail mutt neomutt": r"--exec(?:=(?P<v>.*))?",
}  # fmt: skip
_BY_NAME = {
    name: re.compile(pattern, re.DOTALL) for group, pattern in _OPTIONS.items() for name in group.split()
}
_PAGERS = names("cat less more most pg never always auto never head tail true bat ul col")
_BANG = names(
    "vim vi nvim view vimdiff gvim rvim rview ex elvis vile nvi less most more pg zless lftp ftp dc hg joe"
)
"""Their texts are commands of their own, of which `!` starts a shell's."""
_DEBUGGER = re.compile(
    r"\s*(?:!|shell\s|platform\s+shell\s|(?:pipe|\|)\s.*?\|\s*|make\s)\s*(?P<v>.*)|\s*(?:shell|python|py|script|source)\b.*",
    re.DOTALL,
)
_DEBUGGER_WORDS = names("gdb lldb")
_APT_HOOK = re.compile(
    r"(?i).*(?:invoke|dir::bin|proxy-auto-detect|pre-install-pkgs|changelog|pager|dpkg::tools|::command|::program)"
    r"[^=]*(?:=(?P<v>.*))?",
    re.DOTALL,
)


def hooks(name: str, args: list[str], findings: Findings) -> None:
    """Note what the options surely start."""
    pattern = _BY_NAME.get(name)
    if pattern is None:
        return
    for index, arg in enumerate(args):
        match = pattern.match(arg)
        if match is None:
            continue
        attached = next((text for text in match.groups() if text), None)
        value = attached if attached is not None else args[index + 1] if index + 1 < len(args) else ""
        _hook(name, arg, value, findings)


def _hook(name: str, option: str, value: str, findings: Findings) -> None:
    text = _started(name, option, value)
    if text is None:
        return
    findings.does.add(Deed.SHELL)
    if text and known(text):
        findings.texts.append((text, Input()))


def _started(name: str, option: str, value: str) -> str | None:
    """The text of what the option starts, empty if that is not to be seen; None if it starts nothing."""
    if name in _BANG and value.startswith(("/", "?")):
        return None
    if name in _BANG:
        found = editor_commands(value)
        return "\n".join(found) if found else None
    if name in _DEBUGGER_WORDS:
        match = _DEBUGGER.match(value)
        return (match["v"] or "") if match else None
    first = basename(value.split()[0]) if value.split() else ""
    special = _SPECIAL.get(name)
    if special is not None:
        return special(option, value, first)
    if first in _PAGERS or (first in COMPRESSORS and not re.search(r"[;&|$`<>()]", value)):
        return None
    return value


def _rsync(option: str, value: str, first: str) -> str | None:
    if option.startswith("--rsync-p"):
        return None if first == "rsync" or value.split()[:2] == ["sudo", "rsync"] else value
    return None if first in {"ssh", "rsh", ""} and "command" not in value.lower() else value


def _copy(option: str, value: str, first: str) -> str | None:
    if re.match(r"-[a-zA-Z0-9]*o", option):
        return option_command(value)
    return None if first == "ssh" else value


def _tar(option: str, value: str, first: str) -> str | None:
    if option.startswith("--checkpoint"):
        return value.removeprefix("exec=") if value.startswith("exec=") else None
    plain = first in COMPRESSORS and not re.search(r"[;&|$`<>()]", value)
    return None if plain and not option.startswith("--to") else value


def _apt(option: str, value: str, first: str) -> str | None:
    match = _APT_HOOK.match(value)
    return None if match is None else match["v"] or ""


def _mosh(option: str, value: str, first: str) -> str | None:
    return None if first in {"mosh-server", "mosh-client", "ssh", ""} else value


def _gnuplot(option: str, value: str, first: str) -> str | None:
    match = re.search(r"(?:\A|;)\s*(?:!|shell\b|system\s*\(?\s*['\"]?)([^'\"]*)", value)
    return match[1] if match else None


def _perl_code(option: str, value: str, first: str) -> str | None:
    match = re.search(r"(?:\bsystem|\bexec|\bqx)\s*\(?\s*['\"({]?([^'\")}]*)", value)
    return match[1] if match else None


def _fuzzy(option: str, value: str, first: str) -> str | None:
    if not option.startswith("--bind"):
        return value
    match = re.search(r"(?:execute|become|reload|transform|preview)[\w-]*[(\[{:]([^)\]}]*)", value)
    return match[1] if match else None


def _emacs(option: str, value: str, first: str) -> str | None:
    return "" if re.search(r"term|shell|compile", value) else None


def _cloud(option: str, value: str, first: str) -> str | None:
    return value or None


def _console(name: str) -> Callable[[str, str, str], str | None]:
    def started(option: str, value: str, first: str) -> str | None:
        found = console_commands(name, value)
        return "\n".join(found) if found else None

    return started


def _macro(option: str, value: str, first: str) -> str | None:
    if option.startswith("--pipe"):
        return value
    match = re.search(r"%\(([^)]*)\)?|%\{lua:(.*)\}", value, re.DOTALL)
    return None if match is None else match[1] or ""


def _evaluated(option: str, value: str, first: str) -> str | None:
    match = re.search(r"[;|&]\s*(.+)|\$\(([^)]*)\)|`([^`]*)`", value, re.DOTALL)
    return next((text for text in match.groups() if text), "") if match else None


def _tex(option: str, value: str, first: str) -> str | None:
    match = re.search(
        r"(?:write18\s*\{|input\s*\|\s*\"?|(?:os\.execute|io\.popen)\s*\(\s*['\"])([^}'\"]*)", value
    )
    return match[1] if match else None


def _socat(option: str, value: str, first: str) -> str | None:
    match = re.search(r"(?i)(?:exec|system|shell):(?:'([^']*)'|\"([^\"]*)\"|([^,!]*))", value)
    return next((text for text in match.groups() if text), "") if match else None


def _pipe(option: str, value: str, first: str) -> str | None:
    return value.rpartition("%pipe%")[2].strip("() ") or value.lstrip("|").strip()


_SPECIAL: dict[str, Callable[[str, str, str], str | None]] = {
    **dict.fromkeys(names("tar gtar bsdtar star"), _tar),
    "rsync": _rsync, "scp": _copy, "sftp": _copy, "apt": _apt, "apt-get": _apt, "aptitude": _apt,
    "apt-cache": _apt, "mosh": _mosh, "gnuplot": _gnuplot, "exiftool": _perl_code, "fzf": _fuzzy,
    "sk": _fuzzy, "emacs": _emacs, "emacsclient": _emacs, "vagrant": _cloud, "gcloud": _cloud,
    "cpan": _perl_code, "rpm": _macro, "rpmquery": _macro, "rpmdb": _macro, "rpmspec": _macro,
    "xdg-user-dir": _evaluated, "socat": _socat, "gs": _pipe, "make": _console("make"),
    "gmake": _console("make"), "bmake": _console("make"), "m4": _console("m4"),
    "tdbtool": _console("tdbtool"),
    **dict.fromkeys(names("lualatex luatex pdflatex latex pdftex tex xelatex xetex etex"), _tex),
    **dict.fromkeys(names("convert magick identify mogrify montage"), _pipe),
}  # fmt: skip
