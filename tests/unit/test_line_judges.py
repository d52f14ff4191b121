"""From judgements to rulings: the strictest holds, and doubt goes where the target says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker.gate.lines.ruling import Candidate, JudgeLine, Source, Word
from broker.gate.reading import LineReaders
from broker.gate.reading.place import Where
from broker.model.access import NO_RULE, Rule
from broker.model.approval import ApprovalTerms, Panel
from broker.model.command import Answer, CommandLine, Judgement
from broker.model.target import OnDoubt
from broker.session.lines import on_doubt
from broker.session.lines import strictest as strictest_by

BOB, CAROL = Panel(1, frozenset({"bob"})), Panel(1, frozenset({"carol"}))


Judge = Callable[[bytes | CommandLine], Judgement | None]


def judge(said: dict[str, Judgement]) -> Judge:
    def answers(line: bytes | CommandLine) -> Judgement | None:
        assert isinstance(line, CommandLine)
        return said.get(line.text or "")

    return answers


class Typed(LineReaders):
    """One reading of each line: its text."""

    def __init__(self) -> None:
        super().__init__(())

    def read(self, text: str, where: Where, *, whole: bool = True) -> list[CommandLine]:
        return [CommandLine((), text=text)]


def strictest(said: Judge) -> JudgeLine:
    return strictest_by(said, Typed())


def answer(
    verdict: Answer, *panels: Panel, doubt: bool = False, within: int | None = None, observed: int = 0
) -> Judgement:
    terms = ApprovalTerms(panels, within) if panels else None
    rules = tuple(Rule(f"watch-{number}", "p.yaml:3") for number in range(observed))
    rule = Rule(f"{verdict.value}{'?' if doubt else ''}", "p.yaml:7")
    return Judgement(verdict, rule, "because", doubt, rules, terms)


def lines(*texts: str) -> list[Candidate]:
    return [Candidate(text, Source.KEYS) for text in texts]


@pytest.mark.parametrize("verdict", Answer)
def test_every_answer_has_its_word_with_rule_place_and_terms(verdict: Answer) -> None:
    ruling = strictest(judge({"x": answer(verdict, BOB)}))(lines("x"))
    assert ruling.word.value == verdict.value
    assert (ruling.rule, ruling.origin, ruling.reason) == (verdict.value, "p.yaml:7", "because")
    assert ruling.approval == ApprovalTerms((BOB,))


@pytest.mark.parametrize("stricter", list(Answer)[1:])
def test_the_strictest_of_all_readings_holds_in_any_order(stricter: Answer) -> None:
    milder = list(Answer)[stricter.strictness - 1]
    rule = strictest(judge({"x": answer(stricter, BOB), "y": answer(milder, BOB)}))
    assert rule(lines("x", "y")).word.value == rule(lines("y", "x")).word.value == stricter.value


def test_a_sure_denial_is_named_before_a_doubtful_one() -> None:
    rule = strictest(judge({"x": answer(Answer.DENY, doubt=True), "y": answer(Answer.DENY)}))
    assert rule(lines("x", "y")).rule == "deny"


def test_nothing_said_and_nothing_typed_is_allowed() -> None:
    rule = strictest(judge({"  ": answer(Answer.DENY)}))
    assert rule(lines("x", "  ")).word is Word.ALLOW


def test_all_who_are_named_for_any_reading_have_to_agree() -> None:
    said = {"x": answer(Answer.HOLD, BOB, within=900), "y": answer(Answer.HOLD, CAROL, BOB, within=60)}
    ruling = strictest(judge(said))(lines("x", "y"))
    assert ruling.approval == ApprovalTerms((BOB, CAROL), 60)


def test_a_hold_that_names_nobody_is_a_refusal() -> None:
    ruling = strictest(judge({"x": answer(Answer.HOLD)}))(lines("x"))
    assert ruling.word is Word.DENY
    assert "nobody is named" in ruling.reason


def test_observing_rules_of_all_readings_are_kept() -> None:
    said = {"x": answer(Answer.DENY, observed=1), "y": answer(Answer.ALLOW, observed=2)}
    ruling = strictest(judge(said))(lines("x", "y"))
    assert [rule.name for rule in ruling.observed] == ["watch-0", "watch-1"]


@pytest.mark.parametrize(
    ("how", "policy", "word"),
    [
        (OnDoubt.PASS, answer(Answer.DENY), Word.ALLOW),
        (OnDoubt.DENY, answer(Answer.HOLD, BOB), Word.DENY),
        (OnDoubt.CONFIRM, answer(Answer.DENY), Word.CONFIRM),
        (OnDoubt.HOLD, answer(Answer.HOLD, BOB), Word.HOLD),
        (OnDoubt.HOLD, answer(Answer.HOLD), Word.DOUBT),
        (OnDoubt.HOLD, answer(Answer.ALLOW), Word.DOUBT),
        (OnDoubt.HOLD, Judgement(Answer.DENY, NO_RULE, "unclear", doubt=True), Word.DOUBT),
    ],
)
def test_what_becomes_of_doubt(how: OnDoubt, policy: Judgement, word: Word) -> None:
    """Whatever the policy says of it, a line that cannot be read passes only where the target says so."""
    assert on_doubt(how, lambda why: policy)("unclear").word is word
