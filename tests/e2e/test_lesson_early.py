"""Messages before the login, and the key exchange (security lesson 5)."""

from __future__ import annotations

import re
import socket
from importlib.metadata import requires, version

import pytest
from asyncssh.packet import Boolean, String

from tests.e2e.bare import (
    AUTH_SUCCESS,
    CHANNEL_OPEN,
    CHANNEL_REQUEST,
    DISCONNECT,
    EXT_INFO,
    GLOBAL_REQUEST,
    PK_OK,
    bare,
    private,
)
from tests.e2e.bastion import Bastion
from tests.world.process import HOST, PATIENCE


def test_floor_of_the_ssh_library() -> None:
    """lesson 5: fixed in 2.14.1 (CVE-2023-46445, -46446) and 2.14.2 (CVE-2023-48795); the floor is above."""
    [line] = [line for line in requires("bartizan") or [] if line.startswith("asyncssh")]
    found = re.search(r">=(\d+)\.(\d+)\.(\d+)", line)
    assert found, line
    floor = tuple(map(int, found.groups()))
    assert floor >= (2, 14, 2)
    assert tuple(map(int, version("asyncssh").split("."))) >= floor


BEFORE_LOGIN = {
    "channel open": (CHANNEL_OPEN, String("session") + bytes(4) + b"\0\x10\0\0" + b"\0\0\x80\0"),
    "direct-tcpip": (CHANNEL_OPEN, String("direct-tcpip") + bytes(4) + b"\0\x10\0\0" + b"\0\0\x80\0"),
    "global request": (GLOBAL_REQUEST, String("tcpip-forward") + Boolean(True) + String("") + bytes(4)),
    "channel request": (CHANNEL_REQUEST, bytes(4) + String("shell") + Boolean(True)),
    "channel data": (94, bytes(4) + String("id\n")),
    "forged success": (AUTH_SUCCESS, b""),
    "forged service accept": (6, String("ssh-connection")),
}


@pytest.mark.parametrize("what", BEFORE_LOGIN)
async def test_message_before_the_login_ends_the_connection(bastion: Bastion, what: str) -> None:
    """lesson 5: nothing is done, nothing is opened, the connection is over."""
    kind, body = BEFORE_LOGIN[what]
    mark = bastion.mark()
    async with bare(bastion) as wire:
        wire.send(kind, body)
        assert set(await wire.closed()) <= {DISCONNECT}
    assert bastion.audit(mark) == []


async def test_ext_info_before_the_login_changes_nothing(bastion: Bastion) -> None:
    """lesson 5 (CVE-2023-46445): extensions out of turn are not taken for the peer's."""
    mark = bastion.mark()
    async with bare(bastion) as wire:
        wire.send(EXT_INFO, (1).to_bytes(4, "big"), String("server-sig-algs"), String("ssh-dss"))
        wire.offer("web", private(bastion.alice))
        kinds = [await wire.kind()]
        assert kinds in ([PK_OK], [DISCONNECT], [0])
    assert bastion.accepted(mark) == []


def test_strict_key_exchange(bastion: Bastion) -> None:
    """lesson 5 (CVE-2023-48795): offered, and a message slipped in before the keys ends the connection."""
    with socket.create_connection((HOST, bastion.broker.port), timeout=PATIENCE) as wire:
        file = wire.makefile("rb")
        assert file.readline().startswith(b"SSH-2.0-")
        wire.sendall(b"SSH-2.0-test\r\n")
        theirs = _packet(file.read(int.from_bytes(file.read(4), "big")))
        size = int.from_bytes(theirs[17:21], "big")
        assert b"kex-strict-s-v00@openssh.com" in theirs[21 : 21 + size].split(b",")
        lists = [
            b"curve25519-sha256,kex-strict-c-v00@openssh.com",
            b"ssh-ed25519",
            *[b"aes128-ctr"] * 2,
            *[b"hmac-sha2-256"] * 2,
            *[b"none"] * 2,
            b"",
            b"",
        ]
        wire.sendall(_framed(b"\x14" + bytes(16) + b"".join(map(String, lists)) + bytes(5)))
        wire.sendall(_framed(b"\x02" + String(b"slipped in")))
        rest = file.read()
        assert not rest or _packet(rest[4:])[0] == DISCONNECT


def _packet(data: bytes) -> bytes:
    return data[1 : len(data) - data[0]]


def _framed(payload: bytes) -> bytes:
    padding = 8 - (5 + len(payload)) % 8 + 8
    body = bytes([padding]) + payload + bytes(padding)
    return len(body).to_bytes(4, "big") + body
