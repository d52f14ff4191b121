"""policies/*.yaml: the language, and that nothing is granted by leaving something out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.model.access import Limits
from broker.model.command import Answer
from broker.model.errors import InvalidConfig
from broker.policy.engine import Engine
from broker.policy.loader import load_policies
from tests.unit.policies import ALICE, STG, ask, load, policy


def refusal(folder: Path, *policies: str, head: str = "version: 1\npolicies:\n") -> list[str]:
    (folder / "p.yaml").write_text(head + "".join(policies))
    with pytest.raises(InvalidConfig) as caught:
        load_policies(folder)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_a_full_policy(tmp_path: Path) -> None:
    (one, two) = load(
        tmp_path,
        policy(
            channels="exec",
            when='{days: mon-fri, hours: ["08:00-12:00", "22:00-06:00"], zone: Europe/Berlin}',
            reason="required",
            limits="{idle: 15m, max: 4h}",
            commands="[{deny: {program: rm, args: '-rf'}}, {name: look, allow: {program: [df], only: []}}]",
        ),
        policy(name="no-root", effect="deny", accounts="'*'", channels="'*'", note="never"),
    ).policies
    assert (one.rule.name, one.rule.origin) == ("ops", "p.yaml:3")
    assert one.limits == Limits(900, 14400)
    assert one.reason_required
    assert one.window is not None
    assert one.window.hours == ((480, 720), (1320, 360))
    assert one.commands is not None
    assert [(r.rule.name, r.effect) for r in one.commands.rules] == [
        ("ops/1", Answer.DENY),
        ("look", Answer.ALLOW),
    ]
    assert one.commands.rules[1].only == ()
    assert (one.commands.default, one.commands.opaque) == (Answer.DENY, Answer.DENY)
    assert (two.rule.origin, two.note, two.accounts) == ("p.yaml:12", "never", frozenset("*"))


def test_the_default_for_commands_follows_from_the_rules(tmp_path: Path) -> None:
    only_deny = policy(channels="exec", commands="[{deny: {program: rm}}]")
    (one,) = load(tmp_path, only_deny).policies
    assert one.commands is not None
    assert one.commands.default is Answer.ALLOW
    (one,) = load(tmp_path, only_deny.replace("commands", "default: deny\n    commands")).policies
    assert one.commands is not None
    assert one.commands.default is Answer.DENY


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"nme": "x"}, "policies[0].nme: unknown key, did you mean 'name'?"),
        ({"name": "A b"}, "policies[0].name: expected a name of"),
        ({"effect": "permit"}, "policies[0].effect: expected 'allow' or 'deny', got 'permit'"),
        ({"channels": "[telnet]"}, "policies[0].channels[0]: expected one of shell, exec"),
        ({"channels": '"*"'}, 'policies[0]: channels: "*" is for effect: deny only'),
        ({"accounts": "[a@b]"}, "policies[0].accounts[0]: expected an account name"),
        ({"who": "{everyone: yes}"}, "policies[0].who.everyone: expected true or false, got 'yes'"),
        ({"who": "{everyone: false}"}, "policies[0].who: everyone can only be true"),
        ({"who": "{everyone: true, users: a}"}, "policies[0].who: everyone: true stands alone"),
        ({"who": "{group: ops}"}, "policies[0].who.group: unknown key, did you mean 'groups'?"),
        ({"targets": "{names: [a/b]}"}, "policies[0].targets.names[0]: expected a name, * and ? allowed"),
        ({"when": "{zone: UTC}"}, "policies[0].when: says no time"),
        ({"when": "{days: mon, zone: Mars/Base}"}, "policies[0].when.zone: expected a time zone"),
        ({"when": "{days: mon, zone: ../../etc/passwd}"}, "policies[0].when.zone: expected a time zone"),
        ({"when": "{days: [monday]}"}, "policies[0].when.days: expected days such as mon-fri"),
        ({"when": "{hours: 8-18}"}, "policies[0].when.hours: expected hours such as 08:00-18:00"),
        ({"when": "{hours: '08:00-08:00'}"}, "policies[0].when.hours: the hours 08:00-08:00 are empty"),
        ({"when": "{hours: '08:00-25:00'}"}, "policies[0].when.hours: expected hours"),
        ({"when": "{until: 2026-13-01}"}, "policies[0].when.until: expected a day such as 2026-12-31"),
        ({"when": "{until: 20261231}"}, "policies[0].when.until: expected a day such as 2026-12-31"),
        ({"limits": "{}"}, "policies[0].limits: limits nothing"),
        ({"limits": "{idle: never}"}, "policies[0].limits.idle: expected a duration"),
        ({"limits": "{idle: 1500ms}"}, "policies[0].limits.idle: expected whole seconds"),
        ({"reason": "maybe"}, "policies[0].reason: expected 'required' or 'optional'"),
        ({"opaque": "deny"}, "policies[0]: opaque and default belong to commands"),
        ({"effect": "deny", "limits": "{idle: 1m}"}, "policies[0]: a policy with effect: deny has no limits"),
    ],
)
def test_a_problem_is_told_with_its_place(tmp_path: Path, changed: dict[str, str], told: str) -> None:
    (problem,) = refusal(tmp_path, policy(**changed))
    assert problem.startswith("p.yaml:")
    assert told in problem


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ("commands: []", "commands: must not be empty"),
        ("commands: [{}]", "commands[0]: expected exactly one of deny, hold, confirm, warn, allow"),
        ("commands: [{allow: {program: a}, deny: {program: b}}]", "expected exactly one of deny, hold"),
        ("commands: [{allow: {}}]", "commands[0].allow: names no program"),
        ("commands: [{allow: {program: []}}]", "commands[0].allow.program: must not be empty"),
        ("commands: [{allow: {program: ''}}]", "commands[0].allow.program: must not be empty"),
        ("commands: [{allow: {program: a, args: []}}]", "commands[0].allow.args: must not be empty"),
        ("commands: [{allow: {program: a}}]\n    default: allow", "allow rules have no effect"),
        (
            "commands: [{allow: {program: a}}]\n    default: warn",
            "expected 'allow', 'confirm', 'hold' or 'deny'",
        ),
        (
            "commands: [{deny: {program: a}}]\n    opaque: maybe",
            "policies[0].opaque: expected 'allow', 'warn'",
        ),
        ("commands: [{deny: {program: a}}]\n    default: confirm\n    opaque: warn", "make it confirm"),
        ("commands: [{deny: {program: a}, observe: false}]", "observe can only be true"),
        ("commands: [{allow: {program: a}, observe: true}]", "observe is not for allow"),
        ("commands: [{deny: {program: a}, approval: {from: {users: bob}}}]", "approval is for hold"),
        (
            "commands: [{deny: {regex: '('}}]",
            "expected a regular expression in RE2 syntax, got '(' (missing ):",
        ),
        ("commands: [{deny: {regex: 'a(?=b)'}}]", "invalid perl operator: (?="),
        ("commands: [{deny: {regex: 'x*'}}]", "is found in every line: 'x*'"),
        ("commands: [{deny: {regex: []}}]", "commands[0].deny.regex: must not be empty"),
        ("commands: [{allow: {program: a, regex: a}}]", "commands[0].allow.regex: unknown key"),
        ("commands: [{deny: {dialect: perl}}]", "expected one of shell, postgresql, mysql, sqlite, python"),
        ("commands: [{allow: {dialect: shell, sql: select}}]", "names no program"),
        ("commands: [{allow: {dialect: mysql}}]", "allows every statement: say which with sql or tables"),
        ("commands: [{confirm: {program: a}}]", "commands[0]: confirm: nobody can be asked on exec"),
        ("commands: [{deny: {program: a}, channels: shell}]", "channels: the policy does not grant shell"),
        ("commands: [{deny: {program: a}, accounts: root}]", "accounts: the policy does not grant root"),
        ("commands: [{deny: {program: a}, when: {}}]", "commands[0].when: says no time"),
        ("commands: [{deny: {program: a}, who: {}}]", "commands[0].who: names nobody"),
        ("commands: [{deny: {program: a}, targets: {}}]", "commands[0].targets: names no target"),
        (
            "commands: [{allow: {program: df}}, {name: r, warn: {program: reboot}}]",
            "the rule r has no effect: default: deny stops reboot before it; allow reboot as well",
        ),
        ("commands: [{allow: {program: a}}]\n    opaque: allow", "opaque: allow would let through"),
        (
            "commands: [{deny: {program: a}}]\n    default: deny\n    opaque: allow",
            "opaque: allow would let through",
        ),
    ],
)
def test_a_problem_in_commands(tmp_path: Path, commands: str, told: str) -> None:
    (problem,) = refusal(tmp_path, policy(channels="exec"), f"    {commands}\n")
    assert told in problem


@pytest.mark.parametrize("channel", ["sftp", "scp", "subsystem", "forward", "agent", "x11"])
def test_lesson_8_commands_cannot_be_bypassed_by_another_channel_of_the_policy(
    tmp_path: Path, channel: str
) -> None:
    """lesson 8: a condition that holds for one door only is not written as if it held for others."""
    (problem,) = refusal(tmp_path, policy(channels=f"[exec, {channel}]", commands="[{allow: {program: df}}]"))
    assert f"commands are judged on exec and shell only: put {channel} in a policy of its own" in problem


GRANTING = ["name", "who", "targets", "accounts", "channels"]


@pytest.mark.parametrize("key", GRANTING)
@pytest.mark.parametrize(
    "value", [None, "", "~", "null", "[]", "{}", "''", '""', "[null]", "['']", "0", "true"]
)
def test_lesson_3_every_granting_key_missing_empty_or_null_is_refused(
    tmp_path: Path, key: str, value: str | None
) -> None:
    """lesson 3: an empty condition is never no condition."""
    problems = refusal(tmp_path, policy(**{key: value}))
    assert any(f"policies[0].{key}" in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("key", "inner"),
    [("who", k) for k in ("users", "groups", "agents", "everyone")]
    + [("targets", k) for k in ("names", "tags")]
    + [("when", k) for k in ("days", "hours", "until", "zone")]
    + [("limits", k) for k in ("idle", "max")],
)
@pytest.mark.parametrize("value", ["", "~", "[]", "{}", "''", "[null]", "['']", "{env: []}", "{env: }"])
def test_lesson_3_every_inner_condition_empty_or_null_is_refused(
    tmp_path: Path, key: str, inner: str, value: str
) -> None:
    """lesson 3: the same one level down, alone and beside a condition that is there."""
    other = {"who": "users: [bob]", "targets": "names: [a]", "when": "days: [mon]", "limits": "max: 1h"}[key]
    refusal(tmp_path, policy(**{key: f"{{{inner}: {value}}}"}))
    if not other.startswith(inner):
        refusal(tmp_path, policy(**{key: f"{{{other}, {inner}: {value}}}"}))


@pytest.mark.parametrize(
    "key", ["effect", "when", "reason", "limits", "commands", "note", "opaque", "default"]
)
@pytest.mark.parametrize("value", ["", "~", "[]", "{}", "''"])
def test_lesson_3_an_optional_condition_that_is_there_but_empty_is_refused(
    tmp_path: Path, key: str, value: str
) -> None:
    """lesson 3: `when:` without a value is a mistake, not a policy without hours."""
    refusal(tmp_path, policy(**{key: value}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "version: 1\n",
        "version: 1\npolicies:\n",
        "version: 1\npolicies: []\n",
        "version: 1\npolicies: {}\n",
        "policies:\n" + policy(),
        "version: 2\npolicies:\n" + policy(),
        "version: true\npolicies:\n" + policy(),
        "version: '1'\npolicies:\n" + policy(),
        "version:\npolicies:\n" + policy(),
    ],
)
def test_lesson_3_a_file_without_version_or_policies_is_refused(tmp_path: Path, text: str) -> None:
    """lesson 3: the file as a whole."""
    refusal(tmp_path, head=text)


def test_one_bad_file_refuses_the_whole_set_and_all_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\npolicies:\n" + policy(name="good"))
    (tmp_path / "b.yaml").write_text("version: 1\npolicies:\n" + policy(name="bad", who="{}"))
    (tmp_path / "c.yml").write_text("version: 1\npolicies:\n" + policy(name="deny", effect="deny"))
    assert refusal(tmp_path, policy(name="good")) == [
        "b.yaml:4: policies[0].who: names nobody: give users, groups, agents, or everyone: true",
        "c.yml: not read: the name of the file must end in .yaml",
        "p.yaml:3: name: the policy good is defined already in a.yaml:3",
    ]


def test_a_missing_folder_is_no_policy_and_an_error_when_it_was_named(tmp_path: Path) -> None:
    empty = load_policies(tmp_path / "none")
    assert empty.policies == ()
    assert not Engine(empty, lambda *_: pytest.fail("asked")).decide(ask(ALICE, STG)).visible
    with pytest.raises(InvalidConfig, match="cannot read the folder"):
        load_policies(tmp_path / "none", required=True)


PIECES = st.sampled_from([
    "version: 1\n", "policies:\n", "  - name: a\n", "    who: ", "{", "}", "[", "]", "users: ", "x", "\n",
    "    accounts: ", "    channels: ", "'*'", "exec", "    when: ", "until: 2026-01-01", ", ", "hours: 1",
    "    commands: [{allow: {program: a}}]\n", "zone: /etc/passwd", "zone: '\\0'", "&a ", "*a", "? ", ": ",
    "!!x ", "~", "\t",
])  # fmt: skip


@given(st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=60))
def test_any_file_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "random-policies"
    folder.mkdir(exist_ok=True)
    (folder / "p.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    told = ""
    try:
        load_policies(folder)
    except InvalidConfig as error:
        told = str(error)
    assert told == "" or told.startswith(str(folder / "p.yaml"))
