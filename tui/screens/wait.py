"""Waiting for an approval: what was asked, who has seen it, and on into the session once it is granted."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.binding import BindingType

from broker.wire.approvals import CancelRequest, NotifyRequest, OpenRequest, RequestDetail
from broker.wire.messages import Done, Opening
from tui import keys, states
from tui.screens.decision import RequestPage


class WaitScreen(RequestPage):
    """Leaving does not cancel. `enter`: the requester wants the session, so that it opens by itself."""

    SCOPE = "wait"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("wait")

    def __init__(self, id: str, *, enter: bool = False) -> None:
        super().__init__(id)
        self._enter = enter

    def command(self) -> str:
        return f"ssh -t {self.face.host} requests wait {self._request}"

    def take(self, detail: RequestDetail) -> None:
        super().take(detail)
        r = detail.request
        if r.state == "approved" and self._enter and r.kind == "session":
            self._enter = False
            self.app.bell()
            self.open_session()
        elif r.state not in ("pending", "approved") and self._enter:
            self._enter = False
            by = f" by {r.settled_by}" if r.settled_by else ""
            said = f': "{r.comment}"' if r.comment else ""
            self.say(f"{self.glyph(states.STATES['DENY'])} {r.state}{by}{said}", "bold")

    def _state_words(self) -> str:
        assert self.detail is not None
        r, now = self.detail.request, self.face.now()
        if r.state != "pending" or r.expires_at is None:
            return super()._state_words()
        waited, left = states.length(now - r.opened_at), states.length(r.expires_at - now)
        glyph = self.glyph(states.STATES["WAIT"])
        narrow = self.size.width < 60
        return f"{glyph} {left} left" if narrow else f"{glyph} waiting {waited}, expires in {left}"

    # ------------------------------------------------------------ actions

    def action_open(self) -> None:
        if self.detail is None:
            return
        request = self.detail.request
        if request.state != "approved" or request.kind != "session":
            self.say(f"{request.id} is {request.state}; a session opens once it is approved.")
            return
        self.open_session()

    @work(exclusive=True, group="open")
    async def open_session(self) -> None:
        """The picker leaves; the session takes the terminal over."""
        if isinstance(await self.ask(OpenRequest(self._request)), Opening):
            self.face.leave()

    @work(exclusive=True, group="act")
    async def action_notify_again(self) -> None:
        body = await self.ask(NotifyRequest(self._request))
        if isinstance(body, Done):
            self.say(body.message or "Asked again.")
            self.load(peek=True)

    @work(exclusive=True, group="act")
    async def action_cancel_request(self) -> None:
        """At once: a request can be made again."""
        body = await self.ask(CancelRequest(self._request))
        if isinstance(body, RequestDetail):
            self._enter = False
            self.take(body)
            self.say(f"{self._request} is cancelled. q goes back.")
