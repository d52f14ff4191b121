"""Incremental search through the history (Ctrl-R, Ctrl-S), as in readline."""

from __future__ import annotations

from dataclasses import dataclass

from broker.gate.strict.history import History

OLDER, NEWER = -1, 1


@dataclass(slots=True)
class Search:
    """`text` and `at`: the line before the search, which comes back when it is given up."""

    history: History
    text: str
    at: int
    by: int = OLDER
    wanted: str = ""
    place: int | None = None
    failed: bool = False

    @property
    def prompt(self) -> str:
        failed = "failed " if self.failed else ""
        return f"({failed}{'reverse-' if self.by == OLDER else ''}i-search)`{self.wanted}': "

    @property
    def found(self) -> tuple[str, int]:
        """The line that is shown, and where in it the text was found."""
        if self.place is None:
            return self.text, self.at
        entry = self.history.entries[self.place]
        return entry, max(entry.rfind(self.wanted), 0)

    def type(self, more: str) -> None:
        """More of the text."""
        self.wanted += more
        self._look(self._here)

    def rubout(self) -> None:
        """One character less of the text."""
        self.wanted = self.wanted[:-1]
        self.place = None
        if self.wanted:
            self._look(self._here)
        else:
            self.failed = False

    def again(self, by: int) -> None:
        """To the next line, the other way round too."""
        self.by = by
        if self.wanted:
            shown, place = self.found[0], self._here + by
            self._look(place)
            while not self.failed and self.found[0] == shown and self.place is not None:
                self._look(self.place + by)  # the same line again tells nothing

    @property
    def _here(self) -> int:
        if self.place is not None:
            return self.place
        return len(self.history.entries) - 1 if self.by == OLDER else 0

    def _look(self, place: int) -> None:
        found = self.history.find(self.wanted, place, self.by)
        self.failed = found is None
        if found is not None:
            self.place = found
