"""Lines that a running program reads: which of them are command lines at all.

At the prompt a policy says what may run. What is then typed into `cat` is no command, and a policy that
allows only what it names would refuse all of it; one that names what it forbids is asked about every line.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker.gate.lines.ruling import Candidate, JudgeLine, Ruling, Source
from broker.gate.reading.place import Where
from broker.gate.strict.readers import Opened

_NO_PROGRAM = "bartizan-names-no-program-like-this"


class InputJudge:
    """The judge for what running programs read."""

    def __init__(self, judge: JudgeLine) -> None:
        self._judge = judge
        self.is_data = False
        """`is_data`: nothing that runs takes commands, and the policy names all that may run."""

    def runs(self, opened: Opened, opaque: bool, where: Where) -> None:
        """What the line opens that was accepted, whether more could run than can be known from it, and its
        shell."""
        allow_list = not self._judge([Candidate(_NO_PROGRAM, Source.EDITOR, where=where)]).allowed
        self.is_data = allow_list and not (opaque or opened.taught or opened.listed)

    def __call__(self, candidates: Sequence[Candidate]) -> Ruling:
        return self._judge(candidates)
