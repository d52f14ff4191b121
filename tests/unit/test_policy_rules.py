"""Rules for command lines as policies write them: their actions, what bounds them, what they match."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broker.gate.rules import judge, judge_line
from broker.gate.shell import Session, parse
from broker.model.access import AccessRequest, Verdict
from broker.model.command import Answer, CommandLine, CommandRules, Judgement, SimpleCommand, SqlText
from broker.model.identity import Kind, Principal
from broker.model.target import Channel
from tests.unit.policies import ALICE, BOT, PROD, STG, ask, at, engine, load, policy

LINES = "{lines: {from: {groups: dba}}}"
TYPED = ask()
EXEC = ask(channel=Channel.EXEC)


def said(
    folder: Path, commands: str, line: str | CommandLine, asked: AccessRequest = TYPED, **keys: str
) -> Judgement:
    text = line.encode() if isinstance(line, str) else line
    judgement = engine(folder, policy(commands=f"[{commands}]", **keys)).judge_line(asked, text)
    assert judgement is not None
    return judgement


def rules(folder: Path, commands: str, **keys: str) -> CommandRules:
    (one,) = load(folder, policy(commands=f"[{commands}]", **keys)).policies
    assert one.commands is not None
    return one.commands


@pytest.mark.parametrize("action", ["deny", "confirm", "warn"])
def test_each_action_answers_with_its_reason(tmp_path: Path, action: str) -> None:
    rule = f"{{name: careful, {action}: {{program: reboot}}, reason: Ask first.}}"
    judgement = said(tmp_path, rule, "sudo reboot")
    assert (judgement.verdict, judgement.rule.name, judgement.rule.origin, judgement.reason) == (
        Answer(action), "careful", "p.yaml:8", "Ask first.",
    )  # fmt: skip
    assert said(tmp_path, rule, "uptime").verdict is Answer.ALLOW


def test_a_held_line_carries_who_decides(tmp_path: Path) -> None:
    by_policy = said(tmp_path, "{hold: {program: reboot}}", "reboot", approval=LINES)
    own = said(
        tmp_path, "{hold: {program: reboot}, approval: {from: {users: bob}}}", "reboot", approval=LINES
    )
    assert by_policy.approval is not None
    assert own.approval is not None
    assert (by_policy.verdict, by_policy.approval.text) == (Answer.HOLD, "1 of group dba")
    assert own.approval.text == "1 of bob"
    assert by_policy.reason == "reboot needs approval here"


def test_a_line_that_several_rules_hold_needs_everyone(tmp_path: Path) -> None:
    bob, eve = ("approval: {from: {users: " + name + "}}" for name in ("bob", "eve"))
    two = f"{{hold: {{program: a}}, {bob}}}, {{hold: {{program: b}}, {eve}}}"
    judgement = said(tmp_path, two, "a; b")
    assert judgement.approval is not None
    assert judgement.approval.text == "1 of bob and 1 of eve"
    one = "{hold: {program: a}, approval: {from: {groups: x}, ticket: 'A'}}"
    other = "{hold: {program: b}, approval: {from: {groups: x}, ticket: 'B'}}"
    judgement = said(tmp_path, f"{one}, {other}", "a; b")
    assert judgement.verdict is Answer.DENY
    assert judgement.reason == "ops/1 and ops/2 ask for different tickets: run the commands one at a time"


def test_a_held_line_that_nobody_else_could_approve_is_denied(tmp_path: Path) -> None:
    """lesson 18: by a group no one can tell at loading who asks."""
    judgement = said(tmp_path, "{hold: {program: a}, approval: {from: {users: alice}}}", "a")
    assert (judgement.verdict, judgement.approval) == (Answer.DENY, None)
    assert judgement.reason.endswith("(1 of alice) nobody is left beside who asks")


@pytest.mark.parametrize("default", ["confirm", "hold", "deny"])
def test_a_default_is_for_what_no_allow_rule_names(tmp_path: Path, default: str) -> None:
    keys = {"default": default, "approval": LINES, "opaque": "deny"}
    listed = "{allow: {program: [df, systemctl]}}, {hold: {program: systemctl, verb: restart}}"
    assert said(tmp_path, listed, "df -h", **keys).verdict is Answer.ALLOW
    unlisted = said(tmp_path, listed, "id", **keys)
    assert (unlisted.verdict, unlisted.reason) == (
        Answer(default),
        "id is not among the commands allowed here",
    )
    assert (unlisted.approval is not None) is (default == "hold")
    assert said(tmp_path, listed, "systemctl status x", **keys).verdict is Answer.ALLOW
    assert said(tmp_path, listed, "systemctl restart x", **keys).verdict is Answer.HOLD
    assert said(tmp_path, listed, "systemctl restart x; id", **keys).verdict is max(
        Answer.HOLD, Answer(default), key=lambda one: one.strictness
    )


@pytest.mark.parametrize("opaque", list(Answer))
def test_what_cannot_be_read_gets_the_answer_of_opaque(tmp_path: Path, opaque: Answer) -> None:
    judgement = said(tmp_path, "{deny: {program: rm}}", "$CMD x", opaque=opaque, approval=LINES)
    assert (judgement.verdict, judgement.doubt) == (opaque, opaque is not Answer.ALLOW)
    assert (
        said(tmp_path, "{deny: {program: rm}}", "$CMD; rm x", opaque=opaque, approval=LINES).verdict
        is Answer.DENY
    )


def test_without_the_key_an_opaque_line_is_held_where_somebody_decides(tmp_path: Path) -> None:
    assert said(tmp_path, "{deny: {program: rm}}", "$CMD").verdict is Answer.DENY
    assert said(tmp_path, "{deny: {program: rm}}", "$CMD", approval=LINES).verdict is Answer.HOLD


# ------------------------------------------------------------ observing


def test_an_observing_rule_reports_and_changes_nothing(tmp_path: Path) -> None:
    watched = "{name: w, hold: {program: rm}, observe: true, approval: {from: {users: bob}}}"
    watched += ", {name: v, deny: {regex: 'x'}, observe: true}"
    judgement = said(tmp_path, watched, "rm x")
    assert judgement.verdict is Answer.ALLOW
    assert [rule.name for rule in judgement.observed] == ["w", "v"]
    assert said(tmp_path, watched, "ls").observed == ()
    perhaps = said(tmp_path, "{name: w, deny: {program: rm, args: '-r'}, observe: true}", "rm $F")
    assert (perhaps.verdict, [rule.name for rule in perhaps.observed]) == (Answer.ALLOW, ["w"])


def test_observations_of_every_policy_and_of_denied_lines_are_kept(tmp_path: Path) -> None:
    policies = [
        policy(name="a", commands="[{name: w, warn: {program: rm}, observe: true}]"),
        policy(name="b", commands="[{name: v, deny: {program: rm}, observe: true}, {deny: {program: rm}}]"),
    ]
    for order in (policies, policies[::-1]):
        judgement = engine(tmp_path, *order).judge_line(TYPED, b"rm x")
        assert judgement is not None
        assert (judgement.verdict, {rule.name for rule in judgement.observed}) == (Answer.DENY, {"w", "v"})
        decision = engine(tmp_path, *order).decide(replace(EXEC, command=b"rm x"))
        assert decision.judgement is not None
        assert {rule.name for rule in decision.judgement.observed} == {"w", "v"}


# ------------------------------------------------------------ what bounds a rule

FRIDAY = at("2026-11-27 15:00")


@pytest.mark.parametrize(
    ("bound", "inside", "outside"),
    [
        ("who: {users: alice}", TYPED, ask(Principal("zoe", groups=ALICE.groups))),
        ("who: {groups: lead}", ask(Principal("x", groups=frozenset({"ops", "lead"}))), TYPED),
        ("who: {agents: ci-watch}", ask(replace(BOT, groups=ALICE.groups)), TYPED),
        ("targets: {tags: {env: prod}}", ask(target=PROD), TYPED),
        ("targets: {names: 'stg-*'}", TYPED, ask(target=PROD)),
        ("accounts: root", ask(account="root"), TYPED),
        ("channels: shell", TYPED, EXEC),
        ("when: {days: fri}", replace(TYPED, line_at=FRIDAY), TYPED),
    ],
)
def test_a_rule_holds_where_it_is_bounded_to(
    tmp_path: Path, bound: str, inside: AccessRequest, outside: AccessRequest
) -> None:
    keys = {"targets": "{names: '*'}", "accounts": "[deploy, root]"}
    assert (
        said(tmp_path, f"{{deny: {{program: rm}}, {bound}}}", "rm x", inside, **keys).verdict is Answer.DENY
    )
    assert (
        said(tmp_path, f"{{deny: {{program: rm}}, {bound}}}", "rm x", outside, **keys).verdict is Answer.ALLOW
    )
    allowed = f"{{allow: {{program: rm}}, {bound}}}"
    assert said(tmp_path, allowed, "rm x", inside, **keys).verdict is Answer.ALLOW
    assert said(tmp_path, allowed, "rm x", outside, **keys).verdict is Answer.DENY


def test_the_hours_of_a_rule_are_those_of_the_line_and_of_a_policy_those_of_the_start(tmp_path: Path) -> None:
    asked = engine(
        tmp_path,
        policy(when="{days: mon}", commands="[{deny: {program: rm}, when: {days: fri}}]"),
    )
    monday = asked.judge_line(TYPED, b"rm x")
    friday = asked.judge_line(replace(TYPED, line_at=FRIDAY), b"rm x")
    assert monday is not None
    assert friday is not None
    assert (monday.verdict, friday.verdict) == (Answer.ALLOW, Answer.DENY)


def test_one_policy_holds_rules_for_several_scopes(tmp_path: Path) -> None:
    commands = (
        "[{deny: {program: rm}, targets: {tags: {env: prod}}},"
        " {warn: {program: rm}, targets: {tags: {env: stg}}},"
        " {hold: {program: rm}, accounts: root, approval: {from: {users: bob}}}]"
    )
    asked = engine(tmp_path, policy(targets="{names: '*'}", accounts="'*'", commands=commands))
    answers = {
        (target.name, account): asked.judge_line(ask(target=target, account=account), b"rm x")
        for target in (STG, PROD)
        for account in ("deploy", "root")
    }
    assert {key: one and one.verdict for key, one in answers.items()} == {
        ("stg-web-1", "deploy"): Answer.WARN,
        ("stg-web-1", "root"): Answer.HOLD,
        ("prod-db-1", "deploy"): Answer.DENY,
        ("prod-db-1", "root"): Answer.DENY,
    }


# ------------------------------------------------------------ regex


@pytest.mark.parametrize(
    "line",
    ["curl http://x/install.sh | sh", "echo;  CURL http://x/install.sh", "'curl'   http://x/install.sh"],
)
def test_a_regex_is_found_in_the_line_as_typed_or_as_read(tmp_path: Path, line: str) -> None:
    rule = "{name: no-installers, deny: {regex: '(?i)curl http\\S+install'}}"
    judgement = said(tmp_path, rule, line)
    assert (judgement.verdict, judgement.rule.name) == (Answer.DENY, "no-installers")


def test_a_regex_sees_lines_that_run_nothing_and_lines_that_cannot_be_read(tmp_path: Path) -> None:
    rule = "{deny: {regex: 'TODO'}}"
    assert said(tmp_path, rule, "# TODO").verdict is Answer.DENY
    assert said(tmp_path, rule, "# done").verdict is Answer.ALLOW
    assert said(tmp_path, rule, "$X TODO", opaque="allow").verdict is Answer.DENY
    assert said(tmp_path, rule, "'TODO", opaque="allow").verdict is Answer.DENY


def test_a_regex_beside_other_parts_narrows_them(tmp_path: Path) -> None:
    rule = "{deny: {program: curl, regex: 'prod'}}"
    assert said(tmp_path, rule, "curl prod").verdict is Answer.DENY
    assert said(tmp_path, rule, "curl stg").verdict is Answer.ALLOW
    assert said(tmp_path, rule, "wget prod").verdict is Answer.ALLOW


def test_a_line_whose_text_is_not_known_is_a_doubt_for_a_regex(tmp_path: Path) -> None:
    table = rules(tmp_path, "{deny: {regex: 'evil'}}")
    judgement = judge(table, CommandLine((SimpleCommand("ls"),)))
    assert (judgement.verdict, judgement.doubt) == (Answer.DENY, True)
    assert judge(table, replace(parse(b"ls"), text="ls")).verdict is Answer.ALLOW


def test_the_text_of_a_line_is_all_that_was_typed_for_it() -> None:
    assert parse(b"ls  'a'").text == "ls  'a'"
    assert parse(b"\xff").text == "\ufffd"
    session = Session()
    assert session.read(b"echo 'a").incomplete
    assert session.read(b"b'").text == "echo 'a\nb'"


def test_bytes_and_their_reading_are_judged_alike(tmp_path: Path) -> None:
    table = rules(tmp_path, "{deny: {program: rm}}, {warn: {regex: 'x'}}")
    for line in (b"rm x", b"ls x", b"ls", b"$X", b"\xff", b""):
        assert judge_line(table, line) == judge_line(table, parse(line))


# ------------------------------------------------------------ dialects


def statement(text: str, dialect: str = "postgresql") -> CommandLine:
    return CommandLine((SimpleCommand("", sql=(SqlText(dialect, text),)),), text=text, dialect=dialect)


def test_a_rule_for_a_dialect_is_about_lines_and_statements_in_it(tmp_path: Path) -> None:
    rule = "{deny: {dialect: postgresql, sql: ddl}}"
    assert said(tmp_path, rule, statement("DROP TABLE x")).verdict is Answer.DENY
    assert said(tmp_path, rule, "psql -X -c 'DROP TABLE x'").verdict is Answer.DENY
    assert said(tmp_path, rule, statement("DROP TABLE x", "mysql")).verdict is Answer.ALLOW
    assert said(tmp_path, rule, "mysql -e 'DROP TABLE x'").verdict is Answer.ALLOW
    shell = "{deny: {dialect: shell, regex: 'secret'}}"
    assert said(tmp_path, shell, "cat secret").verdict is Answer.DENY
    assert said(tmp_path, shell, statement("SELECT secret")).verdict is Answer.ALLOW
    python = "{warn: {dialect: python}}"
    assert said(tmp_path, python, CommandLine((), text="import os", dialect="python")).verdict is Answer.WARN
    assert said(tmp_path, python, "import os").verdict is Answer.ALLOW


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("SELECT 1", True),
        ("SELECT 1; SELECT * FROM orders", True),
        ("SELECT 1; DROP TABLE orders", False),
        ("SELECT lo_export(1, 'x')", False),
        ("WITH d AS (DELETE FROM orders RETURNING 1) SELECT 1", False),
        ("SELECT '", False),
        ("\\! id", False),
    ],
)
def test_an_allow_rule_for_sql_wants_every_statement_to_be_listed(
    tmp_path: Path, text: str, allowed: bool
) -> None:
    verdict = Answer.ALLOW if allowed else Answer.DENY
    typed = "{allow: {dialect: postgresql, sql: select}}"
    assert said(tmp_path, typed, statement(text)).verdict is verdict
    given = "{allow: {program: psql, sql: select}}"
    line = CommandLine((SimpleCommand("psql", sql=(SqlText("postgresql", text),)),), text=text)
    assert said(tmp_path, given, line).verdict is verdict


def test_an_allow_rule_for_tables_wants_every_table_to_be_listed(tmp_path: Path) -> None:
    rule = "{allow: {dialect: mysql, sql: select, tables: [orders, shop.*]}}"
    assert said(tmp_path, rule, statement("SELECT * FROM orders", "mysql")).verdict is Answer.ALLOW
    assert said(tmp_path, rule, statement("SELECT * FROM orders JOIN users", "mysql")).verdict is Answer.DENY
    assert said(tmp_path, rule, "SELECT").verdict is Answer.DENY


# ------------------------------------------------------------ exec, doubt


def test_what_becomes_of_each_answer_to_an_exec(tmp_path: Path) -> None:
    def decide(action: str, approval: str | None = None) -> tuple[Verdict, Answer | None, str]:
        asked = engine(tmp_path, policy(commands=f"[{{{action}: {{program: a}}}}]", approval=approval))
        decision = asked.decide(replace(EXEC, command=b"a"))
        return decision.verdict, decision.judgement and decision.judgement.verdict, decision.reason

    assert decide("warn") == (Verdict.ALLOW, Answer.WARN, "granted by the policy ops")
    assert decide("deny") == (Verdict.DENY, Answer.DENY, "a is denied here")
    assert decide("hold", LINES) == (Verdict.NEED_APPROVAL, Answer.HOLD, "a needs approval here")
    assert decide("confirm", LINES) == (Verdict.NEED_APPROVAL, Answer.HOLD, "a has to be confirmed here")
    assert decide("confirm") == (
        Verdict.DENY,
        Answer.DENY,
        "a has to be confirmed here (a shell would ask you to confirm it; a single command cannot)",
    )


def test_a_line_that_could_not_be_read_is_held_only_if_every_policy_says_who_decides(tmp_path: Path) -> None:
    rule = "[{deny: {program: rm}}]"
    with_, without = policy(name="a", commands=rule, approval=LINES), policy(name="b", commands=rule)
    held = engine(tmp_path, with_, policy(name="c")).judge_doubt(TYPED, "not readable")
    assert held.approval is not None
    assert (held.verdict, held.reason, held.doubt, held.approval.text) == (
        Answer.HOLD, "not readable", True, "1 of group dba",
    )  # fmt: skip
    for policies in (
        [without],
        [with_, without],
        [without, with_],
        [policy()],
        [policy(name="n", who="{users: zoe}")],
    ):
        said_ = engine(tmp_path, *policies).judge_doubt(TYPED, "not readable")
        assert (said_.verdict, said_.reason, said_.doubt) == (Answer.DENY, "not readable", True)
    denied = engine(tmp_path, policy(commands=rule, approval=LINES, opaque="deny")).judge_doubt(TYPED, "no")
    assert denied.verdict is Answer.DENY
    for opaque in ("allow", "warn", "confirm"):
        lax = engine(tmp_path, policy(commands=rule, approval=LINES, opaque=opaque)).judge_doubt(TYPED, "no")
        assert lax.verdict is Answer.HOLD


def test_lesson_29_a_doubt_that_cannot_be_evaluated_is_denied(tmp_path: Path) -> None:
    """lesson 29: neither a moment beyond the calendar nor a broken judge lets a line through."""
    timed = engine(tmp_path, policy(when="{days: mon}", commands="[{deny: {program: rm}}]", approval=LINES))
    beyond = ask(moment=10**30)
    assert timed.judge_doubt(beyond, "x").verdict is Answer.DENY
    line = timed.judge_line(beyond, b"ls")
    assert line is not None
    assert line.verdict is Answer.DENY
    scoped = engine(tmp_path, policy(commands="[{deny: {program: rm}, when: {days: mon}}]"))
    broken = scoped.judge_line(replace(TYPED, line_at=10**30), b"ls")
    assert broken is not None
    assert broken.verdict is Answer.DENY


def test_agents_are_held_like_people(tmp_path: Path) -> None:
    robot = Principal("ci-watch", Kind.AGENT)
    keys = {"who": "{agents: ci-watch}", "approval": LINES}
    assert said(tmp_path, "{hold: {program: a}}", "a", ask(robot), **keys).verdict is Answer.HOLD
