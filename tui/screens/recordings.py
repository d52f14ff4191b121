"""Recordings one may read, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from broker.wire.messages import ListRecordings, Sessions, SessionView
from tui import keys, states
from tui.screens.listing import Listing
from tui.screens.replay import ReplayScreen
from tui.widgets.lines import Piece, wrap
from tui.widgets.rows import Column, Rows

_LIMIT = 500
EMPTY = ("No recording yet.", "Each session is recorded and listed here.")
NONE_MATCH = ("No recording matches the filter.", "Esc clears it. Every word must occur: alice prod-db-1")


class RecordingsScreen(Listing[SessionView]):
    """The filter asks the broker, which searches all recordings, not only those that are shown."""

    SCOPE = "recordings"
    TAB = "recordings"
    LABEL = "Query"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("recordings")
    PLACEHOLDER = "words: who, where, what"

    def columns(self) -> Sequence[Column[SessionView]]:
        return (
            Column("WHEN", lambda s: (states.when(s.started_at, self.face.now()), ""), 12, 1, least=12),
            Column("LEN", self._length, 8, 4, right=True),
            Column("WHO", lambda s: (s.user, ""), 16, 3),
            Column("WHERE", lambda s: (f"{s.account}@{s.target}", ""), 32, 0),
            Column("STATE", self._state, 8, 2, least=5),
            Column("EXIT", _exit, 5, 5, right=True),
            Column("COMMAND", lambda s: (s.command or s.channel, ""), 40, 6),
        )

    def _length(self, s: SessionView) -> Piece:
        return states.length((s.ended_at or self.face.now()) - s.started_at), ""

    def _state(self, s: SessionView) -> Piece:
        state = states.session_state(s.state)
        return f"{self.glyph(state)} {state.word}", state.style

    def on_mount(self) -> None:
        self.load("")

    def on_screen_resume(self) -> None:
        self.load(self.field.value)

    def search(self, query: str) -> None:
        self.load(query)

    @work(exclusive=True, group="load")
    async def load(self, query: str) -> None:
        """Ask again for each change of the query; an answer that is overtaken is dropped."""
        body = await self.ask(ListRecordings(query.strip(), _LIMIT))
        if not isinstance(body, Sessions):
            return
        keep = self.rows.selected.id if self.rows.selected else self.face.last.session
        cursor = next((i for i, s in enumerate(body.items) if s.id == keep), 0)
        self.rows.measure(body.items)
        self.rows.show(body.items, empty=NONE_MATCH if query.strip() else EMPTY, cursor=cursor)
        self.count(len(body.items), len(body.items))

    def on_rows_moved(self, event: Rows.Moved) -> None:
        event.stop()
        selected = self.rows.selected
        self.tell("" if selected is None else self._summary(selected))
        self.details([] if selected is None else self._details(selected))

    def _summary(self, s: SessionView) -> str:
        what = f'"{s.command}"' if s.command else s.channel
        end = s.end_reason if s.end_reason not in ("", "exit") else ""
        why = f'reason "{s.reason}"' if s.reason else ""
        state = "" if s.state == "ended" else s.state
        return ", ".join(
            part for part in (s.id, what, state, end, f"from {s.source}", _size(s.size), why) if part
        )

    def _details(self, s: SessionView) -> list[list[Piece]]:
        state = states.session_state(s.state)
        facts = [
            ("Who", s.user), ("Where", f"{s.account}@{s.target}"), ("From", s.source),
            ("When", states.when(s.started_at, self.face.now())), ("Length", self._length(s)[0]),
            ("What", s.command or s.channel), ("Ended by", s.end_reason), ("Reason", s.reason),
            ("Size", _size(s.size)),
        ]  # fmt: skip
        title: list[Piece] = [(s.id, "bold"), (f"  {self.glyph(state)} {state.word}", state.style)]
        lines: list[list[Piece]] = [title, [("", "")]]
        for name, value in facts:
            head = name
            for line in wrap(value, 34):
                lines.append([(f"{head:<9} ", "dim"), (line, "")])
                head = ""
        return lines

    # ------------------------------------------------------------ actions

    def action_open(self) -> None:
        if selected := self.rows.selected:
            self.app.push_screen(ReplayScreen.of_recording(selected.id, selected))

    def _command(self, s: SessionView) -> str:
        return f"ssh -t {self.face.host} recordings play {s.id}"

    def command(self) -> str:
        return self._command(selected) if (selected := self.rows.selected) else ""


def _exit(s: SessionView) -> Piece:
    return "" if s.exit_status is None else str(s.exit_status), ""


def _size(size: int) -> str:
    if size < 1 << 10:
        return f"{size} B"
    return f"{size / (1 << 10):.0f} KB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MB"
