"""The answers to what may be asked. A recording or session of somebody else does not exist for one who may
not see it (lesson 15)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broker.control.requests import RequestHandlers
from broker.control.views import account_view, matches, session_view, target_view, verified_view
from broker.model import exits
from broker.model.access import AccessRequest, Decision, Grant
from broker.model.errors import BartizanError
from broker.model.identity import Authenticated
from broker.model.ids import SessionId, is_session_id
from broker.model.session import SessionRow
from broker.model.target import Channel, Target
from broker.ports import Clock, PolicyEngine, SessionStore, TargetDirectory
from broker.services.approvals.asking import Need
from broker.services.audit import AuditTrail
from broker.services.recordings import RecordingService
from broker.services.sessions import Refusal, SessionService, Wish
from broker.wire.approvals import OpenRequest, RequestDetail
from broker.wire.messages import (
    Ask,
    Body,
    Chunk,
    Done,
    KillSession,
    ListRecordings,
    ListSessions,
    ListTargets,
    Opening,
    OpenTarget,
    ReadRecording,
    Sessions,
    SessionView,
    ShowSession,
    Targets,
    TargetView,
    Verified,
    VerifyRecording,
)

CHUNK = 256 << 10
PARTS = frozenset({"cast", "events", "chain"})


class AskRefused(BartizanError):
    """An answer that is a failure, with its stable code."""

    def __init__(self, code: str, message: str, exit_status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.exit_status = exit_status


def _no_recording(id: str) -> AskRefused:
    return AskRefused("E-UNKNOWN", f"no session {id!r} here for you", exits.FAILED)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks. `admin`: may see and end what is not his own."""

    who: Authenticated
    admin: bool
    granted: Callable[[Grant], None] | None = None
    """Takes the grant of an `OpenTarget`; None: this connection opens nothing."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """One method for each kind of question."""

    targets: TargetDirectory
    policy: PolicyEngine
    sessions: SessionService
    store: SessionStore
    recordings: RecordingService
    trail: AuditTrail
    clock: Clock
    requests: RequestHandlers

    async def answer(self, asker: Asker, ask: Ask) -> Body:
        """Raises BartizanError for an answer that is a failure."""
        match ask:
            case ListTargets(query):
                return await asyncio.to_thread(self._list_targets, asker, query, self._live(asker))
            case ListSessions():
                return Sessions([self._view(row) for row in self._live(asker)])
            case ShowSession(id):
                return Sessions([self._view(await self._session_row(asker, id))])
            case ListRecordings(query, limit):
                return await asyncio.to_thread(self._list_recordings, asker, query, limit)
            case ReadRecording(id, part, offset):
                return await self._read_recording(asker, id, part, offset)
            case VerifyRecording(id):
                return await self._verify_recording(asker, id)
            case OpenTarget():
                return await self._open_target(asker, ask)
            case KillSession(id, reason):
                return await self._kill(asker, id, reason)
            case OpenRequest(id):
                return await self._open_request(asker, id)
            case _:
                return await self.requests.answer(asker.who, ask)

    # ------------------------------------------------------------ targets

    def _list_targets(self, asker: Asker, query: str, rows: list[SessionRow]) -> Targets:
        """`rows`: the live sessions, read on the loop that changes them."""
        name = asker.who.principal.name
        last: dict[str, int] = {}
        for row in self.store.sessions(user=name, limit=1000):
            last.setdefault(row.target, row.started_at)
        live = [row.target for row in rows]
        items = []
        for target in self.targets.targets():
            view = self._target_view(asker, target, last.get(target.name), live.count(target.name))
            if view is not None and matches(query, target.name, target.note, *target.tags.values()):
                items.append(view)
        return Targets(items)

    def _target_view(self, asker: Asker, target: Target, last_at: int | None, live: int) -> TargetView | None:
        accounts = []
        for account in target.accounts:
            decision = self._access(asker, target, account)
            if decision.visible:
                accounts.append(account_view(account, decision))
        if not accounts:
            return None
        accounts.sort(key=lambda view: _ORDER[view.state])
        return target_view(target, accounts, last_at, live)

    def _access(self, asker: Asker, target: Target, account: str) -> Decision:
        """What a shell there would be answered now."""
        principal, now = asker.who.principal, self.clock.now()
        return self.policy.decide(AccessRequest(principal, target, account, Channel.SHELL, now))

    # ------------------------------------------------------------ sessions and recordings

    def _live(self, asker: Asker) -> list[SessionRow]:
        return [row for row in self.sessions.live() if self._may_see(asker, row)]

    def _view(self, row: SessionRow) -> SessionView:
        return session_view(row, self.sessions.lines(row.id))

    def _may_see(self, asker: Asker, row: SessionRow) -> bool:
        return asker.admin or row.user == asker.who.principal.name

    def _list_recordings(self, asker: Asker, query: str, limit: int) -> Sessions:
        user = None if asker.admin else asker.who.principal.name
        limit = max(1, min(limit, 5000))
        rows = self.store.sessions(user=user, limit=5000 if query else limit)
        found = [
            session_view(row)
            for row in rows
            if matches(query, row.id, row.user, row.target, row.account, row.command, row.state.value)
        ]
        return Sessions(found[:limit])

    async def _read_recording(self, asker: Asker, id: str, part: str, offset: int) -> Chunk:
        row = await self._session_row(asker, id)
        if part not in PARTS or offset < 0:
            raise AskRefused("E-USAGE", "part is cast, events or chain, offset is not negative", exits.USAGE)
        if offset == 0:
            await self.trail.note("recording.read", asker.who.principal.name, row.user, row.id, part=part)
        path = self.recordings.path(row, part)
        try:
            data, size = await asyncio.to_thread(_read_part, path, offset)
        except OSError as exc:
            raise AskRefused("E-UNAVAILABLE", f"{row.id}.{part}: {exc.strerror}", exits.UNREACHABLE) from None
        return Chunk(data, offset, size)

    async def _verify_recording(self, asker: Asker, id: str) -> Verified:
        row = await self._session_row(asker, id)
        try:
            return verified_view(await self.recordings.verify(row))
        except OSError as exc:
            raise AskRefused("E-UNAVAILABLE", f"{row.id}: {exc.strerror}", exits.UNREACHABLE) from None

    async def _session_row(self, asker: Asker, id: str) -> SessionRow:
        row = await asyncio.to_thread(self.store.session, SessionId(id)) if is_session_id(id) else None
        if row is None or not self._may_see(asker, row):
            raise _no_recording(id)
        return row

    async def _kill(self, asker: Asker, id: str, reason: str) -> Done:
        row = await self._session_row(asker, id)
        if not reason.strip():
            raise AskRefused("E-USAGE", "a reason is needed: the user is shown it", exits.USAGE)
        if not await self.sessions.kill(row.id, asker.who.principal.name, reason[:500]):
            raise AskRefused("E-GONE", f"{row.id} is not live any more", exits.FAILED)
        return Done(f"{row.id} ended")

    # ------------------------------------------------------------ opening

    async def _open_target(self, asker: Asker, ask: OpenTarget) -> Opening | RequestDetail:
        if asker.granted is None:
            raise AskRefused("E-USAGE", "this connection opens no sessions", exits.USAGE)
        wish = Wish(ask.target, ask.account or None, Channel.SHELL, ask.reason[:1000])
        granted = await self.sessions.authorize(asker.who, wish)
        if isinstance(granted, Refusal):
            raise AskRefused(granted.code, granted.message, granted.exit_status, granted.hint)
        if isinstance(granted, Need):
            return await self.requests.ask_for(asker.who, granted)
        asker.granted(granted)
        return Opening(granted.target.name, granted.account)

    async def _open_request(self, asker: Asker, id: str) -> Opening:
        if asker.granted is None:
            raise AskRefused("E-USAGE", "this connection opens no sessions", exits.USAGE)
        granted = await self.requests.open_request(asker.who, id)
        asker.granted(granted)
        return Opening(granted.target.name, granted.account)


_ORDER = {"OK": 0, "REASON": 1, "WAIT": 2, "DENY": 3}
"""The first account shown is the one that can be opened at once."""


def _read_part(path: Path, offset: int) -> tuple[bytes, int]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(min(offset, size))
        return file.read(CHUNK), size
