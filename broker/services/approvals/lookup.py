"""What may be read of requests, and by whom. Unknown and invisible ids answer the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.model.identity import User
from broker.model.ids import RequestId, is_request_id
from broker.model.requests import ApprovalRequest, Note, RequestKind, RequestState, Vote
from broker.ports import Clock, RequestStore, SessionStore, UserStore
from broker.services.approvals import deciding
from broker.services.approvals.deciding import Tally
from broker.services.approvals.ledger import current
from broker.services.approvals.refusing import unknown, usage
from broker.services.approvals.service import ApprovalService

DAY = 24 * 3600 * 1_000_000
PAST = 90 * DAY
MOST = 5000
GRANTED = frozenset({RequestState.APPROVED, RequestState.USED, RequestState.UNUSED})
_RISK = {"HIGH": 0, "MED": 1, "LOW": 2}


@dataclass(frozen=True, slots=True)
class Past:
    """Decisions on the same rule and target in the last 90 days, and the newest of them."""

    approved: int = 0
    denied: int = 0
    last: ApprovalRequest | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The requester in the last 90 days."""

    sessions: int = 0
    holds: int = 0
    approved: int = 0
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as one user sees it."""

    request: ApprovalRequest
    mine: bool
    may_decide: bool
    why_not: str


@dataclass(frozen=True, slots=True)
class Detail:
    """All of it."""

    seen: Seen
    votes: list[Vote]
    counting: list[Vote]
    notes: list[Note]
    panels: list[Tally]
    past: Past
    history: History
    requester: User | None


class Lookup:
    """Reads; every method blocks for a moment. `name` is the user who looks; `operator`: root, who is no user
    and sees all."""

    def __init__(
        self,
        approvals: ApprovalService,
        store: RequestStore,
        users: UserStore,
        sessions: SessionStore,
        clock: Clock,
    ) -> None:
        self._approvals = approvals
        self._store = store
        self._users = users
        self._sessions = sessions
        self._clock = clock

    # ------------------------------------------------------------ one

    def find(self, text: str, name: str, operator: bool = False) -> ApprovalRequest:
        """The request of that id, or of the one visible id that begins so. Raises RequestRefused."""
        id = text.strip().upper()
        id = id if id.startswith("R-") else f"R-{id}"
        if not is_request_id(id):
            raise unknown(text)
        people = self._people()
        exact = self._store.request(RequestId(id))
        if exact is not None and self._visible(exact, name, people, operator):
            return current(exact, self._clock.now())
        near = [row for row in self._all(name, people, operator) if row.id.startswith(id)]
        if len(near) > 1:
            raise usage(f"{text[:40]!a} begins several: {', '.join(row.id for row in near[:5])}")
        if not near:
            raise unknown(text)
        return near[0]

    def see(self, request: ApprovalRequest, name: str) -> Seen:
        """How it stands for this user."""
        return self._see(request, name, self._people())

    def detail(self, request: ApprovalRequest, name: str) -> Detail:
        people = self._people()
        votes = self._store.votes(request.id)
        return Detail(
            seen=self._see(request, name, people),
            votes=votes,
            counting=deciding.counting(request, votes, people),
            notes=self._store.notes(request.id),
            panels=deciding.tallies(request, votes, people),
            past=self._past(request),
            history=self._history(request),
            requester=people.get(request.matter.user),
        )

    # ------------------------------------------------------------ many

    def pick(self, which: str, name: str, operator: bool = False) -> list[Seen]:
        """`mine`, `inbox`, `decided` or `all`, urgent ones first. Raises RequestRefused for another word."""
        people = self._people()
        seen = [self._see(row, name, people) for row in self._all(name, people, operator)]
        picked = {
            "mine": lambda one: one.mine,
            "inbox": lambda one: one.may_decide,
            "decided": lambda one: not one.request.pending and not one.mine,
            "all": lambda one: True,
        }.get(which)
        if picked is None:
            raise usage(f"{which[:20]!a} is none of mine, inbox, decided, all")
        return sorted(filter(picked, seen), key=_urgency)

    def counters(self, name: str) -> tuple[int, int]:
        """Own requests that wait, and requests that wait for this user."""
        people = self._people()
        pending = self._store.requests(states=frozenset({RequestState.PENDING}), limit=MOST)
        now = self._clock.now()
        rows = [row for row in pending if current(row, now).pending]
        waiting = sum(row.matter.user == name and row.matter.kind is not RequestKind.REVIEW for row in rows)
        return waiting, sum(self._see(row, name, people).may_decide for row in rows)

    def deciders(self, request: ApprovalRequest) -> list[str]:
        """Names of those whose word counts on it now."""
        people = self._people()
        return [user.name for user in people.values() if not deciding.cannot_decide(request, user, people)]

    def concerns(self, request: ApprovalRequest, name: str) -> bool:
        return self._visible(request, name, self._people(), operator=False)

    # ------------------------------------------------------------ parts

    def _people(self) -> dict[str, User]:
        return {user.name: user for user in self._users.users()}

    def _visible(self, request: ApprovalRequest, name: str, people: dict[str, User], operator: bool) -> bool:
        return operator or (name in people and deciding.may_see(request, people[name], people))

    def _all(self, name: str, people: dict[str, User], operator: bool) -> Sequence[ApprovalRequest]:
        now = self._clock.now()
        rows = self._store.requests(limit=MOST)
        return [current(row, now) for row in rows if self._visible(row, name, people, operator)]

    def _see(self, request: ApprovalRequest, name: str, people: dict[str, User]) -> Seen:
        user = people.get(name)
        mine = request.matter.user == name
        if user is None:
            return Seen(request, mine, False, "only users decide")
        why = deciding.why_not(
            request,
            user,
            people,
            self._store.votes(request.id) if request.pending else [],
            now=self._clock.now(),
            mfa_at=self._approvals.mfa_at(name),
        )
        return Seen(request, mine, not why, why)

    def _past(self, request: ApprovalRequest) -> Past:
        since = self._clock.now() - PAST
        matter = request.matter
        rows = self._store.requests(rule=matter.rule.name, target=matter.target, since=since, limit=MOST)
        decided = [row for row in rows if row.id != request.id]
        approved = [row for row in decided if row.state in GRANTED]
        denied = [row for row in decided if row.state is RequestState.DENIED]
        last = next((row for row in decided if row in approved or row in denied), None)
        return Past(len(approved), len(denied), last)

    def _history(self, request: ApprovalRequest) -> History:
        since = self._clock.now() - PAST
        user = request.matter.user
        sessions = [s for s in self._sessions.sessions(user=user, limit=MOST) if s.started_at >= since]
        holds = [
            row
            for row in self._store.requests(user=user, since=since, limit=MOST)
            if row.matter.kind is RequestKind.COMMAND and row.id != request.id
        ]
        return History(
            sessions=len(sessions),
            holds=len(holds),
            approved=sum(row.state in GRANTED for row in holds),
            blocked=sum(session.end_reason == "denied" for session in sessions),
        )


def _urgency(seen: Seen) -> tuple[int, int, int, int]:
    """Pending ones first: those that expire soon, then the riskier; then the rest, newest first."""
    request = seen.request
    if request.pending:
        expires = request.matter.expires_at
        minute = 60 * 1_000_000
        return (0, (expires or 1 << 62) // minute, _RISK[request.setting.level.value], request.opened_at)
    return (1, -(request.settled_at or request.opened_at), 0, 0)
