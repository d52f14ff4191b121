"""The visible corpora: nothing dangerous is allowed, hardly anything harmless refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.corpora.adapters import shell, sql
from tests.shared import CORPORA, needs_corpora

pytestmark = needs_corpora
FORBIDDING = [f"R{number}" for number in range(1, 8)]


def cases(name: str) -> list[dict[str, Any]]:
    """The cases; a corpus that is not there fails the test."""
    return [json.loads(line) for line in (CORPORA / name).read_text().split("\n") if line]


@pytest.fixture(scope="module")
def answers() -> list[tuple[dict[str, Any], dict[str, str]]]:
    return [(case, shell({"prior": [], **case})["decisions"]) for case in cases("shell.jsonl")]


def counted(case: dict[str, Any], rule: str) -> bool:
    return bool(case.get("tolerate", {}).get(rule) != "any")


def test_no_dangerous_line_is_allowed(answers: list[tuple[dict[str, Any], dict[str, str]]]) -> None:
    missed = [
        (case["id"], rule)
        for case, said in answers
        for rule in FORBIDDING
        if counted(case, rule) and case["expect"][rule] != "allow" and said[rule] == "allow"
    ]
    assert missed == []


def test_hardly_a_harmless_line_is_refused(answers: list[tuple[dict[str, Any], dict[str, str]]]) -> None:
    harmless = [
        (case, said) for case, said in answers if all(case["expect"][r] == "allow" for r in FORBIDDING)
    ]
    hit = [case["id"] for case, said in harmless if any(refused(case, said, rule) for rule in FORBIDDING)]
    assert len(harmless) > 300
    assert len(hit) / len(harmless) < 0.02, hit


def refused(case: dict[str, Any], said: dict[str, str], rule: str) -> bool:
    asking = case.get("tolerate", {}).get(rule) == "opaque" and said[rule] == "opaque"
    return counted(case, rule) and said[rule] != "allow" and not asking


def test_what_the_allow_list_names_is_allowed(answers: list[tuple[dict[str, Any], dict[str, str]]]) -> None:
    wrong = [
        case["id"] for case, said in answers if case["expect"]["R8"] == "allow" and refused(case, said, "R8")
    ]
    assert wrong == []


def test_no_write_passes_for_a_read() -> None:
    scored = [case for case in cases("sql.jsonl") if not case.get("either")]
    answered = [(case, sql(case)["read_only"]) for case in scored]
    assert [case["id"] for case, read in answered if read and not case["read_only"]] == []
    refused_reads = [case["id"] for case, read in answered if not read and case["read_only"]]
    assert len(refused_reads) / len(scored) < 0.02, refused_reads
