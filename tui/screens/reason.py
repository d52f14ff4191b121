"""Asking why: where a policy wants to know, and before a session of another is ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.widget import Widget

from broker.wire.approvals import AccessTerms
from tui import keys
from tui.screens.box import Box
from tui.states import inert
from tui.widgets.field import Field
from tui.widgets.lines import Lines, wrap

LIMIT = 500
"""Characters; a longer reason is cut by no one silently, it cannot be typed."""


class ReasonBox(Box[str | None]):
    """One line to type, a reason unless `what` names something else. Returns it, or None if the person gave
    up. The broker judges it: `problem` is its last word.

    `last` finds the reason to offer again; the box does not wait for it. `terms`: somebody has to agree, and
    says whether a reason is needed at all.
    """

    SCOPE = "reason"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("reason")

    def __init__(
        self,
        title: str,
        why: str,
        last: Callable[[], Awaitable[str]] | None = None,
        text: str = "",
        problem: str = "",
        terms: AccessTerms | None = None,
        *,
        what: str = "Reason",
    ) -> None:
        super().__init__(inert(title))
        self._why, self._find_last, self._text, self._problem = why, last, text, problem
        self._terms, self._what = terms, what
        self._last = ""

    def inside(self) -> list[Widget]:
        hint = "why, e.g. a ticket" if self._what == "Reason" else ""
        self._field = Field(id="reason", placeholder=hint, limit=LIMIT)
        self._field.value = self._text
        self._notes = Lines(id="notes")
        return [Lines(id="ask"), self._field, self._notes, Lines(id="terms")]

    def on_mount(self) -> None:
        ask = self._what + (f" ({self._why})" if self._why else "")
        self.query_one("#ask", Lines).show([[(ask, "bold")]])
        self._note(self._problem)
        self._fill(self.query_one("#terms", Lines), "" if self._terms is None else _terms(self._terms))
        self.set_focus(self._field)
        if self._find_last is not None:
            self.offer_last(self._find_last)
        self._field.cursor_position = len(self._text)

    @work
    async def offer_last(self, find: Callable[[], Awaitable[str]]) -> None:
        """Name the reason that ↑ fills in, when it is known."""
        self._last = await find()
        if self._last and not self._problem:
            self._note(f"Last (↑): {self._last}")

    def _note(self, text: str) -> None:
        self._fill(self._notes, text, least=1)

    def _fill(self, lines: Lines, text: str, least: int = 0) -> None:
        rows = wrap(text, max(20, min(76, self.app.size.width - 4)))
        lines.styles.height = max(least, len(rows))
        lines.show([[(row, "")] for row in rows])

    def on_input_submitted(self) -> None:
        self.action_send()

    def action_send(self) -> None:
        reason = self._field.value.strip()
        if not reason and (self._terms is None or self._terms.reason):
            self._note(f"Type a {self._what.lower()} first. Esc gives up.")
            return
        self.dismiss(reason)

    def action_last(self) -> None:
        if self._last:
            self._field.value = self._last
            self._field.cursor_position = len(self._last)


def _terms(terms: AccessTerms) -> str:
    """Who has to agree, and for how long the request and what it grants last."""
    ticket = f", a ticket like {terms.ticket}" if terms.ticket else ""
    lasts = f", then lasts {_minutes(terms.lasts_s)}" if terms.lasts_s else ""
    waits = f"Waits at most {_minutes(terms.within_s)}" if terms.within_s else "Waits until it is decided"
    return f"Needs approval: {terms.needs}{ticket}. {waits}{lasts}. You may leave meanwhile."


def _minutes(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"
