"""Throw-away database servers on Unix sockets: PostgreSQL, MariaDB. Only root can start them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.world.process import PATIENCE, Child, clean_env

_POSTGRESQL = Path("/usr/lib/postgresql")


class PostgreSQL:
    """A cluster in `place`, a folder with a short path; every local account may log in as `app`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._child: Child | None = None

    @property
    def command(self) -> str:
        """How a person starts the client."""
        return f"psql -X -h {self.place} -U app shop"

    def __enter__(self) -> Self:
        _give(self.place, "postgres")
        folder = sorted(_POSTGRESQL.glob("*/bin"))[-1]
        data = self.place / "data"
        run(_as("postgres", folder / "initdb", "-A", "trust", "-D", data, "-E", "UTF8", "--no-sync"))
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.place,
            "unix_socket_permissions": "0777",
            "fsync": "off",
        }
        flags = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self._child = Child(
            _as("postgres", folder / "postgres", "-D", data, *flags), env=clean_env(self.place)
        )
        self._child.wait_for("ready to accept connections")
        for statement in ("CREATE ROLE app SUPERUSER LOGIN", "CREATE DATABASE shop OWNER app"):
            run(["psql", "-X", "-h", self.place, "-U", "postgres", "-c", statement])
        self.run("CREATE TABLE orders (id int, name text); INSERT INTO orders VALUES (7, 'ok')")
        return self

    def run(self, statement: str) -> str:
        """What the statement prints, unaligned."""
        return run([*self.command.split(), "-At", "-c", statement])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.dispose()


class MariaDB:
    """A server in `place`, a folder with a short path; every local account may log in as `app`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._child: Child | None = None

    @property
    def command(self) -> str:
        """How a person starts the client."""
        return f"mariadb --no-defaults -S {self.place}/s -u app shop"

    def __enter__(self) -> Self:
        _give(self.place, "mysql")
        data = self.place / "data"
        options = ["--skip-test-db", "--auth-root-authentication-method=normal", "--skip-name-resolve"]
        run(["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={data}", *options])
        server = shutil.which("mariadbd", path=clean_env(self.place)["PATH"])
        assert server, "mariadbd is not installed"
        options = [f"--datadir={data}", f"--socket={self.place}/s", "--skip-networking", "--user=mysql"]
        pid = f"--pid-file={self.place}/pid"
        self._child = Child([server, "--no-defaults", *options, pid], env=clean_env(self.place))
        self._child.wait_for("ready for connections")
        setup = (
            "CREATE DATABASE shop; CREATE USER app@localhost; GRANT ALL ON *.* TO app@localhost; "
            "CREATE TABLE shop.orders (id int, name text); INSERT INTO shop.orders VALUES (7, 'ok')"
        )
        run(["mariadb", "--no-defaults", f"-S{self.place}/s", "-uroot", "-e", setup])
        return self

    def run(self, statement: str) -> str:
        """What the statement prints, without names of columns."""
        return run([*self.command.split(), "-N", "-e", statement])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.dispose()


def run(argv: Sequence[str | Path]) -> str:
    """Its output. AssertionError with it if it fails; once more while a server is just coming up."""
    deadline = time.monotonic() + PATIENCE
    while True:
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
        if "connect" not in done.stderr.lower() or time.monotonic() > deadline:
            raise AssertionError(f"{argv[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        time.sleep(0.1)


def _as(user: str, *argv: str | Path) -> list[str | Path]:
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]


def _give(place: Path, user: str) -> None:
    place.mkdir()
    entry = pwd.getpwnam(user)
    os.chown(place, entry.pw_uid, entry.pw_gid)
    place.chmod(0o755)
