"""A screen that is a list with a filter: connections, recordings, live sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from tui import keys
from tui.screens.frame import Frame
from tui.states import STATES
from tui.widgets.field import Field
from tui.widgets.lines import Lines, Piece
from tui.widgets.rows import Column, Rows

T = TypeVar("T")

DETAILS_FROM = 110
"""Columns from which the details of the selected row have a pane; nothing is to be found only there."""


class Listing(Frame, Generic[T]):
    """Letters go to the filter, which has the focus at the start; Tab or Esc put it on the list."""

    PLACEHOLDER: ClassVar[str] = ""
    LABEL: ClassVar[str] = "Filter"
    LIST_FIRST: ClassVar[bool] = False
    """The list has the focus at the start: for screens that are acted on more than searched."""

    DEFAULT_CSS = """
    Listing #filter-row { height: 1; }
    Listing #label { width: 9; }
    Listing #count { width: 1; }
    Listing #middle { height: 1fr; }
    Listing #details { display: none; width: 44; height: 1fr; }
    Listing.-wide #details { display: block; }
    """

    def columns(self) -> Sequence[Column[T]]:
        raise NotImplementedError

    def search(self, query: str) -> None:
        """Show what matches."""
        raise NotImplementedError

    def body(self) -> Iterator[Widget]:
        self.field = Field(id="filter", placeholder=self.PLACEHOLDER, spared=frozenset({"question_mark"}))
        marker = STATES["WAIT"].ascii if self.face.ascii else STATES["WAIT"].glyph
        self.rows: Rows[T] = Rows(self.columns(), marker, id="rows")
        label = Lines([[(f" {self.LABEL}:", "bold")]], id="label")
        yield Horizontal(label, self.field, Lines(id="count"), id="filter-row")
        yield Horizontal(self.rows, Lines(id="details"), id="middle")

    def on_mount(self) -> None:
        if self.composed:
            self.set_focus(self.rows if self.LIST_FIRST else self.field)

    @property
    def where(self) -> str:
        return "filter" if self.focused is self.field else "list"

    def on_descendant_focus(self) -> None:
        self.draw_frame()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.search(event.value)

    def count(self, shown: int, total: int) -> None:
        """`7 of 412`, at the right of the filter."""
        text = f"{shown} of {total} " if shown != total else f"{total} "
        count = self.query_one("#count", Lines)
        count.styles.width = len(text)
        count.show([[(text, "")]])

    def details(self, lines: Sequence[Sequence[Piece]]) -> None:
        bar = "|" if self.face.ascii else "│"
        framed: list[list[Piece]] = [[(f"{bar} ", "dim"), *line] for line in lines]
        blank: list[Piece] = [(bar, "dim")]
        self.query_one("#details", Lines).show([*framed, *([blank] * 60)])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.where == "list" or action not in keys.only_in_list(self.SCOPE)

    # ------------------------------------------------------------ actions

    def action_move(self, by: int) -> None:
        self.rows.move(by)

    def action_page(self, pages: int) -> None:
        self.rows.page(pages)

    def action_first(self) -> None:
        self.rows.edge(last=False)

    def action_last(self) -> None:
        self.rows.edge(last=True)

    def action_focus_filter(self) -> None:
        self.set_focus(self.field)

    def action_toggle_focus(self) -> None:
        """At once, unlike `Widget.focus`: the next key may already be here."""
        self.set_focus(self.rows if self.where == "filter" else self.field)

    async def action_escape(self) -> None:
        """First clears a filter, then leaves it; from the list it only clears."""
        if self.field.value:
            self.field.value = ""
        elif self.where == "filter":
            self.set_focus(self.rows)
        else:
            await self.leave_list()

    async def leave_list(self) -> None:
        """Esc in the list with nothing left to clear."""
        await self.app.switch_mode("connect")

    async def action_go(self, mode: str) -> None:
        if mode != self.TAB:
            await self.app.switch_mode(mode)

    async def action_back(self) -> None:
        await self.app.switch_mode("connect")
