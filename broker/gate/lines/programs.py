"""What an accepted line is about to start, as far as the gate's states depend on it."""

from __future__ import annotations

import posixpath
import re

FULL_SCREEN = frozenset(
    [
        "vi",
        "vim",
        "vim.basic",
        "vim.tiny",
        "nvim",
        "view",
        "vimdiff",
        "rvim",
        "ex",
        "emacs",
        "nano",
        "pico",
        "joe",
        "mcedit",
        "mc",
        "less",
        "more",
        "most",
        "man",
        "top",
        "htop",
        "btop",
        "atop",
        "glances",
        "nmon",
        "iotop",
        "iftop",
        "watch",
        "git",
        "journalctl",
        "systemctl",
        "dialog",
        "whiptail",
        "tig",
        "ranger",
        "nnn",
        "ncdu",
        "lnav",
        "crontab",
        "visudo",
        "vipw",
        "vigr",
        "sudoedit",
        "info",
        "pinfo",
        "w3m",
        "lynx",
        "links",
        "elinks",
        "bat",
        "delta",
        "fzf",
    ]
)
"""Programs whose own keys are no command lines, as long as they have the alternate screen."""

SHELLS = frozenset(["sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "ksh93", "mksh", "rbash", "busybox"])
_STARTS_SHELL = SHELLS | frozenset(
    [
        "su",
        "ssh",
        "script",
        "exec",
        "chroot",
        "nsenter",
        "unshare",
        "docker",
        "podman",
        "kubectl",
        "oc",
        "lxc",
        "machinectl",
        "pkexec",
        "doas",
        "sg",
        "newgrp",
        "login",
        "setpriv",
        "runuser",
        "nix-shell",
        "env",
    ]
)
_WORD = re.compile(r"[^\s;|&()<>'\"`]+")
_SUDO_SHELL = re.compile(r"(?:^|\s)sudo\s.*(?:-\w*[is]\w*|--login|--shell)(?:\s|$)")


def names(line: str) -> set[str]:
    """Last parts of all words: a superset of the programs it could start."""
    return {posixpath.basename(word) for word in _WORD.findall(line)}


def takes_screen(line: str) -> bool:
    """True if a program known to use the whole screen is named."""
    return not names(line).isdisjoint(FULL_SCREEN)


def starts_shell(line: str) -> bool:
    """True if another shell could come up."""
    return not names(line).isdisjoint(_STARTS_SHELL) or bool(_SUDO_SHELL.search(line))


def reads_commands(command: str) -> bool:
    """True if a command is a shell that takes its commands from its input: no script and no `-c`."""
    if _SUDO_SHELL.search(command):
        return True
    words = command.split()
    for at, word in enumerate(words):
        if posixpath.basename(word) in SHELLS | {"su"}:
            options = [text for text in words[at + 1 :] if text.startswith("-") and text != "-"]
            operands = [text for text in words[at + 1 :] if not text.startswith("-")]
            short = "".join(text[1:] for text in options if not text.startswith("--"))
            if "s" in short or ("c" not in short and (not operands or word.endswith("su"))):
                return True
    return False
