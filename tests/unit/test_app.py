"""The broker as a whole, in this process: it starts as configured, or not at all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from structlog.testing import capture_logs

from broker import app
from broker.config import load_config
from broker.model.errors import BartizanError, InvalidConfig, Unavailable
from broker.wire.client import WireClient
from tests.world.broker import write_yaml
from tests.world.process import HOST, PATIENCE, free_port

TARGET = {"name": "web1", "address": HOST, "accounts": ["deploy"], "credential": {"secret": "web1"}}


class Place:
    """A configuration in a folder of its own, and the broker that is started from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.control = folder / "control.sock"
        self.port = free_port()
        self.data = folder / "data"
        for name in ("targets", "policies"):
            (folder / name).mkdir()
        self.master_key(os.urandom(32))
        self.config()
        write_yaml(folder / "targets" / "web1.yaml", TARGET)

    def master_key(self, key: bytes) -> None:
        path = self.folder / "master.key"
        path.write_bytes(base64.b64encode(key) + b"\n")
        path.chmod(0o600)

    def config(self, **keys: Any) -> None:
        """Write bartizan.yaml; keys replace others, None leaves them out."""
        content = {
            "listen": {"address": HOST, "port": self.port},
            "data": "data",
            "control": {"socket": "control.sock"},
            "vault": {"master_key": {"file": "master.key"}},
            **keys,
        }
        present = {key: value for key, value in content.items() if value is not None}
        write_yaml(self.folder / "bartizan.yaml", present)

    async def start(self) -> app.Broker:
        return await app.start(load_config(self.folder / "bartizan.yaml"))

    def nothing_listens(self) -> bool:
        """Neither door answers."""
        with socket.socket() as probe, socket.socket(socket.AF_UNIX) as local:
            probe.settimeout(PATIENCE)
            return probe.connect_ex((HOST, self.port)) != 0 and local.connect_ex(str(self.control)) != 0


@pytest.fixture
def at(place: Path) -> Place:
    return Place(place)


@contextlib.asynccontextmanager
async def running(at: Place) -> AsyncIterator[app.Broker]:
    broker = await at.start()
    try:
        yield broker
    finally:
        await broker.stop()


async def answers(at: Place) -> str:
    """Who we are to the control socket: proof that it answers."""
    client = await WireClient.connect(str(at.control), "cli")
    await client.close()
    return client.welcome.user


# ---------------------------------------------------------------- starts


async def test_it_listens_on_both_doors_and_on_none_after_the_stop(at: Place) -> None:
    async with running(at) as broker:
        assert broker.port == at.port
        assert len(_pickers()) == 1
        assert (await answers(at)).startswith("(")
        assert stat.S_IMODE(at.control.stat().st_mode) == 0o666
        key = await asyncssh.get_server_host_key(HOST, broker.port)
        assert key is not None
    assert at.nothing_listens()
    assert not at.control.exists()
    assert not _pickers()


async def test_port_0_takes_a_free_one(at: Place) -> None:
    at.config(listen={"address": HOST, "port": 0}, control={"socket": "control.sock", "mode": "0600"})
    async with running(at) as broker:
        assert broker.port > 0
        assert await asyncssh.get_server_host_key(HOST, broker.port) is not None
        assert stat.S_IMODE(at.control.stat().st_mode) == 0o600


async def test_the_host_key_is_made_once_and_for_the_broker_alone(at: Place) -> None:
    path = at.data / "ssh_host_ed25519_key"
    before = os.umask(0)
    try:
        async with running(at) as broker:
            first = await asyncssh.get_server_host_key(HOST, broker.port)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(at.data.stat().st_mode) == 0o700
    async with running(at) as broker:
        again = await asyncssh.get_server_host_key(HOST, broker.port)
    assert first is not None
    assert again is not None
    assert again.public_data == first.public_data
    assert asyncssh.read_private_key(str(path)).public_data == first.public_data


async def test_a_socket_that_nobody_serves_is_replaced(at: Place) -> None:
    """After kill -9 the file is still there."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(at.control))
    async with running(at):
        assert await answers(at)


# ---------------------------------------------------------------- does not start


def _bad_target(at: Place) -> None:
    write_yaml(at.folder / "targets" / "bad.yaml", {**TARGET, "name": "web2", "colour": "red"})


def _bad_policy(at: Place) -> None:
    (at.folder / "policies" / "p.yaml").write_text("version: 1\npolicies:\n  - name: x\n    who: {}\n")


def _no_master_key(at: Place) -> None:
    (at.folder / "master.key").unlink()


def _short_master_key(at: Place) -> None:
    at.master_key(b"short")


def _no_ca(at: Place) -> None:
    (at.folder / "ca.pub").write_text("this is no key\n")
    at.config(user_ca_keys=["ca.pub"])


def _empty_ca(at: Place) -> None:
    (at.folder / "ca.pub").write_text("# to be filled in\n")
    at.config(user_ca_keys=["ca.pub"])


def _missing_ca(at: Place) -> None:
    at.config(user_ca_keys=["ca.pub"])


def _bad_host_key(at: Place) -> None:
    at.data.mkdir(0o700)
    (at.data / "ssh_host_ed25519_key").write_text("this is no key\n")


def _bad_store(at: Place) -> None:
    at.data.mkdir(0o700)
    (at.data / app.STORE).write_bytes(b"this is no database, but long enough to look at" * 99)


def _file_at_the_socket(at: Place) -> None:
    at.control.write_text("somebody's file\n")


BAD = [
    (_bad_target, InvalidConfig, "colour"),
    (_bad_policy, InvalidConfig, "p.yaml:"),
    (_no_ca, InvalidConfig, "ca.pub"),
    (_empty_ca, InvalidConfig, "ca.pub"),
    (_missing_ca, InvalidConfig, "ca.pub"),
    (_no_master_key, Unavailable, "master.key"),
    (_short_master_key, Unavailable, "master.key"),
    (_bad_host_key, Unavailable, "ssh_host_ed25519_key"),
    (_bad_store, Unavailable, app.STORE),
    (_file_at_the_socket, Unavailable, "control.sock"),
]


@pytest.mark.parametrize(("spoil", "kind", "names"), BAD, ids=[spoil.__name__[1:] for spoil, _, _ in BAD])
async def test_what_is_wrong_is_named_and_nothing_listens(
    at: Place, spoil: Any, kind: type[BartizanError], names: str
) -> None:
    spoil(at)
    tasks, before = len(asyncio.all_tasks()), _pickers()
    with pytest.raises(kind) as told:
        await at.start()
    assert names in told.value.message
    assert at.nothing_listens()
    assert len(asyncio.all_tasks()) == tasks
    assert _pickers() == before, "no process for pickers is left behind"


def _pickers() -> set[str]:
    """Processes that a broker in this one has started for pickers, and that have not ended."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z" and b"tui.zygote" in _argv(process):
                found.add(process.name)
    return found


def _argv(process: Path) -> list[bytes]:
    return (process / "cmdline").read_bytes().split(b"\0")


async def test_a_file_that_is_no_socket_is_left_alone(at: Place) -> None:
    _file_at_the_socket(at)
    with pytest.raises(Unavailable):
        await at.start()
    assert at.control.read_text() == "somebody's file\n"


async def test_a_port_in_use_takes_the_control_socket_down_too(at: Place) -> None:
    with socket.create_server((HOST, at.port)):
        with pytest.raises(Unavailable, match=f"cannot listen on {HOST}:{at.port}"):
            await at.start()
        with socket.socket(socket.AF_UNIX) as local:
            assert local.connect_ex(str(at.control)) != 0
    async with running(at):
        assert await answers(at), "what failed left nothing in the way"


async def test_a_second_broker_on_the_same_socket_is_refused_and_the_first_goes_on(at: Place) -> None:
    async with running(at) as broker:
        at.config(listen={"address": HOST, "port": 0}, data="other")
        with pytest.raises(Unavailable, match=r"another broker serves .*control\.sock"):
            await at.start()
        assert await answers(at)
        assert await asyncssh.get_server_host_key(HOST, broker.port) is not None


async def test_without_a_master_key_it_runs_and_no_secret_is_given(at: Place) -> None:
    at.config(vault=None)
    async with running(at):
        assert await answers(at)
    with pytest.raises(Unavailable, match="no master key is configured"):
        app.open_vault(load_config(at.folder / "bartizan.yaml"), None)  # type: ignore[arg-type]


# ---------------------------------------------------------------- reload


async def test_reload_takes_all_of_the_new_files_or_none(at: Place) -> None:
    """A bad policy beside a good target changes neither; the error says where, the broker goes on."""
    async with running(at) as broker:
        before = broker.catalog.target("web1")
        write_yaml(at.folder / "targets" / "web2.yaml", {**TARGET, "name": "web2"})
        _bad_policy(at)
        with capture_logs() as logs:
            broker.reload()
        assert broker.catalog.target("web2") is None
        assert broker.catalog.target("web1") is before
        (entry,) = logs
        assert (entry["event"], entry["log_level"]) == ("reload.refused", "error")
        assert "p.yaml:" in entry["error"]
        assert await answers(at)

        (at.folder / "policies" / "p.yaml").unlink()
        with capture_logs() as logs:
            broker.reload()
        assert [(entry["event"], entry["targets"]) for entry in logs] == [("reloaded", 2)]
        assert broker.catalog.target("web2") is not None

        (at.folder / "targets" / "web1.yaml").unlink()
        broker.reload()
        assert broker.catalog.target("web1") is None


@pytest.fixture
def own_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("own_umask")
async def test_serve_reloads_at_sighup_and_stops_at_sigterm(
    at: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[app.Broker] = loop.create_future()
    reloaded = asyncio.Event()
    reload = app.Broker.reload

    def noticed(self: app.Broker) -> None:
        reload(self)
        reloaded.set()

    monkeypatch.setattr(app.Broker, "reload", noticed)
    serving = loop.create_task(app.serve(at.folder / "bartizan.yaml", ready.set_result))
    try:
        async with asyncio.timeout(PATIENCE):
            broker = await ready
            write_yaml(at.folder / "targets" / "web2.yaml", {**TARGET, "name": "web2"})
            os.kill(os.getpid(), signal.SIGHUP)
            await reloaded.wait()
            assert broker.catalog.target("web2") is not None
            os.kill(os.getpid(), signal.SIGTERM)
            await serving
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
    assert at.nothing_listens()
