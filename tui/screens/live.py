"""Sessions that are running: one's own, all for an administrator, who can end them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from broker.wire.messages import Done, KillSession, ListSessions, Sessions, SessionView
from tui import keys, states
from tui.screens.listing import Listing
from tui.screens.reason import ReasonBox
from tui.widgets.rows import Column, Rows

RELOAD_S = 5
EMPTY = ("No session is running.",)
NONE_MATCH = ("No running session matches the filter.", "Esc clears it.")


class LiveScreen(Listing[SessionView]):
    """Filtered here: the list is short."""

    SCOPE = "live"
    TAB = "live"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("live")
    PLACEHOLDER = "who, where, what"

    def __init__(self) -> None:
        super().__init__()
        self._all: list[SessionView] = []

    def columns(self) -> Sequence[Column[SessionView]]:
        return (
            Column("ID", lambda s: (s.id, ""), 12, 3),
            Column("WHO", lambda s: (s.user, ""), 16, 1),
            Column("WHERE", lambda s: (f"{s.account}@{s.target}", ""), 32, 0),
            Column("FOR", lambda s: (states.length(self.face.now() - s.started_at), ""), 8, 2, right=True),
            Column("FROM", lambda s: (s.source, ""), 24, 5),
            Column("COMMAND", lambda s: (s.command or s.channel, ""), 40, 4),
        )

    def on_mount(self) -> None:
        self.set_interval(RELOAD_S, self._reload)

    def on_screen_resume(self) -> None:
        self.load()

    def _reload(self) -> None:
        if self.app.screen is self:
            self.load()

    @work(exclusive=True, group="load")
    async def load(self) -> None:
        """Ask for the running sessions and show them."""
        body = await self.ask(ListSessions())
        if isinstance(body, Sessions):
            self._all = list(body.items)
            self.face.live = len(self._all)
            self.rows.measure(self._all)
            self.search(self.field.value)
            self.draw_frame()

    def search(self, query: str) -> None:
        words = query.lower().split()
        found = [s for s in self._all if all(word in _text(s) for word in words)]
        keep = self.rows.selected.id if self.rows.selected else ""
        cursor = next((i for i, s in enumerate(found) if s.id == keep), 0)
        self.rows.show(found, empty=NONE_MATCH if self._all else EMPTY, cursor=cursor)
        self.count(len(found), len(self._all))

    def on_rows_moved(self, event: Rows.Moved) -> None:
        event.stop()
        selected = self.rows.selected
        if selected is None:
            self.tell("")
            return
        why = f', reason "{selected.reason}"' if selected.reason else ""
        self.tell(f"{selected.id}: {selected.user} from {selected.source}{why}")

    @work(exclusive=True, group="terminate")
    async def action_terminate(self) -> None:
        """Ask for a reason, then end the selected session."""
        selected = self.rows.selected
        if selected is None:
            return
        if not (self.face.welcome and self.face.welcome.admin):
            self.say("Only an administrator can end a session from here.")
            return
        title = f"End {selected.id} of {selected.user} on {selected.target}"
        reason = await self.app.push_screen_wait(ReasonBox(title, f"{selected.user} is told why"))
        if reason is None:
            return
        body = await self.ask(KillSession(selected.id, reason))
        if isinstance(body, Done):
            self.say(body.message or f"{selected.id} ended.")
            self.load()


def _text(s: SessionView) -> str:
    return f"{s.id} {s.user} {s.account}@{s.target} {s.source} {s.command} {s.channel} {s.reason}".lower()
