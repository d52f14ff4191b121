"""Adapters for the corpora's scorer: the reference rules as a policy file, asked line by line."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from broker.gate.rules import judge
from broker.gate.shell import Session
from broker.gate.sql import read_sql
from broker.model.command import Answer, CommandLine, CommandRules, SqlKind
from broker.policy.loader import load_policies
from tests.corpora.keys import typed_lines

REFERENCE = Path(__file__).with_name("reference.yaml")


@lru_cache(maxsize=1)
def reference_rules() -> dict[str, CommandRules]:
    """R1 to R8."""
    policies = load_policies(REFERENCE).policies
    return {policy.rule.name.upper(): policy.commands for policy in policies if policy.commands is not None}


def shell(request: dict[str, Any]) -> dict[str, Any]:
    """What each rule says of the line, after the lines before it."""
    session = Session(interactive=bool(request.get("prior")))
    for line in request.get("prior") or []:
        session.read(line.encode())
    if request["input"] == "keys":
        lines = typed_lines(request["line"])
        readings = (
            [CommandLine((), "the keys are not understood")]
            if lines is None
            else [session.read(line.encode()) for line in lines]
        )
    else:
        readings = [session.read(request["line"].encode())]
    return {"decisions": {name: strictest(rules, readings) for name, rules in reference_rules().items()}}


def strictest(rules: CommandRules, readings: list[CommandLine]) -> str:
    answers = []
    for reading in readings:
        judgement = judge(rules, reading)
        denied = judgement.verdict is Answer.DENY
        answers.append(("opaque" if judgement.doubt else "deny") if denied else "allow")
    return max(answers, key=["allow", "opaque", "deny"].index, default="allow")


def sql(request: dict[str, Any]) -> dict[str, Any]:
    """Read-only or not, and the most dangerous kind."""
    reading = read_sql(request["dialect"], request["sql"])
    return {"read_only": reading.read_only, "kind": max(reading.kinds, key=list(SqlKind).index).value}
