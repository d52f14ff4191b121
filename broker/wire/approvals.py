"""Messages about approvals: what may be asked of a request, what is shown of it, and what is pushed.

Texts of the requester and of the target come in *drawn* form (`Drawn`): every control, invisible and
direction-changing character is spelled out as `⟨U+202E⟩`, nothing is cut. A decision carries the `digest` of
the view that it was made on.
"""

from __future__ import annotations

from msgspec import Struct, field

from broker.wire.tagged import Message

# ---------------------------------------------------------------- asks


class ListRequests(Message, frozen=True, tag="list-requests"):
    """Requests, pending ones first, by urgency. `which`: `mine`; `inbox` (pending ones that this user may
    decide); `decided` (those this user decided or could have decided); `all` (every one he may see).
    → `RequestList`"""

    which: str = "mine"
    query: str = ""
    limit: int = 200


class ShowRequest(Message, frozen=True, tag="show-request"):
    """All of one request. An id may be any unique prefix. If one looks who may decide it, that is noted for
    the requester and in the audit; `peek` looks without (for lists and refreshes of an open screen).
    → `RequestDetail`"""

    id: str
    peek: bool = False


class ShowTerms(Message, frozen=True, tag="show-terms"):
    """What a shell on that account would need now, for the box that asks for it. → `AccessTerms`"""

    target: str
    account: str = ""


class OpenRequest(Message, frozen=True, tag="open-request"):
    """Only from a portal: open the session that this approved request grants. → `Opening`"""

    id: str


class AskApproval(Message, frozen=True, tag="ask-approval"):
    """Ask for a session or a window before it is needed. `pattern`: a window for held commands that fit it,
    else for sessions. `for_s`: how long it shall last, at most what the policy gives. `wait_s`: how long it
    may stay undecided, at most what the policy gives; 0: as the policy says.
    → `RequestDetail`"""

    target: str
    account: str = ""
    reason: str = ""
    pattern: str = ""
    for_s: int = 0
    wait_s: int = 0


class DecideRequest(Message, frozen=True, tag="decide-request"):
    """Approve or deny. `digest`: of the view the decision was made on. `confirm`: the target's name, where
    the view's `confirm` asks for it. `for_s`: a shorter time than the policy gives; 0: that of the policy.
    → `RequestDetail`, which may still be pending where more people are needed."""

    id: str
    approve: bool
    digest: str
    comment: str = ""
    confirm: str = ""
    for_s: int = 0


class CancelRequest(Message, frozen=True, tag="cancel-request"):
    """The requester does not want it any more, pending or approved. → `RequestDetail`"""

    id: str


class WithdrawRequest(Message, frozen=True, tag="withdraw-request"):
    """An approver takes his agreement back: while it is pending his vote, afterwards the whole grant, and
    sessions that rest on it end at once. An admin may withdraw any request. → `RequestDetail`"""

    id: str
    comment: str


class SayRequest(Message, frozen=True, tag="say-request"):
    """A line of talk about a request, between its requester and those who may decide it. → `Done`"""

    id: str
    text: str


class NotifyRequest(Message, frozen=True, tag="notify-request"):
    """The requester asks those who may decide once more; at most once a minute. → `Done`"""

    id: str


class WaitRequest(Message, frozen=True, tag="wait-request"):
    """Answered as soon as the request is not pending any more, or after `timeout_s`. → `RequestDetail`"""

    id: str
    timeout_s: int = 600


class ExplainDecision(Message, frozen=True, tag="explain-decision"):
    """Why something was decided as it was: `R-…` a request, `S-…` a session. → `Explanation`"""

    id: str


class Subscribe(Message, frozen=True, tag="subscribe"):
    """From now on `RequestChanged` is pushed on this connection, until it ends. → `Counters`"""


# ---------------------------------------------------------------- views


class Drawn(Struct, frozen=True):
    """A text as it is safe to show, whole. Line ends are real ones, a tab is `⟨U+0009⟩`."""

    text: str
    hidden: int = 0
    """Characters that are drawn because they control, cannot be seen, or change direction."""
    scripts: list[str] = []
    """Names of scripts mixed within one word (`Latin`, `Cyrillic`), which can imitate each other."""
    bytes: int = 0
    """Length of the exact bytes."""
    sha256: str = ""
    """Of the exact bytes, hexadecimal."""


class RiskFactor(Struct, frozen=True):
    """`name` is stable (`env-prod`), `text` for people, `weight` what it adds to the score."""

    name: str
    weight: int
    text: str


class Risk(Struct, frozen=True):
    level: str
    """`LOW`, `MED` or `HIGH`."""
    score: int
    factors: list[RiskFactor] = []


class VoteView(Struct, frozen=True):
    by: str
    at: int
    approve: bool
    comment: str = ""
    counts: bool = True
    """False: taken back, or the voter may not decide any more."""


class PanelView(Struct, frozen=True):
    """People of whom `needed` have to agree; `agreed` have."""

    text: str
    needed: int
    agreed: list[str] = []


class NoteView(Struct, frozen=True):
    """Something that happened to a request. `what`: `asked`, `seen`, `said`, `voted`, `vote-withdrawn`,
    `notified`, `notify-failed`, `approved`, `denied`, `expired`, `cancelled`, `withdrawn`, `used`,
    `ended`."""

    at: int
    what: str
    by: str = ""
    text: str = ""


class DeliveryView(Struct, frozen=True):
    """How a notification fared. `state`: `queued`, `sent`, `failing` (is tried again) or `failed`."""

    notifier: str
    state: str
    at: int
    tries: int = 0
    error: str = ""


class PastView(Struct, frozen=True):
    """Decisions on the same rule and target in the last 90 days."""

    approved: int = 0
    denied: int = 0
    last_id: str = ""
    last_by: str = ""


class LineView(Struct, frozen=True):
    """A line of the session so far; `t` microseconds since its start; `answer`: `OK`, `X`, `HELD` …"""

    t: int
    text: str
    answer: str


class HistoryView(Struct, frozen=True):
    """The requester in the last 90 days."""

    sessions: int = 0
    holds: int = 0
    approved: int = 0
    blocked: int = 0
    """Sessions that ended because something was denied."""


class RequestView(Struct, frozen=True):
    """A row of a list. Times are microseconds since the epoch."""

    id: str
    kind: str
    """`session`, `window`, `command` or `review`."""
    state: str
    """`pending`; `approved` (in force), `denied`, `expired`, `cancelled`, `withdrawn`; `used`, `unused`."""
    user: str
    agent: bool
    target: str
    account: str
    channel: str
    what: str
    """One row, drawn: the command, the pattern, or the reason of a session."""
    reason: str
    risk: str
    score: int
    opened_at: int
    expires_at: int | None
    """When it expires undecided; None: it waits until somebody decides (reviews)."""
    session: str = ""
    may_decide: bool = False
    mine: bool = False
    settled_at: int | None = None
    settled_by: str = ""
    comment: str = ""
    until: int | None = None
    """End of the grant, once its clock runs."""


class RequestDetail(Message, frozen=True, tag="request-detail"):
    """Everything of a request: the decision screen, the wait screen, `requests show`."""

    request: RequestView
    digest: str
    """Of what is decided on; goes back with the decision."""
    content: Drawn
    """The exact input: the held line, the command, the pattern; empty for a session."""
    groups: list[str]
    source: str
    credential: str
    """Key or certificate of the requester's login."""
    mfa_at: int | None
    """When the requester last showed a second factor; None: not known."""
    tags: dict[str, str]
    note: str
    """Of the target."""
    session_started_at: int | None
    ticket: str
    rule: str
    origin: str
    """`prod.yaml:41`"""
    why: str
    """What the rule says about itself."""
    risk: Risk
    past: PastView
    history: HistoryView
    panels: list[PanelView]
    needs: str
    """Who has to agree, in words."""
    effect: str
    """What happens if it is approved, in words."""
    lasts_s: int | None
    """How long the grant will last or lasts; None: it is used once."""
    screen: list[str] = field(default_factory=list)
    """Rows of what the requester saw when the line was held, drawn."""
    so_far: list[LineView] = field(default_factory=list)
    votes: list[VoteView] = field(default_factory=list)
    notes: list[NoteView] = field(default_factory=list)
    """What happened so far, oldest first, with the talk in it."""
    deliveries: list[DeliveryView] = field(default_factory=list)
    may_decide: bool = False
    why_not: str = ""
    """Why this user may not decide it, if so."""
    confirm: str = ""
    """What has to be typed to approve it (HIGH: the target's name); empty: nothing."""
    used_at: int | None = None
    used_session: str = ""


# ---------------------------------------------------------------- replies and pushes


class AccessTerms(Message, frozen=True, tag="access-terms"):
    """`state` as in `AccountView`. Where it is `WAIT`: `needs` says who has to agree (`1 of bob, carol`),
    `within_s` how long a request waits, `lasts_s` how long the grant lasts, `ticket` the pattern that some
    word of the reason has to fit (RE2). `request`: one that is pending or in force for it already."""

    state: str
    why: str
    rule: str
    origin: str
    reason: bool
    ticket: str = ""
    needs: str = ""
    within_s: int = 0
    lasts_s: int = 0
    request: str = ""
    until: int | None = None


class RequestList(Message, frozen=True, tag="request-list"):
    items: list[RequestView]
    more: bool = False
    """There are more than `limit`."""


class Counters(Message, frozen=True, tag="counters"):
    """`waiting`: this user's own pending requests; `to_decide`: pending ones he may decide."""

    waiting: int
    to_decide: int


class RequestChanged(Message, frozen=True, tag="request-changed"):
    """Pushed to whom a request concerns. `what` as in `NoteView`; `bell`: this user is asked to decide, or
    his own request was decided."""

    id: str
    what: str
    state: str
    by: str
    counters: Counters
    bell: bool = False


class Explanation(Message, frozen=True, tag="explanation"):
    """`text`: sentences for people, drawn; `inputs`: what the decision was made from; `events`: the audit."""

    id: str
    text: list[str]
    rule: str
    origin: str
    inputs: dict[str, str]
    events: list[NoteView] = field(default_factory=list)


ApprovalAsk = (
    ListRequests
    | ShowRequest
    | ShowTerms
    | OpenRequest
    | AskApproval
    | DecideRequest
    | CancelRequest
    | WithdrawRequest
    | SayRequest
    | NotifyRequest
    | WaitRequest
    | ExplainDecision
    | Subscribe
)
ApprovalBody = AccessTerms | RequestList | RequestDetail | Counters | Explanation
