"""The key that tests sign with."""

from __future__ import annotations

from recorder.signing import KeyRing, SigningKey

SIGNER = SigningKey.generate()
KEYS = KeyRing([SIGNER.public])
