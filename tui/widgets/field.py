"""A line to type in. Only the editing keys of the keys table; the rest is the screen's."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.widgets import Input

from tui import keys


class Field(Input, inherit_bindings=False):
    """`limit` in characters; `spared` are printable keys that are commands even while typing."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("field")

    DEFAULT_CSS = """
    Field { height: 1; border: none; padding: 0; width: 1fr; }
    Field:focus { border: none; background-tint: ansi_default 0%; }
    Field:ansi > .input--cursor { background: ansi_default; color: ansi_default; text-style: reverse; }
    """

    def __init__(
        self, *, id: str, placeholder: str = "", limit: int = 200, spared: frozenset[str] = frozenset()
    ) -> None:
        self._spared = spared
        super().__init__(
            id=id, placeholder=f" {placeholder}", compact=True, select_on_focus=False, max_length=limit
        )
        self.cursor_blink = False

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return key not in self._spared and super().check_consume_key(key, character)

    def on_paste(self, event: events.Paste) -> None:
        """A paste of several lines becomes one line, so that no part of it acts as Enter."""
        if "\n" in event.text or "\r" in event.text:
            event.prevent_default()
            event.stop()
            self.insert_text_at_cursor(" ".join(event.text.split()))
