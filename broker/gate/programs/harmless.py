"""Arguments that could start something by their form, and yet are among the usual ones."""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.gate.programs.git import RISKY as GIT_RISKY
from broker.gate.text import basename, names

COMPRESSORS = names(
    """gzip gunzip zcat bzip2 bunzip2 xz unxz zstd unzstd lzma lz4 lzop lzip pigz pbzip2 pixz pxz zstdmt
    brotli compress plzip"""
)
_LOGIN_SHELL = re.compile(
    r"(?:/(?:usr/)?s?bin/)?(?:(?:ba|da|z|k|c|tc|fi|a)?sh|nologin|false|true|git-shell|rbash|sync)\Z"
)
_EDITOR_PLAIN = re.compile(
    r"\+?(?:[0-9]*|\$|/[^!|]*|\?[^!|]*|set? [\w=,]+|q!?|wq!?|x!?|qa!?|wqa!?|xa!?|e [\w./-]+|"
    r"w|w!|syntax (?:on|off)|nohl?|normal [^!:|]*G)\Z"
)


def _value(arg: str, value: str) -> str:
    """What an option is given, behind `=` or as the next word."""
    return arg.partition("=")[2] or value


def _vi(arg: str, value: str) -> bool:
    text = value if arg in {"-c", "--cmd"} else arg
    if arg in {"-s", "-S", "-u", "-U", "-i"}:
        return arg in {"-u", "-i"} and value in {"NONE", "NORC", "DEFAULTS"}
    plain = text[2:] if text.startswith("-c") and arg != "-c" else text
    return arg in {"-es", "-Es", "-e"} or bool(_EDITOR_PLAIN.match(plain))


def _git(arg: str, value: str) -> bool:
    if arg != "-c":
        return False
    return GIT_RISKY.match(value) is None or bool(re.match(r"[\w.]*pager=(?:cat|less|more|)\Z", value))


def _gdb(arg: str, value: str) -> bool:
    words = r"(?:p|print|bt|backtrace|info|q|quit|list|x|thread|frame|detach|set pagination|set confirm)"
    return arg in {"-ex", "--ex"} and bool(re.match(rf"{words}\b[^|!`$(]*\Z", value))


def _rsync(arg: str, value: str) -> bool:
    if re.match(r"-[a-zA-Z]*e\Z|--rsh", arg):
        return bool(_PLAIN_SSH.fullmatch(_value(arg, value)))
    if re.match(r"-[a-zA-Z]*e", arg):
        return bool(re.fullmatch(r"-[a-zA-Z]*essh", arg)) or "e" not in arg[1:]
    return arg.startswith("--rsync-path") and bool(
        re.fullmatch(r"(?:sudo )?(?:/usr/bin/)?rsync", _value(arg, value))
    )


_PLAIN_SSH = re.compile(
    r"ssh(?:\s+-(?:p\s*\d+|i\s+\S+|q|C|4|6|T|x|l\s+\w+|"
    r"o\s*(?:StrictHostKeyChecking|UserKnownHostsFile|Port|User|ConnectTimeout|BatchMode|Compression)=\S+))*"
)


def _make(arg: str, value: str) -> bool:
    return arg in {"-C", "--directory"}


def _copies(arg: str, value: str) -> bool:
    text = arg.partition("o")[2] or value
    return bool(re.match(r"-[a-zA-Z0-9]*o", arg)) and not re.search(
        r"(?i)command|provider|match|include", text
    )


def _tar(arg: str, value: str) -> bool:
    text = _value(arg, value)
    if arg.startswith("--checkpoint-a"):
        return not text.startswith("exec")
    compresses = re.match(r"-[a-zA-Z]*I\Z|--use-c", arg)
    return bool(compresses and text.split() and basename(text.split()[0]) in COMPRESSORS) and not re.search(
        r"[;&|$`<>()]", text
    )


def _apt(arg: str, value: str) -> bool:
    text = re.sub(r"\A(?:-o|--option=?)=?", "", arg) or value
    if re.match(r"-c|--config-file", arg):
        return False
    if re.match(r"(?i)dpkg::options", text):
        return text.partition("=")[2].startswith("--force-")
    return not re.search(
        r"(?i)invoke|dir|include|conf|aptitude::|methods|chroot|detect|pre-install|pager|tools", text
    )


def _yum(arg: str, value: str) -> bool:
    text = _value(arg, "") if "=" in arg else value
    return arg.startswith("--setopt") and not re.search(
        r"(?i)plugin|installroot|config|reposdir|varsdir", text
    )


def _nmap(arg: str, value: str) -> bool:
    return arg.startswith("--script") and bool(re.match(r"(?!.*\.nse)[\w,*+() -]+\Z", _value(arg, value)))


def _shell_of(arg: str, value: str) -> bool:
    return bool(_LOGIN_SHELL.match(_value(arg, value)))


def _chsh(arg: str, value: str) -> bool:
    if arg in {"-l", "--list-shells", "-h", "--help"}:
        return True
    return (arg in {"-s", "--shell"} and _shell_of(arg, value)) or bool(
        re.match(r"[\w/.-]+\Z", arg) and not value
    )


def _ed(arg: str, value: str) -> bool:
    return "!" not in _value(arg, value)


_CHECKS: dict[str, Callable[[str, str], bool]] = {
    **dict.fromkeys(names("vim vi nvim view vimdiff gvim rvim rview ex"), _vi),
    **dict.fromkeys(names("tar gtar bsdtar star"), _tar),
    **dict.fromkeys(names("apt apt-get aptitude apt-cache"), _apt),
    **dict.fromkeys(names("yum dnf microdnf"), _yum),
    **dict.fromkeys(names("usermod useradd adduser"), _shell_of),
    "git": _git, "gdb": _gdb, "rsync": _rsync, "make": _make, "scp": _copies, "sftp": _copies, "nmap": _nmap,
    "chsh": _chsh, "ed": _ed, "red": _ed,
}  # fmt: skip


def harmless(name: str, arg: str, value: str) -> bool:
    """True if the argument, with the one behind it, starts nothing."""
    check = _CHECKS.get(name)
    return check is not None and check(arg, value)
