"""Certificates of the broker's CA, read back by ssh-keygen and taken by a real sshd."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from broker.adapters import certificates
from broker.adapters.clock import SystemClock
from broker.model.access import NO_RULE, Decision, Grant, Verdict
from broker.model.errors import Unavailable
from broker.model.identity import Authenticated, Principal, Source
from broker.model.secret import Credential, Secret
from broker.model.target import Channel, CredentialKind, CredentialRef, Target
from tests.world.sshd import Sshd

NOW = 1_800_000_000 * 1_000_000
TARGET = Target("web1", "127.0.0.1", 22, ("deploy",), CredentialRef(CredentialKind.CA))
WHO = Authenticated(Principal("anne"), Source("192.0.2.7", "publickey", "SHA256:x"), NOW)
GRANT = Grant(WHO, TARGET, "deploy", Channel.SHELL, Decision(Verdict.ALLOW, NO_RULE, "test"))


@pytest.fixture(scope="module")
def ca() -> Secret:
    return certificates.generate_ca()


def listing(folder: Path, credential: Credential) -> str:
    path = folder / "made-cert.pub"
    path.write_bytes(credential.certificate)
    return subprocess.run(
        ["ssh-keygen", "-L", "-f", str(path)],
        check=True,
        capture_output=True,
        text=True,
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    ).stdout


def test_ssh_keygen_reads_what_was_asked_for(ca: Secret, tmp_path: Path) -> None:
    text = listing(tmp_path, certificates.issue(ca, GRANT, NOW))
    assert "Type: ssh-ed25519-cert-v01@openssh.com user certificate" in text
    assert 'Key ID: "bartizan:anne:web1"' in text
    assert "Valid: from 2027-01-15T07:59:00 to 2027-01-15T08:02:00" in text
    body = text.split("Principals:")[1]
    assert body.split() == ["deploy", "Critical", "Options:", "(none)", "Extensions:", "permit-pty"]
    signed_by = re.search(r"Signing CA: ED25519 (\S+)", text)
    public = asyncssh.import_public_key(certificates.ca_public_line(ca))
    assert signed_by is not None
    assert signed_by[1] == public.get_fingerprint()


def test_each_connection_has_its_own_key_and_serial(ca: Secret, tmp_path: Path) -> None:
    made = [certificates.issue(ca, GRANT, NOW) for _ in range(2)]
    serials = {re.findall(r"Serial: (\d+)", listing(tmp_path, one))[0] for one in made}
    assert len(serials) == 2
    assert made[0].secret.reveal() != made[1].secret.reveal()
    key = asyncssh.import_private_key(made[0].secret.reveal())
    certificate = asyncssh.import_certificate(made[0].certificate)
    assert certificate.key == key.convert_to_public()


def test_an_account_with_a_comma_is_one_principal(ca: Secret) -> None:
    made = certificates.issue(ca, replace(GRANT, account="deploy,root"), NOW)
    certificate = asyncssh.import_certificate(made.certificate)
    assert isinstance(certificate, asyncssh.public_key.SSHOpenSSHCertificate)
    assert certificate.principals == ["deploy,root"]


def test_no_certificate_is_made_for_every_account(ca: Secret) -> None:
    """lesson 3: empty means nobody, not anybody."""
    with pytest.raises(Unavailable, match="needs an account"):
        certificates.issue(ca, replace(GRANT, account=""), NOW)


def test_the_key_id_is_plain_text() -> None:
    assert certificates.key_id('a"b\n\x1b[2J', "wéb:1") == "bartizan:a_b___2J:w_b_1"
    assert len(certificates.key_id("a" * 300, "b" * 300)) == 128


def test_a_damaged_ca_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="CA cannot be read"):
        certificates.issue(Secret(b"nonsense"), GRANT, NOW)


@pytest.fixture
def sshd(ca: Secret, tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "sshd", user_cas=[certificates.ca_public_line(ca)])
    server.start()
    yield server
    server.stop()


async def run_true(sshd: Sshd, credential: Credential, user: str) -> int | None:
    key = asyncssh.import_private_key(credential.secret.reveal())
    certificate = asyncssh.import_certificate(credential.certificate)
    async with asyncssh.connect(
        "127.0.0.1", sshd.port, username=user, client_keys=[(key, certificate)], known_hosts=None, config=None
    ) as connection:
        return (await connection.run("true")).exit_status


async def test_a_real_sshd_takes_it_for_its_account_and_no_other(ca: Secret, sshd: Sshd) -> None:
    now = SystemClock().now()
    good = certificates.issue(ca, replace(GRANT, account=sshd.user), now)
    assert await run_true(sshd, good, sshd.user) == 0
    other = certificates.issue(ca, replace(GRANT, account="somebody-else"), now)
    with pytest.raises(asyncssh.PermissionDenied):
        await run_true(sshd, other, sshd.user)
    stale = certificates.issue(ca, replace(GRANT, account=sshd.user), now - 300_000_000)
    with pytest.raises(asyncssh.PermissionDenied):
        await run_true(sshd, stale, sshd.user)
