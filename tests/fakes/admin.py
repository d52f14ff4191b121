"""The verbs `users`, `keys` and `secrets` on a folder of their own, as the program would call them.

`python -m tests.fakes.admin FOLDER VERB ...` runs one of them, for tests on a real terminal.
"""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
from click.testing import CliRunner, Result

from broker.adapters.clock import SystemClock
from broker.adapters.master_key import KeyFile, MasterKeyRing
from broker.adapters.sqlite import SqliteStore
from broker.adapters.vault import Vault
from broker.commands.admin import AdminContext
from broker.commands.keys import keys
from broker.commands.secrets import secrets
from broker.commands.users import users
from broker.model.errors import Invalid, Unavailable
from tests.fakes.secrets import grant

ME = f"unix:{pwd.getpwuid(os.geteuid()).pw_name}"
GROUPS: dict[str, click.Group] = {"users": users, "keys": keys, "secrets": secrets}


@dataclass
class World:
    """A folder with a store and a master key, and a context on them as the program makes it."""

    folder: Path
    json: bool = False
    runner: CliRunner = field(default_factory=CliRunner)
    _store: SqliteStore | None = None

    def open_store(self) -> SqliteStore:
        self._store = self._store or SqliteStore(self.folder / "data" / "bartizan.db")
        return self._store

    def open_vault(self) -> Vault:
        ring = MasterKeyRing(KeyFile(self.folder / "master.key"), self.previous)
        return Vault(self.open_store(), ring, SystemClock())

    @property
    def previous(self) -> list[KeyFile]:
        return [KeyFile(path) for path in self.folder.glob("old.key")]

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    def run(self, *words: str, input: str | bytes | None = None) -> Result:
        return self.runner.invoke(GROUPS[words[0]], words[1:], obj=self, input=input)

    def ok(self, *words: str, input: str | bytes | None = None) -> str:
        result = self.run(*words, input=input)
        assert (result.exit_code, result.stderr) == (0, ""), (result.output, result.exception)
        return result.stdout

    def refused(self, *words: str, input: str | bytes | None = None) -> str:
        before = self.codes()
        result = self.run(*words, input=input)
        assert isinstance(result.exception, Invalid | Unavailable), (result.output, result.exception)
        assert result.stdout == ""
        assert self.codes() == before, "a refused change leaves no event"
        return f"{result.exception} ({result.exception.hint})"

    def codes(self) -> list[str]:
        return [f"{e.actor} {e.code} {e.subject}" for e in reversed(self.open_store().events())]

    def opened(self, name: str) -> bytes:
        return self.open_vault().fetch(grant(name)).secret.reveal()


def typed(world: World) -> AdminContext:
    """Says to the type checker that it is what the verbs expect."""
    return world


if __name__ == "__main__":
    at = World(Path(sys.argv[1]))
    GROUPS[sys.argv[2]].main(sys.argv[3:], obj=at, standalone_mode=False)
    at.close()
