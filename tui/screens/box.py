"""Boxes over a screen. What is behind them is not dimmed: repainting it would cost a slow link 10 KB."""

from __future__ import annotations

from typing import ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from tui import keys, states
from tui.screens.frame import Face

T = TypeVar("T")


class Box(ModalScreen[T], inherit_bindings=False):
    """Subclasses give `SCOPE` (their keys), a title and `inside`."""

    SCOPE: ClassVar[str]
    BINDINGS: ClassVar[list[BindingType]] = []

    DEFAULT_CSS = """
    Box { align: center middle; background: transparent; }
    Box:ansi { background: transparent; }
    Box > Vertical {
        width: 100%; max-width: 80; height: auto; max-height: 100%;
        border: solid ansi_default; background: ansi_default; color: ansi_default; padding: 0 1;
        border-title-style: bold;
    }
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        frame = Vertical(*self.inside())
        frame.border_title = self._title
        frame.border_subtitle = keys.footer(
            self.SCOPE, "list", min(76, self.app.size.width - 6), helped=False
        )
        yield frame

    def inside(self) -> list[Widget]:
        raise NotImplementedError

    @property
    def face(self) -> Face:
        return cast("Face", self.app)

    def glyph(self, state: states.State) -> str:
        return state.ascii if self.face.ascii else state.glyph

    def action_cancel(self) -> None:
        self.dismiss(None)
