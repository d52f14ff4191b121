"""Telling the user of a refusal where a shell reported the line.

The notice goes between the line, which stays on the screen, and the prompt that the shell draws next: what is
above and below it is what the shell alone would show after Ctrl-C.
"""

from __future__ import annotations

import re

from broker.gate.lines import picture
from broker.gate.lines.doings import Refused
from broker.gate.lines.flow import Flow
from broker.gate.lines.ruling import Ruling

# Before it calls a function that is bound to a key, readline takes the prompt's last row and the line away.
_CLEARED = re.compile(rb"(?:\r|\x1bM|\x1b\[\d*[AKJ])*\x1b\[\d*[KJ](?:\r|\x1bM|\x1b\[\d*[AKJ])*\Z")


class Refusing:
    """At most one refusal that the user does not know of yet."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._refused: Refused | None = None

    @property
    def pending(self) -> bool:
        return self._refused is not None

    def begin(self, ruling: Ruling, line: str, clears: bool) -> None:
        """The line is being refused. `clears`: the shell has taken it from the screen."""
        flow = self._flow
        above: bytes | None = b""
        if clears:
            rows = flow.view.before(_CLEARED, picture.line_rows)
            left = picture.rows_above(flow.view.sync())
            above = rows and f"\x1b[{left + 1}A\r\x1b[J".encode() + rows + b"\r\n"
        self._refused = Refused(ruling, line, None, above=above)
        flow.bring_back(line)

    def tell(self, between: bool) -> None:
        """Tell it now. `between`: the shell stands on an empty row, between the line and its next prompt."""
        refused, self._refused = self._refused, None
        if refused is not None:
            above = refused.above if between else None
            self._flow.refuse(Refused(refused.ruling, refused.line, None, above=above))
