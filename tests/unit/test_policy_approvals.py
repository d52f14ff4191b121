"""Who has to agree: as written, as referred to by name, on call, the owner, several policies, break-glass."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gate.rules import judge_line
from broker.model.access import Decision, Verdict
from broker.model.approval import ApprovalTerms, ClockStart, Panel, merged
from broker.model.command import Answer
from broker.model.errors import InvalidConfig
from broker.model.identity import Kind, Principal
from broker.model.target import Channel
from broker.policy.approval import FixedRoster
from broker.policy.engine import Engine
from broker.policy.explain import as_json, as_text, explain, terms_as_text
from broker.policy.loader import PolicySet, load_policies
from broker.policy.oncall import DutyRoster
from tests.unit.policies import ALICE, MONDAY, STG, ask, engine, load, policy
from tests.unit.test_policy_loader import refusal

DBA = "{from: {groups: dba}, within: 15m}"


def opening(terms: str, **keys: str | None) -> str:
    return policy(approval=f"{{open: {terms}}}", **keys)


def decided(folder: Path, *policies: str, reason: str = "", **changed: object) -> Decision:
    return engine(folder, *policies).decide(replace(ask(reason=reason), **changed))  # type: ignore[arg-type]


def terms_of(folder: Path, *policies: str, reason: str = "INC-7") -> ApprovalTerms:
    decision = decided(folder, *policies, reason=reason)
    assert decision.verdict is Verdict.NEED_APPROVAL
    assert not decision.allowed
    assert decision.approval is not None
    return decision.approval


def test_every_condition_of_the_terms(tmp_path: Path) -> None:
    written = (
        "{from: {users: bob, groups: [dba, sec]}, needed: 2, within: 15m, lasts: 30m, starts: first-use, "
        "reason: required, ticket: 'INC-[0-9]+', mfa: {max_age: 15m}, notify: [ops-chat, mail]}"
    )
    assert terms_of(tmp_path, opening(written)) == ApprovalTerms(
        panels=(Panel(2, frozenset({"bob"}), frozenset({"dba", "sec"})),),
        within_s=900,
        lasts_s=1800,
        starts=ClockStart.FIRST_USE,
        reason=True,
        ticket="INC-[0-9]+",
        mfa_age_s=900,
        notify=("mail", "ops-chat"),
    )


def test_several_panels_all_have_to_agree(tmp_path: Path) -> None:
    terms = terms_of(tmp_path, opening("{from: [{groups: dba, needed: 2}, {users: [eve, dan]}]}"))
    assert terms.text == "1 of dan, eve and 2 of group dba"


def test_terms_are_named_once_and_referred_to(tmp_path: Path) -> None:
    head = f"version: 1\napprovals:\n  duty: {DBA}\npolicies:\n"
    body = policy(
        approval="{open: duty, lines: duty}",
        commands="[{hold: {program: reboot}, approval: duty}, {hold: {program: halt}}]",
    )
    (tmp_path / "p.yaml").write_text(head + body)
    (one,) = load_policies(tmp_path).policies
    assert one.commands is not None
    assert one.opening is not None
    assert {rule.approval for rule in one.commands.rules} == {one.opening} == {one.commands.approval}
    told = refusal(tmp_path, body.replace("open: duty", "open: duti"), head=head)
    assert told == ["p.yaml:10: policies[0].approval.open: no terms are called 'duti', did you mean 'duty'?"]
    (other,) = refusal(tmp_path, opening("duty"))
    assert other.endswith("no terms are called 'duty': name it under approvals, in this file")


def test_a_reason_or_a_fitting_ticket_comes_before_the_approvers(tmp_path: Path) -> None:
    asking = opening("{from: {groups: dba}, ticket: 'INC-[0-9]+'}")
    for reason in ("", "please", "INC-", "XINC-7", "INC-7x"):
        decision = decided(tmp_path, asking, reason=reason)
        assert (decision.verdict, decision.reason) == (
            Verdict.NEED_REASON,
            "ops asks for a ticket that fits INC-[0-9]+",
        )
    for reason in ("INC-7", "fix orders (INC-7)", "INC-7: orders"):
        assert decided(tmp_path, asking, reason=reason).verdict is Verdict.NEED_APPROVAL
    plain = opening("{from: {groups: dba}, reason: required}")
    assert decided(tmp_path, plain, reason=" . ").reason == "ops asks for a reason"
    assert decided(tmp_path, plain, reason="orders").verdict is Verdict.NEED_APPROVAL


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"approval": "{}"}, "policies[0].approval: asks for nothing: give open or lines"),
        ({"approval": "{from: {users: bob}}"}, "policies[0].approval.from: unknown key"),
        ({"approval": "{open: {within: 5m}}"}, "policies[0].approval.open.from: this key is required"),
        ({"approval": "{open: {from: {}}}"}, "policies[0].approval.open.from: must not be empty"),
        ({"approval": "{open: {from: []}}"}, "policies[0].approval.open.from: must not be empty"),
        ({"approval": "{open: {from: [{}]}}"}, "policies[0].approval.open.from[0]: names nobody"),
        ({"approval": "{open: {from: {needed: 2}}}"}, "policies[0].approval.open.from: names nobody"),
        (
            {"approval": "{open: {from: {users: []}}}"},
            "policies[0].approval.open.from.users: must not be empty",
        ),
        ({"approval": "{open: {from: {owner: false}}}"}, "owner can only be true: leave the key out"),
        ({"approval": "{open: {from: {users: bob, needed: 0}}}"}, "expected at least 1, got 0"),
        ({"approval": "{open: {from: {users: bob}, needed: 2}}"}, "needs 2 of 1 people, so it never agrees"),
        ({"approval": "{open: {from: [{users: bob}, {users: eve}], needed: 2}}"}, "into each entry of from"),
        ({"approval": "{open: {from: {users: bob}, starts: first-use}}"}, "and there is no lasts"),
        ({"approval": "{open: {from: {users: bob}, reason: optional}}"}, "reason: expected 'required'"),
        ({"approval": "{open: {from: {users: bob}, ticket: '('}}"}, "expected a regular expression in RE2"),
        ({"approval": "{open: {from: {users: bob}, mfa: {}}}"}, "mfa.max_age: this key is required"),
        ({"approval": "{open: {from: {users: bob}, within: never}}"}, "within: expected a duration"),
        (
            {"approval": f"{{lines: {DBA}}}"},
            "approval.lines decides on lines that are held, and there are no",
        ),
        ({"approval": f"{{open: {DBA}}}", "effect": "deny"}, "a policy with effect: deny has no approval"),
        ({"break_glass": "{groups: sre, review: {from: {groups: sec}, within: 1d}}"}, "and there is none"),
    ],
)
def test_terms_that_mean_nothing_are_refused(tmp_path: Path, changed: dict[str, str], told: str) -> None:
    (problem,) = refusal(tmp_path, policy(**changed))
    assert problem.startswith("p.yaml:")
    assert told in problem


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"commands": "[{hold: {program: a}}]"}, "p.yaml:8: policies[0].commands[0]: hold: nobody is named"),
        (
            {"commands": "[{deny: {program: a}}]", "default": "hold"},
            "p.yaml:9: policies[0].default: hold: nobody",
        ),
        (
            {"commands": "[{deny: {program: a}}]", "opaque": "hold"},
            "p.yaml:9: policies[0].opaque: hold: nobody",
        ),
        ({"sql": "read-only", "opaque": "hold"}, "p.yaml:9: policies[0].opaque: hold: nobody is named"),
    ],
)
def test_lesson_3_a_hold_that_names_nobody_is_refused(
    tmp_path: Path, keys: dict[str, str], told: str
) -> None:
    """lesson 3: an empty list of approvers is never "no approval needed"."""
    (problem,) = refusal(tmp_path, policy(**keys))
    assert problem.startswith(told)


@pytest.mark.parametrize("inner", ["from", "within", "lasts", "reason", "ticket", "mfa", "notify", "needed"])
@pytest.mark.parametrize("value", ["", "~", "[]", "{}", "''", "[null]"])
def test_lesson_3_every_condition_of_an_approval_empty_or_null_is_refused(
    tmp_path: Path, inner: str, value: str
) -> None:
    """lesson 3: a condition that is there and empty is a mistake, never no condition."""
    beside = "" if inner == "from" else "from: {groups: dba}, "
    refusal(tmp_path, opening(f"{{{beside}{inner}: {value}}}"))


# ------------------------------------------------------------ nobody decides about himself


def test_lesson_18_a_panel_of_nobody_but_the_requester_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    """lesson 18: whom a policy benefits is not who lets it happen."""
    alone = opening("{from: {users: alice}}", who="{users: [alice, zoe]}")
    assert refusal(tmp_path, alone) == [
        "p.yaml:8: policies[0].approval.open: alice could never be approved: nobody decides about himself"
    ]
    both = opening("{from: {users: [alice, bob]}, needed: 2}", who="{users: alice}")
    assert "alice could never be approved" in refusal(tmp_path, both)[0]
    line = "[{hold: {program: a}, approval: {from: {users: alice}}, who: {users: alice}}]"
    assert "commands[0].approval: alice could never" in refusal(tmp_path, policy(commands=line))[0]
    glass = "{users: eve, review: {from: {users: eve}, within: 1d}}"
    (told,) = refusal(tmp_path, opening(DBA, break_glass=glass))
    assert (
        told
        == "p.yaml:9: policies[0].break_glass.review: nobody is left to review eve: nobody reviews himself"
    )
    assert load(tmp_path, opening("{from: {users: [alice, bob]}}", who="{users: [alice, bob]}")).policies


def test_lesson_18_a_panel_of_nobody_but_the_requester_is_never_satisfied(tmp_path: Path) -> None:
    """lesson 18: the same where only the request shows it, by a group, on call or by ownership."""
    by_group = opening("{from: {users: alice}}")
    decision = decided(tmp_path, by_group)
    assert decision.verdict is Verdict.DENY
    assert decision.reason == (
        "the policy ops asks for approval: of those who could approve (1 of alice) "
        "nobody is left beside who asks"
    )
    assert decided(tmp_path, by_group, principal=Principal("zoe", groups=ALICE.groups)).approval is not None
    on_duty = opening("{from: {on_call: dba}}")
    assert decided(tmp_path, on_duty).verdict is Verdict.DENY
    owned = opening("{from: {owner: true}}")
    assert decided(tmp_path, owned).verdict is Verdict.DENY


# ------------------------------------------------------------ on call, owner


def test_the_owner_is_whom_the_tag_of_the_target_names(tmp_path: Path) -> None:
    owned = engine(tmp_path, opening("{from: {owner: true}}"))
    decision = owned.decide(ask(target=replace(STG, tags={"owner": "web"})))
    assert decision.approval is not None
    assert decision.approval.text == "1 of the target's owner (web)"
    (panel,) = decision.approval.panels
    assert panel.seats("web", ())
    assert panel.seats("zoe", {"web"})
    assert not panel.seats("zoe", {"ops"})
    assert not Panel(owner=True).seats("", {""})


def test_who_is_on_call_is_asked_at_each_decision(tmp_path: Path) -> None:
    file = tmp_path / "on-call.yaml"
    file.write_text("on_call: {dba: {users: carol}}\n")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "p.yaml").write_text(
        "version: 1\npolicies:\n" + opening("{from: {on_call: dba, users: bob}}")
    )
    asked = Engine(load_policies(tmp_path / "p", on_call=DutyRoster(file)), judge_line)

    def text() -> str:
        decision = asked.decide(ask())
        return decision.approval.text if decision.approval else decision.reason

    assert text() == "1 of bob, carol (on call: dba)"
    file.write_text("on_call: {dba: {users: [dan, erin], groups: week-48}}\n")
    assert text() == "1 of bob, dan, erin, group week-48 (on call: dba)"
    file.write_text("on_call: {dba: {users: []}}\n")
    assert text() == "1 of bob (on call: dba)"


def test_lesson_29_an_on_call_list_that_cannot_be_read_is_nobody(tmp_path: Path) -> None:
    """lesson 29: a check that fails does not keep the answer it had."""
    file = tmp_path / "on-call.yaml"
    file.write_text("on_call: {dba: {users: carol}}\n")
    roster = DutyRoster(file)
    (tmp_path / "p").mkdir()
    asked = Engine(
        PolicySet(load(tmp_path / "p", opening("{from: {on_call: dba}}")).policies, roster), judge_line
    )
    assert asked.decide(ask()).verdict is Verdict.NEED_APPROVAL
    file.write_text("on_call: {dba: {user: carol}}\n")
    assert asked.decide(ask()).verdict is Verdict.DENY
    file.write_text("on_call: {dba: {users: carol}, sre: {users: dan}}\n")
    assert asked.decide(ask()).verdict is Verdict.NEED_APPROVAL
    file.unlink()
    assert asked.decide(ask()).verdict is Verdict.DENY


def test_on_call_lists_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "p.yaml").write_text("version: 1\npolicies:\n" + opening("{from: {on_call: dba}}"))
    with pytest.raises(InvalidConfig, match=r"p.yaml:8: .*there is no on-call list 'dba'"):
        load_policies(tmp_path / "p", on_call=FixedRoster({}))
    with pytest.raises(InvalidConfig, match=r"none.yaml: no such file"):
        DutyRoster(tmp_path / "none.yaml", required=True)
    (tmp_path / "bad.yaml").write_text("on_call:\n  dba: {user: x}\n")
    with pytest.raises(
        InvalidConfig, match=r"bad.yaml:2: on_call.dba.user: unknown key, did you mean 'users'"
    ):
        DutyRoster(tmp_path / "bad.yaml")


# ------------------------------------------------------------ several policies


def test_several_granting_policies_need_every_panel_and_the_shortest_times(tmp_path: Path) -> None:
    policies = [
        opening("{from: {groups: dba}, within: 15m, lasts: 2h, starts: first-use}", name="a"),
        opening("{from: {groups: dba}, needed: 2, within: 1h, lasts: 30m, reason: required}", name="b"),
        opening("{from: {groups: sec}, mfa: {max_age: 5m}, notify: chat}", name="c"),
        policy(name="d"),
    ]
    for order in itertools.permutations(policies):
        terms = terms_of(tmp_path, *order)
        assert terms.text == "1 of group sec and 2 of group dba"
        assert (terms.within_s, terms.lasts_s, terms.starts) == (900, 1800, ClockStart.APPROVAL)
        assert (terms.reason, terms.mfa_age_s, terms.notify) == (True, 300, ("chat",))
        assert decided(tmp_path, *order).verdict is Verdict.NEED_REASON


def test_policies_that_ask_for_different_tickets_deny(tmp_path: Path) -> None:
    one = opening("{from: {groups: dba}, ticket: 'INC-[0-9]+'}", name="a")
    two = opening("{from: {groups: dba}, ticket: 'CHG-[0-9]+'}", name="b")
    decision = decided(tmp_path, one, two, reason="INC-7 CHG-8")
    assert (decision.verdict, decision.reason) == (Verdict.DENY, "a and others ask for different tickets")


PANELS = st.builds(
    Panel,
    needed=st.integers(1, 3),
    users=st.frozensets(st.sampled_from(["bob", "eve"])),
    groups=st.frozensets(st.sampled_from(["dba", "sec"]), min_size=1),
)
TERMS = st.builds(
    ApprovalTerms,
    panels=st.lists(PANELS, min_size=1, max_size=3).map(tuple),
    within_s=st.none() | st.integers(1, 99),
    lasts_s=st.none() | st.integers(1, 99),
    starts=st.sampled_from(ClockStart),
    reason=st.booleans(),
    mfa_age_s=st.none() | st.integers(1, 99),
    notify=st.lists(st.sampled_from(["a", "b"]), unique=True).map(tuple),
)


@given(st.lists(TERMS, min_size=1, max_size=4), st.randoms())
def test_merged_terms_ask_for_no_less_than_each_and_know_no_order(
    several: list[ApprovalTerms], random
) -> None:  # type: ignore[no-untyped-def]
    together = merged(several)
    assert together is not None
    shuffled = list(several)
    random.shuffle(shuffled)
    assert merged(shuffled) == together == merged([together])
    for one in several:
        for panel in one.panels:
            assert any(
                replace(other, needed=1) == replace(panel, needed=1) and other.needed >= panel.needed
                for other in together.panels
            )
        for mine, theirs in [
            (together.within_s, one.within_s),
            (together.lasts_s, one.lasts_s),
            (together.mfa_age_s, one.mfa_age_s),
        ]:
            assert theirs is None or (mine is not None and mine <= theirs)
        assert together.reason >= one.reason
        assert set(one.notify) <= set(together.notify)


# ------------------------------------------------------------ break-glass

GLASS = "{groups: sre, lasts: 1h, review: {from: {groups: sec}, within: 1d, notify: chat}}"
SRE = Principal("sam", groups=frozenset({"ops", "sre"}))


def test_break_glass_is_offered_to_its_members_with_who_reviews_it(tmp_path: Path) -> None:
    asked = engine(tmp_path, opening(DBA, break_glass=GLASS))
    decision = asked.decide(ask(SRE))
    assert decision.verdict is Verdict.NEED_APPROVAL
    assert decision.break_glass == ApprovalTerms(
        (Panel(groups=frozenset({"sec"})),), within_s=86400, lasts_s=3600, reason=True, notify=("chat",)
    )
    assert asked.decide(ask(ALICE)).break_glass is None
    robot = replace(SRE, kind=Kind.AGENT)
    assert asked.decide(ask(robot)).break_glass is None
    text = as_text(explain(asked, ask(SRE)))
    assert "\n  decides 1 of group dba, within 15 min\n" in text
    assert "\n  or      breaks the glass; reviewed by 1 of group sec, within 1 d, lasts 1 h" in text
    structure = as_json(explain(asked, ask(SRE)))
    assert structure["break_glass"]["text"] == "1 of group sec"  # type: ignore[index]


def test_break_glass_goes_past_an_approval_only_if_each_policy_lets_it(tmp_path: Path) -> None:
    both = engine(tmp_path, opening(DBA, break_glass=GLASS), opening(DBA, name="b"))
    assert both.decide(ask(SRE)).break_glass is None
    review = GLASS.replace("sec", "audit").replace("1d", "2h")
    other = engine(tmp_path, opening(DBA, break_glass=GLASS), opening(DBA, name="b", break_glass=review))
    glass = other.decide(ask(SRE)).break_glass
    assert glass is not None
    assert (glass.text, glass.within_s) == ("1 of group audit and 1 of group sec", 7200)


def test_the_glass_may_be_broken_where_nobody_could_approve(tmp_path: Path) -> None:
    """Nobody on call is the emergency that it is for; all others are denied."""
    asked = engine(tmp_path, opening("{from: {on_call: dba}}", break_glass=GLASS))
    decision = asked.decide(ask(SRE))
    assert (decision.verdict, decision.break_glass is not None) == (Verdict.NEED_APPROVAL, True)
    assert decision.reason.endswith("(1 of on call: dba) nobody is left beside who asks")
    assert asked.decide(ask(ALICE)).verdict is Verdict.DENY
    unreviewed = GLASS.replace("{groups: sec}", "{users: sam}")
    nobody = engine(tmp_path, opening("{from: {on_call: dba}}", break_glass=unreviewed))
    assert nobody.decide(ask(SRE)).verdict is Verdict.DENY


def test_break_glass_opens_nothing_else(tmp_path: Path) -> None:
    """Hours, denials, reasons and held commands stay: only the approval of the opening is gone past."""
    closed = engine(tmp_path, opening(DBA, break_glass=GLASS, when="{days: sun}"))
    assert closed.decide(ask(SRE)).verdict is Verdict.DENY
    asking = engine(tmp_path, opening(DBA, break_glass=GLASS, reason="required"))
    assert asking.decide(ask(SRE)).verdict is Verdict.NEED_REASON
    held = engine(
        tmp_path, opening(DBA, break_glass=GLASS, commands=f"[{{hold: {{program: rm}}, approval: {DBA}}}]")
    )
    decision = held.decide(ask(SRE, channel=Channel.EXEC, command=b"rm x"))
    assert (decision.verdict, decision.break_glass) == (Verdict.NEED_APPROVAL, None)


# ------------------------------------------------------------ lists, other channels


@pytest.mark.parametrize("channel", list(Channel))
def test_lesson_34_an_approval_is_asked_for_by_every_door(tmp_path: Path, channel: Channel) -> None:
    """lesson 34, lesson 8: no channel of the policy is opened without it."""
    asked = engine(tmp_path, opening(DBA, channels=channel.value))
    assert asked.decide(ask(channel=channel, command=b"ls")).verdict is Verdict.NEED_APPROVAL
    access = asked.access(ALICE, STG, "deploy", MONDAY)
    assert access[channel].verdict is Verdict.NEED_APPROVAL
    assert not any(one.allowed for one in access.values())


def test_a_held_exec_asks_all_at_once(tmp_path: Path) -> None:
    policies = [
        opening("{from: {groups: dba}, within: 15m}", name="a"),
        policy(
            name="b",
            commands="[{hold: {program: rm}, approval: {from: {groups: sec}, within: 5m}, reason: Careful.}]",
        ),
    ]
    decision = decided(tmp_path, *policies, channel=Channel.EXEC, command=b"rm x")
    assert decision.approval is not None
    assert (decision.verdict, decision.rule.name, decision.reason) == (
        Verdict.NEED_APPROVAL,
        "b/1",
        "Careful.",
    )
    assert (decision.approval.text, decision.approval.within_s) == ("1 of group dba and 1 of group sec", 300)
    assert decision.judgement is not None
    assert decision.judgement.verdict is Answer.HOLD
    plain = decided(tmp_path, *policies, channel=Channel.EXEC, command=b"ls")
    assert plain.approval is not None
    assert (plain.rule.name, plain.approval.text) == ("a", "1 of group dba")


def test_terms_in_words() -> None:
    terms = ApprovalTerms((Panel(users=frozenset({"bob"})),), 90, 7200, ClockStart.FIRST_USE, True, None, 900)
    assert terms_as_text(terms) == (
        "1 of bob, within 90 s, lasts 2 h from first-use, reason, second factor within 15 min"
    )
    assert terms_as_text(replace(terms, ticket="X", within_s=None)).startswith(
        "1 of bob, lasts 2 h from first-use, ticket X"
    )
