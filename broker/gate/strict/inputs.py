"""Lines that a running program reads: which of them are command lines at all.

At the prompt a policy says what may run. What is then typed into `cat` is no command, and a policy that
allows only what it names would refuse all of it; one that names what it forbids is asked about every line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from broker.gate.lines.foreign import handed_over, reads_no_shell
from broker.gate.lines.ruling import ALLOWED, Candidate, JudgeLine, Ruling, Source
from broker.gate.strict.readers import Opened

_NO_PROGRAM = "bartizan-names-no-program-like-this"


class InputJudge:
    """The judge for what running programs read. `line`, `opened`: what runs, and what it opened."""

    def __init__(self, judge: JudgeLine) -> None:
        self._judge = judge
        self._line, self._opened = "", Opened()
        self._allow_list = self.is_data = False
        """`is_data`: nothing that runs takes commands, and the policy names all that may run."""

    def runs(self, line: str, opened: Opened, opaque: bool) -> None:
        """The line that was accepted, and whether more could run than can be known from it."""
        self._line, self._opened = line, opened
        self._allow_list = not self._judge([Candidate(_NO_PROGRAM, Source.EDITOR)]).allowed
        self.is_data = self._allow_list and not (opaque or opened.taught or opened.listed)

    def __call__(self, candidates: Sequence[Candidate]) -> Ruling:
        if self._opened.listed and reads_no_shell(self._line) and self._allow_list:
            handed = [replace(one, text=text) for one in candidates for text in handed_over(one.text)]
            return self._judge(handed) if handed else ALLOWED
        return self._judge(candidates)
