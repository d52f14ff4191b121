"""User certificates: what of one is checked before it logs anybody in (security lesson 4)."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import Boolean, String

from tests.e2e.bare import (
    AUTH_FAILURE,
    AUTH_REQUEST,
    PK_OK,
    bare,
    private,
)
from tests.e2e.bastion import Bastion
from tests.e2e.conftest import running
from tests.world.keys import KeyPair, certify, make_key
from tests.world.sshd import Sshd


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
    assert why in with_ca.refusals(mark)[0]
    assert with_ca.accepted(mark) == []


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
        assert await wire.kind() == AUTH_FAILURE
    [reason] = await asyncio.to_thread(with_ca.refusals, mark, 1)
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
    assert with_ca.accepted(mark) == ["dora"]


async def test_offer_of_a_certificate_is_no_login(with_ca: Bastion, place: Path) -> None:
    """lesson 1 and 4: a certificate is public; without a signature by its key it opens nothing."""
    key, mark = make_key(place), with_ca.mark()
    _certify(_ca(with_ca), key, ("dora",))
    cert = asyncssh.read_certificate(str(key.path) + "-cert.pub")
    async with bare(with_ca) as wire:
        head = (String("web"), String("ssh-connection"), String("publickey"))
        blob = (String(cert.algorithm), String(cert.public_data))
        wire.send(AUTH_REQUEST, *head, Boolean(False), *blob)
        assert await wire.kind() == PK_OK
        wire.send(AUTH_REQUEST, *head, Boolean(True), *blob, String(_signature_of_another(place)))
        assert await wire.kind() == AUTH_FAILURE
        wire.open_session()
        await wire.closed()
    assert with_ca.accepted(mark) == []


def _signature_of_another(place: Path) -> bytes:
    key = private(make_key(place, "another"))
    return key.sign(b"whatever", key.algorithm)
