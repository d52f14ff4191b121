"""A client that does what `ssh` would not: asyncssh, its packets within reach."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from tests.e2e.bastion import Bastion
from tests.world.process import HOST, PATIENCE


@asynccontextmanager
async def connect(
    bastion: Bastion, login: str, *, client: Callable[[], asyncssh.SSHClient] | None = None, **options: Any
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Logged in as alice, under this login name."""
    options.setdefault("client_keys", [str(bastion.alice.path)])
    conn = await asyncssh.connect(
        HOST,
        bastion.broker.port,
        username=login,
        client_factory=client,
        known_hosts=None,
        config=None,
        agent_path=None,
        **options,
    )
    try:
        yield conn
    finally:
        conn.abort()
        await conn.wait_closed()


class Session(asyncssh.SSHClientSession[bytes]):
    """Keeps what comes. `gone`: the channel is closed."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.err = bytearray()
        self.status: int | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        (self.err if datatype else self.out).extend(data)
        self._news.set()

    def exit_status_received(self, status: int) -> None:
        self.status = status

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
        self._news.set()

    async def until(self, pattern: bytes, timeout: float = PATIENCE) -> re.Match[bytes]:
        """The first match in the output so far. TimeoutError or AssertionError without one."""
        async with asyncio.timeout(timeout):
            while not (found := re.search(pattern, bytes(self.out))):
                assert not self.gone.done(), f"it ended without {pattern!r}: {bytes(self.out[-1000:])!r}"
                self._news.clear()
                await self._news.wait()
        return found


async def shell(
    conn: asyncssh.SSHClientConnection, *, size: tuple[int, int] = (80, 24), command: str | None = None
) -> tuple[asyncssh.SSHClientChannel[bytes], Session]:
    """A session with a terminal of `size` (columns, rows)."""
    chan, session = await conn.create_session(
        Session, command, encoding=None, request_pty="force", term_type="xterm", term_size=size
    )
    assert isinstance(session, Session)
    return chan, session


async def settled(conn: asyncssh.SSHClientConnection) -> None:
    """The broker has handled everything that was sent before: it answers in order."""
    await conn._make_global_request(b"settled@test")
