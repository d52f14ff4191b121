"""Programs that run other programs: which of them can be looked through, and which cannot.

Everything not named here is taken as what it is: a program with arguments, which a policy can name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from broker.gate.words import Unreadable, Word


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Runs its operands as a command. Options that are not listed make the line unreadable."""

    flags: str = ""
    """Short options without a value."""
    valued: str = ""
    """Short options with a value."""
    long_flags: frozenset[str] = frozenset()
    long_valued: frozenset[str] = frozenset()
    operands: int = 0
    """Words between the options and the command."""
    assignments: bool = False
    """`NAME=value` may precede the command."""


WRAPPERS = {
    "sudo": Wrapper("nEHSkbPA", "ugpC", frozenset({"non-interactive", "set-home"}),
                    frozenset({"user", "group", "prompt"}), assignments=True),
    "doas": Wrapper("n", "u"),
    "env": Wrapper("i0v", "u", frozenset({"ignore-environment", "null"}), frozenset({"unset"}),
                   assignments=True),
    "nohup": Wrapper(),
    "nice": Wrapper("0123456789", "n", long_valued=frozenset({"adjustment"})),
    "ionice": Wrapper("t", "cn"),
    "timeout": Wrapper("v", "ks", frozenset({"foreground", "preserve-status", "verbose"}),
                       frozenset({"kill-after", "signal"}), operands=1),
    "setsid": Wrapper("fwc", long_flags=frozenset({"fork", "wait", "ctty"})),
    "stdbuf": Wrapper("", "ioe", long_valued=frozenset({"input", "output", "error"})),
    "time": Wrapper("pv"),
    "command": Wrapper("p"),
    "builtin": Wrapper(),
    "exec": Wrapper("cl"),
    "busybox": Wrapper(),
    "toybox": Wrapper(),
}  # fmt: skip

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "rbash", "rksh", "rzsh"})
SHELL_FLAGS = frozenset("celuxvn")

_OTHER_SHELLS = "fish csh tcsh rc es elvish nu pwsh xonsh"
_RUNNERS = (
    "xargs parallel watch ssh rsh mosh su runuser pkexec run0 gosu su-exec chroot nsenter unshare "
    "systemd-run flock script scriptreplay strace ltrace gdb at batch crontab start-stop-daemon run-parts "
    "expect unbuffer tmux screen dtach abduco taskset chrt numactl prlimit setpriv setarch linux32 "
    "linux64 capsh bwrap firejail sg newgrp dbus-run-session faketime fakeroot proot catchsegv ld.so entr "
    "socat awk gawk mawk nawk original-awk"
)
_BUILTINS = (
    "source . trap alias unalias bind enable hash shopt read mapfile readarray declare typeset local "
    "export readonly unset getopts let complete compgen jobs fc noglob nocorrect - setopt unsetopt "
    "zmodload autoload functions emulate sched zle setenv unsetenv rehash"
)
_KEYWORDS = (
    "if then elif else fi for while until do done case esac select function coproc in [[ ]] repeat "
    "foreach end begin switch and or not nocorrect"
)
OPAQUE = (
    dict.fromkeys(_OTHER_SHELLS.split(), "{} is a shell with another language")
    | dict.fromkeys(_RUNNERS.split(), "{} runs what is not known from the line")
    | dict.fromkeys(_BUILTINS.split(), "{} changes what later words mean")
)

KEYWORDS = frozenset(_KEYWORDS.split())

HARMLESS_VARIABLES = re.compile(
    r"(?:LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|COLUMNS|LINES|NO_COLOR|DEBIAN_FRONTEND)\Z"
)
ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")

_INTERPRETER = re.compile(
    r"(?:python|perl|ruby|node|nodejs|lua|luajit|php|tclsh|wish|Rscript|deno|bun)[0-9.]*\Z"
)
_ARITHMETIC = frozenset(
    {"test", "[", "printf", "exit", "return", "shift", "break", "continue", "ulimit", "umask"}
)
_FIND_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_CONTAINER_RUNS = frozenset({"exec", "run", "create", "debug", "attach", "compose", "start", "build"})


def check_variable(name: str) -> None:
    """Raises Unreadable for a variable that could change what the command does."""
    if not HARMLESS_VARIABLES.match(name):
        raise Unreadable(f"the variable {name} is set, which can change what runs")


def inner_command(name: str, words: Sequence[Word]) -> Sequence[Word]:
    """The command that the wrapper `name` runs with `words` as its arguments; empty if none."""
    wrapper = WRAPPERS[name]
    if name == "command" and words and words[0].text in {"-v", "-V"}:
        return ()
    at = _skip_options(name, wrapper, words) + wrapper.operands
    while wrapper.assignments and at < len(words):
        match = ASSIGNMENT.match(words[at].text)
        if match is None and "=" not in words[at].text:
            break
        check_variable(match[1] if match else words[at].text)
        at += 1
    if any(word.glob for word in words[:at]):
        raise Unreadable(f"a pattern before the command that {name} runs")
    return words[at:]


def _skip_options(name: str, wrapper: Wrapper, words: Sequence[Word]) -> int:
    """Index of the first word after the options (POSIX utility syntax, guidelines 5 to 10)."""
    at = 0
    while at < len(words) and words[at].text.startswith("-"):
        text = words[at].text
        at += 1
        if text == "--":
            break
        if text == "-" and name == "env":
            continue
        if text.startswith("--"):
            option, equals, _ = text[2:].partition("=")
            known = option in (wrapper.long_valued if equals else wrapper.long_flags)
        else:
            known, takes_next = _short(wrapper, text[1:])
            at += takes_next
        if not known:
            raise Unreadable(f"the option {text} of {name} is not looked through")
    return at


def _short(wrapper: Wrapper, letters: str) -> tuple[bool, bool]:
    """Whether a cluster of short options is known, and whether it takes the next word as a value."""
    for index, letter in enumerate(letters):
        if letter in wrapper.valued:
            return True, index == len(letters) - 1
        if letter not in wrapper.flags:
            return False, False
    return bool(letters), False


def shell_text(name: str, words: Sequence[Word]) -> Word:
    """The text that a shell started with these arguments runs. Raises Unreadable if it is not on the line."""
    at, text_given = 0, False
    while at < len(words) and words[at].text.startswith("-"):
        text = words[at].text
        at += 1
        if text in {"--", "--norc", "--noprofile"}:
            if text == "--":
                break
            continue
        if text == "-" or not set(text[1:]) <= SHELL_FLAGS:
            raise Unreadable(f"the option {text} of {name} is not looked through")
        text_given = text_given or "c" in text
    if not text_given or at >= len(words):
        raise Unreadable(f"{name} runs a script or its input, which is not on the line")
    return words[at]


def why_opaque(name: str, words: Sequence[Word]) -> str | None:
    """Why this program could run something that its arguments do not show; None if it is what it is."""
    args = [word.text for word in words]
    if name in OPAQUE or re.match(r"ld-(?:linux|musl)", name):
        return OPAQUE.get(name, "{} runs what is not known from the line").format(name)
    if _INTERPRETER.match(name) and (not args or args[0].startswith("-")):
        return f"{name} runs code from its arguments or its input"
    if name in _ARITHMETIC and (args[:1] == ["-v"] or any(map(_expands, args))):
        return f"{name} can evaluate its arguments"
    if name == "find" and not _FIND_RUNS.isdisjoint(args):
        return "find runs what is not known from the line"
    if name in {"docker", "podman", "nerdctl", "kubectl", "oc"} and not _CONTAINER_RUNS.isdisjoint(args):
        return f"{name} runs a command elsewhere"
    if name == "set" and any(not re.fullmatch(r"-[euxv]+|-[euxv]*o|pipefail|errexit", arg) for arg in args):
        return "set changes what later words mean"
    return None


def _expands(text: str) -> bool:
    return "$" in text or "`" in text
