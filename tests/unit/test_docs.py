"""The pages in docs/ name every key there is and none besides, and their examples load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from broker.config import load_config, load_targets
from broker.config.schema import Config
from broker.config.targets import TargetEntry, TargetFile
from broker.config.validate import fields_of, sections_of
from broker.gate.rules import judge_line
from broker.policy.cases import CaseFile, run_cases
from broker.policy.loader import load_policies
from broker.policy.oncall import DutyRoster
from broker.policy.schema import PolicyFile

DOCS = Path(__file__).parents[2] / "docs"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of a schema with its way, e.g. `listen.port`. A shape that stands in several places is told
    where it stands first."""
    return _keys(model, prefix, set())


def _keys(model: type[BaseModel], prefix: str, told: set[type[BaseModel]]) -> Iterator[str]:
    for name, annotation in fields_of(model).items():
        yield prefix + name
        for section in sections_of(annotation):
            if section not in told:
                told.add(section)
                yield from _keys(section, f"{prefix}{name}.", told)


def documented(page: str, heading: str) -> set[str]:
    """The first column of the tables below a heading; a section counts with the keys in it."""
    text = (DOCS / page).read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.findall(r"^\| `([a-z_.]+)` \|", text, flags=re.MULTILINE)
    assert len(found) == len(set(found)), "a key is documented twice"
    return {key[:end] for key in found for end in [len(key), *(m.start() for m in re.finditer(r"\.", key))]}


def example(page: str, heading: str) -> str:
    text = (DOCS / page).read_text()
    text = text.split(f"\n## {heading}\n", 1)[1] if heading else text
    found = re.search(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("page", "heading", "expected"),
    [
        ("configuration.md", "bartizan.yaml", set(keys(Config))),
        ("configuration.md", "targets/*.yaml", {"targets", *keys(TargetEntry)}),
        ("policies.md", "Keys", set(keys(PolicyFile))),
        ("policies.md", "Expectations", set(keys(CaseFile))),
    ],
)
def test_every_key_is_documented_and_every_documented_key_exists(
    page: str, heading: str, expected: set[str]
) -> None:
    assert documented(page, heading) == expected


def test_a_target_file_has_no_other_key_than_its_list() -> None:
    assert set(TargetFile.model_fields) == {"targets"}


def test_documented_defaults_are_the_defaults(tmp_path: Path) -> None:
    text = (DOCS / "configuration.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| `([^`]+)` \|", text, flags=re.MULTILINE))
    path = tmp_path / "bartizan.yaml"
    path.write_text("")
    plain = load_config(path)
    skipped = {"host_key", "recording.dir", "accept_env", "port", "targets", "policies"}
    skipped |= {"dialect", "gate", "on_doubt", "mode"}
    for key in sorted(rows.keys() - skipped):
        section, _, name = key.rpartition(".")
        path.write_text(f"{section}:\n  {name}: {rows[key]}\n" if section else f"{name}: {rows[key]}\n")
        assert load_config(path) == plain, key


def test_the_examples_of_approvals_and_cases_hold(tmp_path: Path) -> None:
    text = (DOCS / "policies.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    (duty,) = (block for block in blocks if block.startswith("on_call:"))
    (tmp_path / "on-call.yaml").write_text(duty)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "one.yaml").write_text(example("policies.md", "Approvals"))
    (one,) = load_policies(tmp_path / "p", on_call=DutyRoster(tmp_path / "on-call.yaml")).policies
    assert one.break_glass is not None
    (scoped,) = (block for block in blocks if block.startswith("    commands:"))
    head = example("policies.md", "").split("    commands:")[0]
    (tmp_path / "p" / "one.yaml").write_text(head + scoped)
    assert load_policies(tmp_path / "p").policies[0].scopes[0].window is not None
    (tmp_path / "cases.yaml").write_text(example("policies.md", "Expectations"))
    sample = DOCS.parent / "sample_policies" / "production-shell.yaml"
    (tmp_path / sample.name).write_bytes(sample.read_bytes())
    outcomes = run_cases(tmp_path / "cases.yaml", judge_line)
    assert [one for one in outcomes if not one.passed] == []


def test_the_examples_load(tmp_path: Path) -> None:
    (tmp_path / "bartizan.yaml").write_text(example("configuration.md", "bartizan.yaml"))
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "one.yaml").write_text(example("configuration.md", "targets/*.yaml"))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "one.yaml").write_text(example("policies.md", ""))
    config = load_config(tmp_path / "bartizan.yaml")
    assert [target.name for target in load_targets(config.targets)] == ["shop-db"]
    assert [p.rule.name for p in load_policies(config.policies).policies] == ["ops-on-staging"]
