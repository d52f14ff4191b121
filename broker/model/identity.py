"""Who somebody is, and the proof that a login established it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What sort of principal acts: a person, or a machine identity (CI job, AI agent, service)."""

    HUMAN = "human"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Principal:
    """A known identity. `groups` as the store has them at login time."""

    name: str
    kind: Kind = Kind.HUMAN
    groups: frozenset[str] = frozenset()
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where a login came from and by what means: `method` is `publickey`, `certificate` or `local`."""

    address: str
    method: str
    credential: str
    """Fingerprint of the key, `serial/CA fingerprint` of a certificate, or `uid N`."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Proof of a completed login. Made by `services.login` alone (a test asserts the call site)."""

    principal: Principal
    source: Source
    at: int
    """Microseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class User:
    """A stored user. `locked_at` is None for one who may log in."""

    name: str
    kind: Kind
    groups: frozenset[str]
    admin: bool
    created_at: int
    locked_at: int | None = None
    unix_user: str | None = None
    """The account of the bastion that stands for this user on the control socket; None: the same name."""
    person: str | None = None
    """Who is behind this account, where one person has several, and the owner of an agent; None: its own
    name. Nobody decides what he asked for himself, under whatever name."""

    @property
    def human(self) -> str:
        """The person that counts: two accounts with the same one are the same."""
        return self.person or self.name

    def principal(self) -> Principal:
        return Principal(self.name, self.kind, self.groups, self.admin)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key bound to one user. `line` is the OpenSSH form without comment."""

    fingerprint: str
    """`SHA256:…` as OpenSSH prints it."""
    user: str
    line: str
    comment: str
    added_at: int
    last_used_at: int | None = None
