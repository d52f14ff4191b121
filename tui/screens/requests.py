"""One's own requests: what was asked for, how long it still waits, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from broker.wire.approvals import (
    CancelRequest,
    ListRequests,
    RequestChanged,
    RequestDetail,
    RequestList,
    RequestView,
)
from tui import keys, states
from tui.screens.listing import Listing
from tui.screens.wait import WaitScreen
from tui.widgets.lines import Piece
from tui.widgets.rows import Column, Rows

EMPTY = (
    "You have not asked for anything.",
    "Open a target whose ACCESS says WAIT, and the request is listed here.",
)
NONE_MATCH = ("No request of yours matches the filter.", "Esc clears it.")
KINDS = {"session": "SES", "window": "WIN", "command": "CMD", "review": "REV"}


class RequestsScreen(Listing[RequestView]):
    """Newest first, pending ones on top; the broker filters."""

    SCOPE = "requests"
    TAB = "requests"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("requests")
    LIST_FIRST = True
    PLACEHOLDER = "id, target, what, state"

    def columns(self) -> Sequence[Column[RequestView]]:
        return (
            Column("ID", lambda r: (r.id, ""), 12, 0),
            Column("STATE", self._state, 12, 1, least=6),
            Column("LEFT", lambda r: (left(r, self.face.now()), ""), 8, 4, least=5, right=True),
            Column("WHAT", lambda r: (f"{KINDS.get(r.kind, '?')} {r.what}", ""), 60, 3),
            Column("WHERE", lambda r: (f"{r.account}@{r.target}", ""), 32, 2),
        )

    def _state(self, r: RequestView) -> Piece:
        state = states.request_state(r.state)
        return f"{self.glyph(state)} {state.word}", state.style

    def on_mount(self) -> None:
        self.load("")

    def on_screen_resume(self) -> None:
        self.load(self.field.value)

    def search(self, query: str) -> None:
        self.load(query)

    def request_changed(self, event: RequestChanged) -> None:
        self.load(self.field.value)

    @work(exclusive=True, group="load")
    async def load(self, query: str) -> None:
        """Ask again for each change of the query; an answer that is overtaken is dropped."""
        body = await self.ask(ListRequests("mine", query.strip()))
        if not isinstance(body, RequestList):
            return
        keep = self.rows.selected.id if self.rows.selected else ""
        cursor = next((i for i, r in enumerate(body.items) if r.id == keep), 0)
        self.rows.measure(body.items)
        self.rows.show(body.items, empty=NONE_MATCH if query.strip() else EMPTY, cursor=cursor)
        self.count(len(body.items), len(body.items))

    def on_rows_moved(self, event: Rows.Moved) -> None:
        event.stop()
        selected = self.rows.selected
        self.tell("" if selected is None else _fact(selected, self.face.now()))

    # ------------------------------------------------------------ actions

    def action_open(self) -> None:
        if selected := self.rows.selected:
            self.app.push_screen(WaitScreen(selected.id))

    @work(exclusive=True, group="cancel")
    async def action_cancel_request(self) -> None:
        """At once: a request can be made again."""
        selected = self.rows.selected
        if selected is None:
            return
        body = await self.ask(CancelRequest(selected.id))
        if isinstance(body, RequestDetail):
            self.say(f"{selected.id} is cancelled.")
            self.load(self.field.value)

    def _command(self, r: RequestView) -> str:
        return f"ssh -t {self.face.host} requests wait {r.id}"

    def command(self) -> str:
        return self._command(selected) if (selected := self.rows.selected) else ""


def left(r: RequestView, now: int) -> str:
    """`04:31` until it expires undecided; empty if it is decided or waits without end."""
    if r.state != "pending" or r.expires_at is None:
        return ""
    return states.length(r.expires_at - now)


def _fact(r: RequestView, now: int) -> str:
    why = f', "{r.reason}"' if r.reason else ""
    if r.state == "pending":
        return f"{r.id}: asked {states.age(r.opened_at, now)}{why}"
    by = f" by {r.settled_by}" if r.settled_by else ""
    said = f', "{r.comment}"' if r.comment else ""
    return f"{r.id}: {r.state}{by}{said}"
