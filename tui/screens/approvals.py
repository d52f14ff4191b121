"""The inbox of those who decide: the most urgent request first, its risk beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from broker.wire.approvals import (
    DecideRequest,
    ListRequests,
    RequestChanged,
    RequestDetail,
    RequestList,
    RequestView,
    ShowRequest,
)
from tui import keys, states
from tui.screens.decision import DecisionScreen
from tui.screens.listing import Listing
from tui.screens.reason import ReasonBox
from tui.screens.requests import KINDS, left
from tui.widgets.lines import Piece
from tui.widgets.rows import Column, Rows

WHICH = {"inbox": "to decide", "decided": "decided", "all": "all that you may see"}
EMPTY = {
    "inbox": ("Nothing waits for your decision.", "A bell rings on every screen when something does."),
    "decided": ("Nothing was decided yet that you could have decided.",),
    "all": ("There is no request that you may see.",),
}
NONE_MATCH = ("No request matches the filter.", "Esc clears it.")


class ApprovalsScreen(Listing[RequestView]):
    """The broker sorts by what expires soon and by risk, and filters."""

    SCOPE = "approvals"
    TAB = "approvals"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("approvals")
    LIST_FIRST = True
    PLACEHOLDER = "id, who, target, what"

    def __init__(self) -> None:
        super().__init__()
        self._which = "inbox"
        self._marked: set[str] = set()

    def columns(self) -> Sequence[Column[RequestView]]:
        return (
            Column("ID", self._number, 14, 0),
            Column("LEFT", self._left, 10, 3, least=5, right=True),
            Column("RISK", _risk, 8, 1, least=4),
            Column("WHO", lambda r: (r.user + (" (agent)" if r.agent else ""), ""), 18, 2, least=6),
            Column("WHAT", lambda r: (f"{KINDS.get(r.kind, '?')} {r.what}", ""), 60, 5),
            Column("WHERE", lambda r: (f"{r.account}@{r.target}", ""), 32, 4),
        )

    def _number(self, r: RequestView) -> Piece:
        return (f"*{r.id}" if r.id in self._marked else r.id), ""

    def _left(self, r: RequestView) -> Piece:
        if r.state == "pending":
            return left(r, self.face.now()), ""
        state = states.request_state(r.state)
        return state.word, state.style

    def on_mount(self) -> None:
        self.load("")
        self.set_interval(1, self._tick)

    def _tick(self) -> None:
        """The time that is left runs on."""
        if self.app.screen is self:
            self.rows.refresh()

    def on_screen_resume(self) -> None:
        self.load(self.field.value)

    def search(self, query: str) -> None:
        self.load(query)

    def request_changed(self, event: RequestChanged) -> None:
        self.load(self.field.value)

    @work(exclusive=True, group="load")
    async def load(self, query: str) -> None:
        """Ask again for each change; an answer that is overtaken is dropped."""
        body = await self.ask(ListRequests(self._which, query.strip()))
        if not isinstance(body, RequestList):
            return
        keep = self.rows.selected.id if self.rows.selected else ""
        cursor = next((i for i, r in enumerate(body.items) if r.id == keep), 0)
        self._marked &= {r.id for r in body.items if r.may_decide}
        self.rows.measure(body.items)
        self.rows.show(body.items, empty=NONE_MATCH if query.strip() else EMPTY[self._which], cursor=cursor)
        self.count(len(body.items), len(body.items))

    def on_rows_moved(self, event: Rows.Moved) -> None:
        event.stop()
        selected = self.rows.selected
        if selected is None:
            self.tell(f"Shown: {WHICH[self._which]}" if self._which != "inbox" else "")
            return
        why = f'"{selected.reason}"' if selected.reason else "no reason given"
        self.tell(f"{selected.id}: {why}, asked {states.age(selected.opened_at, self.face.now())}")

    # ------------------------------------------------------------ actions

    def action_open(self) -> None:
        if selected := self.rows.selected:
            self.app.push_screen(DecisionScreen(selected.id), self._decided)

    def _decided(self, news: str | None) -> None:
        if news:
            self.say(news)

    def action_which(self) -> None:
        names = list(WHICH)
        self._which = names[(names.index(self._which) + 1) % len(names)]
        self.say(f"Shown: {WHICH[self._which]}.")
        self.load(self.field.value)

    def action_mark(self) -> None:
        """Only what is of LOW risk can be decided together with others, unread."""
        selected = self.rows.selected
        if selected is None:
            return
        if not selected.may_decide or selected.state != "pending":
            self.say(f"{selected.id} is not yours to decide.")
        elif selected.risk != "LOW":
            self.say(f"{selected.id} is {selected.risk}: look at it (Enter) and decide it on its own.")
        else:
            self._marked ^= {selected.id}
            self.rows.refresh()
            self.say(f"{len(self._marked)} marked. a approves them." if self._marked else "None marked.")

    @work(exclusive=True, group="approve")
    async def action_approve_marked(self) -> None:
        """Each is shown by the broker to this user and approved by its own digest."""
        ids = sorted(self._marked)
        if not ids:
            self.say("Mark requests of LOW risk with Space first, or open one with Enter.")
            return
        comment = await self.app.push_screen_wait(
            ReasonBox(f"Approve {', '.join(ids)}", "kept with each", what="Comment")
        )
        if comment is None:
            return
        done = [id for id in ids if await self._approve(id, comment)]
        self._marked.clear()
        self.say(f"Approved: {', '.join(done)}." if done else "None was approved.")
        self.load(self.field.value)

    async def _approve(self, id: str, comment: str) -> bool:
        """False if it was refused, or is no longer of LOW risk."""
        shown = await self.ask(ShowRequest(id))
        if not isinstance(shown, RequestDetail) or shown.risk.level != "LOW":
            return False
        return isinstance(await self.ask(DecideRequest(id, True, shown.digest, comment)), RequestDetail)

    def _command(self, r: RequestView) -> str:
        confirm = f" --confirm {r.target}" if r.risk == "HIGH" else ""
        return f'ssh {self.face.host} approve {r.id}{confirm} -m "..."'

    def command(self) -> str:
        return self._command(selected) if (selected := self.rows.selected) else ""


def _risk(r: RequestView) -> Piece:
    return states.risk(r.risk), "yellow bold" if r.risk == "HIGH" else ""
