"""Fixtures over the world's parts. Those of the session are made when first asked for."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.world.accounts import Accounts
from tests.world.broker import Broker
from tests.world.databases import MariaDB, PostgreSQL
from tests.world.keys import KeyPair, make_key
from tests.world.sshd import Sshd
from tests.world.tmux import Tmux


@pytest.fixture(scope="session")
def world() -> Iterator[Path]:
    """The folder of this run: a short path (Unix sockets allow 107 bytes) that every account may enter."""
    place = Path(tempfile.mkdtemp(prefix="bzw-", dir="/tmp"))
    place.chmod(0o711)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def place(world: Path, _numbers: Iterator[int]) -> Path:
    """A folder for one test, also short and open to enter; removed with the world."""
    folder = world / str(next(_numbers))
    folder.mkdir()
    folder.chmod(0o711)
    return folder


@pytest.fixture(scope="session")
def user_key(world: Path) -> KeyPair:
    """The key of a person."""
    folder = world / "user"
    folder.mkdir()
    return make_key(folder, "user")


@pytest.fixture(scope="session")
def target_key(world: Path) -> KeyPair:
    """The key with which the broker logs in on targets; `sshd` takes it."""
    folder = world / "target"
    folder.mkdir()
    return make_key(folder, "target")


@pytest.fixture(scope="session")
def sshd(world: Path, target_key: KeyPair, user_key: KeyPair) -> Iterator[Sshd]:
    """The target most tests need: the runner's own shell, both session keys authorized. Do not change it."""
    with Sshd(world / "sshd", authorized=(target_key.public, user_key.public)) as server:
        yield server


@pytest.fixture
def make_sshd(place: Path, target_key: KeyPair) -> Iterator[Callable[..., Sshd]]:
    """Call it with a name and `Sshd`'s keywords for a server of one's own, started; it takes `target_key`."""
    with ExitStack() as ending:

        def make(name: str = "sshd", **settings: object) -> Sshd:
            settings.setdefault("authorized", (target_key.public,))
            return ending.enter_context(Sshd(place / name, **settings))  # type: ignore[arg-type]

        yield make


@pytest.fixture
def make_tmux(place: Path) -> Iterator[Callable[..., Tmux]]:
    """Call it with `size=(rows, columns)` for a terminal of one's own."""
    with ExitStack() as ending:

        def make(*, size: tuple[int, int] = (24, 80), term: str = "tmux-256color") -> Tmux:
            folder = Path(tempfile.mkdtemp(prefix="t", dir=place))
            terminal = Tmux(folder, size=size, term=term)
            ending.callback(terminal.kill)
            return terminal

        yield make


@pytest.fixture(scope="session")
def postgresql(world: Path) -> Iterator[PostgreSQL]:
    """A PostgreSQL server; mark the test `root`."""
    with PostgreSQL(world / "pg") as server:
        yield server


@pytest.fixture(scope="session")
def mariadb(world: Path) -> Iterator[MariaDB]:
    """A MariaDB server; mark the test `root`."""
    with MariaDB(world / "my") as server:
        yield server


@pytest.fixture
def broker(place: Path) -> Iterator[Broker]:
    """A broker, prepared but not started."""
    daemon = Broker(place / "b")
    yield daemon
    daemon.dispose()


@pytest.fixture(scope="session")
def accounts(world: Path) -> Iterator[Accounts]:
    """Throw-away accounts; mark the test `root`."""
    assert os.getuid() == 0, "only root can make accounts: mark this test with pytest.mark.root"
    made = Accounts(world)
    yield made
    made.close()
