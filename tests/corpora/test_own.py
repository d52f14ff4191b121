"""Our own cases beside the corpora: what an attacker would try, and what operators type every day."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.gate.shell import Session
from broker.model.command import CommandLine
from tests.corpora.adapters import reference_rules, strictest

HERE = Path(__file__).parent
FORBIDDING = [f"R{number}" for number in range(1, 8)]


def told(name: str) -> list[str]:
    """The lines of a file of cases, without comments and blank lines."""
    lines = (HERE / name).read_text().split("\n")
    return [line for line in lines if line.strip() and not line.startswith("##")]


def meant(text: str) -> str:
    """A case's line: only `\\n`, `\\t` and a doubled backslash are escapes."""
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\")


def hostile() -> list[tuple[str, str, bool]]:
    """(line, rule, whether it has to be denied for certain)."""
    cases = []
    for line in told("hostile.txt"):
        rules, text = line.split(" | ", 1)
        cases += [(text, rule.rstrip("?"), not rule.endswith("?")) for rule in rules.split(",")]
    return cases


def answers(text: str) -> dict[str, str]:
    """What each rule says of a session of bash that the line is typed into."""
    line: CommandLine = Session().read(text.encode())
    return {name: strictest(rules, [line]) for name, rules in reference_rules().items()}


@pytest.mark.parametrize("text", sorted({text for text, _, _ in hostile()}))
def test_no_hostile_line_is_allowed(text: str) -> None:
    said = answers(meant(text))
    wanted = {rule: certain for line, rule, certain in hostile() if line == text}
    allowed = [rule for rule in wanted if said[rule] == "allow"]
    assert allowed == []


def test_what_is_surely_forbidden_is_surely_denied() -> None:
    """A doubt is asked about, or allowed where a policy says so; a denial is not."""
    unsure = [
        (text, rule) for text, rule, certain in hostile() if certain and answers(meant(text))[rule] != "deny"
    ]
    total = sum(certain for _, _, certain in hostile())
    assert len(unsure) / total < 0.02, unsure


def test_hardly_an_everyday_line_is_refused() -> None:
    lines = told("benign.txt")
    hit = [line for line in lines if any(answers(meant(line))[rule] != "allow" for rule in FORBIDDING)]
    assert len(lines) > 400
    assert len(hit) / len(lines) < 0.02, hit
