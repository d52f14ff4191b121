"""People, a target and sessions for the tests of services and servers."""

from __future__ import annotations

from dataclasses import replace

from broker.model.identity import Authenticated, Kind, Principal, Source, User
from broker.model.ids import session_id
from broker.model.session import SessionRow, SessionState
from broker.model.target import CredentialKind, CredentialRef, Target

NOW = 1_800_000_000_000_000
WEB1 = Target("web1", "127.0.0.1", 22, ("deploy", "root"), CredentialRef(CredentialKind.SECRET, "web1"))

_ROW = SessionRow(
    id=session_id(1),
    user="anne",
    target="web1",
    account="deploy",
    channel="shell",
    command="",
    source="192.0.2.7",
    reason="",
    started_at=NOW,
    ended_at=None,
    state=SessionState.LIVE,
    exit_status=None,
    end_reason="",
    recording="",
    size=0,
)


def row(**changed: object) -> SessionRow:
    """A live session of anne on web1, with fields changed."""
    return replace(_ROW, **changed)  # type: ignore[arg-type]


def user(name: str, *groups: str, admin: bool = False, kind: Kind = Kind.HUMAN) -> User:
    return User(name, kind, frozenset(groups), admin, NOW)


def who(name: str, *groups: str, admin: bool = False) -> Authenticated:
    """Made up here, where a login would make it."""
    principal = Principal(name, groups=frozenset(groups), admin=admin)
    return Authenticated(principal, Source("192.0.2.7", "publickey", f"SHA256:{name}"), NOW)


class FixedClock:
    """A clock that only moves when it is told to."""

    def __init__(self, at: int = NOW) -> None:
        self.at = at

    def now(self) -> int:
        return self.at

    def monotonic(self) -> int:
        return self.at
