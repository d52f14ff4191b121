"""The connection to the broker, for screens: ask and await; its end arrives as a message."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable

from textual.message import Message as Event

from broker.wire.approvals import RequestChanged
from broker.wire.client import AskFailed, Disconnected, WireClient
from broker.wire.messages import Ask, Body, Failure, Reply, Request, Welcome


class LinkLost(Event):
    """The broker is gone: nothing more can be asked."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class RequestNews(Event):
    """Something happened to a request that concerns this user."""

    def __init__(self, change: RequestChanged) -> None:
        super().__init__()
        self.change = change


class Link:
    """One connection. Unlike `WireClient.ask` alone it notices at once when the broker goes."""

    def __init__(self, where: str | socket.socket) -> None:
        self._where = where
        self._client: WireClient | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Body]] = {}

    async def connect(self) -> Welcome:
        """Raises Disconnected and AskFailed."""
        self._client = await WireClient.connect(self._where, "tui")
        return self._client.welcome

    async def listen(self, lost: Callable[[str], object], pushed: Callable[[RequestChanged], object]) -> None:
        """Hand out what comes until the broker closes the connection, then call `lost` with the reason."""
        if self._client is None:
            return
        async for message in self._client.messages():
            if isinstance(message, RequestChanged):
                pushed(message)
            if not isinstance(message, Reply | Failure):
                continue
            future = self._waiting.get(message.id)
            if future is None or future.done():
                continue
            if isinstance(message, Reply):
                future.set_result(message.body)
            else:
                future.set_exception(AskFailed(message))
        reason = "the broker closed the connection"
        self._client = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Disconnected(reason))
        lost(reason)

    async def ask(self, ask: Ask) -> Body:
        """One question, one answer. Raises AskFailed and Disconnected."""
        if self._client is None:
            raise Disconnected("the broker is gone")
        number = next(self._ids)
        future: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._client.send(Request(number, ask))
            return await future
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()
