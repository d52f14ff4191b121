"""Lines entered earlier: to step through, to search, and to refer to with `!`.

Kept in memory, for the session: it begins with what the shell on the target has, and the shell keeps its own.
The broker stores no history: a typed line may hold a secret, and the recording has the line already.
"""

from __future__ import annotations

import re

from broker.gate.shell.history import expanded

MOST = 2000
_LISTED = re.compile(r"\s*(\d+)[*\s] ?(.*)", re.DOTALL)


class History:
    """`entries`, oldest first; `place` is where one is among them, `len(entries)`: the line under edit."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.place = 0
        self._first = 1
        """Number of the first entry, as the shell counts."""
        self._unsent: set[str] = set()
        """Entries that were refused: to be found again, but no reference counts them."""
        self._drafts: dict[int, str] = {}
        """What was made of entries, and of the new line, while stepping through."""

    def load(self, listing: str, *, escaped: bool = False) -> None:
        """What the shell's `history` (or zsh's `fc -l`, which writes line breaks as `\\n`) prints."""
        found: list[str] = []
        number = 0
        for row in listing.split("\n"):
            match = _LISTED.fullmatch(row)
            if match and (not number or int(match[1]) == number + 1):
                number = int(match[1])
                found.append(match[2])
            elif found:
                found[-1] += "\n" + row
        while found and found[-1][:1].isspace():  # how the shell was taken over; nobody else's is kept
            found.pop()
            number -= 1
        if escaped:
            found = [text.replace("\\n", "\n") for text in found]
        self.entries = found[-MOST:]
        self._first = number - len(self.entries) + 1 if found else 1
        self.begin()

    def add(self, text: str, *, sent: bool = True) -> None:
        """A line was entered. What begins with a blank, and what is the same as the last, is left out."""
        if text.strip() and not text[0].isspace() and text not in self.entries[-1:]:
            self._first += len(self.entries) >= MOST and self.entries[0] not in self._unsent
            self.entries = [*self.entries[1 - MOST :], text]
        if sent:
            self._unsent.discard(text)
        elif text.strip() and text not in self.entries[:-1]:
            self._unsent.add(text)
        self.begin()

    def begin(self) -> None:
        """A new line is edited."""
        self.place, self._drafts = len(self.entries), {}

    def step(self, by: int, text: str) -> str | None:
        """The entry `by` places away, `text` being what is edited now; None: there is none."""
        place = self.place + by
        if not 0 <= place <= len(self.entries):
            return None
        self._drafts[self.place] = text
        self.place = place
        return self._drafts.get(place, self._entry(place))

    def to(self, place: int, text: str) -> str:
        """The entry at `place`, brought within bounds."""
        place = min(max(place, 0), len(self.entries))
        return self.step(place - self.place, text) or ""

    def find(self, wanted: str, place: int, by: int) -> int | None:
        """The next place from `place` on, going `by` (-1 older, 1 newer), whose entry holds the text."""
        while 0 <= place < len(self.entries):
            if wanted in self.entries[place]:
                return place
            place += by
        return None

    def last_word(self, back: int) -> str | None:
        """The last word of the line so many lines ago."""
        if not 0 < back <= len(self.entries):
            return None
        words = self.entries[-back].split()
        return words[-1] if words else ""

    def expand(self, text: str) -> str:
        """The line with `!!`, `!$`, `!n`, `^a^b` … put in, as bash does it. Raises Unreadable."""
        if "!" not in text and not text.startswith("^"):
            return text
        return expanded(text, [entry for entry in self.entries if entry not in self._unsent], self._first)

    def _entry(self, place: int) -> str:
        return self.entries[place] if place < len(self.entries) else ""
