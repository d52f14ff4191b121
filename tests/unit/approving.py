"""Approvals on an in-memory store, with people who ask and people who decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from broker.model.access import Rule
from broker.model.approval import ApprovalTerms, Panel
from broker.model.audit import AuditEvent
from broker.model.identity import Kind, User
from broker.model.ids import RequestId
from broker.model.requests import ApprovalRequest, Matter, RequestKind, RequestState, RiskLevel, Setting
from broker.services.approvals.board import Board, Change
from broker.services.approvals.lookup import Lookup
from broker.services.approvals.saying import Decided
from broker.services.approvals.service import ApprovalService, ApprovalSettings
from broker.services.tasks import Tasks
from tests.fakes.store import FakeStore
from tests.unit.rows import NOW, FixedClock

SECOND = 1_000_000
DBA = Panel(1, groups=frozenset({"dba"}))
TERMS = ApprovalTerms((DBA,))


class Room:
    """alice (ops) and dan ask; bob, carol and erin are of dba. bob-adm is bob, ali is alice and of dba, robot
    an agent of dba, and ci an agent that bob owns."""

    def __init__(self, store: Any = None, **settings: Any) -> None:
        self.store = store or FakeStore()
        self.clock = FixedClock()
        self.board = Board()
        self.changes: list[Change] = []
        self.board.listen(self.changes.append)
        self.mfa: dict[str, int] = {}
        self.tasks = Tasks()
        self.approvals = ApprovalService(
            store=self.store,
            users=self.store,
            clock=self.clock,
            board=self.board,
            tasks=self.tasks,
            settings=ApprovalSettings(**settings),
            mfa_at=self.mfa.get,
        )
        self.lookup = Lookup(self.approvals, self.store, self.store, self.store, self.clock)
        self.add("alice", "ops")
        self.add("dan", "ops")
        for name in ("bob", "carol", "erin"):
            self.add(name, "dba")
        self.add("bob-adm", "dba", person="bob")
        self.add("ali", "dba", person="alice")
        self.add("robot", "dba", kind=Kind.AGENT)
        self.add("ci", "ops", kind=Kind.AGENT, person="bob")
        self.add("root-admin", admin=True)
        self.add("eve")

    def add(
        self,
        name: str,
        *groups: str,
        kind: Kind = Kind.HUMAN,
        person: str | None = None,
        admin: bool = False,
    ) -> None:
        self.store.add_user(User(name, kind, frozenset(groups), admin, NOW, person=person))

    # ------------------------------------------------------------ asking and deciding

    def matter(self, **fields: Any) -> Matter:
        plain = Matter(
            RequestKind.SESSION,
            "alice",
            "prod-1",
            "deploy",
            "exec",
            Rule("ops", "p.yaml:3"),
            TERMS,
            b"uptime",
            expires_at=self.clock.at + 900 * SECOND,
        )
        return replace(plain, **fields)

    async def ask(self, *, level: RiskLevel = RiskLevel.LOW, **fields: Any) -> ApprovalRequest:
        return await self.approvals.open(self.matter(**fields), Setting(level=level))

    async def approve(self, request: ApprovalRequest, by: str, **fields: Any) -> ApprovalRequest:
        said = Decided(**{"approve": True, "digest": request.matter.digest, **fields})
        return await self.approvals.decide(request.id, by, said)

    async def deny(self, request: ApprovalRequest, by: str, comment: str = "no") -> ApprovalRequest:
        return await self.approve(request, by, approve=False, comment=comment)

    # ------------------------------------------------------------ looking

    def state(self, request: ApprovalRequest) -> RequestState:
        return self.approvals.get(request.id).state

    def audit(self, id: RequestId) -> list[AuditEvent]:
        return list(reversed(self.store.events_about(subject=id)))

    def codes(self, id: RequestId) -> list[str]:
        return [event.code.removeprefix("request.") for event in self.audit(id)]
