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
    assert text.startswith("line:\n  DENY    by no-rm (p.yaml:8): One by one.\n")
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


CASES = """\
version: 1
policies: p.yaml
on_call: {dba: {users: carol}}
cases:
  - user: {name: alice, groups: ops}
    target: {name: web-1, accounts: deploy}
    channel: CHANNEL
    allow: [uptime]
    warn: [date]
    confirm: [CONFIRM]
    hold: [reboot]
    deny: [rm x]
    observed: [uptime]
    decides: "1 of carol (on call: dba)"
  - user: {name: alice, groups: [ops, sre]}
    target: {name: web-1, accounts: deploy}
    channel: shell
    opens: need-approval
    decides: 1 of group sec
    break_glass: true
"""
POLICIES = """\
version: 1
policies:
  - name: lines
    who: {groups: ops}
    targets: {names: web-1}
    accounts: deploy
    channels: [shell, exec]
    approval: {lines: {from: {on_call: dba}}}
    commands:
      - warn: {program: date}
      - confirm: {program: halt}
      - hold: {program: reboot}
      - deny: {program: rm}
      - {deny: {program: uptime}, observe: true}
  - name: opening
    who: {groups: sre}
    targets: {names: web-1}
    accounts: deploy
    channels: shell
    approval: {open: {from: {groups: sec}}}
    break_glass: {groups: sre, review: {from: {groups: sec}, within: 1d}}
"""


def run_test(folder: Path, cases: str) -> list[dict[str, object]]:
    (folder / "p.yaml").write_text(POLICIES)
    (folder / "c.yaml").write_text(cases)
    context = Context(config_path=folder / "none.yaml")
    result = CliRunner().invoke(policy_group, ["test", str(folder / "c.yaml"), "--json"], obj=context)
    answer = json.loads(result.output)
    assert (result.exit_code == 0) is answer["ok"]
    return [case for case in answer["cases"] if not case["ok"]]


def test_cases_expect_every_answer_and_who_decides(tmp_path: Path) -> None:
    typed = CASES.replace("CHANNEL", "shell").replace("CONFIRM", "halt")
    assert run_test(tmp_path, typed) == []
    single = CASES.replace("CHANNEL", "exec").replace("    confirm: [CONFIRM]\n", "")
    assert run_test(tmp_path, single.replace("hold: [reboot]", "hold: [reboot, halt]")) == []


def test_each_expectation_of_a_case_can_fail(tmp_path: Path) -> None:
    typed = CASES.replace("CHANNEL", "shell").replace("CONFIRM", "halt")
    changes = [
        ("allow: [uptime]", "allow: [date]", ("date", "allow", "warn")),
        ("warn: [date]", "warn: [rm y]", ("rm y", "warn", "deny")),
        ("confirm: [halt]", "confirm: [reboot]", ("reboot", "confirm", "hold")),
        ("hold: [reboot]", "hold: [halt]", ("halt", "hold", "confirm")),
        ("deny: [rm x]", "deny: [uptime]", ("uptime", "deny", "allow")),
        ("observed: [uptime]", "observed: [date]", ("date", "observed", "not observed")),
        (
            "decides: 1 of group sec",
            "decides: 1 of bob",
            ("who decides on shell as deploy", "1 of bob", "1 of group sec"),
        ),
        ("break_glass: true", "break_glass: false", ("the glass", "may not be broken", "may be broken")),
        ("opens: need-approval", "opens: allow", ("shell as deploy", "allow", "need-approval")),
    ]
    for old, new, expected in changes:
        cases = typed.replace(old, new).replace("decides: 1 of group sec\n" if "opens" in old else "\0", "\n")
        failed = run_test(tmp_path, cases)
        assert expected in [(one["asked"], one["expected"], one["got"]) for one in failed], old


def test_an_expectation_that_could_not_fail_is_refused(tmp_path: Path) -> None:
    head = "version: 1\npolicies: x.yaml\ncases:\n  - user: {name: a}\n    target: {name: t, accounts: a}\n"
    for keys, told in (
        ("    allow: id\n    decides: bob\n", "decides is about hold and opens: need-approval"),
        ("    channel: sftp\n    hold: id\n", "the channel sftp has no command lines"),
        ("    opens: hold\n", "cases[0].opens: expected one of allow, deny, need-reason, need-approval"),
    ):
        (tmp_path / "c.yaml").write_text(head + keys)
        refused = CliRunner().invoke(policy_group, ["test", str(tmp_path / "c.yaml")], obj=Context(tmp_path))
        assert told in str(refused.exception)
