"""`bartizan config check`, `policy check` and `policy explain`, as the command line calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.commands.config import config
from broker.commands.context import Context
from broker.commands.policy import policy
from broker.model.errors import BartizanError, InvalidConfig
from broker.model.identity import Kind, User
from tests.unit import policies as text

ALICE = User("alice", Kind.HUMAN, frozenset({"ops"}), admin=False, created_at=0)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A configuration with two targets and one file of policies, and a store that knows alice."""
    (tmp_path / "bartizan.yaml").write_text("targets: targets\npolicies: policies\n")
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "all.yaml").write_text(
        "targets:\n"
        "  - {name: stg-web-1, address: 10.0.0.1, accounts: [deploy, root], credential: ca}\n"
        "  - {name: other, address: 10.0.0.2, accounts: [deploy], credential: ca}\n"
    )
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(
        "version: 1\npolicies:\n"
        + text.policy(channels="exec", commands="[{name: no-rm, deny: {program: rm}, reason: Keep it.}]")
        + text.policy(name="nobody-there", targets="{names: [gone-*]}")
    )
    found = {"alice": ALICE}
    return Context(tmp_path / "bartizan.yaml", find_user=found.get)


def run(group: object, context: Context, *args: str) -> Result:
    return CliRunner().invoke(group, args, obj=context)  # type: ignore[arg-type]


def test_config_check_counts_and_remarks(context: Context) -> None:
    result = run(config, context, "check")
    assert result.exit_code == 0
    assert result.output.splitlines()[1:] == [
        f"ok  {context.config_path.parent}/targets: 2 targets",
        f"ok  {context.config_path.parent}/policies: 2 policies",
        "note: the policy nobody-there (p.yaml:9) names no target that is configured",
        "note: the target other (all.yaml:3) is named by no policy: nobody can open it",
    ]
    answer = json.loads(run(config, context, "check", "--json").output)
    assert (answer["v"], answer["ok"], answer["targets"], len(answer["notes"])) == (1, True, 2, 2)


def test_config_check_tells_the_problems_of_targets_and_policies_together(context: Context) -> None:
    folder = context.config_path.parent
    (folder / "targets" / "bad.yaml").write_text("name: x\n")
    (folder / "policies" / "bad.yaml").write_text("version: 2\n")
    error = run(config, context, "check").exception
    assert isinstance(error, InvalidConfig)
    assert error.exit_status == 78
    assert "targets/bad.yaml:1: address: this key is required" in error.message
    assert "policies/bad.yaml:1: version: expected 1, got 2" in error.message


def test_policy_check_of_the_configuration_and_of_one_file(context: Context) -> None:
    assert run(policy, context, "check").output.endswith("policies: 2 policies\n")
    path = context.config_path.parent / "policies" / "p.yaml"
    answer = json.loads(run(policy, context, "check", str(path), "--json").output)
    assert answer["policies"][0] == {"name": "ops", "origin": "p.yaml:3"}
    error = run(policy, context, "check", str(path.parent / "none")).exception
    assert isinstance(error, InvalidConfig)


def test_explain_an_allowed_and_a_denied_command(context: Context) -> None:
    allowed = run(policy, context, "explain", "alice", "stg-web-1", "uptime")
    assert allowed.output.splitlines()[:3] == [
        "ALLOW  alice -> deploy+stg-web-1  exec",
        "  rule    ops (p.yaml:3)",
        "  reason  granted by the policy ops",
    ]
    denied = run(policy, context, "explain", "alice", "stg-web-1", "--", "rm", "-rf", "x")
    assert denied.exit_code == 0
    assert denied.output.splitlines()[:3] == [
        "DENY  alice -> deploy+stg-web-1  exec",
        "  rule    no-rm (p.yaml:8)",
        "  reason  Keep it.",
    ]


def test_explain_a_shell_another_account_and_given_groups(context: Context) -> None:
    answer = json.loads(run(policy, context, "explain", "alice", "stg-web-1", "--json").output)
    assert (answer["verdict"], answer["channel"]) == ("deny", "shell")
    assert answer["reason"] == "channel shell is not granted as deploy"
    root = run(policy, context, "explain", "alice", "stg-web-1", "--account", "root", "--channel", "exec")
    assert "account root is not granted" in root.output
    given = run(policy, context, "explain", "zoe", "stg-web-1", "--groups", "guests, ops", "ls")
    assert given.output.startswith("ALLOW  zoe")
    hidden = run(policy, context, "explain", "zoe", "stg-web-1", "--groups", "guests", "ls")
    assert "to this user the target does not exist" in hidden.output


def test_explain_tells_the_answer_who_decides_and_what_only_observes(context: Context) -> None:
    rules = (
        "[{name: r, hold: {program: reboot}, approval: {from: {on_call: dba}, within: 15m}},"
        " {name: o, warn: {program: reboot}, observe: true},"
        " {name: f, confirm: {program: reboot}, channels: shell, when: {days: fri}}]"
    )
    folder = context.config_path.parent
    (folder / "policies" / "p.yaml").write_text("version: 1\npolicies:\n" + text.policy(commands=rules))
    (folder / "on-call.yaml").write_text("on_call: {dba: {users: carol}}\n")
    asked = run(policy, context, "explain", "alice", "stg-web-1", "sudo reboot; ls")
    assert asked.output.splitlines() == [
        "NEED-APPROVAL  alice -> deploy+stg-web-1  exec",
        "  rule    r (p.yaml:8)",
        "  reason  reboot needs approval here",
        "  decides 1 of carol (on call: dba), within 15 min",
        "policies:",
        "  allow ops (p.yaml:3): fits the request",
        "line:",
        "  HOLD    by r (p.yaml:8): reboot needs approval here",
        "  decides 1 of carol (on call: dba)",
        "  seen    by o (p.yaml:8), which only observes",
        "would run:",
        "  sudo reboot",
        "      allow   ops (p.yaml:3): no rule is against it",
        "  reboot",
        "      hold    r (p.yaml:8): reboot needs approval here",
        "  ls",
        "      allow   ops (p.yaml:3): no rule is against it",
    ]
    friday = ("--channel", "shell", "--at", "2026-11-27 12:00", "--json")
    only_friday = "[{name: f, confirm: {program: reboot}, channels: shell, when: {days: fri}}]"
    (folder / "policies" / "p.yaml").write_text("version: 1\npolicies:\n" + text.policy(commands=only_friday))
    line = json.loads(run(policy, context, "explain", *friday, "alice", "stg-web-1", "reboot").output)["line"]
    assert (line["answer"]["verdict"], line["answer"]["rule"], line["answer"]["doubt"]) == (
        "confirm",
        "f",
        False,
    )
    assert line["commands"][0]["rules"][0]["origin"] == "p.yaml:8"
    monday = ("--channel", "shell", "--at", "2026-11-23 12:00", "--json")
    line = json.loads(run(policy, context, "explain", *monday, "alice", "stg-web-1", "reboot").output)["line"]
    assert line["answer"]["verdict"] == "allow"


def test_an_on_call_list_that_is_not_there_is_told_with_the_policies(context: Context) -> None:
    folder = context.config_path.parent
    asking = "{open: {from: {on_call: dba}}}"
    (folder / "policies" / "p.yaml").write_text("version: 1\npolicies:\n" + text.policy(approval=asking))
    assert "p.yaml:8: policies[0].approval.open: there is no on-call list 'dba'" in str(
        run(config, context, "check").exception
    )
    assert "no on-call list 'dba'" in str(run(policy, context, "check").exception)
    assert run(policy, context, "check", str(folder / "policies")).exit_code == 0
    (folder / "on-call.yaml").write_text("on_call: {dba: {user: carol}}\n")
    assert "on-call.yaml:1: on_call.dba.user: unknown key" in str(run(config, context, "check").exception)
    (folder / "on-call.yaml").write_text("on_call: {dba: {users: carol}}\n")
    assert run(config, context, "check").exit_code == 0
    context.config_path.write_text("targets: targets\npolicies: policies\non_call: none.yaml\n")
    assert "none.yaml: no such file" in str(run(config, context, "check").exception)


@pytest.mark.parametrize(("user", "target"), [("zoe", "stg-web-1"), ("alice", "nothing")])
def test_explain_does_not_guess_who_or_what(context: Context, user: str, target: str) -> None:
    error = run(policy, context, "explain", user, target).exception
    assert isinstance(error, BartizanError)
    assert error.exit_status == 68
    assert error.hint
