"""A real Unix socket that speaks the control protocol with data given by the test; also a program to look
at the picker with: `python -m tests.tui.wire_server PATH` serves sample data until it is interrupted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

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
    Message,
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
        return self._chunk(ask)

    def _chunk(self, ask: ReadRecording) -> Body | Failure:
        cast = self.casts.get(ask.id)
        if cast is None:
            return Failure(0, "E-INVALID", f"no recording {ask.id}")
        return Chunk(cast[ask.offset : ask.offset + (256 << 10)], ask.offset, len(cast))


async def _main(path: Path) -> None:
    async with WireServer(path, admin=True):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
