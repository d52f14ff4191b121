"""Which ciphers are offered to whom."""

from __future__ import annotations

import asyncssh
import pytest

from broker.relay import fastpath
from broker.relay.fastpath import connection, gcm_first, preferred_ciphers
from broker.relay.fastpath.offer import RefusedOffers
from tests.unit.fastpath_endpoints import Server, listening

ALL = [b"chacha20-poly1305@openssh.com", b"aes256-gcm@openssh.com", b"aes128-gcm@openssh.com", b"aes256-ctr"]
ONLY_GCM = [b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com"]
SORTED = [*ONLY_GCM, b"chacha20-poly1305@openssh.com", b"aes256-ctr"]


@pytest.mark.parametrize(
    "banner",
    [
        b"SSH-2.0-OpenSSH_6.2",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10",
        "SSH-2.0-OpenSSH_10.0",
        b"SSH-2.0-OpenSSH_for_Windows_8.1",
    ],
)
def test_openssh_with_gcm_is_offered_nothing_else(banner: bytes | str) -> None:
    assert preferred_ciphers(banner, ALL) == ONLY_GCM


@pytest.mark.parametrize(
    "banner",
    [
        None,
        "",
        b"SSH-2.0-OpenSSH_6.1",
        b"SSH-2.0-OpenSSH_5.9",
        b"SSH-2.0-PuTTY_Release_0.80",
        b"SSH-2.0-OpenSSH_",
        b"SSH-2.0-OpenSSH_99999999999999.9",
        b"SSH-2.0-NotOpenSSH_9.2",
        "SSH-2.0-\udcff",
    ],
)
def test_anyone_else_may_choose(banner: bytes | str | None) -> None:
    assert preferred_ciphers(banner, ALL) == SORTED


def test_nothing_is_offered_that_was_not_configured() -> None:
    assert preferred_ciphers(b"SSH-2.0-OpenSSH_9.2", [b"aes256-ctr"]) == [b"aes256-ctr"]
    assert preferred_ciphers(b"SSH-2.0-OpenSSH_9.2", ALL[:2]) == [b"aes256-gcm@openssh.com"]
    assert gcm_first([b"aes256-ctr", b"aes128-gcm@openssh.com"]) == [b"aes128-gcm@openssh.com", b"aes256-ctr"]


def test_remembers_only_so_many_addresses() -> None:
    refused = RefusedOffers(limit=3)
    for address in ("a", "b", "c", "a", "d"):
        refused.add(address)
    assert len(refused) == 3
    assert [address in refused for address in "abcd"] == [True, False, True, True]


class _NarrowServer(Server):
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert fastpath.accelerate(conn)
        self.made.set_result(conn)


async def _agree(version: str, *ciphers: str) -> str:
    """The cipher agreed on by a server that prefers GCM and a client that says it is `version`."""
    async with (
        listening(_NarrowServer(fast=True)) as port,
        asyncssh.connect(
            "127.0.0.1",
            port,
            known_hosts=None,
            client_keys=None,
            agent_path=None,
            config=None,
            username="someone",
            client_version=version,
            encryption_algs=ciphers,
        ) as conn,
    ):
        return conn.get_extra_info("recv_cipher")


async def test_the_server_steers_openssh_to_gcm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_refused", RefusedOffers())
    order = ("chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com")
    assert await _agree("OpenSSH_9.2p1", *order) == "aes256-gcm@openssh.com"
    assert await _agree("Other_1.0", *order) == "chacha20-poly1305@openssh.com"


async def test_openssh_told_to_use_another_cipher_gets_it_the_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "_refused", RefusedOffers())
    with pytest.raises(asyncssh.KeyExchangeFailed, match="No matching encryption"):
        await _agree("OpenSSH_9.2p1", "aes256-ctr")
    assert await _agree("OpenSSH_9.2p1", "aes256-ctr") == "aes256-ctr"


async def test_a_client_asks_for_gcm_first_and_takes_what_the_target_has() -> None:
    async def agreed(*target: str) -> str:
        class Client(asyncssh.SSHClient):
            def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
                assert fastpath.accelerate(conn)

        async with (
            listening(Server(fast=False), encryption_algs=target) as port,
            asyncssh.connect(
                "127.0.0.1",
                port,
                known_hosts=None,
                client_keys=None,
                agent_path=None,
                config=None,
                username="someone",
                client_factory=Client,
            ) as conn,
        ):
            return conn.get_extra_info("send_cipher")

    assert await agreed("chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com") == "aes128-gcm@openssh.com"
    assert await agreed("aes256-ctr", "chacha20-poly1305@openssh.com") == "chacha20-poly1305@openssh.com"
