"""The control socket's server: the kernel names peers, an inherited socket the broker's own children."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from broker.control.handlers import Asker, Handlers
from broker.control.permits import Role, permitted
from broker.model import exits
from broker.model.access import Grant
from broker.model.errors import BartizanError, ProtocolViolation, Unavailable
from broker.model.identity import Authenticated
from broker.services.audit import AuditTrail
from broker.services.login import LoginService
from broker.services.tasks import Tasks
from broker.wire.approvals import Subscribe
from broker.wire.codec import READ_SIZE, Decoder, WireError, encode
from broker.wire.messages import VERSION, Attach, Failure, FromClient, Hello, Reply, Request, Welcome
from broker.wire.tagged import Message

log = structlog.get_logger()

HELLO_TIMEOUT = 10.0
MAX_IN_FLIGHT = 32

Attached = Callable[
    [
        Authenticated,
        Attach,
        list[FromClient],
        asyncio.StreamReader,
        asyncio.StreamWriter,
        Decoder[FromClient],
    ],
    Awaitable[None],
]
"""Runs a login on an attached connection until it ends; the list is what had come after the `Attach`."""


@dataclass(frozen=True, slots=True)
class ControlServer:
    """Serves the socket of the broker and the sockets of its children."""

    handlers: Handlers
    login: LoginService
    trail: AuditTrail
    attached: Attached
    version: str

    async def listen(self, path: Path, mode: int) -> asyncio.Server:
        """Open the socket at `path`, replacing one that nobody serves. Raises Unavailable."""
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                if await _answers(path):
                    raise Unavailable(f"another broker serves {path}")
                path.unlink()
        try:
            server = await asyncio.start_unix_server(self._peer, str(path), limit=READ_SIZE)
        except OSError as exc:
            raise Unavailable(f"{path}: {exc.strerror}") from None
        path.chmod(mode)
        return server

    def serve_child(
        self, end: socket.socket, who: Authenticated, granted: Callable[[Grant], None] | None
    ) -> asyncio.Task[None]:
        """Serve a child's socket for the login it belongs to; with `granted` it may open a target."""
        role = Role.VERB if granted is None else Role.PICKER
        work = self._child(end, Asker(who, who.principal.admin, granted), role)
        return asyncio.get_running_loop().create_task(work, name=f"control-{role}")

    async def _child(self, end: socket.socket, asker: Asker, role: Role) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=end)
        await self._guarded(reader, writer, role, asker)

    async def _peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._guarded(reader, writer, Role.PEER, None)

    async def _guarded(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, role: Role, asker: Asker | None
    ) -> None:
        """One connection, to its end; what goes wrong in it ends it alone."""
        try:
            await _Connection(self, reader, writer, role, asker).run()
        except (OSError, WireError) as exc:
            log.info("control.closed", reason=str(exc))
        except ProtocolViolation as exc:
            log.warning("control.violation", reason=exc.message)
        except Exception as exc:
            log.error("control.failed", error=repr(exc), exc_info=exc)
        finally:
            writer.close()


class _Connection:
    def __init__(
        self,
        server: ControlServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        role: Role,
        asker: Asker | None,
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._role = role
        self._asker = asker
        self._decoder = Decoder.from_client()
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._pushing = Tasks()
        self._unsubscribe: Callable[[], None] | None = None

    async def run(self) -> None:
        async with asyncio.timeout(HELLO_TIMEOUT):
            messages = await self._receive()
            hello, rest = messages[0], messages[1:]
            asker = await self._greet(hello)
        if asker is None:
            return
        answers = Tasks()
        try:
            while True:
                for number, message in enumerate(rest):
                    if isinstance(message, Attach):
                        await self._attach(asker, message, rest[number + 1 :])
                        return
                    await self._take(asker, message, answers)
                rest = await self._receive()
        finally:
            if self._unsubscribe is not None:
                self._unsubscribe()
            await self._pushing.close()
            await answers.close()

    async def _receive(self) -> list[FromClient]:
        """At least one message. Raises ConnectionError at the end of the stream, WireError for nonsense."""
        while True:
            data = await self._reader.read(READ_SIZE)
            if not data:
                raise ConnectionResetError("the peer left")
            if messages := self._decoder.feed(data):
                return messages

    async def _greet(self, hello: FromClient) -> Asker | None:
        if not isinstance(hello, Hello):
            raise ProtocolViolation("the first message is no hello")
        if hello.version != VERSION:
            hint = f"this broker speaks version {VERSION}, the client {hello.version}"
            await self._send(Failure(0, "E-VERSION", "client and broker do not match", hint, exits.FAILED))
            return None
        asker = self._asker or await self._identify()
        if asker is None:
            text = "this account is no user of this bastion, or locked"
            await self._send(Failure(0, "E-DENIED", text, "ask an admin", exits.DENIED))
            return None
        principal = asker.who.principal
        await self._send(
            Welcome(
                VERSION,
                principal.name,
                sorted(principal.groups),
                asker.admin,
                self._server.version,
                asker.granted is not None,
            )
        )
        return asker

    async def _identify(self) -> Asker | None:
        """Who is at the other end, by the kernel's word (unix(7), SO_PEERCRED)."""
        sock = self._writer.get_extra_info("socket")
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", raw)
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = f"uid-{uid}"
        who = await self._server.login.by_peer(name, uid)
        if isinstance(who, Authenticated):
            return Asker(who, who.principal.admin)
        if uid in (0, os.geteuid()):
            self._role = Role.ROOT
            return Asker(self._server.login.operator(name, uid), True)
        await self._server.login.refused(who, name, "local")
        return None

    async def _take(self, asker: Asker, message: FromClient, answers: Tasks) -> None:
        kind = type(message.ask) if isinstance(message, Request) else type(message)
        if not permitted(self._role, asker.admin, kind):
            await self._not_permitted(asker, message, kind)
            return
        assert isinstance(message, Request)
        await self._slots.acquire()
        answers.spawn(self._answer(asker, message), "control-answer")

    async def _not_permitted(self, asker: Asker, message: FromClient, kind: type[Message]) -> None:
        name = asker.who.principal.name
        await self._server.trail.note("control.refused", name, kind.__name__, role=self._role.value)
        if isinstance(message, Request):
            text = f"{kind.__name__} is not for you here"
            await self._send(Failure(message.id, "E-DENIED", text, exit_status=exits.DENIED))
        raise ProtocolViolation(f"{kind.__name__} is not permitted to {self._role} ({name})")

    async def _answer(self, asker: Asker, request: Request) -> None:
        try:
            if isinstance(request.ask, Subscribe):
                self._subscribe(asker)
            body = await self._server.handlers.answer(asker, request.ask)
            await self._send(Reply(request.id, body))
        except BartizanError as exc:
            await self._send(Failure(request.id, exc.code, exc.message, exc.hint, exc.exit_status))
        except OSError:
            return  # the peer left before its answer
        except Exception as exc:
            log.error("control.answer-failed", ask=type(request.ask).__name__, exc_info=exc)
            await self._send(
                Failure(request.id, "E-INTERNAL", "an error in the broker", exit_status=exits.INTERNAL)
            )
        finally:
            self._slots.release()

    def _subscribe(self, asker: Asker) -> None:
        """From now on changes are pushed, once however often it is asked for."""
        if self._unsubscribe is None:
            stop, push = self._server.handlers.requests.subscribe(asker.who, self._send)
            self._unsubscribe = stop
            self._pushing.spawn(self._push(push), "control-push")

    async def _push(self, run: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(OSError):  # the peer left
            await run()

    async def _attach(self, asker: Asker, attach: Attach, rest: list[FromClient]) -> None:
        if not permitted(self._role, asker.admin, Attach):
            await self._not_permitted(asker, attach, Attach)
        await self._server.attached(asker.who, attach, rest, self._reader, self._writer, self._decoder)

    async def _send(self, message: Message) -> None:
        self._writer.write(encode(message))
        await self._writer.drain()


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    return True
