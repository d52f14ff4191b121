"""A real Unix socket that speaks the control protocol with data given by the test; also a program to look
at the picker with: `python -m tests.tui.wire_server PATH` serves sample data until it is interrupted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import structs

from broker.wire.approvals import (
    AccessTerms,
    CancelRequest,
    Counters,
    DecideRequest,
    DeliveryView,
    Drawn,
    HistoryView,
    LineView,
    ListRequests,
    NoteView,
    NotifyRequest,
    OpenRequest,
    PanelView,
    PastView,
    RequestChanged,
    RequestDetail,
    RequestList,
    RequestView,
    Risk,
    RiskFactor,
    SayRequest,
    ShowTerms,
    Subscribe,
    WaitRequest,
    WithdrawRequest,
)
from broker.wire.codec import READ_SIZE, Decoder, encode
from broker.wire.messages import (
    VERSION,
    AccountView,
    Ask,
    Body,
    Chunk,
    Done,
    Failure,
    Hello,
    KillSession,
    ListRecordings,
    ListSessions,
    ListTargets,
    Opening,
    OpenTarget,
    ReadRecording,
    Reply,
    Request,
    Sessions,
    SessionView,
    Targets,
    TargetView,
    Welcome,
)
from broker.wire.tagged import Message

NOW = 1_795_528_920_000_000
"""24 Nov 2026 14:02 UTC."""
HOUR = 3_600_000_000


def account(
    name: str, state: str = "OK", why: str = "", rule: str = "ops", origin: str = "prod.yaml:4"
) -> AccountView:
    return AccountView(name, state, why, rule, origin)


def target(
    name: str,
    *accounts: AccountView,
    env: str = "prod",
    note: str = "",
    ago: int | None = None,
    live: int = 0,
    owner: str = "dba",
    address: str = "10.2.0.11",
) -> TargetView:
    """`ago`: hours since this user's last session there."""
    last = None if ago is None else NOW - ago * HOUR
    tags = {"env": env, "owner": owner}
    return TargetView(
        name, address, 22, list(accounts or (account("deploy"),)), tags, note, "shell", last, live
    )


SAMPLE = [
    target("prod-db-1", account("postgres", "REASON", "at least 10 characters"), account("ro"),
           account("root", "DENY", "break-glass only", "no-root", "prod.yaml:12"),
           note="orders primary", ago=2),
    target("prod-db-2", account("postgres", "OK", "until 16:00"), note="orders replica", ago=5, live=1),
    target("stg-db-1", account("postgres"), env="stg", ago=72, address="10.3.0.4"),
    target("prod-web-1", account("deploy"), note="blue pool", owner="web"),
    target("prod-db-9", account("postgres", "DENY", "22:00-06:00 only", "nights", "prod.yaml:31"),
           note="window closed"),
    target("lab-db-3", account("root"), env="lab", ago=216, owner="dan"),
    *(target(f"prod-web-{n}", account("deploy"), note="green pool", owner="web", address=f"10.2.1.{n}")
      for n in range(2, 14)),
    target("kafka-1", account("kafka", "WAIT", "needs bob or carol"), env="prod", owner="data"),
]  # fmt: skip

RECORDINGS = [
    SessionView("S-81b", "alice", "stg-db-1", "postgres", "shell", "", "10.1.4.7", "INC-4821 orphan rows",
                NOW - 2 * HOUR, NOW - 2 * HOUR + 401_000_000, "ended", 0, "exit", 48_211),
    SessionView("S-81a", "ci-7", "prod-web-1", "deploy", "exec", "systemctl restart app", "10.1.9.2", "",
                NOW - 20 * HOUR, NOW - 20 * HOUR + 3_000_000, "ended", 3, "exit", 912),
    SessionView("S-7ff", "alice", "lab-db-3", "root", "shell", "", "10.1.4.7", "",
                NOW - 40 * HOUR, NOW - 39 * HOUR, "interrupted", None, "", 1_480_222),
]  # fmt: skip

LIVE = [
    SessionView("S-81d", "dan", "prod-web-1", "deploy", "shell", "", "10.1.4.9", "look at logs",
                NOW - 729_000_000, None, "live", None, "", 2_000),
]  # fmt: skip

CAST = b"".join([
    b'{"version": 2, "width": 80, "height": 24, "timestamp": 1795521720, "title": "S-81b"}\n',
    b'[0.5, "o", "alice@stg-db-1:~$ "]\n',
    b'[1.0, "m", "psql shop"]\n',
    b'[1.0, "o", "psql shop\\r\\nshop=# "]\n',
    b'[61.5, "o", "select count(*) from orders;\\r\\n"]\n',
    b'[62.0, "m", "select count(*)"]\n',
    b'[62.0, "o", "\\u001b[1m count \\u001b[0m\\r\\n-------\\r\\n \\u001b[31m18204\\u001b[0m\\r\\n"]\n',
    b'[62.0, "o", "(1 row)\\r\\n\\r\\nshop=# "]\n',
    b'[65.0, "o", "\\\\q\\r\\n"]\n',
])  # fmt: skip


CODE = "DELETE FROM orders WHERE status='x';"
SCREEN = [
    "orders=# select count(*) from orders where status='x';",
    " count",
    "-------",
    " 18204",
    "(1 row)",
    "",
    f"orders=# {CODE}",
]
MINUTE = 60_000_000


def request(
    id: str, kind: str, user: str, where: str, what: str, risk: str, score: int, left: int, **more: Any
) -> RequestView:
    """A pending request that alice may decide; `left` in seconds."""
    account, target = where.split("@")
    fields: dict[str, Any] = {
        "state": "pending",
        "may_decide": True,
        "reason": "INC-4821 orphan rows",
        **more,
    }
    return RequestView(
        id=id, kind=kind, user=user, agent=user.startswith("ci-"), target=target, account=account,
        channel="shell", what=what, risk=risk, score=score, opened_at=NOW - MINUTE,
        expires_at=NOW + left * 1_000_000, **fields,
    )  # fmt: skip


INBOX = [
    request("R-4F2", "command", "dan", "postgres@prod-db-1", CODE, "HIGH", 8, 271, session="S-81c"),
    request("R-4F5", "session", "ci-ship", "deploy@prod-web-1", "deploy 2026.11.3", "MED", 4, 662),
    request("R-4F7", "session", "erin", "ro@stg-web-2", "read logs", "LOW", 1, 1780),
    request("R-4F8", "session", "erin", "ro@stg-web-3", "read logs", "LOW", 1, 1790),
]
MINE = [
    request("R-4F9", "session", "alice", "kafka@kafka-1", "INC-4821 orphan rows", "MED", 3, 828,
            mine=True, may_decide=False),
    request("R-4E0", "session", "alice", "root@lab-db-3", "look", "LOW", 1, -900, mine=True, may_decide=False,
            state="denied", settled_by="bob", settled_at=NOW - MINUTE, comment="wrong host"),
]  # fmt: skip


def detail(view: RequestView, **more: Any) -> RequestDetail:
    """All of a request."""
    text = view.what if view.kind == "command" else ""
    whole = RequestDetail(
        request=view, digest=f"digest-{view.id}",
        content=Drawn(text, 0, [], len(text), "1c9e" + "0" * 56 + "5a77" if text else ""),
        may_decide=view.may_decide, confirm=view.target if view.risk == "HIGH" else "",
        groups=["ops"], source="10.1.4.7",
        credential="key ed25519 SHA256:9f3…", mfa_at=NOW - 12 * MINUTE, tags={"env": "prod"},
        note="orders primary", session_started_at=NOW - 14 * MINUTE, ticket="INC-4821",
        rule="prod-destructive", origin="prod.yaml:41", why="DELETE on env=PROD",
        risk=Risk(view.risk, view.score, [
            RiskFactor("env-prod", 3, "PROD"), RiskFactor("no-limit", 2, "no LIMIT"),
            RiskFactor("off-hours", 2, "outside change window"), RiskFactor("first", 1, "first for dan"),
        ]),
        past=PastView(2, 1, "R-3A0", "bob"), history=HistoryView(41, 3, 2, 1),
        panels=[PanelView("1 of alice, carol", 1)], needs="1 of alice, carol",
        effect="runs once, in this session, within 60 s; else nothing is sent",
        lasts_s=None if view.kind == "command" else 1800,
        screen=list(SCREEN) if view.kind == "command" else [],
        so_far=[LineView(12_000_000, "select count(*) from orders …", "OK"),
                LineView(100_000_000, "DROP TABLE tmp_x;", "X")] if view.kind == "command" else [],
        notes=[NoteView(NOW - MINUTE, "asked", view.user), NoteView(NOW - MINUTE // 2, "seen", "carol")],
        deliveries=[DeliveryView("hook", "sent", NOW - MINUTE, 1)]
    )  # fmt: skip
    return structs.replace(whole, **more)


class WireServer:
    """`answers` may override the answer to a kind of question; `asked` keeps all that came."""

    def __init__(
        self,
        path: Path,
        *,
        targets: list[TargetView] | None = None,
        user: str = "alice",
        groups: list[str] | None = None,
        admin: bool = False,
    ) -> None:
        self.path = path
        self.targets = SAMPLE if targets is None else targets
        self.recordings = list(RECORDINGS)
        self.live = list(LIVE)
        self.casts = {"S-81b": CAST}
        self.events = {"S-81b": b""}
        self.requests = [*INBOX, *MINE]
        self.counters = Counters(0, 0)
        self.welcome: Welcome | Failure = Welcome(
            VERSION, user, ["ops"] if groups is None else groups, admin, "0.1.0", True
        )
        self.asked: list[Ask] = []
        self.answers: dict[type[Message], Callable[[Ask], Body | Failure]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> WireServer:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await asyncio.gather(*self._serving)

    def drop(self) -> None:
        """Close every connection, as a dying broker does."""
        for writer in list(self._writers):
            writer.close()

    def push(self, id: str, what: str, state: str, *, bell: bool = True) -> None:
        """Tell every connection that something happened to a request."""
        change = RequestChanged(id, what, state, "bob", self.counters, bell)
        for writer in self._writers:
            writer.write(encode(change))

    def settle(self, id: str, state: str, **more: Any) -> None:
        """The request is now in that state; nobody is told."""
        self.requests = [structs.replace(r, state=state, **more) if r.id == id else r for r in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        decoder = Decoder.from_client()
        try:
            while data := await reader.read(READ_SIZE):
                for message in decoder.feed(data):
                    writer.write(encode(self._reply(message)))
                await writer.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _reply(self, message: object) -> Message:
        if isinstance(message, Hello):
            return self.welcome
        assert isinstance(message, Request)
        self.asked.append(message.ask)
        own = self.answers.get(type(message.ask), self._answer)
        body = own(message.ask)
        if isinstance(body, Failure):
            return Failure(message.id, body.code, body.message, body.hint, body.exit_status)
        return Reply(message.id, body)

    def _answer(self, ask: Ask) -> Body | Failure:
        if isinstance(ask, ListTargets):
            return Targets(self.targets)
        if isinstance(ask, ListSessions):
            return Sessions(self.live)
        if isinstance(ask, ListRecordings):
            words = ask.query.lower().split()
            return Sessions([s for s in self.recordings if all(w in repr(s).lower() for w in words)])
        if isinstance(ask, OpenTarget):
            return Opening(ask.target, ask.account)
        if isinstance(ask, KillSession):
            return Done(f"{ask.id} ended.")
        if isinstance(ask, ReadRecording):
            return self._chunk(ask)
        return self._about_requests(ask)

    def _about_requests(self, ask: Ask) -> Body | Failure:
        if isinstance(ask, ListRequests):
            found = [
                r for r in self.requests if _listed(r, ask.which) and ask.query.lower() in repr(r).lower()
            ]
            return RequestList(found)
        if isinstance(ask, Subscribe):
            return self.counters
        if isinstance(ask, ShowTerms):
            return AccessTerms("WAIT", "needs 1 of bob, carol", "data", "prod.yaml:12", True, "INC-[0-9]+",
                               "1 of bob, carol", 900, 1800)  # fmt: skip
        if isinstance(ask, OpenRequest):
            return Opening("kafka-1", "kafka")
        if isinstance(ask, DecideRequest):
            self.settle(ask.id, "approved" if ask.approve else "denied")
        elif isinstance(ask, WaitRequest):
            self.settle(ask.id, "approved", settled_by="bob", comment="fine")
        elif isinstance(ask, CancelRequest):
            self.settle(ask.id, "cancelled")
        elif isinstance(ask, WithdrawRequest):
            self.settle(ask.id, "withdrawn")
        elif isinstance(ask, SayRequest | NotifyRequest):
            return Done("")
        found = next((r for r in self.requests if r.id == getattr(ask, "id", "")), None)
        return detail(found) if found else Failure(0, "E-UNKNOWN", "no such request here for you")

    def _chunk(self, ask: ReadRecording) -> Body | Failure:
        cast = (self.casts if ask.part == "cast" else self.events).get(ask.id)
        if cast is None:
            return Failure(0, "E-INVALID", f"no recording {ask.id}")
        return Chunk(cast[ask.offset : ask.offset + (256 << 10)], ask.offset, len(cast))


def _listed(r: RequestView, which: str) -> bool:
    pending = r.state == "pending"
    wanted = {"mine": r.mine, "inbox": r.may_decide and pending, "decided": r.may_decide and not pending}
    return wanted.get(which, True)


async def _main(path: Path) -> None:
    async with WireServer(path, admin=True):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
