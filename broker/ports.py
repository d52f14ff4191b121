"""What the services need from outside, as Protocols: each has a real adapter and a fake for tests.

All methods of the stores may block for a moment; the services call them on the loop only where the
adapter says it is cheap, else through `asyncio.to_thread`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from broker.model.access import AccessRequest, Decision, Grant
from broker.model.audit import AuditEntry, AuditEvent, AuditId, LedgerHead
from broker.model.command import CommandLine, Judgement
from broker.model.identity import PublicKey, User
from broker.model.ids import RequestId, SessionId
from broker.model.notification import Delivery
from broker.model.requests import ApprovalRequest, Note, RequestState, Vote
from broker.model.secret import Credential, Secret, SecretInfo, SecretKind
from broker.model.session import SessionRow, SessionState
from broker.model.target import Target

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> int:
        """Microseconds since the epoch (wall clock)."""

    def monotonic(self) -> int:
        """Microseconds of a clock that never goes back."""


class UserStore(Protocol):
    def add_user(self, user: User) -> None:
        """Raises Invalid if the name is taken."""

    def user(self, name: str) -> User | None: ...

    def users(self) -> list[User]: ...

    def set_locked(self, name: str, at: int | None) -> None:
        """Lock (or unlock with None). Raises Invalid for an unknown user."""

    def set_groups(self, name: str, groups: frozenset[str]) -> None: ...

    def set_person(self, name: str, person: str | None) -> None:
        """Say who is behind an account. Raises Invalid for an unknown user."""

    def user_by_unix(self, unix_user: str) -> User | None:
        """The user whose `unix_user` it is, else the user of that name without a `unix_user`."""

    def add_key(self, key: PublicKey) -> None:
        """Raises Invalid if the fingerprint is bound already (a key names one user)."""

    def key(self, fingerprint: str) -> PublicKey | None: ...

    def keys(self, user: str | None = None) -> list[PublicKey]: ...

    def remove_key(self, fingerprint: str) -> None: ...

    def touch_key(self, fingerprint: str, at: int) -> None:
        """Note the use of a key."""


class HostKeyStore(Protocol):
    def host_keys(self, target: str) -> list[str]:
        """Enrolled keys of the target, `type base64`."""

    def pin_host_key(self, target: str, line: str, by: str, at: int) -> None: ...

    def unpin_host_keys(self, target: str) -> int: ...


class SessionStore(Protocol):
    def open_session(self, row: SessionRow) -> SessionId:
        """Stores the row under the next id of the sequence (`row.id` is ignored) and returns that id."""

    def close_session(
        self,
        id: SessionId,
        *,
        state: SessionState,
        at: int,
        exit_status: int | None,
        end_reason: str,
        size: int,
    ) -> None: ...

    def session(self, id: SessionId) -> SessionRow | None: ...

    def sessions(
        self, *, user: str | None = None, state: SessionState | None = None, limit: int = 500
    ) -> list[SessionRow]:
        """Newest first."""


class RequestStore(Protocol):
    """Requests for approval. What changes a state changes it once, whoever else tries at the same time."""

    def together(self, work: Callable[[], T]) -> T:
        """Run `work`; all its writes to the store are kept together, or none if it raises. Nobody else
        writes meanwhile."""

    def append(self, event: AuditEvent) -> AuditId:
        """As `AuditStore.append`."""

    def open_request(self, request: ApprovalRequest) -> RequestId:
        """Stores it under the next id of the sequence (`request.id` is ignored) and returns that id."""

    def request(self, id: RequestId) -> ApprovalRequest | None: ...

    def requests(
        self,
        *,
        states: frozenset[RequestState] | None = None,
        user: str | None = None,
        target: str | None = None,
        rule: str | None = None,
        session: str | None = None,
        since: int | None = None,
        limit: int = 500,
    ) -> list[ApprovalRequest]:
        """Newest first; `since`: opened at or after."""

    def settle_request(
        self,
        id: RequestId,
        before: RequestState,
        after: RequestState,
        *,
        at: int,
        by: str,
        comment: str = "",
        until: int | None = None,
        use_by: int | None = None,
    ) -> bool:
        """Compare and set: False, and nothing changed, if its state is not `before`."""

    def end_request(self, id: RequestId, after: RequestState) -> bool:
        """The end of an approved one, `used` or `unused`; who approved it stays. False if it is not
        approved."""

    def use_request(self, id: RequestId, *, at: int, session: str, until: int | None = None) -> bool:
        """Note a use of what is approved. The first use sets `until`, where it is not set; of what is used
        once it is also the last. False if it is not approved (any more)."""

    def add_vote(self, id: RequestId, vote: Vote) -> None:
        """Raises Invalid if that voter has a vote there that was not taken back."""

    def withdraw_vote(self, id: RequestId, by: str, at: int) -> bool: ...

    def votes(self, id: RequestId) -> list[Vote]:
        """Oldest first."""

    def add_note(self, id: RequestId, note: Note) -> None: ...

    def notes(self, id: RequestId) -> list[Note]:
        """Oldest first."""


class DeliveryStore(Protocol):
    """The queue of messages to notifiers: on the disk, so that a restart loses none."""

    def queue_delivery(self, delivery: Delivery) -> int:
        """Stores it under the next number (`delivery.number` is ignored)."""

    def due_deliveries(self, now: int, limit: int = 100) -> list[Delivery]:
        """What is to be tried now, the longest due first."""

    def next_delivery(self) -> int | None:
        """When something is to be tried next."""

    def tried_delivery(self, delivery: Delivery) -> None:
        """Keep how the last try went."""

    def deliveries(self, request: str) -> list[Delivery]:
        """Those about a request, oldest first."""


class Notifier(Protocol):
    """Takes a message to people outside: a hook, a chat, a mailbox."""

    async def send(self, delivery: Delivery) -> None:
        """Raises Unavailable, with the reason, where it could not be handed over; it is tried again."""


class AuditStore(Protocol):
    def append(self, event: AuditEvent) -> AuditId:
        """Durable on return. Raises Unavailable, and the caller closes what depends on it."""

    def events(self, *, limit: int = 500) -> list[AuditEvent]:
        """Newest first."""

    def events_about(self, *, subject: str = "", session: str = "", limit: int = 500) -> list[AuditEvent]:
        """Those about this subject, or in this session; newest first."""

    def entries(
        self, *, after: int = 0, limit: int = 1000, codes: Sequence[str] = (), session: str = ""
    ) -> list[AuditEntry]:
        """Oldest first, from the event behind number `after` on; of these codes and this session only."""

    def head(self) -> LedgerHead:
        """As the newest event has it."""

    def seals(self, *, after: int = -1, limit: int = 1000) -> list[bytes]:
        """Lines of the seals behind number `after`, in order."""

    def last_seal(self) -> bytes | None: ...

    def add_seal(self, make: Callable[[LedgerHead, bytes | None], bytes | None]) -> bool:
        """Add what `make` makes of the head and the newest seal, in one step; False if it makes none."""


class AnchorPlace(Protocol):
    """A place outside that keeps copies of seals."""

    name: str
    """`file:/path`, `syslog:address`, `http:url`: as the seals name it."""

    def deliver(self, line: bytes) -> None:
        """Kept on return, as far as the place can say. Raises Unavailable."""


class SecretVault(Protocol):
    """Management of stored secrets."""

    def add(self, name: str, kind: SecretKind, value: Secret) -> None:
        """Raises Invalid if the name is taken."""

    def replace(self, name: str, value: Secret) -> None:
        """New value for an existing name. Raises Invalid if unknown."""

    def remove(self, name: str) -> None: ...

    def list(self) -> list[SecretInfo]: ...

    def rewrap(self) -> int:
        """Wrap every data key with the newest master key; the number of secrets re-wrapped."""


class SecretStore(Protocol):
    """Gives the credential of a granted session, and of nothing else."""

    def fetch(self, grant: Grant) -> Credential:
        """Raises Unavailable if the secret does not exist or cannot be opened."""


class PolicyEngine(Protocol):
    def decide(self, request: AccessRequest) -> Decision:
        """Never raises: doubt is a denial with its reason."""

    def judge_line(self, request: AccessRequest, line: bytes | CommandLine) -> Judgement | None:
        """A line typed at `request.line_at` in a session that `request` opened; None: no rule is about lines.
        Never raises."""

    def judge_doubt(self, request: AccessRequest, reason: str) -> Judgement:
        """What to do about a line that could not be read: HOLD where a granting policy says who approves,
        else DENY. Never raises."""


class TargetDirectory(Protocol):
    def target(self, name: str) -> Target | None: ...

    def targets(self) -> list[Target]: ...
