"""What every screen has: identity on top, screens, a body, two lines of news, and the keys at the bottom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget

from broker.wire.approvals import Counters, RequestChanged
from broker.wire.client import AskFailed, Disconnected
from broker.wire.messages import Ask, Body, Failure, Welcome
from tui import keys, states
from tui.link import Link
from tui.widgets.lines import Lines, Piece, both_ends, fit, wrap

_EVENT_ROWS = 4

TABS = (
    ("connect", "Connect"),
    ("requests", "Requests"),
    ("approvals", "Approvals"),
    ("live", "Live"),
    ("recordings", "Recordings"),
)


class Face(Protocol):
    """What screens use of the application."""

    link: Link
    welcome: Welcome | None
    last: states.LastSession
    ascii: bool
    host: str
    """Name of the bastion for command lines."""
    live: int
    """Live sessions that this user may see, as last heard."""
    counters: Counters
    """Requests that wait: one's own, and those to decide."""

    def now(self) -> int:
        """Microseconds since the epoch."""

    def lose(self, reason: str) -> None:
        """The broker is gone: leave."""

    def leave(self) -> None:
        """Log out."""


class Frame(Screen[str | None], inherit_bindings=False):
    """May be left with a sentence for the screen behind it.

    Subclasses give `SCOPE` (their keys) and `body`. Textual calls `on_…` of each class of the hierarchy,
    the subclass's first: they do not call each other."""

    SCOPE: ClassVar[str]
    TAB: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = ""

    DEFAULT_CSS = """
    Frame { layout: vertical; background: ansi_default; color: ansi_default; }
    Frame.-short #tabs { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._fact: Piece = ("", "")
        self._event: Piece = ("", "")
        self._latest: Piece = ("", "")

    def compose(self) -> ComposeResult:
        yield Lines(id="identity")
        yield Lines(id="tabs")
        yield from self.body()
        yield Lines(id="news")
        yield Lines(id="keys")

    def body(self) -> Iterator[Widget]:
        """The widgets between the tabs and the news."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.set_interval(15, self.draw_frame)

    def on_screen_resume(self) -> None:
        self.draw_frame()

    def on_resize(self) -> None:
        self.draw_frame()

    @property
    def composed(self) -> bool:
        """False in an application that ended before the screen was there, as without a broker."""
        return bool(self.query("#news"))

    @property
    def face(self) -> Face:
        return cast("Face", self.app)

    # ------------------------------------------------------------ what is said

    def tell(self, text: str, style: str = "") -> None:
        """The fact row: about what is selected."""
        self._fact = self._latest = (text, style)
        self._draw_news()

    def say(self, text: str, style: str = "") -> None:
        """The event row: what just happened."""
        self._event = self._latest = (text, style)
        self._draw_news()

    def say_failure(self, failure: Failure) -> None:
        state = states.STATES["DENY"]
        hint = f" {failure.hint}" if failure.hint else ""
        self.say(f"{self.glyph(state)} {failure.code}: {failure.message}{hint}", "bold")

    def glyph(self, state: states.State) -> str:
        return state.ascii if self.face.ascii else state.glyph

    async def ask(self, ask: Ask) -> Body | None:
        """The broker's answer; None after a failure, which has then been shown."""
        try:
            return await self.face.link.ask(ask)
        except AskFailed as exc:
            self.say_failure(exc.failure)
        except Disconnected as exc:
            self.face.lose(str(exc))
        return None

    # ------------------------------------------------------------ drawing

    def draw_frame(self) -> None:
        """The rows around the body; cheap, as only changed lines are sent."""
        if not self.composed or not self.size.width:
            return
        self.query_one("#identity", Lines).show([[(self._identity(), "bold")]])
        self.query_one("#tabs", Lines).show([self._tabs()])
        self._draw_news()
        hints = keys.footer(self.SCOPE, self.where, self.size.width - 2)
        self.query_one("#keys", Lines).show([[(f" {hints}", "dim")]])

    @property
    def where(self) -> str:
        """`filter` or `list`: which of this screen's keys work now."""
        return "list"

    def _identity(self) -> str:
        welcome = self.face.welcome
        who = "connecting" if welcome is None else welcome.user
        if welcome is not None and welcome.groups and self.size.width >= 60:
            who += f" ({', '.join(welcome.groups)})"
        counts = "".join(f"{count}   " for count in self._counts())
        return both_ends(f" bartizan  {who}", f"{counts}{states.clock(self.face.now())} ", self.size.width)

    def _counts(self) -> list[str]:
        """What there is of each, none named that there is none of: `► 1 waiting`."""
        counters = self.face.counters
        found = (
            ("WAIT", counters.waiting, "waiting"),
            ("WARN", counters.to_decide, "to decide"),
            ("LIVE", self.face.live, "live"),
        )
        return [f"{self.glyph(states.STATES[state])} {count} {word}" for state, count, word in found if count]

    def _tabs(self) -> list[Piece]:
        """All of them; in a narrow window the numbers, and the name of this one."""
        pieces: list[Piece] = []
        named = sum(len(title) + 4 for _, title in TABS) <= self.size.width
        for number, (mode, title) in enumerate(TABS, start=1):
            here = mode == self.TAB
            count = self.face.counters.to_decide if mode == "approvals" else 0
            text = f"{number} {title}" if named or here else f"{number}"
            pieces.append((" ", ""))
            pieces.append((f"{text} {count}" if count else text, "reverse" if here else "dim"))
            pieces.append((" ", ""))
        return pieces

    def command(self) -> str:
        """The command line for what is selected; empty for nothing."""
        return ""

    def action_copy(self) -> None:
        if command := self.command():
            self.app.copy_to_clipboard(command)
            self.say(f"Copied: {command}")

    def action_cli(self) -> None:
        if command := self.command():
            self.say(command)

    def request_changed(self, event: RequestChanged) -> None:
        """Something happened to a request that concerns this user; the counters are redrawn anyway."""

    def _draw_news(self) -> None:
        """Both; in a low window only what came last. An event takes the rows it needs."""
        if not self.composed:
            return
        width = max(1, self.size.width - 2)
        fact, event = [fit(self._fact[0], width).rstrip()], wrap(self._event[0], width)[:_EVENT_ROWS]
        if self.low:
            shown = [(event, self._event[1])] if self._latest is self._event else [(fact, self._fact[1])]
        else:
            shown = [(fact, self._fact[1]), (event or [""], self._event[1])]
        lines: list[list[Piece]] = [[(f" {text}", style)] for texts, style in shown for text in texts]
        news = self.query_one("#news", Lines)
        news.styles.height = len(lines)
        news.show(lines)

    @property
    def low(self) -> bool:
        """True in a window with few rows."""
        return self.has_class("-short")
