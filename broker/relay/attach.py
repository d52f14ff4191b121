"""A login over the control socket: what `bartizan-shell` and `bartizan open` bring in, on the same road as
an SSH channel."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Awaitable, Callable, Sequence

from broker.model import exits
from broker.model.identity import Authenticated
from broker.relay.client import ClientSide, Terminal, Window
from broker.relay.door import Door
from broker.services.route import Asked
from broker.services.tasks import Tasks
from broker.wire.codec import READ_SIZE, Decoder, WireError, encode
from broker.wire.messages import Attach, Exit, FromClient, Input, InputEnd, Output, WindowSize

LARGEST_OUTPUT = 256 << 10


class AttachedClient(ClientSide):
    """The user's side at the other end of a Unix socket; `serve` feeds it until it leaves."""

    def __init__(self, attach: Attach, env: dict[str, str], writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self.env = env
        if attach.term:
            self.terminal = Terminal(attach.term[:64], Window(attach.cols, attach.rows))
        self._writer = writer
        self._reading = asyncio.Event()
        self._reading.set()
        self._watch: asyncio.Task[None] | None = None

    async def serve(
        self, first: list[FromClient], reader: asyncio.StreamReader, decoder: Decoder[FromClient]
    ) -> None:
        """Deliver what comes, `first` what has come already, until the peer leaves."""
        try:
            for message in first:
                self._deliver(message)
            while True:
                await self._reading.wait()
                data = await reader.read(READ_SIZE)
                if not data:
                    return
                for message in decoder.feed(data):
                    self._deliver(message)
        except (OSError, WireError):
            return
        finally:
            self.on_gone()
            if self._watch is not None:
                self._watch.cancel()

    def _deliver(self, message: FromClient) -> None:
        if isinstance(message, Input):
            self.on_bytes(message.data)
        elif isinstance(message, InputEnd):
            self.on_eof()
        elif isinstance(message, WindowSize):
            self.on_resize(Window(message.cols, message.rows))
        else:
            raise WireError(f"{type(message).__name__} is not for an attached connection")

    # ------------------------------------------------------------ the user's side

    def write(self, data: bytes, stderr: bool = False) -> None:
        if self.gone or self._writer.is_closing():
            return
        stderr = stderr and self.terminal is None
        for start in range(0, len(data), LARGEST_OUTPUT):
            self._writer.write(encode(Output(data[start : start + LARGEST_OUTPUT], stderr)))
        buffered = self._writer.transport.get_write_buffer_size()
        if buffered > LARGEST_OUTPUT and self._watch is None:
            self.on_full()
            self._watch = asyncio.get_running_loop().create_task(self._drained(), name="attach-drain")

    async def _drained(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            return
        self._watch = None
        self.on_ready()

    def write_eof(self) -> None:
        """Output ends with `Exit`; the protocol has no half-close towards the client."""

    def exit(self, status: int) -> None:
        if not self.gone and not self._writer.is_closing():
            self._writer.write(encode(Exit(status)))
            self._writer.close()

    def exit_with_signal(self, signal: str, core_dumped: bool, message: str) -> None:
        """A shell's convention for a program that died of a signal: 128 and its number."""
        self.exit(128 + SIGNAL_NUMBERS.get(signal, exits.INTERNAL - 128))

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()


SIGNAL_NUMBERS = {"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10}
SIGNAL_NUMBERS |= {"SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15}
"""Names of RFC 4254 section 6.10 and Linux's numbers."""


def serve_attached(door: Door, tasks: Tasks, accept_env: Sequence[str]) -> Callable[..., Awaitable[None]]:
    """What the control server calls for an `Attach` (its protocol `Attached`)."""

    async def serve(
        who: Authenticated,
        attach: Attach,
        first: list[FromClient],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        decoder: Decoder[FromClient],
    ) -> None:
        env = {
            name: value
            for name, value in attach.env.items()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in accept_env) and value.isprintable()
        }
        client = AttachedClient(attach, env, writer)
        command = None if attach.command is None else attach.command.encode("utf-8", "surrogateescape")
        # Without a login name of its own: as if the user had said `ssh himself@bastion`.
        asked = Asked(who.principal.name, command, bool(attach.term))
        tasks.spawn(door.serve(who, client, asked), "login")
        await client.serve(first, reader, decoder)

    return serve
