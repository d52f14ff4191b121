"""Choosing one of several accounts of a target."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from tui import keys, states
from tui.screens.box import Box
from tui.screens.matching import Row
from tui.states import inert
from tui.widgets.lines import Lines, Piece


class AccountBox(Box[str | None]):
    """Returns the account's name, or None to keep the one shown."""

    SCOPE = "accounts"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("accounts")

    DEFAULT_CSS = "AccountBox Lines { height: auto; }"

    def __init__(self, row: Row) -> None:
        super().__init__(f"Account on {inert(row.target.name)}")
        self._accounts = row.target.accounts
        self._at = self._accounts.index(row.account)

    def inside(self) -> list[Widget]:
        self._list = Lines()
        self._list.styles.height = len(self._accounts)
        return [self._list]

    def on_mount(self) -> None:
        self._draw()

    def _draw(self) -> None:
        lines: list[list[Piece]] = []
        width = max(len(account.name) for account in self._accounts)
        for index, account in enumerate(self._accounts):
            state = states.access_state(account.state)
            here = index == self._at
            mark = self.glyph(states.STATES["WAIT"]) if here else " "
            lines.append([
                (f"{mark} {account.name:<{width}}  ", "reverse" if here else ""),
                (f"{self.glyph(state)} {state.word}", state.style),
                (f"  {account.why}", ""),
            ])  # fmt: skip
        self._list.show(lines)

    def action_move(self, by: int) -> None:
        self._at = max(0, min(len(self._accounts) - 1, self._at + by))
        self._draw()

    def action_take(self) -> None:
        self.dismiss(self._accounts[self._at].name)
