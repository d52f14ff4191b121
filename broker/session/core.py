"""The decisions of a live session between its user and its target.

States: running → closed. Everything passes through `SessionCore.handle`, which never raises for what a
peer does; what comes after the close is ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.model import exits
from broker.model.session import LineReport
from broker.session.actions import (
    Action,
    BreakTarget,
    Close,
    EofClient,
    EofTarget,
    RecordEvent,
    RecordInput,
    RecordOutput,
    RecordResize,
    ResizeTarget,
    SendClient,
    SendTarget,
    SetTimer,
    SignalTarget,
)
from broker.session.events import (
    ApprovalOpened,
    ApprovalSettled,
    BreakSent,
    ClientBytes,
    ClientEof,
    ClientGone,
    Event,
    KillRequested,
    RequestRefused,
    Resized,
    SignalSent,
    SinkFailed,
    TargetBytes,
    TargetEof,
    TargetExited,
    TargetGone,
    TargetSignalled,
    TimerFired,
)
from broker.session.lines import TIMERS, Lines
from broker.session.notices import Voice

SECOND = 1_000_000
WARN_BEFORE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session runs under. Times in microseconds; None: no bound."""

    voice: Voice
    idle: int | None
    longest: int | None
    banner: str = ""
    """First line for the user of an interactive session; empty: none."""
    lines: Lines | None = None
    """Holds command lines until they were judged; None: what the user types passes as it is."""


class SessionCore:
    """One live session, from the moment the target's program was started."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._last_traffic = 0
        self._exit: Close | None = None
        self._closed = False
        self._dispatch: dict[type, Callable[[Any, int], list[Action]]] = {
            ClientBytes: self._client_bytes,
            ClientEof: self._client_eof,
            ClientGone: self._client_gone,
            TargetBytes: self._target_bytes,
            TargetEof: self._target_eof,
            TargetExited: self._target_exited,
            TargetSignalled: self._target_signalled,
            TargetGone: self._target_gone,
            Resized: self._resized,
            SignalSent: self._signal,
            BreakSent: self._break,
            RequestRefused: self._refused,
            TimerFired: self._timer,
            SinkFailed: self._sink_failed,
            KillRequested: self._kill,
            ApprovalOpened: self._approval,
            ApprovalSettled: self._approval,
        }

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def lines(self) -> LineReport | None:
        """How command lines are judged here, and how that went; None: they are not."""
        return None if self._terms.lines is None else self._terms.lines.report

    def start(self) -> list[Action]:
        """The first actions of the session, at time 0."""
        actions: list[Action] = []
        if self._terms.banner:
            actions += self._say(self._terms.voice.banner(self._terms.banner))
        if self._terms.idle is not None:
            actions.append(SetTimer("idle", self._terms.idle))
        if self._terms.longest is not None:
            if self._terms.longest > 2 * WARN_BEFORE:
                actions.append(SetTimer("warn", self._terms.longest - WARN_BEFORE))
            actions.append(SetTimer("longest", self._terms.longest))
        if (lines := self._terms.lines) is not None:
            actions += lines.start(0)
        return actions

    def handle(self, event: Event, t: int) -> list[Action]:
        """What to do about `event`, which happened `t` microseconds after the session's start."""
        if self._closed:
            return []
        actions = self._dispatch[type(event)](event, t)
        self._closed = self._closed or (bool(actions) and isinstance(actions[-1], Close))
        return actions

    def overtake(self, event: SinkFailed | KillRequested, t: int) -> list[Action]:
        """As `handle`, where an end was decided and is not yet performed: it never will be, but this one."""
        return self._dispatch[type(event)](event, t)

    # ------------------------------------------------------------ traffic

    def _client_bytes(self, event: ClientBytes, t: int) -> list[Action]:
        self._last_traffic = t
        if (lines := self._terms.lines) is not None:
            return [RecordInput(event.data), *lines.client(event.data, t)]
        return [RecordInput(event.data), SendTarget(event.data)]

    def _client_eof(self, event: ClientEof, t: int) -> list[Action]:
        if (lines := self._terms.lines) is not None:
            return lines.eof(t)
        return [EofTarget()]

    def _target_bytes(self, event: TargetBytes, t: int) -> list[Action]:
        self._last_traffic = t
        if (lines := self._terms.lines) is not None:
            return lines.target(event.data, event.stderr, t)
        return [RecordOutput(event.data, event.stderr), SendClient(event.data, event.stderr)]

    def _target_eof(self, event: TargetEof, t: int) -> list[Action]:
        return [EofClient()]

    def _resized(self, event: Resized, t: int) -> list[Action]:
        lines = self._terms.lines
        return [
            RecordResize(event.cols, event.rows),
            *([] if lines is None else lines.resized(event.cols, event.rows)),
            ResizeTarget(event.cols, event.rows, event.width, event.height),
        ]

    def _signal(self, event: SignalSent, t: int) -> list[Action]:
        return [RecordEvent("signal", {"name": event.name}), SignalTarget(event.name)]

    def _break(self, event: BreakSent, t: int) -> list[Action]:
        return [RecordEvent("break", {"msec": event.msec}), BreakTarget(event.msec)]

    def _refused(self, event: RequestRefused, t: int) -> list[Action]:
        return [RecordEvent("request-refused", {"name": event.name, "detail": event.detail})]

    def _approval(self, event: ApprovalOpened | ApprovalSettled, t: int) -> list[Action]:
        """What comes for a session that holds nothing changes nothing."""
        lines = self._terms.lines
        if lines is None:
            return []
        return lines.opened(event, t) if isinstance(event, ApprovalOpened) else lines.settled(event, t)

    # ------------------------------------------------------------ ends

    def _target_exited(self, event: TargetExited, t: int) -> list[Action]:
        lines = self._terms.lines
        self._exit = Close(event.status if lines is None else lines.status(event.status), "exit")
        return []

    def _target_signalled(self, event: TargetSignalled, t: int) -> list[Action]:
        self._exit = Close(
            exits.INTERNAL,
            "signal",
            signal=event.signal,
            core_dumped=event.core_dumped,
            message=event.message,
        )
        return []

    def _target_gone(self, event: TargetGone, t: int) -> list[Action]:
        if self._exit is not None:
            return self._close(self._exit)
        text = f"the connection to the target was lost ({event.error or 'closed without an exit status'})"
        return self._end(exits.UNREACHABLE, "target-lost", "E-UNREACHABLE", text)

    def _client_gone(self, event: ClientGone, t: int) -> list[Action]:
        return self._close(Close(exits.CANCELLED, "client-gone"))

    def _sink_failed(self, event: SinkFailed, t: int) -> list[Action]:
        text = f"the recording cannot be written ({event.error}); nothing runs unrecorded"
        end = self._end(exits.CANNOT_RECORD, "recording", "E-RECORDING", text)
        return [action for action in end if not isinstance(action, RecordEvent)]

    def _kill(self, event: KillRequested, t: int) -> list[Action]:
        fact = RecordEvent("killed", {"by": event.by, "text": event.text})
        status = exits.CANCELLED if event.why == "cancelled" else exits.TERMINATED
        return [fact, *self._end(status, event.why, "E-TERMINATED", event.text)]

    def _timer(self, event: TimerFired, t: int) -> list[Action]:
        if event.name in TIMERS:
            lines = self._terms.lines
            return [] if lines is None else lines.wake(t)
        if event.name == "warn":
            return self._warn("this session ends in 1 minute: its longest time is reached")
        if event.name == "longest":
            return self._end(
                exits.TERMINATED, "max-time", "E-TIME", "the longest time of a session is reached"
            )
        idle = self._terms.idle
        if idle is None:
            return []
        if self._terms.lines is not None and self._terms.lines.holds:
            self._last_traffic = t  # it is not the user who is waited for
        if t - self._last_traffic < idle:
            return [SetTimer("idle", self._last_traffic + idle)]
        return self._end(exits.TERMINATED, "idle", "E-IDLE", f"no traffic for {idle // SECOND} s")

    # ------------------------------------------------------------ saying

    def _warn(self, text: str) -> list[Action]:
        """A notice in passing, where a person sits in front of it."""
        if not self._terms.voice.terminal:
            return []
        return self._say(self._terms.voice.say("warning", "WARNING", text))

    def _end(self, status: int, reason: str, code: str, text: str) -> list[Action]:
        """End the session and say why."""
        word = "ENDED" if self._terms.voice.terminal else code
        return [*self._say(self._terms.voice.say("ended", word, text)), *self._close(Close(status, reason))]

    def _say(self, notice: bytes) -> list[Action]:
        """A notice goes to the user and, as an event, into the recording; never to the target."""
        text = notice.decode("utf-8", "replace").strip()
        return [
            RecordEvent("notice", {"text": text}),
            SendClient(notice, stderr=not self._terms.voice.terminal),
        ]

    def _close(self, close: Close) -> list[Action]:
        self._closed = True
        lines = self._terms.lines
        return [close] if lines is None else [*lines.ended(close.reason), close]
