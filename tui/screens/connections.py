"""Home: the targets one may see, each with its access state and the reason for it before it is picked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from broker.wire.approvals import AccessTerms, RequestDetail, ShowTerms
from broker.wire.client import AskFailed, Disconnected
from broker.wire.messages import (
    AccountView,
    ListRecordings,
    ListTargets,
    Opening,
    OpenTarget,
    Sessions,
    Targets,
)
from tui import keys, states
from tui.screens import matching
from tui.screens.accounts import AccountBox
from tui.screens.listing import Listing
from tui.screens.matching import Row
from tui.screens.reason import ReasonBox
from tui.screens.replay import ReplayScreen
from tui.screens.wait import WaitScreen
from tui.widgets.lines import Piece, wrap
from tui.widgets.rows import Column, Rows

RELOAD_S = 30
"""Access changes with time and policy; the broker judges again anyway when a target is opened."""

NONE_GRANTED = (
    "No target is granted to you.",
    "Ask an administrator of this bastion: a policy must name you or one of your groups.",
)
NONE_MATCH = (
    "No target matches the filter.",
    "Esc clears it. Fields: env:prod acct:root owner:dba access:ok",
)


class ConnectionsScreen(Listing[Row]):
    """Enter opens the selected target: the picker leaves, the session takes the terminal over."""

    SCOPE = "connect"
    TAB = "connect"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("connect")
    PLACEHOLDER = "type to find a target"

    def __init__(self) -> None:
        super().__init__()
        self._all: list[Row] = []
        self._chosen: dict[str, str] = {}
        self._loaded = False
        self._opening = False
        self._last_said = ""

    def columns(self) -> Sequence[Column[Row]]:
        return (
            Column("NAME", lambda r: (r.target.name, ""), 28, 0),
            Column("ACCOUNT", self._account_cell, 14, 2, least=8),
            Column("ENV", _env_cell, 8, 3, least=3),
            Column("ACCESS", self._access_cell, 18, 1, least=8),
            Column("LAST", self._last_cell, 9, 4, least=5),
            Column("NOTE", lambda r: (r.target.note, ""), 32, 5, least=6),
            Column("OWNER", lambda r: (r.target.tags.get("owner", ""), ""), 12, 6),
            Column("ADDRESS", lambda r: (r.target.address, ""), 24, 7),
        )

    def _account_cell(self, r: Row) -> Piece:
        others = len(r.target.accounts) - 1
        return (r.account.name + (f" +{others}" if others > 0 else ""), "")

    def _access_cell(self, r: Row) -> Piece:
        state = states.access_state(r.account.state)
        why = "" if r.account.state == "OK" and not r.account.why else f" {r.account.why}"
        return f"{self.glyph(state)} {state.word}{why}", state.style

    def _last_cell(self, r: Row) -> Piece:
        if r.target.live:
            state = states.STATES["LIVE"]
            return f"now {self.glyph(state)}", state.style
        return states.age(r.target.last_at, self.face.now()), ""

    # ------------------------------------------------------------ loading

    def on_mount(self) -> None:
        self.set_interval(RELOAD_S, self.load)
        self._say_last()
        if self.face.welcome is not None:
            self.load()

    def _say_last(self) -> None:
        last = self.face.last
        if last.error:
            self.say(f"{self.glyph(states.STATES['DENY'])} {last.target}: {last.error}", "bold")
        elif last.session:
            end = "" if last.end in ("", "exit") else f", {last.end}"
            status = "" if last.status is None else f", exit {last.status}"
            key = "r" if self.where == "list" else "Tab r"
            narrow = self.app.size.width < 60
            what = last.target if narrow else f"Last session: {last.target} ended"
            self._last_said = f"{what}{end}{status}, {last.session} ({key} = replay)"
            self.say(self._last_said)

    def on_descendant_focus(self) -> None:
        if self._last_said and self._event[0] == self._last_said:
            self._say_last()

    @work(exclusive=True, group="load")
    async def load(self) -> None:
        """Ask for the targets and show them, keeping filter and cursor."""
        body = await self.ask(ListTargets())
        if not isinstance(body, Targets):
            return
        keep = self.rows.selected.target.name if self.rows.selected else self.face.last.target
        self.face.live = sum(target.live for target in body.items)
        self._all = [matching.row(target, self._chosen.get(target.name, "")) for target in body.items]
        self._loaded = True
        self.rows.measure(sorted(self._all, key=matching.recency))
        self._show(self.field.value, keep)
        self.draw_frame()

    def search(self, query: str) -> None:
        self._show(query, "")

    def _show(self, query: str, keep: str) -> None:
        if not self._loaded:
            return
        found = matching.search(self._all, query)
        cursor = next((i for i, r in enumerate(found) if r.target.name == keep), 0) if keep else 0
        self.rows.show(found, empty=NONE_MATCH if self._all else NONE_GRANTED, cursor=cursor)
        self.count(len(found), len(self._all))

    def on_rows_moved(self, event: Rows.Moved) -> None:
        event.stop()
        selected = self.rows.selected
        if selected is None:
            self.tell("")
            self.details([])
            return
        self.tell(_access(selected) if self.app.size.width < 60 else _fact(selected))
        self.details(self._details(selected))

    def _details(self, r: Row) -> list[list[Piece]]:
        target = r.target
        lines: list[list[Piece]] = [[(target.name, "bold")]]
        lines += [[(line, "")] for line in wrap(target.note, 42)]
        lines += [[("", "")], [("Address   ", "dim"), (f"{target.address}:{target.port}", "")]]
        lines += [[(f"{key:<9.9} ", "dim"), (value, "")] for key, value in sorted(target.tags.items())]
        lines += [[("Last      ", "dim"), (states.age(target.last_at, self.face.now()), "")]]
        lines += [[("On it now ", "dim"), (str(target.live) if target.live else "nobody", "")], [("", "")]]
        for account in target.accounts:
            state = states.access_state(account.state)
            mark = "bold" if account == r.account else ""
            lines.append([(f"{account.name:<12} ", mark), (f"{self.glyph(state)} {state.word}", state.style)])
            lines += [[(f"  {line}", "")] for line in wrap(_why(account), 40)]
        return [*lines, [("", "")], [("Copy (y)", "dim")], *([(p, "")] for p in wrap(self._command(r), 42))]

    def _command(self, r: Row) -> str:
        return f"ssh -t {self.face.host} {r.account.name}+{r.target.name}"

    # ------------------------------------------------------------ actions

    def action_open(self) -> None:
        selected = self.rows.selected
        if selected is None or self._opening:
            return
        if selected.account.state == "DENY":
            state = states.STATES["DENY"]
            self.say(f"{self.glyph(state)} Not opened. {_fact(selected)}", "bold")
            return
        self._opening = True
        self._open(selected)

    @work(exclusive=True, group="open")
    async def _open(self, r: Row) -> None:
        try:
            await self._ask_to_open(r)
        finally:
            self._opening = False

    async def _ask_to_open(self, r: Row) -> None:
        """Ask, with a reason where one is needed, until it is granted, refused, or the person gives up. Where
        somebody has to agree, the box says who, and the wait begins."""
        reason, problem, needed = "", "", r.account.state in ("REASON", "WAIT")
        terms = await self._terms(r) if r.account.state == "WAIT" else None
        if terms is not None and terms.request:
            self.app.push_screen(WaitScreen(terms.request, enter=True))
            return
        while True:
            if needed:
                title = f"Open {r.target.name} as {r.account.name}"
                box = ReasonBox(title, r.account.why, self._last_reason, reason, problem, terms)
                answer = await self.app.push_screen_wait(box)
                if answer is None:
                    return
                reason = answer
            self.say(f"Opening {r.target.name} as {r.account.name}")
            try:
                body = await self.face.link.ask(OpenTarget(r.target.name, r.account.name, reason))
            except AskFailed as exc:
                needed = exc.failure.code == "E-REASON"
                problem = exc.failure.message
                self.say_failure(exc.failure)
                if needed:
                    continue
                return
            except Disconnected as exc:
                self.face.lose(str(exc))
                return
            if isinstance(body, Opening):
                self.face.leave()
            elif isinstance(body, RequestDetail):
                self.app.push_screen(WaitScreen(body.request.id, enter=True))
            return

    async def _terms(self, r: Row) -> AccessTerms | None:
        """What opening it takes; None if that cannot be learnt, and the broker will say."""
        try:
            body = await self.face.link.ask(ShowTerms(r.target.name, r.account.name))
        except (AskFailed, Disconnected):
            return None
        return body if isinstance(body, AccessTerms) else None

    async def _last_reason(self) -> str:
        """The reason given last, by this user: of the session just ended, else of the newest recording."""
        if self.face.last.reason:
            return self.face.last.reason
        welcome = self.face.welcome
        try:
            body = await self.face.link.ask(ListRecordings(limit=50))
        except (AskFailed, Disconnected):
            return ""
        items = body.items if isinstance(body, Sessions) else []
        return next((s.reason for s in items if s.reason and welcome and s.user == welcome.user), "")

    @work(exclusive=True, group="open")
    async def action_account(self) -> None:
        """Choose another account of the selected target."""
        selected = self.rows.selected
        if selected is None:
            return
        if len(selected.target.accounts) < 2:
            self.say(f"{selected.target.name} has only the account {selected.account.name}.")
            return
        name = await self.app.push_screen_wait(AccountBox(selected))
        if name is None:
            return
        target = selected.target
        self._chosen[target.name] = name
        self._all = [matching.row(target, name) if r.target is target else r for r in self._all]
        self._show(self.field.value, target.name)

    def command(self) -> str:
        return self._command(selected) if (selected := self.rows.selected) else ""

    def action_replay(self) -> None:
        last = self.face.last
        if not last.session:
            self.say("You come from no session. Recordings: 5")
            return
        self.app.push_screen(ReplayScreen.of_recording(last.session))

    def action_log_out(self) -> None:
        self.face.leave()

    async def leave_list(self) -> None:
        self.set_focus(self.field)


def _env_cell(r: Row) -> Piece:
    env = r.target.tags.get("env", "")
    return env, "bold" if env.lower().startswith("prod") else ""


def _why(account: AccountView) -> str:
    place = f" ({account.origin})" if account.origin else ""
    rule = f"rule {account.rule}{place}" if account.rule else ""
    return ", ".join(part for part in (account.why, rule) if part)


def _access(r: Row) -> str:
    why = _why(r.account)
    return states.access_state(r.account.state).word + (f", {why}" if why else "")


def _fact(r: Row) -> str:
    return f"{r.target.name} as {r.account.name}: {_access(r)}"
