"""Accounts of the target, each with a shell and a prompt that is hard in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.world.accounts import Account, Accounts


class Shell(NamedTuple):
    """`program` with the start-up file `file`; `vi`: its editor begins in the insert mode of vi.
    `interrupts`: a refused line is interrupted there, and `^C` shows behind it. `ready`: its last row."""

    program: str
    file: str
    text: str
    vi: bool = False
    interrupts: bool = False
    ready: str = r"^target\$"


_RIGHT = r"^target\$ +right$"
_CONFIG = ".config/fish/config.fish"
_FISH = "set -g fish_greeting\nfunction fish_prompt; {0}; end\n"

SHELLS: Mapping[str, Shell] = {
    "bash": Shell("/bin/bash", ".profile", "PS1='target$ '\n"),
    "bash-two": Shell(
        "/bin/bash",
        ".profile",
        r"PS1='\n\[\e[33m\]-- \w 世 --\[\e[0m\]\n\[\e[1;32m\]target\$\[\e[0m\] '" + "\n",
    ),
    "bash-vi": Shell("/bin/bash", ".profile", "PS1='target$ '\nset -o vi\n", vi=True),
    "zsh": Shell("/usr/bin/zsh", ".zshrc", "PROMPT='target$ '\n"),
    "zsh-two": Shell(
        "/usr/bin/zsh",
        ".zshrc",
        "PROMPT=$'%F{yellow}-- %~ 世 --%f\\n%Btarget$%b '\nRPROMPT='%F{green}right%f'\n",
        ready=_RIGHT,
    ),
    "zsh-vi": Shell("/usr/bin/zsh", ".zshrc", "PROMPT='target$ '\nbindkey -v\nKEYTIMEOUT=20\n", vi=True),
    "fish": Shell("/usr/bin/fish", _CONFIG, _FISH.format("echo -n 'target$ '"), interrupts=True),
    "fish-two": Shell(
        "/usr/bin/fish",
        _CONFIG,
        _FISH.format("echo '-- 世 --'; echo -n 'target$ '") + "function fish_right_prompt; echo right; end\n",
        interrupts=True,
        ready=_RIGHT,
    ),
    "fish-vi": Shell(
        "/usr/bin/fish",
        _CONFIG,
        _FISH.format("echo -n 'target$ '") + "fish_vi_key_bindings\nfunction fish_mode_prompt; end\n",
        vi=True,
        interrupts=True,
    ),
    "dash": Shell("/bin/dash", ".profile", "PS1='target$ '\n", interrupts=True),
}


def settle(accounts: Accounts, label: str) -> Account:
    """The account with that shell, made once."""
    shell = SHELLS[label]
    account = accounts.add(label, shell=shell.program)
    path = Path(account.home / shell.file)
    path.write_text(shell.text)
    return account
