"""The decision: who, which, as whom, on which channel, when, and the strictest of what is granted."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gate.rules import judge_line
from broker.model.access import Limits, Verdict
from broker.model.command import CommandLine, CommandRules, Judgement
from broker.model.identity import Kind, Principal
from broker.model.target import Channel
from broker.policy.engine import Engine
from broker.policy.explain import as_json, as_text, explain
from broker.policy.loader import PolicySet
from tests.unit.policies import ALICE, BOT, MALLORY, MONDAY, PROD, STG, ask, at, engine, load, policy


def test_granted(tmp_path: Path) -> None:
    decision = engine(tmp_path, policy(limits="{idle: 5m}")).decide(ask())
    assert decision.allowed
    assert (decision.rule.name, decision.rule.origin) == ("ops", "p.yaml:3")
    assert decision.limits == Limits(300, None)


@pytest.mark.parametrize("request_", [ask(MALLORY), ask(target=PROD), ask(MALLORY, account="nonsense")])
def test_what_no_policy_names_does_not_exist(tmp_path: Path, request_: object) -> None:
    decision = engine(tmp_path, policy()).decide(request_)  # type: ignore[arg-type]
    assert decision == engine(tmp_path, policy(name="other", who="{users: zoe}")).decide(ask())
    assert decision.verdict is Verdict.DENY
    assert not decision.visible


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (ask(account="root"), "account root is not granted"),
        (ask(channel=Channel.SFTP), "channel sftp is not granted as deploy"),
        (ask(moment=at("2026-11-22 10:00")), "window closed, opens Mon 08:00 Europe/Berlin"),
        (ask(moment=at("2027-01-01 10:00")), "ended after 2026-12-31 Europe/Berlin"),
        (ask(account="x\x1b[31m\u202e"), "account x\\x1b[31m\\u202e is not granted"),
    ],
)
def test_a_visible_denial_says_precisely_why(tmp_path: Path, asked: object, reason: str) -> None:
    when = "{days: mon-fri, hours: '08:00-18:00', zone: Europe/Berlin, until: 2026-12-31}"
    decision = engine(tmp_path, policy(when=when)).decide(asked)  # type: ignore[arg-type]
    assert (decision.verdict, decision.visible, decision.reason) == (Verdict.DENY, True, reason)
    assert decision.rule.name == "ops"


@pytest.mark.parametrize("channel", list(Channel))
def test_lesson_8_every_channel_is_denied_unless_it_is_listed(tmp_path: Path, channel: Channel) -> None:
    """lesson 8: every policy by every door. A policy for one channel grants that one and no other."""
    for granted in Channel:
        decision = engine(tmp_path, policy(channels=granted.value)).decide(
            ask(channel=channel, command=b"ls")
        )
        assert decision.allowed == (granted is channel)
        denying = policy(name="no", effect="deny", channels=granted.value)
        both = engine(tmp_path, policy(channels=channel.value), denying)
        assert both.decide(ask(channel=channel, command=b"ls")).allowed == (granted is not channel)


def test_people_and_agents_of_the_same_name_are_different(tmp_path: Path) -> None:
    person, agent = Principal("ci"), Principal("ci", Kind.AGENT)
    people = engine(tmp_path, policy(who="{users: ci}"))
    assert (people.decide(ask(person)).allowed, people.decide(ask(agent)).allowed) == (True, False)
    agents = engine(tmp_path, policy(who="{agents: ci}"))
    assert (agents.decide(ask(person)).allowed, agents.decide(ask(agent)).allowed) == (False, True)
    everyone = engine(tmp_path, policy(who="{everyone: true}"))
    assert everyone.decide(ask(person)).allowed
    assert everyone.decide(ask(agent)).allowed


def test_all_criteria_for_targets_have_to_fit(tmp_path: Path) -> None:
    both = engine(tmp_path, policy(targets="{names: ['*'], tags: {env: [stg, lab], owner: dba}}"))
    assert not both.decide(ask(target=STG)).visible
    assert both.decide(ask(target=replace(STG, tags={"env": "stg", "owner": "dba"}))).allowed
    assert not both.decide(ask(target=replace(STG, tags={"env": "prod", "owner": "dba"}))).visible


def test_any_account_means_those_the_target_has(tmp_path: Path) -> None:
    everything = engine(tmp_path, policy(accounts="'*'"))
    assert everything.decide(ask(account="root")).allowed
    assert everything.decide(ask(account="postgres")).reason == "account postgres is not granted"


def test_a_policy_that_denies_wins(tmp_path: Path) -> None:
    deny = policy(name="freeze", effect="deny", channels="'*'", accounts="'*'", note="Release freeze.")
    for order in itertools.permutations([policy(), deny]):
        decision = engine(tmp_path, *order).decide(ask(reason="x"))
        assert (decision.verdict, decision.rule.name) == (Verdict.DENY, "freeze")
        assert (decision.reason, decision.visible) == ("Release freeze.", True)
    alone = engine(tmp_path, deny).decide(ask())
    assert not alone.visible


@pytest.mark.parametrize("reason", ["", " ", "\n\t", "...", "\u200b\u200b", "-"])
def test_a_reason_that_says_nothing_is_none(tmp_path: Path, reason: str) -> None:
    asking = engine(tmp_path, policy(reason="required"))
    decision = asking.decide(ask(reason=reason))
    assert decision.verdict is Verdict.NEED_REASON
    assert not decision.allowed
    assert asking.decide(ask(reason="INC-1")).allowed


def test_the_strictest_of_several_policies_holds(tmp_path: Path) -> None:
    policies = [
        policy(name="a", limits="{idle: 5m, max: 8h}"),
        policy(name="b", limits="{max: 1h}", reason="required"),
        policy(name="c", channels="exec", commands="[{deny: {program: rm}, reason: No.}]"),
        policy(name="d", channels="exec"),
    ]
    for order in itertools.permutations(policies):
        both = engine(tmp_path, *order)
        asked = ask(channel=Channel.EXEC, command=b"ls")
        assert both.decide(asked).verdict is Verdict.NEED_REASON
        decision = both.decide(replace(asked, reason="INC-1"))
        assert (decision.verdict, decision.limits) == (Verdict.ALLOW, Limits(300, 3600))
        denied = both.decide(replace(asked, command=b"rm x"))
        assert (denied.verdict, denied.rule.name, denied.reason) == (Verdict.DENY, "c/1", "No.")


@given(st.data())
def test_more_conditions_never_grant_more(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever the policies, adding a denying one can only take away, and order changes no verdict."""
    folder = tmp_path_factory.getbasetemp() / "sets"
    folder.mkdir(exist_ok=True)
    choice = st.sampled_from
    texts = [
        policy(
            name=f"p{number}",
            effect=data.draw(choice(["allow", "deny"])),
            who=data.draw(choice(["{groups: ops}", "{users: zoe}", "{everyone: true}"])),
            targets=data.draw(choice(["{names: 'stg-*'}", "{tags: {env: prod}}", "{names: '*'}"])),
            accounts=data.draw(choice(["deploy", "root", "'*'"])),
            channels=data.draw(choice(["shell", "exec", "[shell, exec]"])),
            when=data.draw(choice([None, "{days: mon}", "{days: sun}"])),
        )
        for number in range(data.draw(st.integers(1, 4)))
    ]
    asked = ask(channel=data.draw(choice([Channel.SHELL, Channel.EXEC])), command=b"ls")
    full = engine(folder, *texts).decide(asked)
    assert engine(folder, *reversed(texts)).decide(asked).verdict is full.verdict
    if full.allowed:
        allowing = [text for text in texts if "effect: allow" in text]
        assert any(engine(folder, text).decide(asked).allowed for text in allowing)
        assert not any(engine(folder, policy(), text).decide(asked).reason.startswith("the policy p")
                       for text in texts if "effect: deny" in text)  # fmt: skip


def test_exec_is_judged_by_its_command(tmp_path: Path) -> None:
    listed = engine(tmp_path, policy(channels="exec", commands="[{allow: {program: [uptime, df]}}]"))
    asked = ask(channel=Channel.EXEC)
    assert listed.decide(replace(asked, command=b"df -h | uptime")).allowed
    denied = listed.decide(replace(asked, command=b"df; id"))
    assert (denied.verdict, denied.visible) == (Verdict.DENY, True)
    assert denied.reason == "id is not among the commands allowed here"
    inside = listed.decide(replace(asked, command=b"df $(id)"))
    assert inside.reason == "id is not among the commands allowed here"
    opaque = listed.decide(replace(asked, command=b"$X"))
    assert opaque.verdict is Verdict.DENY
    assert listed.decide(asked).reason == "there is no command line to judge"


def test_lesson_29_a_judge_that_fails_denies(tmp_path: Path) -> None:
    """lesson 29: a check that errors never keeps or gives an allowing answer."""

    def broken(rules: CommandRules, line: bytes | CommandLine, *, gated: bool = True) -> Judgement:
        raise RuntimeError("no parser")

    policies = load(tmp_path, policy(channels="exec", commands="[{deny: {program: rm}}]"))
    decision = Engine(policies, broken).decide(ask(channel=Channel.EXEC, command=b"ls"))
    assert decision.verdict is Verdict.DENY
    assert decision.reason == "the command could not be judged (RuntimeError)"


def test_lesson_29_a_request_that_cannot_be_evaluated_is_denied(tmp_path: Path) -> None:
    """lesson 29: a moment beyond the calendar, and a policy that is none."""
    timed = engine(tmp_path, policy(when="{days: mon}"))
    decision = timed.decide(ask(moment=10**30))
    assert (decision.verdict, decision.visible) == (Verdict.DENY, False)
    assert "could not be evaluated" in decision.reason
    assert not any(d.allowed for d in timed.access(ALICE, STG, "deploy", 10**30).values())
    broken = Engine(PolicySet((None,)), judge_line)  # type: ignore[arg-type]
    assert broken.decide(ask()).verdict is Verdict.DENY


def test_access_of_a_list(tmp_path: Path) -> None:
    listed = engine(
        tmp_path,
        policy(name="a", channels="shell", reason="required"),
        policy(name="b", channels="exec", commands="[{allow: {program: df}}]"),
    )
    access = listed.access(ALICE, STG, "deploy", MONDAY)
    assert set(access) == set(Channel)
    assert access[Channel.SHELL].verdict is Verdict.NEED_REASON
    assert access[Channel.EXEC].allowed
    assert access[Channel.SFTP].reason == "channel sftp is not granted as deploy"
    assert not any(decision.visible for decision in listed.access(BOT, STG, "deploy", MONDAY).values())


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-11-23 07:59", False),
        ("2026-11-23 08:00", True),
        ("2026-11-23 17:59", True),
        ("2026-11-23 18:00", False),
        ("2026-11-28 12:00", False),
        ("2026-10-26 08:00", True),
        ("2026-12-31 17:00", True),
        ("2027-01-01 09:00", False),
    ],
)
def test_the_window_by_the_clock_of_its_zone(tmp_path: Path, moment: str, allowed: bool) -> None:
    when = "{days: mon-fri, hours: '08:00-18:00', zone: Europe/Berlin, until: 2026-12-31}"
    decision = engine(tmp_path, policy(when=when)).decide(ask(moment=at(moment, "Europe/Berlin")))
    assert decision.allowed is allowed


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-11-27 21:59", False),
        ("2026-11-27 22:00", True),
        ("2026-11-28 05:59", True),
        ("2026-11-28 06:00", False),
        ("2026-11-28 23:00", False),
        ("2026-11-23 01:00", False),
        ("2026-11-24 01:00", True),
    ],
)
def test_hours_over_midnight_belong_to_the_day_they_start_on(
    tmp_path: Path, moment: str, allowed: bool
) -> None:
    nights = engine(tmp_path, policy(when="{days: mon-fri, hours: '22:00-06:00'}"))
    assert nights.decide(ask(moment=at(moment))).allowed is allowed


@pytest.mark.parametrize(
    ("when", "moment", "told"),
    [
        ("{days: [wed], hours: ['08:00-09:00', '14:00-15:00']}", "2026-11-25 10:00", "opens Wed 14:00 UTC"),
        ("{days: [wed]}", "2026-11-26 10:00", "opens Wed 00:00 UTC"),
        ("{days: [wed], until: 2026-12-01}", "2026-11-26 10:00", "does not open again"),
        ("{hours: '08:00-24:00'}", "2026-11-26 07:00", "opens Thu 08:00 UTC"),
        ("{days: sun-mon}", "2026-11-24 07:00", "opens Sun 00:00 UTC"),
    ],
)
def test_a_closed_window_says_when_it_opens(tmp_path: Path, when: str, moment: str, told: str) -> None:
    decision = engine(tmp_path, policy(when=when)).decide(ask(moment=at(moment)))
    assert decision.reason == f"window closed, {told}"


def test_explanations_tell_decision_rule_place_and_the_way(tmp_path: Path) -> None:
    asking = engine(
        tmp_path,
        policy(name="a", limits="{idle: 5m}"),
        policy(name="b", accounts="root"),
        policy(name="c", who="{users: zoe}"),
    )
    assert as_text(explain(asking, ask())).splitlines() == [
        "ALLOW  alice -> deploy+stg-web-1  shell",
        "  rule    a (p.yaml:3)",
        "  reason  granted by the policy a",
        "  limits  idle 300 s",
        "policies:",
        "  allow a (p.yaml:3): fits the request",
        "  allow b (p.yaml:9): account deploy is not granted",
        "  1 more do not name this user and target",
    ]
    hidden = as_text(explain(asking, ask(MALLORY)))
    assert "to this user the target does not exist" in hidden
    structure = as_json(explain(asking, ask(account="root")))
    assert (structure["verdict"], structure["rule"]) == ("allow", {"name": "b", "origin": "p.yaml:9"})
    steps = structure["policies"]
    assert isinstance(steps, list)
    assert [step["stopped_at"] for step in steps] == ["account", "fits", "who"]
