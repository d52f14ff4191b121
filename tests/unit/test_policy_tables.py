"""The tables of docs/policies.md, made from what the code answers; and what holds for every policy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gate.rules import judge_line
from broker.model.access import Decision, Rule, Verdict
from broker.model.approval import ApprovalTerms, Panel
from broker.model.command import Answer, CommandRule, CommandRules, Judgement
from broker.model.target import Channel
from tests.unit.policies import ask, engine, policy

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
POLICY = Rule("p", "p.yaml:1")
TERMS = ApprovalTerms((Panel(groups=frozenset({"dba"})),))
ANSWERS = list(Answer)
ACTING = [answer for answer in Answer if answer is not Answer.ALLOW]


def rule(effect: Answer, program: str, *args: str, observe: bool = False) -> CommandRule:
    held = TERMS if effect is Answer.HOLD else None
    name = Rule(f"{effect}-{program}", "p.yaml:2")
    return CommandRule(effect, name, (program,), args, observe=observe, approval=held)


def rules(*given_: CommandRule, default: Answer = Answer.ALLOW, opaque: Answer = Answer.DENY) -> CommandRules:
    return CommandRules(POLICY, given_, default, opaque, approval=TERMS)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def two_answers() -> str:
    def both(one: Answer, other: Answer) -> str:
        parts = [
            rule(answer, name) for answer, name in ((one, "a"), (other, "b")) if answer is not Answer.ALLOW
        ]
        return judge_line(rules(*parts), b"a; b").verdict

    return table(
        ["", *(f"`{answer}`" for answer in ANSWERS)],
        [[f"`{one}`", *(both(one, other) for other in ANSWERS)] for one in ANSWERS],
    )


def one_rule() -> str:
    def row(name: str, one: CommandRule) -> list[str]:
        sure = judge_line(rules(one), b"rm -r x").verdict
        return [name, sure, *(judge_line(rules(one, opaque=o), b"rm $FLAGS x").verdict for o in ANSWERS)]

    rows = [row(f"`{answer}`", rule(answer, "rm", "-r")) for answer in ACTING]
    rows.append(row("any, with `observe`", rule(Answer.DENY, "rm", "-r", observe=True)))
    return table(["rule", "surely", *(f"perhaps, `opaque: {answer}`" for answer in ANSWERS)], rows)


def channels(folder: Path) -> str:
    def row(action: Answer) -> list[str]:
        rule_ = "" if action is Answer.ALLOW else f"{{{action}: {{program: a}}}}, "
        if action is Answer.HOLD:
            rule_ = "{hold: {program: a}, approval: {from: {groups: dba}}}, "
        keys = {"commands": f"[{rule_}{{deny: {{program: z}}}}]"}
        alone = engine(folder, policy(**keys))
        asked = engine(folder, policy(**keys, approval="{lines: {from: {groups: dba}}}"))
        typed = alone.judge_line(ask(), b"a")
        assert typed is not None
        single = ask(channel=Channel.EXEC, command=b"a")
        return [f"`{action}`", typed.verdict, said(asked.decide(single)), said(alone.decide(single))]

    def said(decision: Decision) -> str:
        if decision.verdict is Verdict.NEED_APPROVAL:
            return "hold"
        assert decision.judgement is not None
        return decision.judgement.verdict

    heads = ["answer", "shell", "exec, with `approval.lines`", "exec, without"]
    return table(heads, [row(answer) for answer in ANSWERS])


@pytest.mark.parametrize(
    ("name", "made"),
    [("two answers", lambda _: two_answers()), ("one rule", lambda _: one_rule()), ("channels", channels)],
)
def test_the_tables_of_the_page_are_what_the_code_answers(
    name: str, made: Callable[[Path], str], tmp_path: Path
) -> None:
    found = re.search(rf"<!-- table: {name} -->\n(.*?)\n?<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == made(tmp_path)


def test_two_policies_come_to_the_same_as_two_rules(tmp_path: Path) -> None:
    for one, other in itertools.product(ACTING, repeat=2):
        texts = [
            policy(
                name=name,
                commands=f"[{{{answer}: {{program: {name}}}}}]",
                approval="{lines: {from: {groups: dba}}}",
            )
            for answer, name in ((one, "a"), (other, "b"))
        ]
        said = engine(tmp_path, *texts).judge_line(ask(), b"a; b")
        assert said is not None
        assert said.verdict is max(one, other, key=lambda answer: answer.strictness)


def test_among_equals_the_certain_one_is_named_and_a_stricter_doubt_beats_it() -> None:
    doubtful, certain = rule(Answer.DENY, "rm", "-r"), rule(Answer.DENY, "rm", "-f")
    for order in itertools.permutations([doubtful, certain]):
        said = judge_line(rules(*order), b"rm -f $X")
        assert (said.verdict, said.rule, said.doubt) == (Answer.DENY, certain.rule, False)
    confirmed = rule(Answer.CONFIRM, "rm", "-f")
    said = judge_line(rules(doubtful, confirmed), b"rm -f $X")
    assert (said.verdict, said.rule, said.doubt) == (Answer.DENY, doubtful.rule, True)
    said = judge_line(rules(doubtful, confirmed, opaque=Answer.WARN), b"rm -f $X")
    assert (said.verdict, said.rule, said.doubt) == (Answer.CONFIRM, confirmed.rule, False)


# ------------------------------------------------------------ whatever the rules

EFFECTS = st.sampled_from(ANSWERS)
RULES = st.builds(
    lambda effect, program, args, observe: rule(
        effect, program, *args, observe=observe and effect is not Answer.ALLOW
    ),
    EFFECTS,
    st.sampled_from(["rm", "df", "sh", "*"]),
    st.sampled_from([(), ("-r",), ("x*",)]),
    st.booleans(),
)
LINES = st.sampled_from(
    [b"df", b"rm -r x", b"rm $F x", b"df; rm x", b"df $(rm -r x)", b"$X", b"sh x.sh", b"> f", b"# nothing",
     b"", b"rm -r x; df y; sh -c 'df'"]
)  # fmt: skip
SETS = st.builds(
    lambda given_, default, opaque: rules(*given_, default=default, opaque=opaque),
    st.lists(RULES, max_size=4),
    st.sampled_from([Answer.ALLOW, Answer.CONFIRM, Answer.HOLD, Answer.DENY]),
    EFFECTS,
)


def more(table_: CommandRules, added: CommandRule) -> CommandRules:
    return CommandRules(
        table_.rule, (*table_.rules, added), table_.default, table_.opaque, approval=table_.approval
    )


def strictness(said: Judgement) -> int:
    return said.verdict.strictness


@given(SETS, RULES, LINES)
def test_a_rule_more_never_makes_an_answer_less_strict_unless_it_allows(
    table_: CommandRules, added: CommandRule, line: bytes
) -> None:
    before, after = judge_line(table_, line), judge_line(more(table_, added), line)
    if added.effect is Answer.ALLOW:
        assert strictness(after) <= strictness(before)
        assert table_.default is not Answer.ALLOW or after.verdict is before.verdict
    elif added.observe:
        assert after.verdict is before.verdict
    else:
        assert strictness(after) >= strictness(before)


@given(SETS, LINES, st.randoms(use_true_random=False))
def test_the_order_of_rules_changes_no_answer(table_: CommandRules, line: bytes, random: object) -> None:
    shuffled = list(table_.rules)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = judge_line(rules(*shuffled, default=table_.default, opaque=table_.opaque), line)
    said = judge_line(table_, line)
    assert (other.verdict, other.doubt, other.approval) == (said.verdict, said.doubt, said.approval)
    assert set(other.observed) == set(said.observed)


@given(SETS, LINES, EFFECTS)
def test_a_stricter_opaque_or_default_never_makes_an_answer_less_strict(
    table_: CommandRules, line: bytes, other: Answer
) -> None:
    def with_(**keys: Answer) -> int:
        given_ = {"default": table_.default, "opaque": table_.opaque} | keys
        return strictness(judge_line(rules(*table_.rules, **given_), line))

    here = with_()
    assert (with_(opaque=other) >= here) or other.strictness < table_.opaque.strictness
    assert (with_(default=other) >= here) or other.strictness < table_.default.strictness


@given(SETS, LINES)
def test_who_is_held_is_held_by_somebody(table_: CommandRules, line: bytes) -> None:
    said = judge_line(table_, line)
    assert (said.approval is not None) == (said.verdict is Answer.HOLD)


def test_a_hold_that_names_nobody_denies() -> None:
    """lesson 3: the rules of a file always name somebody; should one ever not, it is no way through."""
    nobody = CommandRules(POLICY, (CommandRule(Answer.HOLD, POLICY, ("a",)),), Answer.ALLOW)
    said = judge_line(nobody, b"a")
    assert (said.verdict, said.approval) == (Answer.DENY, None)
    both = CommandRules(POLICY, (*nobody.rules, rule(Answer.HOLD, "a")), Answer.ALLOW)
    assert judge_line(both, b"a").verdict is Answer.DENY
