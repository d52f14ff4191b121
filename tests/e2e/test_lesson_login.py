"""Logins that must not be: offers, mixed attempts, certificates, strangers (security lessons 1, 2, 4, 5, 28)."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import requires, version
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import Boolean, String

from tests.e2e.bare import (
    AUTH_FAILURE,
    AUTH_REQUEST,
    AUTH_SUCCESS,
    CHANNEL_OPEN,
    CHANNEL_REQUEST,
    DISCONNECT,
    EXT_INFO,
    GLOBAL_REQUEST,
    PK_OK,
    Bare,
    Reply,
    bare,
    private,
)
from tests.e2e.bastion import Bastion, wait_until
from tests.e2e.conftest import running
from tests.world.keys import KeyPair, certify, make_key
from tests.world.process import HOST, PATIENCE
from tests.world.sshd import Sshd

MakeBastion = Callable[..., Bastion]


@pytest.fixture(scope="module")
def bob_key(world: Path) -> KeyPair:
    folder = world / "bob"
    folder.mkdir()
    return make_key(folder, "bob")


@pytest.fixture(scope="module")
def two_users(
    world: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair, bob_key: KeyPair
) -> Iterator[Bastion]:
    """A bastion that alice and bob may log in to; carol is locked, and her key is `carol`."""
    limits = {"login": {"max_failures_per_source": 100_000, "max_starts_per_source": 1000}}
    with running(world / "two", sshd, user_key, target_key, limits) as made:
        made.broker.cli("users", "add", "bob", "--group", "ops", "--key", f"{bob_key.path}.pub")
        carol = make_key(world / "bob", "carol")
        made.broker.cli("users", "add", "carol", "--key", f"{carol.path}.pub")
        made.broker.cli("users", "lock", "carol")
        yield made


def carol_key(bob: KeyPair) -> KeyPair:
    path = bob.path.with_name("carol")
    return KeyPair(path, path.with_name("carol.pub").read_text().strip())


async def _kind(wire: Bare) -> int:
    reply = await wire.reply()
    return reply[0] if reply else 0


def _accepted(made: Bastion, mark: int) -> list[str]:
    return [row["actor"] for row in made.audit(mark, "login.accepted")]


# ---------------------------------------------------------------- 1: an offer is no login


async def test_offer_of_a_known_key_is_no_login(two_users: Bastion) -> None:
    """lesson 1: offered and never signed for; what follows as if logged in ends the connection."""
    alice, mark = private(two_users.alice), two_users.mark()
    before = len(two_users.sessions())
    async with bare(two_users) as wire:
        for _ in range(3):
            wire.offer("web", alice)
            assert await _kind(wire) == PK_OK
        wire.open_session()
        assert AUTH_SUCCESS not in await wire.closed()
    refused = two_users.audited(mark, "login.refused")
    assert (refused["actor"], refused["subject"]) == ("alice", "web")
    assert "not proved" in refused["detail"]["reason"]
    assert _accepted(two_users, mark) == []
    assert len(two_users.sessions()) == before
    [row] = two_users.query("SELECT last_used_at FROM keys WHERE user = 'bob'")
    assert row["last_used_at"] is None, "an offer is no use of a key"


@pytest.mark.parametrize("how", ["by another key", "over another name", "over nothing", "flipped"])
async def test_signature_has_to_be_the_keys_over_this_request(
    two_users: Bastion, bob_key: KeyPair, how: str
) -> None:
    """lesson 1: a signature that is there is not one that verifies."""
    alice, bob, mark = private(two_users.alice), private(bob_key), two_users.mark()
    async with bare(two_users) as wire:
        wire.offer("web", alice)
        assert await _kind(wire) == PK_OK
        if how == "by another key":
            wire.prove("web", alice, signer=bob)
        elif how == "over another name":
            wire.prove("web", alice, over="alice")
        else:
            signature = alice.sign(b"nothing", alice.algorithm)
            if how == "flipped":
                signature = signature[:-1] + bytes([signature[-1] ^ 1])
            parts = (String("web"), String("ssh-connection"), String("publickey"), Boolean(True))
            blob = (String(alice.algorithm), String(alice.public_data), String(signature))
            wire.send(AUTH_REQUEST, *parts, *blob)
        assert await _kind(wire) == AUTH_FAILURE
    assert _accepted(two_users, mark) == []


async def test_proof_after_an_offer_is_a_login(two_users: Bastion) -> None:
    """lesson 1, the other way round: the packets of these tests do log in where they should."""
    alice, mark = private(two_users.alice), two_users.mark()
    async with bare(two_users) as wire:
        wire.offer("web", alice)
        assert await _kind(wire) == PK_OK
        wire.prove("web", alice)
        assert await _kind(wire) == AUTH_SUCCESS
        await asyncio.to_thread(two_users.audited, mark, "login.accepted")
    assert _accepted(two_users, mark) == ["alice"]


@pytest.mark.parametrize(
    "method", ["none", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic"]
)
async def test_no_other_method_logs_in(two_users: Bastion, method: str) -> None:
    """lesson 1: public keys only, and that is what the answer offers."""
    mark = two_users.mark()
    extra = {"password": (Boolean(False), String("x")), "keyboard-interactive": (String(""), String(""))}
    async with bare(two_users) as wire:
        wire.send(
            AUTH_REQUEST, String("alice"), String("ssh-connection"), String(method), *extra.get(method, ())
        )
        reply = await wire.reply()
        assert reply == (AUTH_FAILURE, String("publickey") + Boolean(False))
    assert _accepted(two_users, mark) == []
    assert await asyncio.to_thread(two_users.audited, mark, "login.refused")


# ---------------------------------------------------------------- 2: attempts do not mix


async def test_offer_of_one_and_proof_of_another_is_the_others_login(
    two_users: Bastion, bob_key: KeyPair
) -> None:
    """lesson 2: alice's key offered, bob's proved: that is bob, in every order of login names."""
    alice, bob = private(two_users.alice), private(bob_key)
    for first, second in (("web", "web"), ("alice", "web"), ("alice+web", "bob+web")):
        mark = two_users.mark()
        async with bare(two_users) as wire:
            wire.offer(first, alice)
            assert await _kind(wire) == PK_OK
            wire.prove(second, bob)
            assert await _kind(wire) == AUTH_SUCCESS
            await asyncio.to_thread(two_users.audited, mark, "login.accepted")
        assert _accepted(two_users, mark) == ["bob"], (first, second)


async def test_change_of_the_login_name_starts_over(two_users: Bastion, bob_key: KeyPair) -> None:
    """lesson 2: a proof under one name does not help under another, and names another user's door to nobody."""
    alice, mark = private(two_users.alice), two_users.mark()
    async with bare(two_users) as wire:
        wire.offer("alice", alice)
        assert await _kind(wire) == PK_OK
        wire.prove("bob", alice, over="alice")
        assert await _kind(wire) == AUTH_FAILURE
        wire.offer("bob+web", alice)
        assert await _kind(wire) == AUTH_FAILURE
        wire.prove("bob+web", alice)
        assert await _kind(wire) == AUTH_FAILURE
    assert _accepted(two_users, mark) == []


async def test_pipelined_attempts_do_not_mix(two_users: Bastion, bob_key: KeyPair) -> None:
    """lesson 2: bob's proof with offers of alice's key around it, sent in one go: bob or nobody."""
    alice, bob = private(two_users.alice), private(bob_key)
    for _ in range(10):
        mark = two_users.mark()
        async with bare(two_users) as wire:
            wire.offer("web", alice)
            wire.prove("web", bob)
            wire.offer("web", alice)
            wire.offer("alice", alice)
            wire.open_session()
            await wire.reply()
            await wire.reply()
        assert set(_accepted(two_users, mark)) <= {"bob"}


async def test_change_of_the_service_is_refused(two_users: Bastion) -> None:
    """lesson 2: there is one service to log in to."""
    alice, mark = private(two_users.alice), two_users.mark()
    async with bare(two_users) as wire:
        parts = (String("web"), String("ssh-other"), String("publickey"), Boolean(False))
        wire.send(AUTH_REQUEST, *parts, String(alice.algorithm), String(alice.public_data))
        assert await wire.closed() in ([], [DISCONNECT])
    assert _accepted(two_users, mark) == []


# ---------------------------------------------------------------- 4: certificates


@pytest.fixture(scope="module")
def with_ca(world: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair) -> Iterator[Bastion]:
    """A bastion that takes the certificates of the CA whose key is `ca` in the folder `ca`."""
    folder = world / "ca"
    folder.mkdir()
    make_key(folder, "ca")
    config = {"user_ca_keys": [str(folder / "ca.pub")], "login": {"max_failures_per_source": 100_000}}
    with running(world / "cab", sshd, user_key, target_key, config) as made:
        made.broker.cli("users", "add", "dora", "--group", "ops")
        made.broker.cli("users", "add", "locked", "--group", "ops")
        made.broker.cli("users", "lock", "locked")
        yield made


def _ca(made: Bastion) -> KeyPair:
    path = made.broker.place.with_name("ca") / "ca"
    return KeyPair(path, path.with_name("ca.pub").read_text().strip())


CERTIFICATES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "expired": (("dora",), ("-V", "20200101:20210101"), "expired"),
    "not valid yet": (("dora",), ("-V", "20400101:20410101"), "not valid yet"),
    "without principals": ((), (), "no principals"),
    # asyncssh does not even read this one; what is tried next is the plain key.
    "with an unknown critical option": (("dora",), ("-O", "critical:x@example=1"), "unknown key"),
    "with a forced command": (("dora",), ("-O", "force-command=true"), "not understood"),
    "for another address": (("dora",), ("-O", "source-address=192.0.2.0/24"), "may not be used from"),
    "for nobody here": (("stranger",), (), "names no single user"),
    "for two users": (("dora", "alice"), (), "names no single user"),
    "for a locked user": (("locked",), (), "locked"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_certificate_that_is_not_taken(with_ca: Bastion, place: Path, case: str) -> None:
    """lesson 4: checked in every respect, and the reason is in the audit, not in the answer."""
    principals, options, why = CERTIFICATES[case]
    key, mark = make_key(place), with_ca.mark()
    _certify(_ca(with_ca), key, principals, options)
    done = with_ca.broker.client("web", key).run("true")
    assert done.returncode == 255
    assert re.fullmatch(rb"\S+: Permission denied \(publickey\)\.\r\n", done.stderr), done.stderr
    refusals = [row["detail"]["reason"] for row in _until_refused(with_ca, mark)]
    assert why in refusals[0]
    assert _accepted(with_ca, mark) == []


def _until_refused(made: Bastion, mark: int) -> list[dict[str, dict[str, str]]]:
    made.audited(mark, "login.refused")
    return made.audit(mark, "login.refused")


def _certify(ca: KeyPair, key: KeyPair, principals: tuple[str, ...], options: tuple[str, ...] = ()) -> None:
    if principals:
        certify(ca, key, identity="test", principals=principals, options=options)
        return
    argv = ["ssh-keygen", "-q", "-s", str(ca.path), "-I", "test", *options, f"{key.path}.pub"]
    subprocess.run(argv, check=True)


@pytest.mark.parametrize("options", [(), ("-O", "source-address=127.0.0.0/8"), ("-O", "no-pty")])
def test_good_certificate_logs_in(with_ca: Bastion, place: Path, options: tuple[str, ...]) -> None:
    """lesson 4: the certificate names the user, the login name the target."""
    key, mark = make_key(place), with_ca.mark()
    _certify(_ca(with_ca), key, ("dora", "someone-else"), ("-z", "77", *options))
    done = with_ca.broker.client("web", key).run("echo in")
    assert (done.returncode, done.stdout) == (0, b"in\n")
    [row] = with_ca.audit(mark, "login.accepted")
    assert (row["actor"], row["detail"]["method"]) == ("dora", "certificate")
    assert row["detail"]["credential"] == f"77/{_ca(with_ca).fingerprint}"


async def test_certificate_of_a_host_is_not_taken(with_ca: Bastion, place: Path) -> None:
    """lesson 4: ssh would not offer it, so it is offered by hand."""
    key, mark = make_key(place), with_ca.mark()
    _certify(_ca(with_ca), key, ("dora",), ("-h",))
    cert = asyncssh.read_certificate(str(key.path) + "-cert.pub")
    async with bare(with_ca) as wire:
        head = (String("web"), String("ssh-connection"), String("publickey"), Boolean(False))
        wire.send(AUTH_REQUEST, *head, String(cert.algorithm), String(cert.public_data))
        assert await _kind(wire) == AUTH_FAILURE
    [reason] = await asyncio.to_thread(_reasons, with_ca, mark, 1)
    assert "not a user certificate" in reason


def test_certificate_of_another_ca(with_ca: Bastion, place: Path) -> None:
    """lesson 4: also one signed by the target's or a user's own key."""
    other = make_key(place, "other")
    for ca in (other, with_ca.alice):
        key = make_key(place, f"by-{ca.path.name}")
        _certify(ca, key, ("dora",))
        assert with_ca.broker.client("web", key).run("true").returncode == 255


def test_certificate_names_its_user_whatever_the_login_says(with_ca: Bastion, place: Path) -> None:
    """lesson 2 and 4: dora's certificate opens no login that spells out alice."""
    key, mark = make_key(place), with_ca.mark()
    _certify(_ca(with_ca), key, ("dora",))
    assert with_ca.broker.client("alice+web", key).run("true").returncode == 255
    assert with_ca.broker.client("dora+web", key).run("true").returncode == 0
    assert _accepted(with_ca, mark) == ["dora"]


async def test_offer_of_a_certificate_is_no_login(with_ca: Bastion, place: Path) -> None:
    """lesson 1 and 4: a certificate is public; without a signature by its key it opens nothing."""
    key, mark = make_key(place), with_ca.mark()
    _certify(_ca(with_ca), key, ("dora",))
    cert = asyncssh.read_certificate(str(key.path) + "-cert.pub")
    async with bare(with_ca) as wire:
        head = (String("web"), String("ssh-connection"), String("publickey"))
        blob = (String(cert.algorithm), String(cert.public_data))
        wire.send(AUTH_REQUEST, *head, Boolean(False), *blob)
        assert await _kind(wire) == PK_OK
        wire.send(AUTH_REQUEST, *head, Boolean(True), *blob, String(_signature_of_another(place)))
        assert await _kind(wire) == AUTH_FAILURE
        wire.open_session()
        await wire.closed()
    assert _accepted(with_ca, mark) == []


def _signature_of_another(place: Path) -> bytes:
    key = private(make_key(place, "another"))
    return key.sign(b"whatever", key.algorithm)


# ---------------------------------------------------------------- 5: before the login


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
async def test_message_before_the_login_ends_the_connection(two_users: Bastion, what: str) -> None:
    """lesson 5: nothing is done, nothing is opened, the connection is over."""
    kind, body = BEFORE_LOGIN[what]
    mark = two_users.mark()
    async with bare(two_users) as wire:
        wire.send(kind, body)
        assert set(await wire.closed()) <= {DISCONNECT}
    assert two_users.audit(mark) == []


async def test_ext_info_before_the_login_changes_nothing(two_users: Bastion) -> None:
    """lesson 5 (CVE-2023-46445): extensions out of turn are not taken for the peer's."""
    mark = two_users.mark()
    async with bare(two_users) as wire:
        wire.send(EXT_INFO, (1).to_bytes(4, "big"), String("server-sig-algs"), String("ssh-dss"))
        wire.offer("web", private(two_users.alice))
        kinds = [await _kind(wire)]
        assert kinds in ([PK_OK], [DISCONNECT], [0])
    assert _accepted(two_users, mark) == []


def test_strict_key_exchange(two_users: Bastion) -> None:
    """lesson 5 (CVE-2023-48795): offered, and a message slipped in before the keys ends the connection."""
    with socket.create_connection((HOST, two_users.broker.port), timeout=PATIENCE) as wire:
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


# ---------------------------------------------------------------- 28: uniform answers


async def test_strangers_cannot_tell_why(two_users: Bastion, bob_key: KeyPair, place: Path) -> None:
    """lesson 28: unknown user, wrong key and locked user get the same packets in the same order."""
    stranger, carol = private(make_key(place)), private(carol_key(bob_key))
    cases = {
        "unknown user": ("no-such-user", stranger),
        "unknown target": ("no-such-user+web", stranger),
        "wrong key": ("alice", stranger),
        "another's key": ("alice", carol),
        "locked user": ("carol", carol),
        "locked user at a target": ("web", carol),
    }
    mark = two_users.mark()
    answers = {case: await _conversation(two_users, *how) for case, how in cases.items()}
    assert len(set(map(tuple, answers.values()))) == 1, answers
    assert {kind for kind, _ in answers["locked user"]} == {AUTH_FAILURE}
    reasons = await asyncio.to_thread(_reasons, two_users, mark, len(cases))
    assert sum("locked" in reason for reason in reasons) >= 2
    assert sum(reason == "unknown key" for reason in reasons) == 3


async def _conversation(made: Bastion, login: str, key: asyncssh.SSHKey) -> list[Reply]:
    replies = []
    async with bare(made) as wire:
        wire.send(AUTH_REQUEST, String(login), String("ssh-connection"), String("none"))
        replies.append(await wire.reply())
        wire.offer(login, key)
        replies.append(await wire.reply())
        wire.prove(login, key)
        replies.append(await wire.reply())
    return [reply for reply in replies if reply is not None]


def _reasons(made: Bastion, mark: int, count: int) -> list[str]:
    wait_until(lambda: len(made.audit(mark, "login.refused")) >= count, "the audit of all")
    return [row["detail"]["reason"] for row in made.audit(mark, "login.refused")]


def test_failures_are_counted_by_source(make_bastion: MakeBastion, place: Path) -> None:
    """lesson 28: unknown names count too, and after the last the source is refused, alice included."""
    made = make_bastion(login={"max_failures_per_source": 3})
    made.target("web")
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    assert made.ssh("web").run("true").returncode == 0
    stranger = make_key(place)
    mark = made.mark()
    for login in ("alice", "nobody-here", "web"):
        assert made.broker.client(login, stranger).run("true").returncode == 255
    wait_until(lambda: len(made.audit(mark, "login.refused")) == 3, "three refusals")
    shut = made.ssh("web").run("true")
    assert shut.returncode == 255
    assert b"Permission denied" not in shut.stderr, "it did not come as far as a login"
    assert made.audit(mark, "login.accepted") == []
    assert "too many failed logins from this source" in made.broker.log


def test_connections_that_try_no_login_do_not_shut_the_source(make_bastion: MakeBastion) -> None:
    """lesson 28: a health check that knocks every few seconds must not lock out its neighbours."""
    made = make_bastion(login={"max_failures_per_source": 3})
    made.target("web")
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    for _ in range(6):
        with socket.create_connection((HOST, made.broker.port), timeout=PATIENCE) as probe:
            assert probe.recv(8) == b"SSH-2.0-"
    assert made.ssh("web").run("true").returncode == 0


async def test_one_connection_cannot_offer_keys_for_ever(two_users: Bastion, place: Path) -> None:
    """lesson 28: the number of keys that one connection may try is bounded."""
    stranger = private(make_key(place))
    async with bare(two_users) as wire:
        answers = 0
        for _ in range(100):
            wire.offer("alice", stranger)
            if await _kind(wire) != AUTH_FAILURE:
                break
            answers += 1
        assert 10 <= answers <= 50
