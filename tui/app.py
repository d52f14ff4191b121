"""The application: one connection, the screens, and a terminal that is sane after any end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.drivers.linux_driver import LinuxDriver
from textual.pilot import Pilot
from textual.reactive import Reactive
from textual.screen import Screen

from broker.wire.approvals import Counters, Subscribe
from broker.wire.client import AskFailed, Disconnected
from broker.wire.messages import Welcome
from tui import keys, states
from tui.link import Link, LinkLost, RequestNews
from tui.screens.approvals import ApprovalsScreen
from tui.screens.box import Box
from tui.screens.connections import ConnectionsScreen
from tui.screens.decision import DecisionScreen
from tui.screens.frame import Frame
from tui.screens.help import HelpBox
from tui.screens.live import LiveScreen
from tui.screens.recordings import RecordingsScreen
from tui.screens.replay import ReplayScreen
from tui.screens.requests import RequestsScreen
from tui.screens.wait import WaitScreen

RESET = "\x1b[?1000;1002;1003;1006;1004;2004l\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m"
"""Mouse, focus and paste reports off, wrap on, main screen, cursor, plain attributes: xterm's ctlseqs."""

_TWICE_S = 2.0
"""Seconds within which a second Ctrl-C logs out."""


_UNSENT = ("\x1b[<u", "\x1b[?1004h", "\x1b]22;")
"""Kitty pop, focus reports, pointer shapes: of no use here, and printed as text by some terminals."""


class TerminalDriver(LinuxDriver):
    """Textual's driver without what unknown terminals print as text, and without queries.

    In ASCII mode this is also the one place that everything sent to the terminal passes.
    """

    ascii = False

    def write(self, data: str) -> None:
        if not data.startswith(_UNSENT):
            super().write(states.to_ascii(data) if self.ascii else data)

    def _request_terminal_sync_mode_support(self) -> None:
        """Asked of no terminal."""

    def _query_in_band_window_resize(self) -> None:
        """Asked of no terminal: SIGWINCH is enough."""


class AsciiDriver(TerminalDriver):
    """For terminals without UTF-8."""

    ascii = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the application ended: an exit status, and a line for the terminal it has left."""

    status: int = 0
    message: str = ""


class FaceApp(App[Outcome], inherit_bindings=False):
    """What `screens` know as `Face`."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("app")
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "connect": ConnectionsScreen,
        "requests": RequestsScreen,
        "approvals": ApprovalsScreen,
        "recordings": RecordingsScreen,
        "live": LiveScreen,
    }
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (14, "-tall")]  # noqa: RUF012
    theme: Reactive[str] = Reactive("ansi-dark")

    def __init__(
        self,
        where: str | socket.socket | None,
        last: states.LastSession | None = None,
        clock: Callable[[], float] = time.time,
        replay: ReplayScreen | None = None,
    ) -> None:
        """`where` is the broker's socket; None plays `replay` without a broker."""
        self.ascii = states.wants_ascii(os.environ)
        super().__init__(AsciiDriver if self.ascii else TerminalDriver, ansi_color=True)
        self.animation_level = "none"
        self.last = last or states.LastSession()
        self.host = os.environ.get("BARTIZAN_HOST", "bastion")
        self.welcome: Welcome | None = None
        self.live = 0
        self.counters = Counters(0, 0)
        self.link = Link(where or "")
        self._offline = replay if where is None else None
        self._clock = clock
        self._interrupted = 0.0
        self.crash = ""

    def on_mount(self) -> None:
        if self._offline is not None:
            self.push_screen(self._offline, lambda _: self.exit(Outcome()))
            return
        self.switch_mode("connect")
        self.run_worker(self._connect(), exit_on_error=True)

    async def _connect(self) -> None:
        try:
            self.welcome = await self.link.connect()
        except AskFailed as exc:
            failure = exc.failure
            self.exit(Outcome(failure.exit_status, f"bartizan: [{failure.code}] {failure.message}"))
            return
        except Disconnected as exc:
            self.lose(str(exc))
            return
        self.run_worker(
            self.link.listen(
                lambda reason: self.post_message(LinkLost(reason)),
                lambda change: self.post_message(RequestNews(change)),
            )
        )
        self.run_worker(self._subscribe())
        if self.last.play:
            self.push_screen(ReplayScreen.of_recording(self.last.play), lambda _: self.leave())
        elif isinstance(self.screen, ConnectionsScreen):
            self.screen.load()

    async def _subscribe(self) -> None:
        """From now on the counters follow what happens; an older broker has none."""
        try:
            body = await self.link.ask(Subscribe())
        except (AskFailed, Disconnected):
            return
        if isinstance(body, Counters):
            self._count(body)

    def _count(self, counters: Counters) -> None:
        self.counters = counters
        for screen in self.screen_stack:
            if isinstance(screen, Frame):
                screen.draw_frame()

    def on_request_news(self, event: RequestNews) -> None:
        """Counters and bell on every screen; a screen that shows requests shows them anew."""
        if event.change.bell:
            self.bell()
        self._count(event.change.counters)
        for screen in self.screen_stack:
            if isinstance(screen, Frame):
                screen.request_changed(event.change)

    # ------------------------------------------------------------ what screens use

    def now(self) -> int:
        return int(self._clock() * 1_000_000)

    def lose(self, reason: str) -> None:
        self.exit(Outcome(69, f"bartizan: the menu has ended, {reason}. Log in again."))

    def leave(self) -> None:
        self.exit(Outcome())

    def on_link_lost(self, event: LinkLost) -> None:
        self.lose(event.reason)

    # ------------------------------------------------------------ actions

    def action_help(self) -> None:
        screen = self.screen
        if isinstance(screen, Frame):
            self.push_screen(HelpBox(screen.SCOPE))

    def action_interrupt(self) -> None:
        """Ctrl-C: closes a box or a replay; at home, twice logs out."""
        screen = self.screen
        if isinstance(screen, Box):
            screen.dismiss(None)
        elif isinstance(screen, ReplayScreen | DecisionScreen | WaitScreen):
            screen.action_leave()
        elif time.monotonic() - self._interrupted < _TWICE_S:
            self.leave()
        elif isinstance(screen, Frame):
            self._interrupted = time.monotonic()
            screen.say("Ctrl-C again logs out.")

    def action_redraw(self) -> None:
        self.refresh(layout=True)
        if isinstance(self.screen, ConnectionsScreen):
            self.screen.load()

    # ------------------------------------------------------------ the end

    def _fatal_error(self) -> None:
        """A bug: Textual would paint the traceback with all local values onto the user's terminal."""
        self.crash = self.crash or traceback.format_exc()
        self._return_code = 70
        self._close_messages_no_wait()

    @classmethod
    def warm_up(cls) -> None:
        """Draw one frame into nothing, so that a forked copy finds its parsers and caches filled."""

        async def leave(pilot: Pilot[object]) -> None:
            pilot.app.exit()

        ours, theirs = socket.socketpair()
        with ours, theirs:
            cls(ours).run(headless=True, size=(80, 24), auto_pilot=leave)


def run(app: FaceApp, log: int | None = None) -> int:
    """Run on this process's terminal until it ends; the exit status.

    SIGHUP and SIGTERM end it the clean way; if that hangs, an alarm ends it all the same. A traceback goes
    to the file descriptor `log`, never to the user's terminal.
    """
    status, message = 70, "bartizan: [E-INTERNAL] the menu failed. Log in again, or use: ssh bastion TARGET"
    _end_on_signals(app)
    try:
        outcome = app.run(mouse=False)
        if outcome is not None and not app.crash:
            status, message = outcome.status, outcome.message
    except Exception:
        app.crash = traceback.format_exc()
    finally:
        _restore_terminal()
    if app.crash and log is not None:
        os.write(log, app.crash.encode(errors="replace"))
    if message:
        print(states.to_ascii(message) if app.ascii else message, file=sys.stderr, flush=True)
    return status


def _end_on_signals(app: FaceApp) -> None:
    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(3)
        app.call_later(app.exit, Outcome(128 + number))

    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, end)


def _restore_terminal() -> None:
    signal.alarm(0)
    try:
        if os.isatty(1):
            os.write(1, RESET.encode())
    except OSError:
        pass
