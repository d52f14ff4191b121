"""Authorization: what was asked, what was decided and why, and the proof to act on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from broker.model.approval import ApprovalTerms
from broker.model.identity import Authenticated, Principal
from broker.model.target import Channel, Target

if TYPE_CHECKING:
    from broker.model.command import Judgement


class Verdict(StrEnum):
    """The answer to a request. `NEED_REASON`: allowed as soon as a reason is given; `NEED_APPROVAL`: as
    soon as those whom `Decision.approval` names have agreed."""

    ALLOW = "allow"
    DENY = "deny"
    NEED_REASON = "need-reason"
    NEED_APPROVAL = "need-approval"


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that decided, by name and place (`prod.yaml:12`)."""

    name: str
    origin: str


NO_RULE = Rule("default", "")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the deciding policy bounds a session by, in seconds; None: the broker's default."""

    idle_s: int | None = None
    max_s: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer with its reason; the same object feeds the user's message, the audit and `explain`."""

    verdict: Verdict
    rule: Rule
    reason: str
    visible: bool = True
    """False: to this principal the target does not exist, and nothing may tell it apart from that."""
    limits: Limits = Limits()
    approval: ApprovalTerms | None = None
    """For NEED_APPROVAL, and for an exec whose command is held: who decides."""
    break_glass: ApprovalTerms | None = None
    """For NEED_APPROVAL: this principal may go on without it, for a reason and for all to see; the terms say
    who reviews it afterwards (`panels`, within `within_s`) and how long it lasts."""
    judgement: Judgement | None = None
    """For an exec that rules are about: what they say of its command. WARN: it runs, and the user is told."""

    @property
    def allowed(self) -> bool:
        return self.verdict is Verdict.ALLOW


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """The question to the policy. `command` only for exec; `at` microseconds since the epoch."""

    principal: Principal
    target: Target
    account: str
    channel: Channel
    at: int
    reason: str = ""
    command: bytes | None = None
    line_at: int | None = None
    """When a line of the session was typed, in microseconds since the epoch; None: at `at`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Proof that a session may be opened. Made by `services.sessions.authorize` alone; the dialler and
    the secret store accept nothing else, and it carries the target, so no other can be dialled with it."""

    who: Authenticated
    target: Target
    account: str
    channel: Channel
    decision: Decision
    reason: str = ""
    command: bytes | None = None
    approval: str = ""
    """Id of the request that it rests on; it is used when the session is opened."""
    review: ApprovalTerms | None = None
    """Break-glass: who looks at it afterwards."""
