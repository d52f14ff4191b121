"""The vault: secrets sealed in the store, opened for one granted session at a time, never kept open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from broker.adapters import certificates
from broker.adapters.master_key import MasterKeyRing
from broker.adapters.sealing import MasterKey, SealedSecret, rewrap, seal, unseal
from broker.adapters.ssh_keys import normal_private_key
from broker.config.approvals import SECRET_PREFIX
from broker.model.access import Grant
from broker.model.errors import Invalid, Unavailable
from broker.model.names import checked_name
from broker.model.secret import Credential, Secret, SecretInfo, SecretKind
from broker.model.target import CredentialKind
from broker.ports import Clock

T = TypeVar("T")

CA_NAME = "broker-ca"
"""The secret that holds the CA's key. No target may name it as its credential."""
PASSWORD_MAX = 4096
"""Bytes of a password at most."""


class SealedSecrets(Protocol):
    """Where sealed secrets are kept; `SqliteStore` is one."""

    def sealed(self, name: str) -> SealedSecret | None: ...

    def all_sealed(self) -> list[SealedSecret]: ...

    def add_sealed(self, sealed: SealedSecret) -> None:
        """Raises Invalid if the name is taken."""

    def put_sealed(self, sealed: SealedSecret) -> None:
        """Replace the row of that name. Raises Invalid if there is none."""

    def remove_sealed(self, name: str) -> None:
        """Raises Invalid if there is none."""

    def together(self, work: Callable[[], T]) -> T:
        """Run `work` alone: no other writer comes between its reads and its writes."""


class Vault:
    """`SecretVault` and `SecretStore`."""

    def __init__(self, rows: SealedSecrets, keys: MasterKeyRing, clock: Clock) -> None:
        self._rows = rows
        self._keys = keys
        self._clock = clock

    # --- management ---

    def add(self, name: str, kind: SecretKind, value: Secret) -> None:
        """As the port says. Raises Invalid too for a name or value that could not be used later."""
        if name == CA_NAME:
            raise Invalid(f"{CA_NAME} is the broker's own", hint="bartizan secrets ca init")
        self._add(checked_name(name, "secret"), kind, _usable(kind, value))

    def replace(self, name: str, value: Secret) -> None:
        def work() -> None:
            old = self._row(name)
            if name == CA_NAME:
                raise Invalid(
                    f"{CA_NAME} is the broker's own", hint="remove it, then bartizan secrets ca init"
                )
            now = self._clock.now()
            new = seal(
                name,
                old.kind,
                _usable(old.kind, value),
                self._keys.newest,
                version=old.version + 1,
                created_at=old.created_at,
                rotated_at=now,
            )
            self._rows.put_sealed(new)

        self._rows.together(work)

    def remove(self, name: str) -> None:
        self._rows.remove_sealed(name)

    def list(self) -> list[SecretInfo]:
        return [
            SecretInfo(row.name, row.kind, row.created_at, row.rotated_at, row.key_version)
            for row in self._rows.all_sealed()
        ]

    def rewrap(self) -> int:
        """As the port says: all of them, or none if one does not open."""

        def work() -> int:
            newest = self._keys.newest
            old = [row for row in self._rows.all_sealed() if row.key_id != newest.id]
            for row in old:
                self._rows.put_sealed(rewrap(row, self._master_of(row), newest))
            return len(old)

        return self._rows.together(work)

    def create_ca(self) -> str:
        """Make the CA's key and return its public line. Raises Invalid if there is one."""
        ca = certificates.generate_ca()
        self._add(CA_NAME, SecretKind.PRIVATE_KEY, ca)
        return certificates.ca_public_line(ca)

    def ca_public_line(self) -> str:
        """The line for `TrustedUserCAKeys`. Raises Unavailable if there is no CA yet."""
        return certificates.ca_public_line(self._ca())

    # --- use ---

    def fetch(self, grant: Grant) -> Credential:
        wanted = grant.target.credential
        if wanted.kind is CredentialKind.CA:
            return certificates.issue(self._ca(), grant, self._clock.now())
        if wanted.name == CA_NAME:
            raise Unavailable(
                f"the target {grant.target.name} names the broker's CA key as its credential",
                hint="write credential: ca",
            )
        row = self._rows.sealed(wanted.name)
        if row is None:
            raise Unavailable(
                f"there is no secret {wanted.name} for the target {grant.target.name}",
                hint=f"an administrator adds it: bartizan secrets add {wanted.name}",
            )
        return Credential(row.kind, self._open(row))

    def for_notifier(self, name: str) -> Secret:
        """A stored password that a notifier of the configuration names. Only names that say so are opened:
        no line of the file can send another secret somewhere.

        Raises:
            Unavailable: it is not there, cannot be opened, or is not for notifiers.
        """
        row = self._rows.sealed(name) if name.startswith(SECRET_PREFIX) else None
        if row is None or row.kind is not SecretKind.PASSWORD:
            raise Unavailable(
                f"there is no password {name[:80]!a} for a notifier",
                hint=f"an administrator adds it: bartizan secrets add {SECRET_PREFIX}… --kind password",
            )
        return self._open(row)

    def _add(self, name: str, kind: SecretKind, value: Secret) -> None:
        self._rows.add_sealed(
            seal(name, kind, value, self._keys.newest, version=1, created_at=self._clock.now())
        )

    def _ca(self) -> Secret:
        row = self._rows.sealed(CA_NAME)
        if row is None:
            raise Unavailable("the broker has no CA yet", hint="bartizan secrets ca init")
        return self._open(row)

    def _row(self, name: str) -> SealedSecret:
        row = self._rows.sealed(name)
        if row is None:
            raise Invalid(f"there is no secret {name[:80]!a}", hint="bartizan secrets ls")
        return row

    def _open(self, row: SealedSecret) -> Secret:
        return unseal(row, self._master_of(row))

    def _master_of(self, row: SealedSecret) -> MasterKey:
        key = self._keys.find(row.key_id)
        if key is None:
            raise Unavailable(
                f"the secret {row.name} is wrapped with the master key {row.key_id}, which is not here",
                hint="list that key under vault.previous",
            )
        return key


def _usable(kind: SecretKind, value: Secret) -> Secret:
    """The value in the form it is stored in. Raises Invalid, never telling what it holds."""
    if kind is SecretKind.PRIVATE_KEY:
        return normal_private_key(value)
    size = len(value.reveal())
    if not 0 < size <= PASSWORD_MAX:
        raise Invalid(f"a password has 1 to {PASSWORD_MAX} bytes, and this one has {size}")
    if any(byte in value.reveal() for byte in (0, 10, 13)):
        raise Invalid("a password is one line: this one holds a line end or a NUL")
    return value
