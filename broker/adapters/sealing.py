"""Envelope encryption of a secret: the value under a key of its own, that key under the master key.

AES-256-GCM for both (NIST SP 800-38D), with random 96-bit nonces: a data key seals one value only, and
a master key wraps far fewer than the 2^32 keys that random nonces allow. The additional data binds the
value to its name, kind and version, and the wrapped key to its name and master key, so that rows
exchanged in the store do not open.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.model.errors import Unavailable
from broker.model.secret import Secret, SecretKind

KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key that wraps data keys. `id`: first 8 hex digits of a SHA-256, enough to tell keys apart."""

    id: str
    value: Secret


def master_key(value: bytes) -> MasterKey:
    """The master key of these 32 bytes."""
    if len(value) != KEY_BYTES:
        raise ValueError(f"a master key has {KEY_BYTES} bytes, not {len(value)}")
    return MasterKey(sha256(b"bartizan master key id\0" + value).hexdigest()[:8], Secret(value))


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret as the store keeps it. `wrapped_key` and `ciphertext` begin with their nonce."""

    name: str
    kind: SecretKind
    version: int
    """1 for the first value, one more for each new value."""
    created_at: int
    rotated_at: int | None
    key_id: str
    """Which master key wraps the data key."""
    wrapped_key: bytes
    ciphertext: bytes
    key_version: int = 0
    """Number of the master key in order of first use; known once read from the store."""


def seal(
    name: str,
    kind: SecretKind,
    value: Secret,
    master: MasterKey,
    *,
    version: int,
    created_at: int,
    rotated_at: int | None = None,
) -> SealedSecret:
    """Seal a value under a fresh data key."""
    data_key = os.urandom(KEY_BYTES)
    return SealedSecret(
        name=name,
        kind=kind,
        version=version,
        created_at=created_at,
        rotated_at=rotated_at,
        key_id=master.id,
        wrapped_key=_encrypt(master.value.reveal(), data_key, _key_context(name, master.id)),
        ciphertext=_encrypt(data_key, value.reveal(), _value_context(name, kind, version)),
    )


def unseal(sealed: SealedSecret, master: MasterKey) -> Secret:
    """The value. Raises Unavailable if the row was altered or the key is not the one that sealed it."""
    try:
        data_key = _decrypt(master.value.reveal(), sealed.wrapped_key, _key_context(sealed.name, master.id))
        context = _value_context(sealed.name, sealed.kind, sealed.version)
        return Secret(_decrypt(data_key, sealed.ciphertext, context))
    except InvalidTag:
        raise _does_not_open(sealed.name) from None


def rewrap(sealed: SealedSecret, old: MasterKey, new: MasterKey) -> SealedSecret:
    """The same secret with its data key wrapped by `new`; the value itself is checked to open first."""
    unseal(sealed, old)
    data_key = _decrypt(old.value.reveal(), sealed.wrapped_key, _key_context(sealed.name, old.id))
    wrapped = _encrypt(new.value.reveal(), data_key, _key_context(sealed.name, new.id))
    return replace(sealed, key_id=new.id, wrapped_key=wrapped)


def _does_not_open(name: str) -> Unavailable:
    return Unavailable(
        f"the secret {name} does not open: its row was altered, or its master key is another",
        hint=f"give it its value again: bartizan secrets rotate {name}",
    )


def _encrypt(key: bytes, plain: bytes, context: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def _decrypt(key: bytes, blob: bytes, context: bytes) -> bytes:
    """Raises InvalidTag, also for a blob too short to hold nonce and tag."""
    if len(blob) < _NONCE_BYTES + 16:
        raise InvalidTag
    return AESGCM(key).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], context)


def _key_context(name: str, key_id: str) -> bytes:
    return _context(b"bartizan data key", name.encode(), key_id.encode())


def _value_context(name: str, kind: SecretKind, version: int) -> bytes:
    return _context(b"bartizan secret", name.encode(), kind.value.encode(), str(version).encode())


def _context(*parts: bytes) -> bytes:
    """Parts with their lengths, so that no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
