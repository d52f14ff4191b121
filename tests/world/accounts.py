"""Throw-away accounts of this machine, with the shell a test wants. Only root can make them."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.world.homes import furnish

_PREFIX = "bzt"


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    home: Path
    uid: int


class Accounts:
    """Makes accounts named after this process, so that those a killed run left behind can be removed."""

    def __init__(self, place: Path) -> None:
        """Homes are made in `place`, which every user must be able to enter."""
        self._place = place
        self._made: dict[str, Account] = {}
        for entry in pwd.getpwall():
            name = entry.pw_name
            owner = name.removeprefix(_PREFIX).partition("-")[0]
            if name.startswith(_PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
                _userdel(name)

    def add(self, label: str, *, shell: str = "/bin/bash") -> Account:
        """An account `bzt<pid>-<label>` that can log in by key only, with a furnished home; made once."""
        if label not in self._made:
            name = f"{_PREFIX}{os.getpid()}-{label}"
            home = self._place / f"home-{label}"
            subprocess.run(
                # '*': no password fits, yet the account is not locked, which sshd would refuse.
                [
                    "useradd",
                    "--no-create-home",
                    "--home-dir",
                    home,
                    "--shell",
                    shell,
                    "--password",
                    "*",
                    name,
                ],
                check=True,
                capture_output=True,
            )
            entry = pwd.getpwnam(name)
            furnish(home)
            for path in (home, *home.rglob("*")):
                os.chown(path, entry.pw_uid, entry.pw_gid)
            self._made[label] = Account(name, home, entry.pw_uid)
        return self._made[label]

    def close(self) -> None:
        """Remove the accounts; their homes go with the folder they are in."""
        for account in self._made.values():
            _userdel(account.name)
        self._made.clear()


def _userdel(name: str) -> None:
    subprocess.run(["userdel", "--force", name], capture_output=True, check=False)
