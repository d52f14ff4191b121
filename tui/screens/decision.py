"""One request, to be decided: what exactly would run, who asks, by which rule, at which risk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.widget import Widget

from broker.wire.approvals import (
    DecideRequest,
    RequestChanged,
    RequestDetail,
    SayRequest,
    ShowRequest,
    WithdrawRequest,
)
from broker.wire.messages import Done
from tui import keys, states
from tui.screens.approve import ApproveBox, Consent
from tui.screens.dossier import KINDS, Dossier
from tui.screens.frame import Frame
from tui.screens.reason import ReasonBox
from tui.widgets.lines import both_ends
from tui.widgets.pages import Pages


class RequestPage(Frame):
    """A request on the whole screen, kept up to date. Dismissed with a sentence for the screen behind it."""

    DEFAULT_CSS = """
    RequestPage #tabs { display: none; }
    """

    def __init__(self, id: str) -> None:
        super().__init__()
        self._request = id
        self.detail: RequestDetail | None = None
        self._dossier: Dossier | None = None

    def body(self) -> Iterator[Widget]:
        self.pages = Pages(id="pages")
        yield self.pages

    def on_mount(self) -> None:
        self.load(peek=False)
        self.set_interval(1, self.draw_frame)

    def on_resize(self) -> None:
        self._lay_out(anew=True)

    def request_changed(self, event: RequestChanged) -> None:
        if self.detail is None or event.id == self.detail.request.id:
            self.load(peek=True)

    @work(exclusive=True, group="load")
    async def load(self, *, peek: bool) -> None:
        """Ask for the request. Not as a peek: who asks for it is told to have seen it."""
        body = await self.ask(ShowRequest(self._request, peek))
        if isinstance(body, RequestDetail):
            self.take(body)

    def take(self, detail: RequestDetail) -> None:
        """Show it. Where what is decided on is another than before, it counts as unread."""
        anew = self.detail is None or self.detail.digest != detail.digest
        self.detail = detail
        self._lay_out(anew=anew)

    def _lay_out(self, *, anew: bool) -> None:
        if self.detail is None or not self.composed or not self.size.width:
            return
        self._dossier = Dossier(self.detail, self.size.width, self.face.now(), ascii_only=self.face.ascii)
        self.pages.show(self._dossier.lines, anew=anew)
        self.draw_frame()

    def _identity(self) -> str:
        if self.detail is None:
            return f" {self._request}"
        r, risk = self.detail.request, self.detail.risk
        kind = KINDS.get(r.kind, r.kind.upper())
        state, risks = self._state_words(), states.risk(risk.level, risk.score)
        width = self.size.width
        if len(f" {r.id}  {state}   {risks} ") > width:
            return both_ends(f" {r.id}", f"{state} ", width)
        return both_ends(f" {r.id}  {kind}", f"{state}   {risks} ", width)

    def _state_words(self) -> str:
        assert self.detail is not None
        r, now = self.detail.request, self.face.now()
        state = states.request_state(r.state)
        if r.state != "pending":
            return f"{self.glyph(state)} {state.word}"
        if r.expires_at is None:
            return f"{self.glyph(state)} waits for a decision"
        return f"{self.glyph(state)} expires {states.length(r.expires_at - now)}"

    # ------------------------------------------------------------ actions

    def action_scroll_by(self, rows: int) -> None:
        self.pages.scroll_rows(rows)

    def action_scroll_page(self, pages: int) -> None:
        self.pages.scroll_pages(pages)

    def action_scroll_edge(self, last: bool) -> None:
        self.pages.scroll_edge(last)

    @work(exclusive=True, group="act")
    async def action_talk(self) -> None:
        """One line for all whom the request concerns."""
        text = await self.app.push_screen_wait(
            ReasonBox(f"About {self._request}", "all it concerns read it", what="Line")
        )
        if text is not None and isinstance(await self.ask(SayRequest(self._request, text)), Done):
            self.load(peek=True)

    def action_leave(self) -> None:
        self.dismiss(None)


class DecisionScreen(RequestPage):
    """No key decides at once, and no approval is possible before the exact input has been read to its end."""

    SCOPE = "decision"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("decision")

    def command(self) -> str:
        confirm = f" --confirm {self.detail.confirm}" if self.detail and self.detail.confirm else ""
        return f'ssh {self.face.host} approve {self._request}{confirm} -m "..."'

    def _decidable(self) -> RequestDetail | None:
        """The request if it can be decided now; else says why it cannot."""
        detail = self.detail
        if detail is None:
            return None
        if detail.request.state != "pending":
            self.say(f"{self._request} is {detail.request.state}: there is nothing to decide.")
            return None
        if not detail.may_decide:
            self.say(f"Not yours to decide: {detail.why_not or 'the policy names others'}.")
            return None
        return detail

    def action_approve(self) -> None:
        self._approve(timed=False)

    def action_approve_for(self) -> None:
        if self.detail is not None and self.detail.lasts_s is None:
            self.say("It is used once; there is no time to shorten.")
            return
        self._approve(timed=True)

    @work(exclusive=True, group="act")
    async def _approve(self, *, timed: bool) -> None:
        detail = self._decidable()
        if detail is None or self._dossier is None:
            return
        if self.pages.seen < self._dossier.decisive:
            self.say("Read the exact input to its end first: Space or PgDn goes on.")
            return
        consent = await self.app.push_screen_wait(ApproveBox(detail, timed=timed))
        if consent is not None:
            await self._decide(detail, True, consent)

    @work(exclusive=True, group="act")
    async def action_deny(self) -> None:
        """With a comment, always: the requester is told."""
        detail = self._decidable()
        if detail is None:
            return
        title = f"Deny {self._request}"
        comment = await self.app.push_screen_wait(
            ReasonBox(title, f"{detail.request.user} is told", what="Comment")
        )
        if comment is not None:
            await self._decide(detail, False, Consent(comment))

    async def _decide(self, detail: RequestDetail, approve: bool, consent: Consent) -> None:
        """By the digest of what was on this screen: a request that changed meanwhile is refused."""
        body = await self.ask(
            DecideRequest(
                detail.request.id, approve, detail.digest, consent.comment, consent.confirm, consent.for_s
            )
        )
        if not isinstance(body, RequestDetail):
            self.load(peek=True)
            return
        self.take(body)
        if body.request.state == "pending":
            self.say(f"Your approval counts. Still needed: {body.needs}.")
        else:
            self.dismiss(f"{body.request.id} {body.request.state}.")

    @work(exclusive=True, group="act")
    async def action_withdraw(self) -> None:
        """Ends what rests on it; so the reason is asked."""
        title = f"Take back your approval of {self._request}"
        comment = await self.app.push_screen_wait(
            ReasonBox(title, "sessions that rest on it end", what="Comment")
        )
        if comment is None:
            return
        body = await self.ask(WithdrawRequest(self._request, comment))
        if isinstance(body, RequestDetail):
            self.take(body)
            self.say(f"{self._request} is {body.request.state}.")
