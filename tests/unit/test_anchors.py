"""Anchors: seals go to a file, to syslog and to a server; a place that fails is told of and tried again."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from broker.adapters.anchors import FileAnchor, HttpAnchor, SyslogAnchor, anchor_place
from broker.config import load_config
from broker.model.audit import AuditEvent
from broker.model.errors import Unavailable
from broker.model.seal import decode_seal
from broker.services.anchors import Anchors
from broker.services.audit import AuditTrail
from broker.services.ledger_reading import anchor_problems, read_anchors
from broker.services.seals import Sealer
from tests.fakes.store import FakeStore
from tests.signer import SIGNER
from tests.unit.rows import FixedClock


class Server:
    """An HTTP server that keeps what it is sent."""

    def __init__(self) -> None:
        self.status = 204
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen.append((self.path, dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/anchors"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


class Bastion:
    """A store whose seals are brought to places."""

    def __init__(self, *places: FileAnchor | SyslogAnchor | HttpAnchor) -> None:
        self.store = FakeStore()
        self.sealer = Sealer(self.store, SIGNER, FixedClock())
        self.sealer.begin()
        self.anchors = Anchors(places, 60, self.store, self.sealer, AuditTrail(self.store, FixedClock()))

    async def round(self) -> None:
        """Something happens, is sealed, and brought outside."""
        self.store.append(AuditEvent("login.accepted", 1, "anne"))
        self.sealer.seal()
        await self.anchors.flush()

    def codes(self) -> list[str]:
        return [event.code for event in reversed(self.store.events())]


async def test_seals_go_into_a_file_that_only_grows(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    bastion = Bastion(FileAnchor(path))
    for _ in range(3):
        await bastion.round()
    await bastion.anchors.flush()
    assert read_anchors(path) == bastion.store.seals()[1:]
    assert path.stat().st_mode & 0o777 & ~0o640 == 0
    await bastion.round()
    places, problems = anchor_problems(bastion.store)
    assert (places, problems) == ({f"file:{path}": 3}, [])


async def test_a_line_removed_from_the_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    bastion = Bastion(FileAnchor(path))
    for _ in range(4):
        await bastion.round()
    lines = path.read_bytes().splitlines(keepends=True)
    for index in range(3):  # that the newest was brought is not sealed yet
        path.write_bytes(b"".join(lines[:index] + lines[index + 1 :]))
        assert anchor_problems(bastion.store)[1] == [f"the anchor of seal {index + 1} is missing from {path}"]
    path.unlink()
    assert anchor_problems(bastion.store)[1] == [
        f"the anchors in {path} cannot be read (No such file or directory)"
    ]


async def test_a_line_that_a_crash_cut_off_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    path.write_bytes(b'{"n":')
    FileAnchor(path).deliver(b"whole\n")
    assert path.read_bytes() == b'{"n":\nwhole\n'


async def test_seals_go_to_a_syslog_socket_and_by_udp(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as remote,
    ):
        local.bind(str(path))
        remote.bind(("127.0.0.1", 0))
        for sock in (local, remote):
            sock.settimeout(10)
        places = SyslogAnchor(str(path)), SyslogAnchor(f"127.0.0.1:{remote.getsockname()[1]}")
        bastion = Bastion(*places)
        await bastion.round()
        newest = bastion.store.seals()[-1].strip()
        expected = b"<109>bartizan-anchor: " + newest
        assert (local.recv(1 << 16), remote.recv(1 << 16)) == (expected, expected)


async def test_seals_are_posted_with_a_token(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    bastion = Bastion(HttpAnchor(server.url, token))
    await bastion.round()
    [(path, headers, body)] = server.seen
    assert (path, body) == ("/anchors", bastion.store.seals()[-1])
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [302, 401, 500])
async def test_a_server_that_refuses_has_not_kept_it(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(Unavailable, match=f"the server answers {status}"):
        HttpAnchor(server.url).deliver(b"x\n")
    assert len(server.seen) == 1


def test_a_place_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for place, says in (
        (FileAnchor(tmp_path / "no" / "folder"), "No such file"),
        (FileAnchor(tmp_path / "link"), "symbolic links"),
        (SyslogAnchor(str(tmp_path / "no-socket")), "No such file"),
        (HttpAnchor("http://127.0.0.1:1/"), "refused"),
        (HttpAnchor("http://127.0.0.1:1/", tmp_path / "no-token"), "No such file"),
    ):
        with pytest.raises(Unavailable, match=says):
            place.deliver(b"x\n")


async def test_a_failure_is_noted_once_retried_and_its_end_is_noted(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    bastion = Bastion(FileAnchor(folder / "anchors"), FileAnchor(tmp_path / "healthy"))
    await bastion.round()
    await bastion.round()
    assert bastion.codes().count("anchor.failed") == 1
    assert len(read_anchors(tmp_path / "healthy")) == 2, "one that fails holds up no other"
    folder.mkdir()
    await bastion.round()
    assert bastion.codes().count("anchor.recovered") == 1
    # What the newest seal attests covers all before it, so nothing is missing outside.
    assert read_anchors(folder / "anchors") == [bastion.store.seals()[3]]


async def test_it_is_tried_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.services.anchors.RETRY", 0.01)
    folder = tmp_path / "mounted"
    bastion = Bastion(FileAnchor(folder / "anchors"))
    for progress in bastion.anchors._progress:
        progress.wait = 0.01
    running = asyncio.get_running_loop().create_task(bastion.anchors.run())
    async with asyncio.timeout(30):
        while "anchor.failed" not in bastion.codes():
            await asyncio.sleep(0.01)
        folder.mkdir()
        while not (folder / "anchors").exists():
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert decode_seal(read_anchors(folder / "anchors")[0])[0].n == 0


def test_the_configuration_names_places(tmp_path: Path) -> None:
    path = tmp_path / "bartizan.yaml"
    path.write_text(
        "anchors:\n  to: [{file: a}, {syslog: /dev/log}, {syslog: 'host:514'}, {http: 'https://x/y'}]\n"
    )
    names = [anchor_place(place).name for place in load_config(path).anchors.to]
    assert names == [f"file:{tmp_path}/a", "syslog:/dev/log", "syslog:host:514", "http:https://x/y"]
