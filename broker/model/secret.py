"""A secret value that cannot be printed by accident."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SecretKind(StrEnum):
    PRIVATE_KEY = "private-key"
    PASSWORD = "password"  # noqa: S105 - the kind, not a value


class Secret:
    """Bytes that show as stars wherever they are printed, logged or formatted; `reveal` is greppable."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """What may be shown of a stored secret."""

    name: str
    kind: SecretKind
    created_at: int
    rotated_at: int | None
    key_version: int
    """Version of the master key its data key is wrapped with."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What the dialler logs in with: a private key (with a certificate for `ca`) or a password."""

    kind: SecretKind
    secret: Secret
    certificate: bytes = b""
    """OpenSSH certificate line; empty without one."""
