"""Files of expectations: what policies should say to requests, and whether they do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, model_validator

from broker.config.document import Problems, read_document
from broker.config.units import Name, Text, filled, one_or_more
from broker.config.validate import Section, validated
from broker.model.access import NO_RULE, AccessRequest, Rule, Verdict
from broker.model.approval import ApprovalTerms
from broker.model.command import Answer, Judge
from broker.model.identity import Kind, Principal
from broker.model.target import Channel, CredentialKind, CredentialRef, Target
from broker.policy.approval import FixedRoster
from broker.policy.engine import Engine
from broker.policy.loader import load_policies
from broker.policy.oncall import DutyEntry
from broker.policy.schema import JUDGED

_NO_CREDENTIAL = CredentialRef(CredentialKind.CA)


def _version(value: int) -> int:
    if value != 1:
        raise ValueError(f"expected 1, got {value}")
    return value


def _moment(value: Any) -> Any:
    try:
        return datetime.strptime(value, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo("UTC"))
    except (TypeError, ValueError):
        raise ValueError(f"expected a moment such as 2026-11-23 09:30 (UTC), got {value!r}") from None


_OPENS = ("allow", "deny", "need-reason", "need-approval")


def _outcome(value: str) -> str:
    if value not in _OPENS:
        raise ValueError(f"expected one of {', '.join(_OPENS)}, got {value!r}")
    return value


_LIST = BeforeValidator(one_or_more)
Lines = Annotated[tuple[Text, ...], _LIST, BeforeValidator(filled)]


class UserEntry(Section):
    name: Name
    groups: Annotated[tuple[Name, ...], _LIST] = ()
    agent: StrictBool = False


class TargetEntry(Section):
    name: Name
    tags: dict[Name, Text] = Field(default_factory=dict)
    accounts: Annotated[tuple[Text, ...], _LIST, BeforeValidator(filled)]


class CaseEntry(Section):
    """One request. `opens` and `break_glass` are about the session itself, the rest about command lines."""

    user: UserEntry
    target: TargetEntry
    account: Text | None = None
    channel: Channel = Channel.EXEC
    at: Annotated[datetime, BeforeValidator(_moment)] | None = None
    reason: Text | None = None
    opens: Annotated[Text, AfterValidator(_outcome)] | None = None
    break_glass: StrictBool | None = None
    allow: Lines | None = None
    warn: Lines | None = None
    confirm: Lines | None = None
    hold: Lines | None = None
    deny: Lines | None = None
    observed: Lines | None = None
    decides: Text | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        lines = [*self.lines(), *(self.observed or ())]
        if self.opens is None and self.break_glass is None and not lines:
            raise ValueError(f"expects nothing: give opens, break_glass, observed, {', '.join(Answer)}")
        if self.channel not in JUDGED and lines:
            raise ValueError(f"the channel {self.channel} has no command lines")
        if self.decides is not None and self.hold is None and self.opens != "need-approval":
            raise ValueError("decides is about hold and opens: need-approval, and the case has neither")
        return self

    def lines(self) -> Iterator[tuple[Answer, str]]:
        """Each line with the answer expected."""
        for answer in Answer:
            yield from ((answer, line) for line in getattr(self, answer) or ())


class CaseFile(Section):
    """Cases, the policies they are about, and who is on call while they are asked."""

    version: Annotated[StrictInt, AfterValidator(_version)]
    policies: Text
    on_call: dict[Name, DutyEntry] = Field(default_factory=dict)
    cases: Annotated[tuple[CaseEntry, ...], BeforeValidator(filled)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One expectation and what the policies said, by which rule. `where` is the `file:line` of the case."""

    where: str
    asked: str
    expected: str
    got: str
    rule: Rule
    reason: str

    @property
    def passed(self) -> bool:
        return self.got == self.expected


def run_cases(path: Path, judge: Judge) -> list[Outcome]:
    """Ask the policies that the file names. Raises InvalidConfig if one of the files is not usable."""
    problems = Problems()
    document = read_document(path, problems)
    file = validated(document, CaseFile, problems) if document is not None else None
    problems.refuse_if_any()
    assert document is not None, "a problem would have been told"
    assert file is not None, "a problem would have been told"
    roster = FixedRoster({name: duty.members for name, duty in file.on_call.items()})
    engine = Engine(load_policies(path.parent / file.policies, required=True, on_call=roster), judge)
    return [
        outcome
        for index, case in enumerate(file.cases)
        for outcome in _outcomes(case, f"{document.path.name}:{document.line(('cases', index))}", engine)
    ]


def _outcomes(case: CaseEntry, where: str, engine: Engine) -> Iterator[Outcome]:
    if case.opens is not None or case.break_glass is not None:
        yield from _opening(case, where, engine)
    for expected, line in case.lines():
        said = _answer(case, line, engine)
        yield Outcome(where, line, expected, said.word, said.rule, said.reason)
        if expected is Answer.HOLD and case.decides is not None:
            yield _decides(case, where, line, said)
    for line in case.observed or ():
        said = _answer(case, line, engine)
        got = "observed" if said.observed else "not observed"
        yield Outcome(where, line, "observed", got, said.rule, said.reason)


def _opening(case: CaseEntry, where: str, engine: Engine) -> Iterator[Outcome]:
    request = _request(case, None)
    asked = f"{case.channel} as {request.account}"
    decision = engine.decide(request)
    if case.channel is Channel.EXEC:
        answers = engine.access(
            request.principal, request.target, request.account, request.at, request.reason
        )
        decision = answers[case.channel]
    said = _Said(decision.verdict.value, decision.rule, decision.reason, decision.approval)
    if case.opens is not None:
        yield Outcome(where, asked, case.opens, said.word, said.rule, said.reason)
    if case.opens == "need-approval" and case.decides is not None:
        yield _decides(case, where, asked, said)
    if case.break_glass is not None:
        words = {True: "may be broken", False: "may not be broken"}
        got = words[decision.break_glass is not None]
        yield Outcome(where, "the glass", words[case.break_glass], got, said.rule, said.reason)


def _decides(case: CaseEntry, where: str, asked: str, said: _Said) -> Outcome:
    got = "nobody" if said.approval is None else said.approval.text
    return Outcome(where, f"who decides on {asked}", case.decides or "", got, said.rule, said.reason)


@dataclass(frozen=True, slots=True)
class _Said:
    """What became of a line or an opening, in the words of a case."""

    word: str
    rule: Rule
    reason: str
    approval: ApprovalTerms | None = None
    observed: bool = False


def _answer(case: CaseEntry, line: str, engine: Engine) -> _Said:
    request = _request(case, line)
    if case.channel is Channel.SHELL:
        judged = engine.judge_line(replace(request, command=None), line.encode())
        if judged is None:
            return _Said("allow", NO_RULE, "no rules are about it")
        return _Said(judged.verdict, judged.rule, judged.reason, judged.approval, bool(judged.observed))
    decision = engine.decide(request)
    said = decision.judgement
    words = {Verdict.ALLOW: said.verdict if said else "allow", Verdict.NEED_APPROVAL: "hold"}
    word = words.get(decision.verdict, decision.verdict.value)
    observed = said is not None and bool(said.observed)
    return _Said(word, decision.rule, decision.reason, decision.approval, observed)


def _request(case: CaseEntry, line: str | None) -> AccessRequest:
    target = Target(
        case.target.name, "127.0.0.1", 22, case.target.accounts, _NO_CREDENTIAL, tags=dict(case.target.tags)
    )
    kind = Kind.AGENT if case.user.agent else Kind.HUMAN
    return AccessRequest(
        principal=Principal(case.user.name, kind, frozenset(case.user.groups)),
        target=target,
        account=case.account or case.target.accounts[0],
        channel=case.channel,
        at=time.time_ns() // 1000 if case.at is None else int(case.at.timestamp()) * 1_000_000,
        reason=case.reason or "",
        command=None if line is None else line.encode(),
    )
