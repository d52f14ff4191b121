"""`targets/*.yaml`: what can be reached, as model targets."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from broker.config.document import (
    Document,
    Location,
    Problems,
    dotted,
    folder_problem,
    read_document,
    yaml_files,
)
from broker.config.units import Account, Name, Port, Text, filled, matching
from broker.config.validate import Section, validated
from broker.model.target import CredentialKind, CredentialRef, Dialect, Gate, Mode, OnDoubt, Target

RESERVED_VERBS = (
    "agents", "approvals", "approve", "audit", "completion", "config", "demo", "deny", "doctor", "export",
    "help", "hosts", "init", "keys", "ls", "menu", "open", "plain", "policy", "proxy", "recordings",
    "request", "requests", "search", "secrets", "serve", "sessions", "shell", "ssh-config", "targets",
    "tokens", "users", "version", "why",
)  # fmt: skip
"""Verbs of the command line: `ssh bastion VERB` means the verb, so no target may be called that."""


def _not_reserved(name: str) -> str:
    if name in RESERVED_VERBS:
        raise ValueError(f"{name!r} is a verb of the command line, choose another name")
    return name


def _host_key(line: str) -> str:
    """`type base64`, a comment dropped; the type inside the key has to be the one named (RFC 4253, 6.6)."""
    parts = line.split()
    try:
        if len(parts) < 2:
            raise ValueError
        kind, blob = parts[0], base64.b64decode(parts[1], validate=True)
        length = int.from_bytes(blob[:4], "big")
        if blob[4 : 4 + length] != kind.encode() or len(blob) <= 4 + length:
            raise ValueError
    except (ValueError, binascii.Error):
        raise ValueError(f"expected a public key as 'type base64', got {line[:40]!r}") from None
    return f"{parts[0]} {parts[1]}"


def _credential_form(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<mapping>"


class SecretName(Section):
    """A stored secret, by name."""

    secret: Name


TargetName = Annotated[Name, AfterValidator(_not_reserved)]
CredentialEntry = Annotated[
    Annotated[Literal["ca"], Tag("<text>")] | Annotated[SecretName, Tag("<mapping>")],
    Discriminator(_credential_form),
]
Address = Annotated[
    str,
    AfterValidator(matching(r"[A-Za-z0-9_:][A-Za-z0-9._:%-]{0,252}", "a host name or an IP address")),
]
Program = Annotated[
    str,
    AfterValidator(matching(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}", "the name of a program, without a path")),
]
TagValue = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class TargetEntry(Section):
    """One target as written."""

    name: TargetName
    address: Address
    port: Port = 22
    accounts: Annotated[tuple[Account, ...], BeforeValidator(filled)]
    credential: CredentialEntry
    host_keys: tuple[Annotated[str, AfterValidator(_host_key)], ...] = ()
    tags: dict[Name, TagValue] = Field(default_factory=dict)
    note: Text | None = None
    start: Text | None = None
    dialect: Dialect = Dialect.SHELL
    gate: Gate = Gate.AUTO
    on_doubt: OnDoubt = OnDoubt.HOLD
    mode: Mode = Mode.GUARD
    readers: tuple[Program, ...] = ()

    @model_validator(mode="after")
    def _mode_fits(self) -> Self:
        """A mode that cannot be kept is an error, and so are `readers` that nothing reads."""
        if self.mode is Mode.GUARD:
            if self.readers:
                raise ValueError("readers: only with mode: line or mode: exec-only")
            return self
        unfit = {"start": self.start is not None, "dialect": self.dialect is not Dialect.SHELL}
        if self.mode is Mode.LINE:
            unfit |= {"gate": self.gate is Gate.OFF, "on_doubt": self.on_doubt is OnDoubt.PASS}
        for key, bad in unfit.items():
            if bad:
                raise ValueError(f"mode: {self.mode.value} does not go with {key}: {getattr(self, key)}")
        return self


class TargetFile(Section):
    """A file with several targets."""

    targets: Annotated[tuple[TargetEntry, ...], BeforeValidator(filled)]


def load_targets(folder: Path, *, required: bool = False) -> list[Target]:
    """The targets of all files, by file and place. Raises InvalidConfig that tells every problem.

    A folder that does not exist holds no targets, unless it is `required`.
    """
    problems = Problems()
    targets: list[Target] = []
    if required or folder.exists():
        problem = folder_problem(folder)
        if problem:
            problems.add(str(folder), problem)
        else:
            for path in yaml_files(folder, problems):
                targets += _read_targets(path, problems)
    _refuse_duplicates(targets, problems, folder)
    problems.refuse_if_any()
    return targets


def _read_targets(path: Path, problems: Problems) -> list[Target]:
    document = read_document(path, problems)
    if document is None:
        return []
    if document.data is None:
        problems.add(str(path), "the file is empty: expected a target, or a list under targets:")
        return []
    if isinstance(document.data, dict) and "targets" in document.data:
        file = validated(document, TargetFile, problems)
        entries = file.targets if file else ()
        found = [_target(entry, document, ("targets", i)) for i, entry in enumerate(entries)]
    else:
        one = validated(document, TargetEntry, problems)
        found = [_target(one, document, ())] if one else []
    _refuse_repeated_accounts(document, found, problems)
    return found


def _target(entry: TargetEntry, document: Document, location: Location) -> Target:
    credential: Any = entry.credential
    return Target(
        name=entry.name,
        address=entry.address,
        port=entry.port,
        accounts=entry.accounts,
        credential=(
            CredentialRef(CredentialKind.CA)
            if credential == "ca"
            else CredentialRef(CredentialKind.SECRET, credential.secret)
        ),
        host_keys=entry.host_keys,
        tags=dict(entry.tags),
        note=entry.note or "",
        start=entry.start,
        dialect=entry.dialect,
        gate=entry.gate,
        on_doubt=entry.on_doubt,
        mode=entry.mode,
        readers=frozenset(entry.readers),
        origin=f"{document.path.name}:{document.line(location)}",
    )


def _refuse_repeated_accounts(document: Document, targets: list[Target], problems: Problems) -> None:
    for target in targets:
        if len(set(target.accounts)) != len(target.accounts):
            where = f"{document.path}:{target.origin.rpartition(':')[2]}"
            problems.add(where, f"{dotted(('accounts',))}: an account of {target.name} is given twice")


def _refuse_duplicates(targets: list[Target], problems: Problems, folder: Path) -> None:
    first: dict[str, str] = {}
    for target in targets:
        if target.name in first:
            where = f"{folder / target.origin}"
            problems.add(where, f"name: the target {target.name} is defined already in {first[target.name]}")
        first.setdefault(target.name, target.origin)
