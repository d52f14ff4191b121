"""Asking why: where a policy wants to know, and before a session of another is ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.widget import Widget

from tui import keys
from tui.screens.box import Box
from tui.states import inert
from tui.widgets.field import Field
from tui.widgets.lines import Lines, wrap

LIMIT = 500
"""Characters; a longer reason is cut by no one silently, it cannot be typed."""


class ReasonBox(Box[str | None]):
    """Returns the reason, or None if the person gave up. The broker judges it: `problem` is its last word.

    `last` finds the reason to offer again; the box does not wait for it.
    """

    SCOPE = "reason"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("reason")

    def __init__(
        self, title: str, why: str, last: Callable[[], Awaitable[str]], text: str = "", problem: str = ""
    ) -> None:
        super().__init__(inert(title))
        self._why, self._find_last, self._text, self._problem = why, last, text, problem
        self._last = ""

    def inside(self) -> list[Widget]:
        self._field = Field(id="reason", placeholder="why, e.g. a ticket", limit=LIMIT)
        self._field.value = self._text
        self._notes = Lines(id="notes")
        return [Lines(id="ask"), self._field, self._notes]

    def on_mount(self) -> None:
        ask = "Reason" + (f" ({self._why})" if self._why else "")
        self.query_one("#ask", Lines).show([[(ask, "bold")]])
        self._note(self._problem)
        self.set_focus(self._field)
        self.offer_last()
        self._field.cursor_position = len(self._text)

    @work
    async def offer_last(self) -> None:
        """Name the reason that ↑ fills in, when it is known."""
        self._last = await self._find_last()
        if self._last and not self._problem:
            self._note(f"Last (↑): {self._last}")

    def _note(self, text: str) -> None:
        lines = wrap(text, max(20, min(76, self.app.size.width - 4)))
        self._notes.styles.height = max(1, len(lines))
        self._notes.show([[(line, "")] for line in lines])

    def on_input_submitted(self) -> None:
        self.action_send()

    def action_send(self) -> None:
        reason = self._field.value.strip()
        if not reason:
            self._note("Type a reason first. Esc gives up.")
            return
        self.dismiss(reason)

    def action_last(self) -> None:
        if self._last:
            self._field.value = self._last
            self._field.cursor_position = len(self._last)
