"""A grant to fetch a secret with, and the search for a secret where none may be."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from broker.model.access import NO_RULE, Decision, Grant, Verdict
from broker.model.identity import Authenticated, Principal, Source
from broker.model.target import Channel, CredentialKind, CredentialRef, Target


def grant(name: str, kind: CredentialKind = CredentialKind.SECRET) -> Grant:
    """Made up here, where `services.sessions.authorize` would make it: for the vault alone."""
    target = Target("web1", "127.0.0.1", 22, ("deploy",), CredentialRef(kind, name))
    who = Authenticated(Principal("anne"), Source("192.0.2.7", "publickey", "SHA256:x"), 1)
    return Grant(who, target, "deploy", Channel.SHELL, Decision(Verdict.ALLOW, NO_RULE, "test"))


def found_in(folder: Path, seed: bytes) -> list[str]:
    """Files below `folder` that hold the seed, plain or in base64 of any alignment."""
    forms = [seed, *(b64encode(b"x" * n + seed)[4:-4] for n in range(3)), seed.hex().encode()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path.name for path in files if any(form in path.read_bytes() for form in forms)]
