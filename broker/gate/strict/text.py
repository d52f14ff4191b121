"""The line under edit: text, cursor, kill ring and undo, as readline's Emacs commands change them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from enum import Enum

from recorder.screen import char_width

LONGEST = 16000
"""Characters that one line may have; what goes beyond is not taken."""
MOST_UNDO = 500
MOST_KILLS = 20


class Last(Enum):
    """What the command before did, where that matters."""

    NONE = 0
    TYPED = 1
    KILLED = 2
    YANKED = 3


class EditText:
    """`text` with the cursor before the character `at`."""

    def __init__(self) -> None:
        self.text, self.at = "", 0
        self._undo: list[tuple[str, int]] = []
        self._kills: list[str] = []
        self._last = Last.NONE
        self._yanked = (0, 0)
        self._turn = 0

    # ------------------------------------------------------------ whole text

    def set(self, text: str, at: int | None = None) -> None:
        """Another text; undo brings the old one back."""
        self._change(text[:LONGEST], len(text) if at is None else at)

    def clear(self) -> None:
        """A new line begins; the kill ring stays."""
        self.text, self.at, self._undo, self._last = "", 0, [], Last.NONE

    def insert(self, more: str) -> bool:
        """At the cursor. False if it does not fit."""
        if len(self.text) + len(more) > LONGEST:
            return False
        typed = len(more) == 1 and self._last is Last.TYPED and not more.isspace()
        self._change(self.text[: self.at] + more + self.text[self.at :], self.at + len(more), merge=typed)
        self._last = Last.TYPED if len(more) == 1 else Last.NONE
        return True

    def undo(self) -> bool:
        """Take the last change back. False if there is none."""
        if not self._undo:
            return False
        self.text, self.at = self._undo.pop()
        self._last = Last.NONE
        return True

    # ------------------------------------------------------------ moving

    def left(self) -> None:
        self._go(self._before(self.at))

    def right(self) -> None:
        self._go(self._after(self.at))

    def home(self) -> None:
        self._go(self._row_start())

    def end(self) -> None:
        self._go(self._row_end())

    def first(self) -> None:
        self._go(0)

    def last(self) -> None:
        self._go(len(self.text))

    def word_left(self) -> None:
        self._go(self._word_start(_in_word))

    def word_right(self) -> None:
        self._go(self._word_end())

    def row_up(self) -> bool:
        """To the row above, in the same column. False in the first row."""
        start = self._row_start()
        if not start:
            return False
        above = self.text.rfind("\n", 0, start - 1) + 1
        self._go(min(above + self.at - start, start - 1))
        return True

    def row_down(self) -> bool:
        """To the row below, in the same column. False in the last row."""
        end = self._row_end()
        if end == len(self.text):
            return False
        below = self.text.find("\n", end + 1)
        self._go(min(end + 1 + self.at - self._row_start(), below if below >= 0 else len(self.text)))
        return True

    # ------------------------------------------------------------ changing

    def delete(self) -> None:
        self._cut(self.at, self._after(self.at))

    def rubout(self) -> None:
        self._cut(self._before(self.at), self.at)

    def kill_to_end(self) -> None:
        """To the end of the row; at the end of one, its line break."""
        end = self._row_end()
        self._kill(self.at, end if end > self.at else min(end + 1, len(self.text)))

    def kill_to_start(self) -> None:
        self._kill(0, self.at)

    def kill_word(self) -> None:
        self._kill(self.at, self._word_end())

    def rubout_word(self) -> None:
        self._kill(self._word_start(_in_word), self.at)

    def rubout_blank_word(self) -> None:
        """The word before the cursor, words being parted by white space."""
        self._kill(self._word_start(lambda char: not char.isspace()), self.at)

    def yank(self) -> None:
        """What was killed last."""
        if self._kills:
            self._turn = len(self._kills) - 1
            self._put(self.at, self.at, self._kills[self._turn])

    def yank_pop(self) -> None:
        """Right after a yank: what was killed before that instead."""
        if self._last is Last.YANKED:
            self._turn = (self._turn - 1) % len(self._kills)
            self._put(*self._yanked, self._kills[self._turn])

    def transpose(self) -> None:
        """Swap the characters around the cursor."""
        at = self.at if self.at < len(self.text) else self.at - 1
        if at > 0:
            swapped = self.text[at] + self.text[at - 1]
            self._change(self.text[: at - 1] + swapped + self.text[at + 1 :], at + 1)

    def upper(self) -> None:
        self._recase(str.upper)

    def lower(self) -> None:
        self._recase(str.lower)

    def capital(self) -> None:
        self._recase(str.capitalize)

    def replace_before(self, count: int, more: str) -> None:
        """Put `more` in the place of so many characters before the cursor."""
        start = max(0, self.at - count)
        self._change(self.text[:start] + more + self.text[self.at :], start + len(more))

    # ------------------------------------------------------------ inside

    def _go(self, at: int) -> None:
        self.at, self._last = at, Last.NONE

    def _change(self, text: str, at: int, *, merge: bool = False) -> None:
        if not merge:
            self._undo = [*self._undo[1 - MOST_UNDO :], (self.text, self.at)]
        self.text, self.at, self._last = text, min(at, len(text)), Last.NONE

    def _cut(self, start: int, end: int) -> str:
        gone = self.text[start:end]
        if gone:
            self._change(self.text[:start] + self.text[end:], start)
        return gone

    def _kill(self, start: int, end: int) -> None:
        """As `_cut`; what one kill after another takes is one text."""
        again, forward = self._last is Last.KILLED, start == self.at
        gone = self._cut(start, end)
        if not gone:
            return
        if again:
            before = self._kills.pop()
            gone = before + gone if forward else gone + before
        self._kills = [*self._kills[1 - MOST_KILLS :], gone]
        self._last = Last.KILLED

    def _put(self, start: int, end: int, more: str) -> None:
        if len(self.text) + len(more) <= LONGEST:
            self._change(self.text[:start] + more + self.text[end:], start + len(more))
            self._yanked, self._last = (start, start + len(more)), Last.YANKED

    def _recase(self, how: Callable[[str], str]) -> None:
        end = self._word_end()
        start = self.at
        while start < end and not _in_word(self.text[start]):
            start += 1
        self._change(self.text[:start] + how(self.text[start:end]) + self.text[end:], end)

    def _before(self, at: int) -> int:
        """Where the character before begins; marks that combine with it belong to it."""
        at -= 1
        while at > 0 and _combines(self.text[at]):
            at -= 1
        return max(at, 0)

    def _after(self, at: int) -> int:
        at += 1
        while at < len(self.text) and _combines(self.text[at]):
            at += 1
        return min(at, len(self.text))

    def _row_start(self) -> int:
        return self.text.rfind("\n", 0, self.at) + 1

    def _row_end(self) -> int:
        end = self.text.find("\n", self.at)
        return end if end >= 0 else len(self.text)

    def _word_start(self, inside: Callable[[str], bool]) -> int:
        at = self.at
        while at and not inside(self.text[at - 1]):
            at -= 1
        while at and inside(self.text[at - 1]):
            at -= 1
        return at

    def _word_end(self) -> int:
        at = self.at
        while at < len(self.text) and not _in_word(self.text[at]):
            at += 1
        while at < len(self.text) and _in_word(self.text[at]):
            at += 1
        return at


def _in_word(char: str) -> bool:
    return char.isalnum() or bool(unicodedata.combining(char))


def _combines(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me") and char_width(char) == 0
