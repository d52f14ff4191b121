"""Taking a refused line back: which keys, in which order, and the proof that it is gone.

Never a CR, and no key is trusted to work: a user can rebind or undefine all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from broker.gate.lines.picture import Start, around_cursor, behind, is_at, read
from broker.gate.lines.ruling import Ruling
from recorder.screen import Screen

_BETWEEN = re.compile(r"[\s\x00-\x1f]+")
INTERRUPT = b"\x03"
DISCARD = b"\x05\x15"
"""To the end of the line, and discard backwards: the whole line in editors and in cooked terminals."""

ERASE = b"\x7f"
SPARE = 16
MOST_ERASED = 4096


@dataclass(slots=True)
class Killing:
    """One refused line on its way out. `interrupt_first`: where the key that interrupts does no harm."""

    ruling: Ruling
    text: str
    prompt: str
    """What stands in front of a line that begins, as far as that is known."""
    start: Start | None
    interrupt_first: bool
    erase: int
    """How many characters to erase one by one where nothing else works."""
    secret: bool = False
    told: bool = False
    """The user knows already that it does not run."""
    _left: list[bytes] = field(init=False)
    _before: str = ""
    _visible: bool = False
    """The line could be seen before; else its absence afterwards proves nothing."""

    def __post_init__(self) -> None:
        first = [INTERRUPT, DISCARD] if self.interrupt_first else [DISCARD, INTERRUPT]
        self._left = [*first, ERASE * min(self.erase + SPARE, MOST_ERASED)]

    def next(self, screen: Screen) -> bytes | None:
        """The keys to try now; None: all were tried."""
        self._before = around_cursor(screen)
        self._visible = self._visible or remains(self.text, self._before)
        return self._left.pop(0) if self._left else None

    def proven(self, screen: Screen) -> bool:
        """True if nothing of the line stands behind the prompt any more."""
        after = around_cursor(screen)
        if self.secret:
            return after != self._before or screen.cursor.x == 0
        if not self._visible:
            return False
        if after == self._before:
            return False
        if self.start is not None and is_at(screen, self.start):
            return not self.prompt.strip() or self.start.prompt == self.prompt
        if self.prompt.strip() and after.startswith(self.prompt.rstrip()):
            right = self.start.right if self.start is not None else ""
            return behind(screen, self.prompt) in ("", right)
        ending = (self.prompt or (self.start.prompt if self.start else "")).rstrip()[-1:]
        if ending and after.endswith(ending) and not remains(self.text, after):
            return True  # another prompt that ends alike
        if self.start is None:
            return False
        reading = read(screen, self.start)
        if reading.text is None:
            return False
        known_place = bool(self.start.prompt.strip())
        return not reading.text.strip() or (not known_place and not remains(self.text, after))


def remains(text: str, row: str) -> bool:
    """True if any part of the text that could be told apart still stands on the row."""
    parts = _BETWEEN.split(text)
    words = [word for word in parts if len(word) > 2] or ["".join(parts)]
    squeezed = "".join(row.split())
    return any(word in squeezed for word in words)
