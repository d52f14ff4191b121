"""The key that signs recordings and the audit: Ed25519 in PEM form, kept apart from the data it signs."""

from __future__ import annotations

from pathlib import Path

from broker.adapters.private_text import credential_text, file_text, variable_text, write_private
from broker.config.schema import KeySource
from broker.model.errors import Invalid, Unavailable
from recorder.signing import BadKey, KeyRing, SignatureError, SigningKey

_WHAT = "signing key"


def read_signing_key(source: KeySource) -> SigningKey:
    """The key as it is now, tried out. Raises Unavailable, saying where it was looked for and what to do."""
    text, where = _text(source)
    try:
        key = SigningKey.read(text)
        KeyRing([key.public]).check(key.key, key.sign(b"trial"), b"trial")
    except (BadKey, SignatureError) as error:
        raise Unavailable(
            f"{where} holds no signing key ({error})",
            hint="make one in a new file: bartizan audit key new FILE",
        ) from None
    return key


def make_signing_key(path: Path) -> SigningKey:
    """Write a new key to a new file of mode 0600. Raises Invalid if there is something at `path`."""
    key = SigningKey.generate()

    def exists() -> Exception:
        return Invalid(f"{path} exists; a signing key is never overwritten", hint="name a new file")

    write_private(path, key.written(), _WHAT, exists)
    return key


def _text(source: KeySource) -> tuple[bytes, str]:
    if source.file is not None:
        return file_text(source.file, _WHAT), str(source.file)
    if source.env is not None:
        return variable_text(source.env, _WHAT), f"the variable {source.env}"
    assert source.credential is not None, "one of the three is set"
    return credential_text(source.credential, _WHAT), f"the systemd credential {source.credential}"
