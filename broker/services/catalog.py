"""Targets and policies as loaded: replaced together, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from broker.model.access import AccessRequest, Decision
from broker.model.command import CommandLine, Judgement
from broker.model.target import Target
from broker.ports import PolicyEngine


@dataclass(frozen=True, slots=True)
class Loaded:
    """One consistent reading of the files."""

    targets: dict[str, Target]
    policy: PolicyEngine


class Catalog:
    """`TargetDirectory` and `PolicyEngine` over the last good reading."""

    def __init__(self, load: Callable[[], Loaded]) -> None:
        """Raises InvalidConfig if the first reading fails."""
        self._load = load
        self._now = load()

    def reload(self) -> int:
        """Read again; the number of targets. Raises InvalidConfig, and what was there stays in force."""
        self._now = self._load()
        return len(self._now.targets)

    def target(self, name: str) -> Target | None:
        return self._now.targets.get(name)

    def targets(self) -> list[Target]:
        return list(self._now.targets.values())

    def decide(self, request: AccessRequest) -> Decision:
        return self._now.policy.decide(request)

    def judge_line(self, request: AccessRequest, line: bytes | CommandLine) -> Judgement | None:
        return self._now.policy.judge_line(request, line)

    def judge_doubt(self, request: AccessRequest, reason: str) -> Judgement:
        return self._now.policy.judge_doubt(request, reason)
