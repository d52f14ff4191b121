"""The keys of the screen it was called from, out of the keys table."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from tui import keys, states
from tui.screens.box import Box
from tui.widgets.lines import Lines, Piece

_MEANS = {
    "OK": "you may open it",
    "REASON": "you may, and are asked why",
    "WAIT": "someone has to approve it",
    "DENY": "no; the row says why",
    "LIVE": "a session is running",
    "CUT": "the broker stopped under the session; the recording ends there",
}


class HelpBox(Box[None]):
    """Scrolls if the window is too small for it."""

    SCOPE = "help"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("help")

    def __init__(self, scope: str) -> None:
        super().__init__("Keys")
        self._rows = keys.help_rows(scope)
        self._top = 0

    def inside(self) -> list[Widget]:
        self._list = Lines()
        return [self._list]

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _lines(self) -> list[list[Piece]]:
        width = min(14, max(len(row.keys) for row in self._rows))
        lines: list[list[Piece]] = []
        for row in self._rows:
            if row.keys:
                lines.append([(f"  {row.keys:<{width}}  ", "bold"), (row.label, "")])
            else:
                lines.append([(row.label, "underline")])
        lines.append([("What the states mean", "underline")])
        for word, meaning in _MEANS.items():
            state = states.STATES[word]
            lines.append([(f"  {self.glyph(state)} {word:<{width - 2}}", state.style), (f"  {meaning}", "")])
        return lines

    def _draw(self) -> None:
        lines = self._lines()
        room = max(1, self.app.size.height - 2)
        self._top = max(0, min(self._top, len(lines) - room))
        self._list.styles.height = min(room, len(lines))
        self._list.show(lines[self._top : self._top + room])

    def action_move(self, by: int) -> None:
        self._top += by
        self._draw()

    def action_page(self, pages: int) -> None:
        self._top += pages * max(1, self.app.size.height - 3)
        self._draw()

    def action_close(self) -> None:
        self.dismiss(None)
