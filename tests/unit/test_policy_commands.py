"""`bartizan policy explain` and `policy test`: what would run, by which rule, and whether cases hold."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from broker.commands.context import Context
from broker.commands.policy import policy as policy_group
from broker.commands.reading import as_lines, reading
from broker.model.target import Channel
from tests.unit.policies import ask, engine, policy

SAMPLES = Path(__file__).parents[2] / "sample_policies"


def test_each_command_of_a_line_is_told_with_its_rule(tmp_path: Path) -> None:
    rules = '[{name: no-rm, deny: {program: rm, options: ["-r|--recursive"]}, reason: One by one.}]'
    asked = ask(channel=Channel.EXEC, command=b"sudo rm -r '/a b' $X > out; echo $(id)")
    text = "\n".join(as_lines(reading(engine(tmp_path, policy(channels="exec", commands=rules)), asked)))
    assert "  sudo rm -r '/a b' …\n      allow   ops (p.yaml:3): no rule is against it" in text
    assert "  rm -r '/a b' …\n      deny    no-rm (p.yaml:8): One by one." in text
    assert text.startswith("line:     DENY by no-rm (p.yaml:8): One by one.\n")
    assert "writes: out" in text
    assert "\n  id\n" in text


def test_what_is_not_known_is_told(tmp_path: Path) -> None:
    asked = ask(channel=Channel.EXEC, command=b"curl x | sh")
    lines = as_lines(reading(engine(tmp_path, policy(channels="exec")), asked))
    assert lines[-1] == "  and perhaps more: sh runs its input, which is not known"


def test_cases_that_hold_and_one_that_does_not(tmp_path: Path) -> None:
    runner, context = CliRunner(), Context(config_path=tmp_path / "none.yaml")
    good = runner.invoke(policy_group, ["test", str(SAMPLES / "cases/production-shell.yaml")], obj=context)
    assert (good.exit_code, good.output[:2]) == (0, "ok")
    text = (SAMPLES / "cases/minimal.yaml").read_text().replace("../minimal", str(SAMPLES / "minimal"))
    (tmp_path / "bad.yaml").write_text(text.replace("opens: deny", "opens: allow"))
    bad = runner.invoke(policy_group, ["test", str(tmp_path / "bad.yaml"), "--json"], obj=context)
    assert bad.exit_code == 1
    assert [case["ok"] for case in json.loads(bad.output)["cases"]] == [True, False]


def test_a_case_file_is_refused_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "version: 1\npolicies: x.yaml\ncases:\n  - user: {name: a}\n    target: {name: t, accounts: a}\n"
    )
    refused = CliRunner().invoke(
        policy_group, ["test", str(tmp_path / "c.yaml")], obj=Context(config_path=tmp_path)
    )
    assert "c.yaml:4: cases[0]: expects nothing" in str(refused.exception)
