"""The services on an in-memory store, with real policies: what a broker is without sockets."""

from __future__ import annotations

from pathlib import Path

from broker.control.handlers import Asker, Handlers
from broker.control.requests import RequestHandlers
from broker.model.audit import AuditEvent
from broker.model.errors import Unavailable
from broker.model.identity import Authenticated, Kind
from broker.model.session import LineReport, SessionRow, SessionState
from broker.model.target import CredentialKind, CredentialRef, Target
from broker.policy.engine import Engine
from broker.services.approvals.asking import Asking
from broker.services.approvals.board import Board
from broker.services.approvals.lookup import Lookup
from broker.services.approvals.service import ApprovalService
from broker.services.audit import AuditTrail
from broker.services.catalog import Catalog, Loaded
from broker.services.login import LoginService
from broker.services.recordings import RecordingService
from broker.services.sessions import SessionService
from broker.services.tasks import Tasks
from tests.fakes.store import FakeStore
from tests.signer import SIGNER
from tests.unit.policies import engine, policy
from tests.unit.rows import WEB1, FixedClock, row, user, who

PROD = Target("prod1", "10.0.0.2", 22, ("deploy",), CredentialRef(CredentialKind.CA))
HIDDEN = Target("vault1", "10.0.0.3", 22, ("root",), CredentialRef(CredentialKind.CA))
POLICIES = (
    policy(name="web", who="{groups: [ops]}", targets="{names: [web1]}", accounts="[deploy]"),
    policy(
        name="prod",
        who="{groups: [ops]}",
        targets="{names: [prod1]}",
        accounts="[deploy]",
        channels="[shell]",
        reason="required",
    ),
    policy(name="vault", who="{users: [carol]}", targets="{names: [vault1]}", accounts="[root]"),
)


class Live:
    """A running session, as the registry sees it."""

    def __init__(self, row: SessionRow) -> None:
        self.row = row
        self.killed: list[tuple[str, str, str]] = []
        self.lines: LineReport | None = None

    def kill(self, why: str, by: str, text: str) -> None:
        self.killed.append((why, by, text))


class Services:
    """Users anne, ben (ops), carol (admin) and the machine ci-bot; targets web1, prod1 and vault1.

    The last is carol's alone: to the others it does not exist.
    """

    def __init__(self, folder: Path, most: int = 100) -> None:
        self.store = FakeStore()
        self.clock = FixedClock()
        for person in (
            user("anne", "ops"),
            user("ben", "ops"),
            user("carol", admin=True),
            user("ci-bot", "ops", kind=Kind.AGENT),
        ):
            self.store.add_user(person)
        self.policy: Engine = engine(folder, *POLICIES)
        targets = {target.name: target for target in (WEB1, PROD, HIDDEN)}
        self.catalog = Catalog(lambda: Loaded(targets, self.policy))
        self.trail = AuditTrail(self.store, self.clock)
        self.login = LoginService(self.store, self.trail, self.clock)
        self.tasks = Tasks()
        self.approvals = ApprovalService(
            store=self.store, users=self.store, clock=self.clock, board=Board(), tasks=self.tasks
        )
        self.asking = Asking(self.approvals, self.catalog, self.store, self.store, self.clock)
        self.lookup = Lookup(self.approvals, self.store, self.store, self.store, self.clock)
        self.sessions = SessionService(
            targets=self.catalog,
            policy=self.catalog,
            users=self.store,
            store=self.store,
            trail=self.trail,
            clock=self.clock,
            most=most,
            approvals=self.approvals,
            asking=self.asking,
        )
        self.recordings = RecordingService(
            folder / "recordings", self.clock, None, signer=SIGNER, trail=self.trail, audit=self.store
        )
        self.handlers = Handlers(
            self.catalog,
            self.catalog,
            self.sessions,
            self.store,
            self.recordings,
            self.trail,
            self.clock,
            RequestHandlers(
                self.approvals,
                self.asking,
                self.lookup,
                self.sessions,
                self.store,
                self.store,
                self.store,
                self.recordings,
            ),
        )

    def reload(self, policy: Engine) -> None:
        """Other policies, as after a reload."""
        self.policy = policy
        self.catalog.reload()

    def lose_the_store(self) -> None:
        """From now on nothing can be written."""
        self.store.fail_with = Unavailable("the disk is full")

    def noted(self) -> list[AuditEvent]:
        """The audit trail, oldest first."""
        return self.store.events()[::-1]

    def codes(self) -> list[str]:
        return [event.code for event in self.noted()]

    def run(self, name: str, **fields: object) -> Live:
        """A live session of that user, in the store and in the registry."""
        made = row(user=name, state=SessionState.LIVE, **fields)
        id = self.store.open_session(made)
        stored = self.store.session(id)
        assert stored is not None
        live = Live(stored)
        self.sessions.register(live)
        return live

    def asker(self, name: str) -> Asker:
        """As the control socket makes it for a user who connects."""
        return Asker(self.authenticated(name), name == "carol")

    def authenticated(self, name: str) -> Authenticated:
        found = self.store.user(name)
        assert found is not None
        return who(name, *found.groups, admin=found.admin)
