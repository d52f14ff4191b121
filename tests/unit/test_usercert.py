"""User certificates at login, each made by the real ssh-keygen or by hand from bytes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import String, UInt32, UInt64
from asyncssh.public_key import SSHOpenSSHCertificate, SSHOpenSSHCertificateV01

from broker.relay.usercert import Refused, check_user_certificate, describe
from tests.world.keys import KeyPair, make_key

NOW = 1_800_000_000
VALID = ("-V", "20270101000000Z:20280101000000Z")
SOURCE = "192.0.2.7"


@pytest.fixture
def ca(tmp_path: Path) -> KeyPair:
    return make_key(tmp_path, "ca")


@pytest.fixture
def user(tmp_path: Path) -> KeyPair:
    return make_key(tmp_path, "user")


def sign(ca: KeyPair, key: KeyPair, *flags: str) -> SSHOpenSSHCertificate:
    public = f"{key.path}.pub"
    arguments = ["ssh-keygen", "-q", "-s", str(ca.path), "-I", "id", "-z", "77", *flags, public]
    subprocess.run(arguments, check=True, capture_output=True)
    read = asyncssh.read_certificate(f"{key.path}-cert.pub")
    assert isinstance(read, SSHOpenSSHCertificate)
    return read


def check(cert: SSHOpenSSHCertificate, *cas: KeyPair, source: str = SOURCE, now: int = NOW) -> Sequence[str]:
    return check_user_certificate(cert, {ca.fingerprint for ca in cas}, source, now * 1_000_000)


def by_hand(
    ca: KeyPair,
    user: KeyPair,
    *,
    ca_blob: bytes | None = None,
    options: bytes = b"",
    principals: bytes = String("anne"),
    signature_type: str = "ssh-ed25519",
) -> SSHOpenSSHCertificate:
    """A certificate that no proper tool would make, its signature good nevertheless."""
    signer = asyncssh.read_private_key(ca.path)
    key = asyncssh.import_public_key(user.public)
    body = b"".join((
        String("ssh-ed25519-cert-v01@openssh.com"), String(b"n" * 32), key.encode_ssh_public(), UInt64(1),
        UInt32(1), String("id"), String(principals), UInt64(0), UInt64(2**64 - 1), String(options),
        String(b""), String(b""), String(signer.public_data if ca_blob is None else ca_blob),
    ))  # fmt: skip
    data = body + String(signer.sign(body, signature_type.encode()))
    return SSHOpenSSHCertificateV01(
        b"ssh-ed25519-cert-v01@openssh.com", key, data, ["anne"], {}, signer.convert_to_public(), 1, 1, "id",
        0, 2**64 - 1, None,
    )  # fmt: skip


def option(name: str, value: bytes) -> bytes:
    return String(name) + String(value)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_good_certificate_gives_its_principals(tmp_path: Path, ca: KeyPair, kind: str) -> None:
    cert = sign(ca, make_key(tmp_path, "other", kind=kind), "-n", "anne,ops", *VALID)
    assert check(cert, ca) == ["anne", "ops"]
    assert describe(cert) == f"77/{ca.fingerprint}"


def test_a_ca_of_rsa_may_sign_with_sha2_and_not_with_sha1(tmp_path: Path, user: KeyPair) -> None:
    """lesson 4"""
    ca = make_key(tmp_path, "rsa-ca", kind="rsa")
    assert check(sign(ca, user, "-n", "anne", "-t", "rsa-sha2-256", *VALID), ca) == ["anne"]
    with pytest.raises(Refused, match="signature is of type b'ssh-rsa'"):
        check(by_hand(ca, user, signature_type="ssh-rsa"), ca)


def test_a_ca_that_is_not_configured_is_refused(tmp_path: Path, ca: KeyPair, user: KeyPair) -> None:
    cert = sign(ca, user, "-n", "anne", *VALID)
    for trusted in ((), (user,), (make_key(tmp_path, "other-ca"),)):
        with pytest.raises(Refused, match="not trusted"):
            check(cert, *trusted)


def test_a_certificate_is_no_authority_of_its_own(ca: KeyPair, user: KeyPair) -> None:
    """lesson 4: the signing key is itself a certificate, made by the trusted CA for this very key."""
    inner = by_hand(ca, ca)
    nested = by_hand(ca, user, ca_blob=inner.public_data)
    with pytest.raises(Refused, match="no plain key of a CA"):
        check_user_certificate(nested, {ca.fingerprint, inner.key.get_fingerprint()}, SOURCE, NOW * 1_000_000)


def test_a_host_certificate_logs_nobody_in(ca: KeyPair, user: KeyPair) -> None:
    """lesson 4"""
    with pytest.raises(Refused, match="not a user certificate"):
        check(sign(ca, user, "-h", "-n", "anne", *VALID), ca)


def test_a_certificate_without_principals_is_refused(ca: KeyPair, user: KeyPair) -> None:
    """lesson 4, lesson 3: to OpenSSH's format it is good for any name."""
    with pytest.raises(Refused, match="no principals"):
        check(sign(ca, user, *VALID), ca)
    with pytest.raises(Refused, match="no principals"):
        check(by_hand(ca, user, principals=String("anne") + String("")), ca)


@pytest.mark.parametrize(("now", "reason"), [(1_700_000_000, "not valid yet"), (1_900_000_000, "expired")])
def test_a_certificate_holds_for_its_time(ca: KeyPair, user: KeyPair, now: int, reason: str) -> None:
    cert = sign(ca, user, "-n", "anne", *VALID)
    with pytest.raises(Refused, match=reason):
        check(cert, ca, now=now)


def test_the_end_of_validity_is_the_first_second_that_is_refused(ca: KeyPair, user: KeyPair) -> None:
    cert = sign(ca, user, "-n", "anne", *VALID)
    end = 1_830_297_600  # 2028-01-01T00:00:00Z
    assert check(cert, ca, now=end - 1) == ["anne"]
    with pytest.raises(Refused, match="expired"):
        check(cert, ca, now=end)


@pytest.mark.parametrize(
    ("name", "value"), [("force-command", String("/bin/true")), ("verify-required", b""), ("x@example", b"")]
)
def test_a_critical_option_that_is_not_understood_is_refused(
    ca: KeyPair, user: KeyPair, name: str, value: bytes
) -> None:
    """lesson 4"""
    with pytest.raises(Refused, match=f"{name}.*not understood"):
        check(by_hand(ca, user, options=option(name, value)), ca)


def test_a_forced_command_made_by_ssh_keygen_is_refused(ca: KeyPair, user: KeyPair) -> None:
    """lesson 4: asyncssh would take it."""
    cert = sign(ca, user, "-n", "anne", "-O", "force-command=/bin/true", *VALID)
    with pytest.raises(Refused, match="not understood"):
        check(cert, ca)


@pytest.mark.parametrize(
    ("source", "good"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("192.0.3.1", False),
        ("", False),
    ],
)
def test_a_source_address_is_honoured(ca: KeyPair, user: KeyPair, source: str, good: bool) -> None:
    cert = sign(ca, user, "-n", "anne", "-O", "source-address=192.0.2.0/24,2001:db8::/32", *VALID)
    if good:
        assert check(cert, ca, source=source) == ["anne"]
    else:
        with pytest.raises(Refused, match="may not be used from"):
            check(cert, ca, source=source)


@pytest.mark.parametrize(
    "options",
    [
        option("source-address", String("0.0.0.0/0")) * 2,
        option("source-address", String("192.0.2.0/24")) + option("force-command", String("x")),
        option("source-address", String("192.0.2.0/24") + b"x"),
        option("source-address", String("any")),
        b"\0\0\0\xff",
    ],
)
def test_malformed_options_are_refused(ca: KeyPair, user: KeyPair, options: bytes) -> None:
    with pytest.raises(Refused):
        check(by_hand(ca, user, options=options), ca)


def test_altered_bytes_do_not_verify(ca: KeyPair, user: KeyPair) -> None:
    cert = sign(ca, user, "-n", "anne", *VALID)
    cert.public_data = cert.public_data.replace(String("anne"), String("root"))
    with pytest.raises(Refused, match="does not verify"):
        check(cert, ca)


def test_every_cut_and_every_addition_is_refused(ca: KeyPair, user: KeyPair) -> None:
    cert = sign(ca, user, "-n", "anne", *VALID)
    whole = cert.public_data
    for data in [whole[:n] for n in range(len(whole))] + [whole + b"\0"]:
        cert.public_data = data
        with pytest.raises(Refused):
            check(cert, ca)
