"""Files of expectations: what policies should say to requests, and whether they do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, model_validator

from broker.config.document import Document, Problems, read_document
from broker.config.units import Name, Text, filled, one_or_more
from broker.config.validate import Section, validated
from broker.model.access import AccessRequest, Decision
from broker.model.command import Judge
from broker.model.identity import Kind, Principal
from broker.model.target import Channel, CredentialKind, CredentialRef, Target
from broker.policy.engine import Engine
from broker.policy.loader import load_policies

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


def _outcome(value: str) -> str:
    if value not in {"allow", "deny", "need-reason"}:
        raise ValueError(f"expected allow, deny or need-reason, got {value!r}")
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
    """One request. `opens` is about the session itself; `allow` and `deny` are command lines."""

    user: UserEntry
    target: TargetEntry
    account: Text | None = None
    channel: Channel = Channel.EXEC
    at: Annotated[datetime, BeforeValidator(_moment)] | None = None
    reason: Text | None = None
    opens: Annotated[Text, AfterValidator(_outcome)] | None = None
    allow: Lines | None = None
    deny: Lines | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.opens is None and self.allow is None and self.deny is None:
            raise ValueError("expects nothing: give opens, allow or deny")
        if self.channel is not Channel.EXEC and (self.allow or self.deny):
            raise ValueError(f"allow and deny are command lines: the channel {self.channel} has none")
        return self


class CaseFile(Section):
    version: Annotated[StrictInt, AfterValidator(_version)]
    policies: Text
    cases: Annotated[tuple[CaseEntry, ...], BeforeValidator(filled)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One expectation and what the policies said. `where` is the `file:line` of the case."""

    where: str
    asked: str
    expected: str
    decision: Decision

    @property
    def passed(self) -> bool:
        said = self.decision.verdict.value.replace("_", "-")
        return said == self.expected


def run_cases(path: Path, judge: Judge) -> list[Outcome]:
    """Ask the policies that the file names. Raises InvalidConfig if one of the files is not usable."""
    problems = Problems()
    document = read_document(path, problems)
    file = validated(document, CaseFile, problems) if document is not None else None
    problems.refuse_if_any()
    assert document is not None, "a problem would have been told"
    assert file is not None, "a problem would have been told"
    engine = Engine(load_policies(path.parent / file.policies, required=True), judge)
    return [
        outcome
        for index, case in enumerate(file.cases)
        for outcome in _outcomes(case, document, index, engine)
    ]


def _outcomes(case: CaseEntry, document: Document, index: int, engine: Engine) -> Iterator[Outcome]:
    where = f"{document.path.name}:{document.line(('cases', index))}"
    if case.opens is not None:
        request = _request(case, None)
        asked = f"{case.channel} as {request.account}"
        decision = engine.access(request.principal, request.target, request.account, request.at)[case.channel]
        yield Outcome(
            where, asked, case.opens, engine.decide(request) if case.channel is not Channel.EXEC else decision
        )
    for expected, lines in (("allow", case.allow), ("deny", case.deny)):
        for line in lines or ():
            yield Outcome(where, line, expected, engine.decide(_request(case, line)))


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
