"""User certificates for login: what of a certificate is checked before its principals count (lesson 4).

The bytes are read here once more, after PROTOCOL.certkeys of OpenSSH, instead of trusting what a library
made of them: an option it skips or a field it does not look at must not become a way in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import asyncssh
from asyncssh import SSHKey
from asyncssh.public_key import SSHOpenSSHCertificate

_USER = 1
_MAX_PRINCIPALS = 256
_SUFFIX = b"-cert-v01@openssh.com"
_KEY_FIELDS = {
    b"ssh-ed25519": 1,
    b"sk-ssh-ed25519@openssh.com": 2,
    b"sk-ecdsa-sha2-nistp256@openssh.com": 3,
    b"ecdsa-sha2-nistp256": 2,
    b"ecdsa-sha2-nistp384": 2,
    b"ecdsa-sha2-nistp521": 2,
    b"ssh-rsa": 2,
}
"""How many strings the key itself takes, by its type (DSA is not among them)."""
_SIGNATURES = {
    b"ssh-ed25519": {b"ssh-ed25519"},
    b"sk-ssh-ed25519@openssh.com": {b"sk-ssh-ed25519@openssh.com"},
    b"sk-ecdsa-sha2-nistp256@openssh.com": {b"sk-ecdsa-sha2-nistp256@openssh.com"},
    b"ecdsa-sha2-nistp256": {b"ecdsa-sha2-nistp256"},
    b"ecdsa-sha2-nistp384": {b"ecdsa-sha2-nistp384"},
    b"ecdsa-sha2-nistp521": {b"ecdsa-sha2-nistp521"},
    b"ssh-rsa": {b"rsa-sha2-256", b"rsa-sha2-512"},
}
"""Signatures taken from a CA, by the type of its key: none with SHA-1."""


class Refused(Exception):
    """The certificate does not log anybody in; `reason` is for the audit, not for the peer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Fields:
    """A certificate's fields, as signed. `signed`: the bytes the signature is over."""

    serial: int
    type: int
    principals: list[str]
    valid_after: int
    valid_before: int
    options: dict[bytes, bytes]
    ca_blob: bytes
    signed: bytes
    signature: bytes


def check_user_certificate(
    cert: SSHOpenSSHCertificate, user_ca_fingerprints: Collection[str], source: str, now: int
) -> list[str]:
    """The principals of a certificate that may log in from `source` (an IP address) at `now` (microseconds).

    `user_ca_fingerprints`: `SHA256:…` of the CA keys that are trusted for users. Raises Refused.
    The caller still has to see that the client proves to hold the certificate's key.
    """
    fields = _read(cert.public_data)
    ca = _trusted_ca(fields, user_ca_fingerprints)
    _check_signature(fields, ca)
    if fields.type != _USER:
        raise Refused("it is not a user certificate")
    _check_time(fields, now // 1_000_000)
    _check_options(fields.options, source)
    if not fields.principals or not all(fields.principals):
        raise Refused("it names no principals")
    return fields.principals


def describe(cert: SSHOpenSSHCertificate) -> str:
    """`serial/CA fingerprint` of a certificate, as `Source.credential` wants it."""
    return f"{_read(cert.public_data).serial}/{cert.signing_key.get_fingerprint()}"


def _trusted_ca(fields: _Fields, fingerprints: Collection[str]) -> SSHKey:
    algorithm = _Reader(fields.ca_blob).string()
    if algorithm not in _KEY_FIELDS:
        # A certificate here would be a CA of its own making (CVE-2025-49825).
        raise Refused(f"it is signed by a key of type {algorithm[:60]!r}, which is no plain key of a CA")
    try:
        ca = asyncssh.public_key.decode_ssh_public_key(fields.ca_blob)
    except asyncssh.KeyImportError:
        raise Refused("the key it is signed by cannot be read") from None
    if ca.get_fingerprint() not in fingerprints:
        raise Refused(f"its CA {ca.get_fingerprint()} is not trusted for users")
    return ca


def _check_signature(fields: _Fields, ca: SSHKey) -> None:
    algorithm = _Reader(fields.signature).string()
    if algorithm not in _SIGNATURES.get(_Reader(fields.ca_blob).string(), ()):
        raise Refused(f"its signature is of type {algorithm[:60]!r}, which is not taken")
    if not ca.verify(fields.signed, fields.signature):
        raise Refused("its signature does not verify")


def _check_time(fields: _Fields, now_s: int) -> None:
    if now_s < fields.valid_after:
        raise Refused("it is not valid yet")
    if now_s >= fields.valid_before:
        raise Refused("it has expired")


def _check_options(options: dict[bytes, bytes], source: str) -> None:
    for name, value in options.items():
        if name != b"source-address":
            # force-command is among them: a session here is no command that a CA could have meant.
            raise Refused(f"it has the critical option {name[:60]!r}, which is not understood here")
        if not _is_listed(source, _only_string(value)):
            raise Refused(f"it may not be used from {source}")


def _is_listed(source: str, networks: bytes) -> bool:
    """True if one of the comma-separated addresses or networks holds the source."""
    try:
        address = ip_address(source.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        listed = [ip_network(word.decode("ascii")) for word in networks.split(b",")]
        return any((mapped or address) in network for network in listed)
    except ValueError:
        return False


class _Reader:
    """Takes SSH strings and integers (RFC 4251, 5) off bytes. Raises Refused when they end too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    @property
    def ended(self) -> bool:
        return self.at == len(self._data)

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise Refused("it is cut short")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        return self.take(self.number(4))

    def end(self) -> None:
        if not self.ended:
            raise Refused("it has bytes after its end")


def _read(data: bytes) -> _Fields:
    reader = _Reader(data)
    algorithm = reader.string()
    strings = _KEY_FIELDS.get(algorithm.removesuffix(_SUFFIX))
    if strings is None or not algorithm.endswith(_SUFFIX):
        raise Refused(f"it is of type {algorithm[:60]!r}, which is not taken")
    for _ in range(strings + 1):  # the nonce, then the key
        reader.string()
    serial, type = reader.number(8), reader.number(4)
    reader.string()  # key id
    principals = _strings(reader.string())
    valid_after, valid_before = reader.number(8), reader.number(8)
    options = _options(reader.string())
    reader.string()  # extensions: they permit, and nothing here is permitted by a certificate
    reader.string()  # reserved
    ca_blob = reader.string()
    signed = data[: reader.at]
    signature = reader.string()
    reader.end()
    return _Fields(serial, type, principals, valid_after, valid_before, options, ca_blob, signed, signature)


def _strings(data: bytes) -> list[str]:
    reader = _Reader(data)
    found: list[str] = []
    while not reader.ended:
        try:
            found.append(reader.string().decode("utf-8"))
        except UnicodeDecodeError:
            raise Refused("a principal is not UTF-8") from None
        if len(found) > _MAX_PRINCIPALS:
            raise Refused(f"it names more than {_MAX_PRINCIPALS} principals")
    return found


def _options(data: bytes) -> dict[bytes, bytes]:
    """Names and values in ascending order and once each, as the format asks."""
    reader = _Reader(data)
    found: dict[bytes, bytes] = {}
    while not reader.ended:
        name = reader.string()
        if found and name <= next(reversed(found)):
            raise Refused("an option stands twice or out of order")
        found[name] = reader.string()
    return found


def _only_string(data: bytes) -> bytes:
    reader = _Reader(data)
    value = reader.string()
    reader.end()
    return value
