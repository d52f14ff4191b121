"""With another asyncssh, whose private parts differ, connections stay on its own path and work."""

from __future__ import annotations

from typing import Any

import asyncssh
import pytest
import structlog.testing
from asyncssh.channel import SSHChannel
from asyncssh.connection import SSHConnection
from asyncssh.crypto.cipher import GCMCipher

from broker.relay import fastpath
from broker.relay.fastpath import probe
from tests.unit.fastpath_endpoints import Server, connected, listening


def test_this_asyncssh_has_all() -> None:
    assert probe.find_missing() == ()


def test_a_lost_method_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(SSHChannel, "_accept_data")
    assert probe.find_missing() == ("SSHChannel._accept_data",)


def test_a_changed_signature_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def send_packet(self: Any, pkttype: int, payload: bytes) -> None: ...

    monkeypatch.setattr(SSHConnection, "send_packet", send_packet)
    assert probe.find_missing() == ("SSHConnection.send_packet",)


def test_a_renamed_field_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(self: Any, cipher_name: str, key: bytes, iv: bytes) -> None:
        self._key, self._nonce = key, iv

    monkeypatch.setattr(GCMCipher, "__init__", init)
    assert probe.find_missing() == ("GCMCipher._iv",)


def test_a_lost_class_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("asyncssh.encryption.ChachaEncryption")
    assert probe.find_missing() == ("asyncssh.encryption.ChachaEncryption",)


def test_a_class_of_another_layout_is_named() -> None:
    class Slotted:
        __slots__ = ("a",)

    class More(Slotted):
        __slots__ = ("b",)

    assert probe.cannot_become([(Slotted, More)]) == ("Slotted",)


async def test_connections_stay_stock_and_work_and_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastpath, "_missing", ("SSHConnection._gone",))
    monkeypatch.setattr(fastpath, "_told", set())
    answers: list[bool] = []

    class Plain(Server):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            answers.append(fastpath.accelerate(conn))
            super().connection_made(conn)

        def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
            return _Greeting()

    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            server = Plain(fast=False)
            async with (
                listening(server) as port,
                asyncssh.connect(
                    "127.0.0.1",
                    port,
                    known_hosts=None,
                    client_keys=None,
                    agent_path=None,
                    config=None,
                    username="someone",
                ) as client,
            ):
                assert type(server.made.result()) is asyncssh.SSHServerConnection
                assert (await client.run("x", encoding=None)).stdout == b"hello"
    assert answers == [False, False]
    assert [log["missing"] for log in logs if log["log_level"] == "warning"] == ["SSHConnection._gone"]


class _Greeting(asyncssh.SSHServerSession[bytes]):
    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def exec_requested(self, command: str) -> bool:
        return True

    def session_started(self) -> None:
        self._chan.write(b"hello")
        self._chan.exit(0)


async def test_a_field_missing_on_the_live_connection_counts_too() -> None:
    async with connected(fast_server=False, fast_client=False) as ends:
        assert probe.missing_fields(ends.client) == ()
        del ends.client.__dict__["_max_recv_pktlen"]
        assert probe.missing_fields(ends.client) == ("_max_recv_pktlen",)
        assert fastpath.accelerate(ends.client) is False
        ends.client._max_recv_pktlen = 262144


async def test_a_class_of_someone_elses_is_left_alone() -> None:
    class Own(asyncssh.SSHClientConnection):
        pass

    async with connected(fast_server=False, fast_client=False) as ends:
        ends.client.__class__ = Own
        assert fastpath.accelerate(ends.client) is False
        assert type(ends.client) is Own
