"""Which ciphers are offered to whom."""

from __future__ import annotations

import asyncio

import asyncssh
import pytest
from asyncssh.packet import String
from hypothesis import given
from hypothesis import strategies as st

from broker.relay import fastpath
from broker.relay.fastpath import connection
from broker.relay.fastpath.offer import answer_to, gcm_first, sends_kexinit_unasked
from tests.unit.fastpath_endpoints import Server, listening

ALL = [b"chacha20-poly1305@openssh.com", b"aes256-gcm@openssh.com", b"aes128-gcm@openssh.com", b"aes256-ctr"]
ONLY_GCM = [b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com"]
SORTED = [*ONLY_GCM, b"chacha20-poly1305@openssh.com", b"aes256-ctr"]


def kexinit(to_us: list[bytes], from_us: list[bytes]) -> bytes:
    """The part of a KEXINIT up to the ciphers, and some bytes of what follows."""
    lists = [[b"curve25519-sha256"], [b"ssh-ed25519"], to_us, from_us, [b"hmac-sha2-256"]]
    return bytes(16) + b"".join(String(b",".join(names)) for names in lists)


@pytest.mark.parametrize(
    ("banner", "unasked"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10", True),
        (b"SSH-2.0-OpenSSH_10.0", True),
        (b"SSH-2.0-OpenSSH_for_Windows_8.1", True),
        (b"", False),
        (b"SSH-2.0-PuTTY_Release_0.80", False),
        (b"SSH-2.0-OpenSSH_", False),
        (b"SSH-2.0-NotOpenSSH_9.2", False),
    ],
)
def test_who_is_known_not_to_wait_for_our_offer(banner: bytes, unasked: bool) -> None:
    assert sends_kexinit_unasked(banner) is unasked


def test_a_client_with_gcm_is_offered_nothing_else() -> None:
    assert answer_to(kexinit(ALL, ALL), ALL) == ONLY_GCM
    assert answer_to(kexinit(ALL[:2], ALL), ALL) == [b"aes256-gcm@openssh.com"]


def test_anyone_else_may_choose_among_all_that_is_configured() -> None:
    assert answer_to(kexinit([b"aes256-ctr"], [b"aes256-ctr"]), ALL) == SORTED
    assert answer_to(kexinit(ONLY_GCM, [b"aes256-ctr"]), ALL) == SORTED
    assert answer_to(kexinit(ALL, ALL), [b"aes256-ctr"]) == [b"aes256-ctr"]
    assert gcm_first([b"aes256-ctr", b"aes128-gcm@openssh.com"]) == [b"aes128-gcm@openssh.com", b"aes256-ctr"]


@given(st.binary(max_size=200), st.integers(0, 120))
def test_a_malformed_list_is_answered_with_all_and_judged_by_asyncssh(junk: bytes, cut: int) -> None:
    assert answer_to(junk, ALL) in (SORTED, ONLY_GCM)
    assert answer_to(kexinit(ALL, ALL)[:cut], ALL) in (SORTED, ONLY_GCM, ONLY_GCM[1:])


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


async def test_the_server_steers_openssh_to_gcm() -> None:
    order = ("chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com")
    assert await _agree("OpenSSH_9.2p1", *order) == "aes256-gcm@openssh.com"
    assert await _agree("Other_1.0", *order) == "chacha20-poly1305@openssh.com"


async def test_openssh_told_to_use_another_cipher_gets_it() -> None:
    assert await _agree("OpenSSH_9.2p1", "aes256-ctr") == "aes256-ctr"


async def test_a_client_that_waits_for_our_list_all_the_same_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_PATIENCE", 0.01)
    async with listening(_NarrowServer(fast=True)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        assert (await reader.readline()).startswith(b"SSH-2.0-")
        head = await asyncio.wait_for(reader.readexactly(6), 10)
        assert head[5] == 20, "KEXINIT"
        writer.close()


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
