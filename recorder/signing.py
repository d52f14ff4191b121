"""Signed lines: a JSON object whose last member is an Ed25519 signature (RFC 8032) over what is before it.

Pure: keys and bytes, no files. What is signed begins with a context, so that no line of one kind can stand
for one of another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_public_key,
)

_SEPARATOR = b',"sig":"'
_SIGNATURE = 64


class SignatureError(ValueError):
    """A line is not signed by a key that counts; the text says why."""


class BadKey(ValueError):
    """A text holds no usable key. The message tells nothing of what it holds."""


class Signer(Protocol):
    """Signs; `key` is the fingerprint of the key that it signs with."""

    @property
    def key(self) -> str: ...

    def sign(self, content: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with. `fingerprint` as OpenSSH prints it (`ssh-keygen -lf`)."""

    line: str
    """`ssh-ed25519 BASE64`, the form of RFC 8709."""

    @property
    def fingerprint(self) -> str:
        blob = base64.b64decode(self.line.split()[1])
        return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class SigningKey:
    """An Ed25519 private key. Its repr tells the public half only."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        self.public = PublicKey(line.decode())
        self.key = self.public.fingerprint

    def __repr__(self) -> str:
        return f"SigningKey({self.key})"

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, text: bytes) -> SigningKey:
        """From PEM (PKCS#8, no password). Raises BadKey."""
        try:
            key = load_pem_private_key(text, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BadKey("no private key in PEM form without a password") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey("a key of another kind than Ed25519")
        return cls(key)

    def written(self) -> bytes:
        """As `read` takes it."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, content: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(content)


def read_public_keys(text: str) -> Iterator[PublicKey]:
    """The keys of a text with one per line, as `bartizan audit key` prints them. Raises BadKey.

    Empty lines, lines that begin with `#` and comments behind a key do not count.
    """
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            key = load_ssh_public_key(" ".join(words[:2]).encode())
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise BadKey(f"line {number}: no public key of the form `ssh-ed25519 BASE64`")
        yield PublicKey(" ".join(words[:2]))


class KeyRing:
    """The public keys that count, by fingerprint."""

    def __init__(self, keys: Iterable[PublicKey] = ()) -> None:
        self._keys = {key.fingerprint: key for key in keys}
        self._loaded: dict[str, Ed25519PublicKey] = {}

    def __contains__(self, fingerprint: object) -> bool:
        return fingerprint in self._keys

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self._keys.values())

    def add(self, key: PublicKey) -> None:
        """Trust one more."""
        self._keys[key.fingerprint] = key

    def check(self, fingerprint: str, signature: bytes, content: bytes) -> None:
        """Raises SignatureError unless the key counts and the signature is its own."""
        if fingerprint not in self._keys:
            raise SignatureError(f"signed by a key that is not known here ({fingerprint[:60]!a})")
        key = self._loaded.get(fingerprint)
        if key is None:
            loaded = load_ssh_public_key(self._keys[fingerprint].line.encode())
            assert isinstance(loaded, Ed25519PublicKey), "checked when it was read"
            key = self._loaded[fingerprint] = loaded
        try:
            key.verify(signature, content)
        except InvalidSignature:
            raise SignatureError("the signature does not fit") from None


def signed_line(body: bytes, context: bytes, signer: Signer) -> bytes:
    """The JSON object `body` with its signature as the last member, and a line break."""
    assert body.endswith(b"}"), "an object"
    signature = base64.b64encode(signer.sign(context + b"\n" + body))
    return body[:-1] + _SEPARATOR + signature + b'"}\n'


def taken_apart(line: bytes) -> tuple[bytes, bytes]:
    """The body and the signature of a line. Raises SignatureError for a line that is none of ours."""
    head, separator, rest = line.rpartition(_SEPARATOR)
    if not separator or not rest.endswith(b'"}\n'):
        raise SignatureError("a line without a signature")
    try:
        signature = base64.b64decode(rest[:-3], validate=True)
    except binascii.Error:
        signature = b""
    if len(signature) != _SIGNATURE or base64.b64encode(signature) != rest[:-3]:
        raise SignatureError("a line with a malformed signature")
    return head + b"}", signature
