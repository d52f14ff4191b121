"""Performs a session core's actions, in order, on the real client, target and recording.

Everything here runs on the event loop and returns at once. Back-pressure: the target is read only while the
client takes what it is sent and the recording has room for it; the client only while the target takes it and
nothing waits for room in the recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from broker.model.session import LineReport, SessionRow
from broker.relay.client import ClientSide, Window
from broker.relay.holds import HoldDesk, Holds, Nobody
from broker.relay.target import TargetProgram
from broker.services.recordings import SessionRecording
from broker.session import actions as act
from broker.session import events as ev
from broker.session.core import SessionCore

Remark = Callable[[str, dict[str, Any]], None]
"""Notes something in the audit trail: its code and details."""


def unheard(code: str, fields: dict[str, Any]) -> None:
    """The audit of a session that has none."""


class Runner:
    """One live session. `ended` is set with the core's `Close`."""

    def __init__(
        self,
        core: SessionCore,
        row: SessionRow,
        client: ClientSide,
        recording: SessionRecording,
        desk: HoldDesk | None = None,
        remark: Remark = unheard,
    ) -> None:
        self.row = row
        self.ended: asyncio.Future[act.Close] = asyncio.get_running_loop().create_future()
        self._core = core
        self._client = client
        self._target: TargetProgram | None = None
        self._recording = recording
        self.time = recording.time
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._holds = Holds(desk or Nobody(), row, self._settled)
        self._held: list[act.Action] = []
        self._paused: set[str] = set()
        self._client_paused: set[str] = set()
        self._perform: dict[type, Callable[[Any], bool | None]] = {
            act.RecordOutput: lambda a: recording.output(self.time(), a.data, a.stderr),
            act.RecordInput: lambda a: recording.input(a.data),
            act.RecordResize: lambda a: recording.resize(self.time(), a.cols, a.rows),
            act.RecordEvent: lambda a: recording.event(self.time(), a.kind, a.fields),
            act.RecordMarker: lambda a: recording.marker(self.time(), a.label),
            act.Audit: lambda a: remark(a.code, a.fields),
            act.SendClient: lambda a: client.write(a.data, a.stderr),
            act.SendTarget: lambda a: self._program.write(a.data),
            act.EofClient: lambda a: None if client.lasting else client.write_eof(),
            act.EofTarget: lambda a: self._program.write_eof(),
            act.ResizeTarget: lambda a: self._program.resize(Window(a.cols, a.rows, a.width, a.height)),
            act.SignalTarget: lambda a: self._program.signal(a.name),
            act.BreakTarget: lambda a: self._program.send_break(a.msec),
            act.PauseClient: lambda a: (self._pause_client if a.paused else self._resume_client)("held"),
            act.SetTimer: self._set_timer,
            act.OpenApproval: self._holds.open,
            act.CancelApproval: lambda a: self._holds.cancel(a.number, a.why),
            act.UseApproval: lambda a: self._holds.use(a.number),
            act.Close: self._close,
        }
        recording.watch(lambda error: self.handle(ev.SinkFailed(error)), self._room_again)
        client.left.add_done_callback(lambda _: self.handle(ev.ClientGone()))

    def start(self, program: TargetProgram) -> None:
        """The target's program runs: the core's first actions, then what the client has sent meanwhile."""
        self._target = program
        if self._core.closed:
            program.close()
            return
        self._run(self._core.start())
        self._client.attach(self)
        if self._client_paused:  # by what it had sent early; `attach` reads on
            self._client.pause_reading()

    @property
    def _program(self) -> TargetProgram:
        assert self._target is not None, "nothing is sent to a target before it is reached"
        return self._target

    def handle(self, event: ev.Event) -> None:
        """Let the core decide and do what it says. A bug in either ends this session, and only it."""
        try:
            if isinstance(event, ev.SinkFailed | ev.KillRequested):
                self._end_now(event)
            else:
                self._run(self._core.handle(event, self.time()))
        except Exception as exc:
            self._fail(exc)

    def _settled(self, event: ev.ApprovalOpened | ev.ApprovalSettled) -> None:
        """From the desk, perhaps while actions are being performed: the event waits for its turn."""
        self._loop.call_soon(self.handle, event)

    def _run(self, todo: list[act.Action]) -> None:
        """Perform in order. Where the recording does not accept something, that and all that follows waits,
        and neither side is read meanwhile."""
        if self._held:
            self._held += todo
            return
        perform = self._perform
        for number, action in enumerate(todo):
            if perform[type(action)](action) is False:
                self._held = todo[number:]
                self._pause("recording")
                self._pause_client("recording")
                return

    def _end_now(self, event: ev.SinkFailed | ev.KillRequested) -> None:
        """An end that waits for nothing. What was not yet accepted is dropped: it was never shown, so an end
        that waits behind it does not count either."""
        waiting, self._held = self._held, []
        decide = self._core.overtake if waiting and self._core.closed else self._core.handle
        for action in decide(event, self.time()):
            self._perform[type(action)](action)

    def _room_again(self) -> None:
        held, self._held = self._held, []
        try:
            self._run(held)
        except Exception as exc:
            self._fail(exc)
        if not self._held:
            self._resume("recording")
            self._resume_client("recording")

    def _fail(self, exc: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc)

    # ------------------------------------------------------------ from the client (Consumer)

    def client_bytes(self, data: bytes) -> None:
        self.handle(ev.ClientBytes(data))

    def client_eof(self) -> None:
        self.handle(ev.ClientEof())

    def resized(self, window: Window) -> None:
        self.handle(ev.Resized(window.cols, window.rows, window.width, window.height))

    def signal_sent(self, name: str) -> None:
        self.handle(ev.SignalSent(name))

    def break_sent(self, msec: int) -> None:
        self.handle(ev.BreakSent(msec))

    def request_refused(self, name: str, detail: str) -> None:
        self.handle(ev.RequestRefused(name, detail))

    def client_full(self) -> None:
        self._pause("client")

    def client_ready(self) -> None:
        self._resume("client")

    # ------------------------------------------------------------ from the target (TargetEvents)

    def target_bytes(self, data: bytes, stderr: bool) -> None:
        self.handle(ev.TargetBytes(data, stderr))

    def target_eof(self) -> None:
        self.handle(ev.TargetEof())

    def target_exited(self, status: int) -> None:
        self.handle(ev.TargetExited(status))

    def target_signalled(self, signal: str, core_dumped: bool, message: str) -> None:
        self.handle(ev.TargetSignalled(signal, core_dumped, message))

    def target_gone(self, error: str) -> None:
        self.handle(ev.TargetGone(error))

    def target_full(self) -> None:
        self._pause_client("target")

    def target_ready(self) -> None:
        self._resume_client("target")

    # ------------------------------------------------------------ what others may do

    @property
    def lines(self) -> LineReport | None:
        """How this session's command lines are judged, and how that went; None: they are not."""
        return self._core.lines

    def kill(self, why: str, by: str, text: str) -> None:
        self.handle(ev.KillRequested(why, by, text))

    def abandon(self) -> None:
        """Whatever happened: let go of both sides. Idempotent."""
        for timer in self._timers.values():
            timer.cancel()
        self._client.attach(None)
        if self._target is not None:
            self._target.close()
        self._holds.end("session-ended")

    # ------------------------------------------------------------ back-pressure

    def _pause(self, why: str) -> None:
        self._paused.add(why)
        if self._target is not None:
            self._target.pause_reading()

    def _resume(self, why: str) -> None:
        self._paused.discard(why)
        if not self._paused and not self._core.closed and self._target is not None:
            self._target.resume_reading()

    def _pause_client(self, why: str) -> None:
        self._client_paused.add(why)
        self._client.pause_reading()

    def _resume_client(self, why: str) -> None:
        self._client_paused.discard(why)
        if not self._client_paused and not self._core.closed:
            self._client.resume_reading()

    # ------------------------------------------------------------ actions that take more than a call

    def _set_timer(self, action: act.SetTimer) -> None:
        if (old := self._timers.get(action.name)) is not None:
            old.cancel()
        delay = max(0, action.at - self.time()) / 1_000_000
        self._timers[action.name] = self._loop.call_later(delay, self.handle, ev.TimerFired(action.name))

    def _close(self, action: act.Close) -> None:
        self.abandon()
        if not self.ended.done():
            self.ended.set_result(action)
