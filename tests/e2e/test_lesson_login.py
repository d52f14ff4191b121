"""Logins that must not be: offers, mixed attempts, strangers (security lessons 1, 2, 28)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import Boolean, String

from tests.e2e.bare import (
    AUTH_FAILURE,
    AUTH_REQUEST,
    AUTH_SUCCESS,
    DISCONNECT,
    OPEN_CONFIRMATION,
    OPEN_FAILURE,
    PK_OK,
    Reply,
    bare,
    private,
)
from tests.e2e.bastion import Bastion, wait_until
from tests.e2e.conftest import running
from tests.world.keys import KeyPair, make_key
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


# ---------------------------------------------------------------- 1: an offer is no login


async def test_offer_of_a_known_key_is_no_login(two_users: Bastion) -> None:
    """lesson 1: offered and never signed for; what follows as if logged in ends the connection."""
    alice, mark = private(two_users.alice), two_users.mark()
    before = len(two_users.sessions())
    async with bare(two_users) as wire:
        for _ in range(3):
            wire.offer("web", alice)
            assert await wire.kind() == PK_OK
        wire.open_session()
        assert AUTH_SUCCESS not in await wire.closed()
    refused = two_users.audited(mark, "login.refused")
    assert (refused["actor"], refused["subject"]) == ("alice", "web")
    assert "not proved" in refused["detail"]["reason"]
    assert two_users.accepted(mark) == []
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
        assert await wire.kind() == PK_OK
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
        assert await wire.kind() == AUTH_FAILURE
    assert two_users.accepted(mark) == []


async def test_proof_after_an_offer_is_a_login(two_users: Bastion) -> None:
    """lesson 1, the other way round: the packets of these tests do log in where they should."""
    alice, mark = private(two_users.alice), two_users.mark()
    async with bare(two_users) as wire:
        wire.offer("web", alice)
        assert await wire.kind() == PK_OK
        wire.prove("web", alice)
        assert await wire.kind() == AUTH_SUCCESS
        await asyncio.to_thread(two_users.audited, mark, "login.accepted")
    assert two_users.accepted(mark) == ["alice"]


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
    assert two_users.accepted(mark) == []
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
            assert await wire.kind() == PK_OK
            wire.prove(second, bob)
            assert await wire.kind() == AUTH_SUCCESS
            await asyncio.to_thread(two_users.audited, mark, "login.accepted")
        assert two_users.accepted(mark) == ["bob"], (first, second)


async def test_change_of_the_login_name_starts_over(two_users: Bastion, bob_key: KeyPair) -> None:
    """lesson 2: a proof under one name does not help under another, and opens no other user's door."""
    alice, mark = private(two_users.alice), two_users.mark()
    async with bare(two_users) as wire:
        wire.offer("alice", alice)
        assert await wire.kind() == PK_OK
        wire.prove("bob", alice, over="alice")
        assert await wire.kind() == AUTH_FAILURE
        wire.offer("bob+web", alice)
        assert await wire.kind() == AUTH_FAILURE
        wire.prove("bob+web", alice)
        assert await wire.kind() == AUTH_FAILURE
    assert two_users.accepted(mark) == []


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
            kinds = [await wire.kind()]
            while kinds[-1] not in (OPEN_CONFIRMATION, OPEN_FAILURE, DISCONNECT, 0):
                kinds.append(await wire.kind())
        if AUTH_SUCCESS in kinds:
            await asyncio.to_thread(two_users.audited, mark, "login.accepted")
        assert set(two_users.accepted(mark)) <= {"bob"}


async def test_change_of_the_service_is_refused(two_users: Bastion) -> None:
    """lesson 2: there is one service to log in to."""
    alice, mark = private(two_users.alice), two_users.mark()
    async with bare(two_users) as wire:
        parts = (String("web"), String("ssh-other"), String("publickey"), Boolean(False))
        wire.send(AUTH_REQUEST, *parts, String(alice.algorithm), String(alice.public_data))
        assert await wire.closed() in ([], [DISCONNECT])
    assert two_users.accepted(mark) == []


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
    reasons = await asyncio.to_thread(two_users.refusals, mark, len(cases))
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
            if await wire.kind() != AUTH_FAILURE:
                break
            answers += 1
        assert 10 <= answers <= 50
