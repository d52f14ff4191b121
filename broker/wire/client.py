"""The asking side of the control protocol, used by the TUI and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator

from broker.wire.codec import READ_SIZE, Decoder, WireError, encode
from broker.wire.messages import (
    VERSION,
    Ask,
    Body,
    Failure,
    FromBroker,
    Hello,
    Reply,
    Request,
    Welcome,
)
from broker.wire.tagged import Message


class AskFailed(Exception):
    """The broker answered with a failure; `failure` has code, message, hint and exit status."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Disconnected(Exception):
    """The broker closed the connection, is not there, or does not speak this protocol."""


class WireClient:
    """One connection. `ask` may be called concurrently; `send`/`messages` serve an attached connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder.from_broker()
        self._queue: list[FromBroker] = []
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Body]] = {}
        self._pump: asyncio.Task[None] | None = None
        self.welcome: Welcome

    @classmethod
    async def connect(cls, where: str | socket.socket, client: str) -> WireClient:
        """Connect to the socket at a path, or take over a connected one, and say hello.

        Raises:
            Disconnected: nobody listens, or the peer is no broker of this version.
            AskFailed: the broker refuses this user.
        """
        try:
            if isinstance(where, str):
                reader, writer = await asyncio.open_unix_connection(where)
            else:
                reader, writer = await asyncio.open_unix_connection(sock=where)
        except OSError as exc:
            raise Disconnected(f"no broker at {where}: {exc.strerror or exc}") from None
        self = cls(reader, writer)
        await self.send(Hello(VERSION, client))
        first = await self._next()
        if isinstance(first, Failure):
            raise AskFailed(first)
        if not isinstance(first, Welcome):
            raise Disconnected("the peer did not answer with a welcome")
        self.welcome = first
        return self

    async def send(self, message: Message) -> None:
        """Send one message, waiting where the peer is slow. Raises Disconnected."""
        try:
            self._writer.write(encode(message))
            await self._writer.drain()
        except OSError as exc:
            raise Disconnected(str(exc)) from None

    async def messages(self) -> AsyncIterator[FromBroker]:
        """All that comes, for an attached connection; ends when the broker closes it."""
        with contextlib.suppress(Disconnected):
            while True:
                yield await self._next()

    async def ask(self, ask: Ask) -> Body:
        """One question, one answer. Raises AskFailed and Disconnected."""
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._dispatch(), name="wire-client")
        if self._pump.done():
            raise Disconnected("the broker is gone")
        number = next(self._ids)
        future: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self.send(Request(number, ask))
            return await future
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _next(self) -> FromBroker:
        while not self._queue:
            try:
                data = await self._reader.read(READ_SIZE)
                if not data:
                    raise Disconnected("the broker closed the connection")
                self._queue = list(self._decoder.feed(data))
            except (OSError, WireError) as exc:
                raise Disconnected(str(exc)) from None
        return self._queue.pop(0)

    async def _dispatch(self) -> None:
        try:
            while True:
                message = await self._next()
                if isinstance(message, Reply | Failure) and (future := self._waiting.get(message.id)):
                    if isinstance(message, Reply):
                        future.set_result(message.body)
                    else:
                        future.set_exception(AskFailed(message))
        except Disconnected as exc:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(exc)
