"""The user's side of a login, whatever it came through: an SSH channel or a local Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

MAX_EARLY = 64 << 10
"""Bytes of input beyond which nobody reads on before there is a consumer."""


@dataclass(frozen=True, slots=True)
class Window:
    """Size of a terminal, in cells and pixels (0: unknown)."""

    cols: int
    rows: int
    width: int = 0
    height: int = 0


@dataclass(slots=True)
class Terminal:
    """What a client said of its terminal. `modes` are the encoded modes of RFC 4254 section 8."""

    type: str
    window: Window
    modes: dict[int, int] = field(default_factory=dict)


class Consumer(Protocol):
    """Who gets what the user's side does: a session or the picker, one after the other."""

    def client_bytes(self, data: bytes) -> None: ...

    def client_eof(self) -> None: ...

    def resized(self, window: Window) -> None: ...

    def signal_sent(self, name: str) -> None: ...

    def break_sent(self, msec: int) -> None: ...

    def request_refused(self, name: str, detail: str) -> None: ...

    def client_full(self) -> None:
        """The client reads slower than it is written to: stop producing."""

    def client_ready(self) -> None:
        """Go on producing."""


class ClientSide:
    """Base of both kinds. Without a consumer what comes is kept and reading stops: nothing is lost."""

    def __init__(self) -> None:
        self.terminal: Terminal | None = None
        self.env: dict[str, str] = {}
        self.refused: list[tuple[str, str]] = []
        """Requests refused before a consumer was there; handed to the first one."""
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the user's side has closed, for whatever reason."""
        self._on_interrupt: Callable[[], None] | None = None
        self.lasting = False
        """More comes after the session (the picker): the end of its output is not the end of ours."""
        self._eof = False
        self._full = False
        self._early: list[bytes] = []
        self._consumer: Consumer | None = None

    def attach(self, consumer: Consumer | None) -> None:
        """From now on `consumer` gets what comes; None: nobody, and reading stops."""
        self._consumer = consumer
        self._on_interrupt = None
        if consumer is None:
            self.pause_reading()
            return
        refused, self.refused = self.refused, []
        for name, detail in refused:
            consumer.request_refused(name, detail)
        if self._full:
            consumer.client_full()
        if self.gone:
            return
        early, self._early = self._early, []
        for data in early:
            consumer.client_bytes(data)
        if self._eof:
            consumer.client_eof()
        self.resume_reading()

    @property
    def gone(self) -> bool:
        return self.left.done()

    def watch_interrupt(self, interrupted: Callable[[], None]) -> None:
        """Until the next consumer is attached, call `interrupted` for a Ctrl-C from a terminal."""
        if self.terminal is not None and self._consumer is None:
            self._on_interrupt = interrupted
            self.resume_reading()

    def unread(self, data: bytes) -> None:
        """Give back what a consumer took and did not use: the next one gets it first."""
        if data:
            self._early.insert(0, data)

    # ------------------------------------------------------------ for the transport below

    def on_bytes(self, data: bytes) -> None:
        if self._consumer is not None:
            self._consumer.client_bytes(data)
        else:
            if self._on_interrupt is not None and b"\x03" in data:
                data = data.rpartition(b"\x03")[2]
                self._early.clear()  # as a terminal does with what was typed before a Ctrl-C
                self._on_interrupt()
            self._early.append(data)
            if sum(map(len, self._early)) > MAX_EARLY:
                self.pause_reading()

    def on_eof(self) -> None:
        self._eof = True
        if self._consumer is not None:
            self._consumer.client_eof()

    def on_gone(self) -> None:
        if not self.left.done():
            self.left.set_result(None)

    def on_resize(self, window: Window) -> None:
        if self.terminal is not None:
            self.terminal.window = window
        if self._consumer is not None:
            self._consumer.resized(window)

    def on_signal(self, name: str) -> None:
        if self._consumer is not None:
            self._consumer.signal_sent(name)

    def on_break(self, msec: int) -> None:
        if self._consumer is not None:
            self._consumer.break_sent(msec)

    def on_refused(self, name: str, detail: str) -> None:
        if self._consumer is not None:
            self._consumer.request_refused(name, detail)
        elif len(self.refused) < 100:
            self.refused.append((name, detail))

    def on_full(self) -> None:
        self._full = True
        if self._consumer is not None:
            self._consumer.client_full()

    def on_ready(self) -> None:
        self._full = False
        if self._consumer is not None:
            self._consumer.client_ready()

    # ------------------------------------------------------------ for the consumer above

    def write(self, data: bytes, stderr: bool = False) -> None:
        raise NotImplementedError

    def write_eof(self) -> None:
        raise NotImplementedError

    def exit(self, status: int) -> None:
        raise NotImplementedError

    def exit_with_signal(self, signal: str, core_dumped: bool, message: str) -> None:
        raise NotImplementedError

    def pause_reading(self) -> None:
        raise NotImplementedError

    def resume_reading(self) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------ what can be told of it

    @property
    def utf8(self) -> bool:
        """False only where the client said that its locale is another one."""
        said = [v for k in ("LC_ALL", "LC_CTYPE", "LANG") if (v := self.env.get(k))]
        return not said or "utf-8" in said[0].lower() or "utf8" in said[0].lower()

    @property
    def reason(self) -> str:
        """The reason given in the environment, as stock ssh clients can send it."""
        return self.env.get("BARTIZAN_REASON") or self.env.get("LC_BARTIZAN_REASON") or ""
