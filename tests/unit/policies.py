"""Values for the tests of policies: people, targets, moments, and policies from their text."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from broker.gate.rules import judge_line
from broker.model.access import AccessRequest
from broker.model.identity import Kind, Principal
from broker.model.target import Channel, CredentialKind, CredentialRef, Target
from broker.policy.engine import Engine
from broker.policy.loader import PolicySet, load_policies

CA = CredentialRef(CredentialKind.CA)
STG = Target("stg-web-1", "10.0.0.1", 22, ("deploy", "root"), CA, tags={"env": "stg"})
PROD = Target("prod-db-1", "10.0.0.2", 22, ("deploy", "root", "readonly"), CA, tags={"env": "prod"})
LAB = Target("lab-1", "10.0.0.3", 22, ("dev",), CA, tags={"env": "lab"})

ALICE = Principal("alice", groups=frozenset({"ops"}))
MALLORY = Principal("mallory", groups=frozenset({"guests"}))
BOT = Principal("ci-watch", Kind.AGENT)

BASE = {
    "name": "ops",
    "who": "{groups: [ops]}",
    "targets": '{names: ["stg-*"]}',
    "accounts": "[deploy]",
    "channels": "[shell, exec]",
}


def at(text: str, zone: str = "UTC") -> int:
    """`2026-11-23 09:30` of a zone in microseconds since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


MONDAY = at("2026-11-23 09:30")


def policy(**keys: str | None) -> str:
    """One policy of a file: BASE with keys changed, or left out with None."""
    lines = [f"    {key}: {value}" for key, value in (BASE | keys).items() if value is not None]
    return "  -" + "\n".join(lines)[3:] + "\n"


def load(folder: Path, *policies: str) -> PolicySet:
    (folder / "p.yaml").write_text("version: 1\npolicies:\n" + "".join(policies))
    return load_policies(folder)


def engine(folder: Path, *policies: str) -> Engine:
    return Engine(load(folder, *policies), judge_line)


def ask(
    principal: Principal = ALICE,
    target: Target = STG,
    account: str = "deploy",
    channel: Channel = Channel.SHELL,
    moment: int = MONDAY,
    reason: str = "",
    command: bytes | None = None,
) -> AccessRequest:
    return AccessRequest(principal, target, account, channel, moment, reason, command)
