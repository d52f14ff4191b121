"""Requests for approval: what is decided on, what became of it, and who said what."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum

from broker.model.access import Rule
from broker.model.approval import ApprovalTerms
from broker.model.ids import RequestId


class RequestKind(StrEnum):
    """`SESSION`: one session, or one command without a terminal. `WINDOW`: sessions on a target, or held
    commands that fit a pattern, for some time. `COMMAND`: a line held in a live session. `REVIEW`: what was
    done without an approval is looked at afterwards."""

    SESSION = "session"
    WINDOW = "window"
    COMMAND = "command"
    REVIEW = "review"


class RequestState(StrEnum):
    """PENDING → APPROVED | DENIED | EXPIRED | CANCELLED | WITHDRAWN; APPROVED → USED | UNUSED | WITHDRAWN.

    `CANCELLED`: the requester does not want it any more, or what it was for is gone. `WITHDRAWN`: an approver
    or an admin took it back. A grant in force is `APPROVED`; it ends as `USED` or `UNUSED`."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    USED = "used"
    UNUSED = "unused"


class RiskLevel(StrEnum):
    LOW = "LOW"
    MED = "MED"
    HIGH = "HIGH"


@dataclass(frozen=True, slots=True)
class RiskFactor:
    """`name` is stable; `weight` is what it adds to the score; `text` is for people."""

    name: str
    weight: int
    text: str


@dataclass(frozen=True, slots=True)
class Matter:
    """What is decided on. It never changes, and `digest` is over all of it.

    `content`: the exact bytes: the held line, the command of an exec, the pattern of a window; empty for a
    session. `channel` and `session`: the door and the live session it is for, empty where there is none.
    """

    kind: RequestKind
    user: str
    target: str
    account: str
    channel: str
    rule: Rule
    terms: ApprovalTerms
    content: bytes = b""
    session: str = ""
    reason: str = ""
    lasts_s: int | None = None
    """How long a grant lasts; None: it is used once."""
    expires_at: int | None = None
    """When it expires undecided; None: never (reviews)."""

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of a canonical JSON form: keys sorted, bytes as hexadecimal."""
        form = {
            "v": 1,
            "kind": self.kind,
            "user": self.user,
            "target": self.target,
            "account": self.account,
            "channel": self.channel,
            "session": self.session,
            "content": self.content.hex(),
            "rule": [self.rule.name, self.rule.origin],
            "needs": self.terms.text,
            "reason": self.reason,
            "lasts_s": self.lasts_s,
            "expires_at": self.expires_at,
        }
        text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Setting:
    """What the decision is made with and is not bound to: facts about the moment it was asked."""

    agent: bool = False
    groups: tuple[str, ...] = ()
    source: str = ""
    credential: str = ""
    mfa_at: int | None = None
    why: str = ""
    """What the rule says about itself."""
    ticket: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    note: str = ""
    """Tags and note of the target."""
    factors: tuple[RiskFactor, ...] = ()
    level: RiskLevel = RiskLevel.LOW
    screen: tuple[str, ...] = ()
    """Rows of what the requester saw, masked as he saw them."""
    session_started_at: int | None = None

    @property
    def score(self) -> int:
        return sum(factor.weight for factor in self.factors)


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """One request. Times are microseconds since the epoch; `id` is made by the store."""

    id: RequestId
    matter: Matter
    setting: Setting
    opened_at: int
    state: RequestState = RequestState.PENDING
    settled_at: int | None = None
    settled_by: str = ""
    comment: str = ""
    until: int | None = None
    """End of the grant, once its clock runs."""
    use_by: int | None = None
    """Unused after this moment, it is of no use any more."""
    used_at: int | None = None
    """First use."""
    used_session: str = ""

    @property
    def pending(self) -> bool:
        return self.state is RequestState.PENDING

    @property
    def in_force(self) -> bool:
        return self.state is RequestState.APPROVED

    @property
    def once(self) -> bool:
        """True if its first use is its last."""
        return self.matter.lasts_s is None

    def overdue(self, now: int) -> RequestState | None:
        """The state that its time, being over, puts it in; None: nothing is over. What is overdue is as
        good as settled: it is neither shown nor used in its old state (lesson 21)."""
        if self.pending:
            expires = self.matter.expires_at
            return RequestState.EXPIRED if expires is not None and expires <= now else None
        if not self.in_force:
            return None
        if self.until is not None and self.until <= now:
            return RequestState.USED if self.used_at is not None else RequestState.UNUSED
        late = self.use_by is not None and self.use_by <= now
        return RequestState.UNUSED if late and self.used_at is None else None


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody said to a request. `withdrawn_at`: when he took it back."""

    by: str
    at: int
    approve: bool
    comment: str = ""
    for_s: int | None = None
    """A shorter time than was asked for."""
    withdrawn_at: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to a request, in the order of time. `what` is one word (`asked`, `seen` …)."""

    at: int
    what: str
    by: str = ""
    text: str = ""
