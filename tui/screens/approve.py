"""The last question before an approval: for HIGH risk the target's name, then a comment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from broker.wire.approvals import RequestDetail
from tui import keys
from tui.screens.box import Box
from tui.widgets.field import Field
from tui.widgets.lines import Lines

COMMENT_LIMIT = 1000
_DURATION = re.compile(r"([1-9][0-9]{0,4})\s*([mh]?)\Z")


@dataclass(frozen=True, slots=True)
class Consent:
    """What was typed. `for_s` 0: as long as the policy gives."""

    comment: str
    confirm: str = ""
    for_s: int = 0


class ApproveBox(Box[Consent | None]):
    """Lines to fill in one after the other; Enter in the last one approves."""

    SCOPE = "approve"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("approve")

    def __init__(self, detail: RequestDetail, *, timed: bool) -> None:
        super().__init__(f"Approve {detail.request.id}")
        self._confirm, self._timed = detail.confirm, timed
        self._lasts_s = detail.lasts_s or 0
        self._fields: dict[str, Field] = {}

    def inside(self) -> list[Widget]:
        widgets: list[Widget] = []
        for name, ask in self._asked():
            self._fields[name] = Field(id=name, limit=COMMENT_LIMIT if name == "comment" else 80)
            widgets += [Lines([[(ask, "bold")]]), self._fields[name]]
        self._notes = Lines(id="notes")
        return [*widgets, self._notes]

    def _asked(self) -> list[tuple[str, str]]:
        asked = [("confirm", f"Type {self._confirm} to approve:")] if self._confirm else []
        if self._timed:
            asked.append(("for", f"For how long, at most {self._lasts_s // 60} m (15m, 1h):"))
        return [*asked, ("comment", "Comment (may be empty):")]

    def on_mount(self) -> None:
        self.set_focus(next(iter(self._fields.values())))

    def on_input_submitted(self) -> None:
        self.action_next()

    def action_next(self) -> None:
        """On to the next line; from the last one, send."""
        names = list(self._fields)
        here = next((name for name in names if self._fields[name] is self.focused), names[-1])
        problem = self._problem(here)
        self._notes.show([[(problem, "bold")]])
        if problem:
            return
        if here != names[-1]:
            self.set_focus(self._fields[names[names.index(here) + 1]])
            return
        wrong = next((name for name in names if self._problem(name)), None)
        if wrong is not None:
            self._notes.show([[(self._problem(wrong), "bold")]])
            self.set_focus(self._fields[wrong])
            return
        self.dismiss(Consent(self._text("comment"), self._text("confirm"), self._seconds() or 0))

    def _text(self, name: str) -> str:
        return self._fields[name].value.strip() if name in self._fields else ""

    def _problem(self, name: str) -> str:
        if name == "confirm" and self._text(name) != self._confirm:
            return f"That is not {self._confirm}. Esc decides nothing."
        if name == "for" and self._seconds() is None:
            return f"A time such as 15m or 1h, at most {self._lasts_s // 60} m."
        return ""

    def _seconds(self) -> int | None:
        """None for what is no time, or one longer than the policy gives."""
        if "for" not in self._fields:
            return 0
        match = _DURATION.match(self._text("for"))
        if match is None:
            return None
        seconds = int(match[1]) * (3600 if match[2] == "h" else 60)
        return seconds if seconds <= self._lasts_s else None
