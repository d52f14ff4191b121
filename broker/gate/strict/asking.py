"""Completion in progress: one question to the shell at a time."""

from __future__ import annotations

from collections.abc import Callable

from broker.gate.lines.flow import MS, Flow, Wait, Why
from broker.gate.strict.completing import Completed, Word, completed, listing, word_before
from broker.gate.strict.editor import Editor
from broker.gate.strict.frames import SEPARATOR

PATIENCE = 1000 * MS
"""So long keys wait for the answer; then they go on, and a late answer counts only for the same line."""
LATEST = 15_000 * MS


class Asking:
    """Tab. `busy`: the shell has not answered yet, so it takes no line."""

    def __init__(self, flow: Flow, editor: Editor, request: Callable[[str, int], None]) -> None:
        self._flow, self._editor, self._request = flow, editor, request
        self.busy = False
        self._word = Word()
        self._asked = ("", 0)
        self._choices: tuple[str, ...] = ()

    def reset(self) -> None:
        """A new prompt: nothing was asked."""
        self.busy, self._choices, self._asked = False, (), ("", -1)

    def ask(self, cols: int, t: int) -> list[str] | None:
        """Tab was pressed. Rows to show below the line; empty: wait for an answer; None: there is nothing."""
        line = self._editor.line
        here = (line.text, line.at)
        if here == self._asked and self._choices:
            return listing(self._choices, cols)
        self._word = word_before(line.text[: line.at])
        if self.busy or not (self._word.words or self._word.asked or self._word.redirected):
            return None
        self._asked, self._choices, self.busy = here, (), True
        self._request(self._word.question(), t)
        self._flow.hold(Wait(Why.PONG, t, t + PATIENCE))
        return []

    def late(self, t: int) -> None:
        """The keys wait no longer."""

    def answered(self, answer: str) -> list[str] | None:
        """The shell's answer. As `ask`; an empty list: the line may have changed."""
        self.busy = False
        if self._flow.waits(Why.PONG):
            self._flow.wait = None
        line = self._editor.line
        if (line.text, line.at) != self._asked:
            return []
        result = completed(self._word, answer.split(SEPARATOR), self._flow.setup.tag)
        return None if result is None else self._insert(result)

    def _insert(self, result: Completed) -> list[str] | None:
        line = self._editor.line
        before = line.text
        line.replace_before(line.at - result.start, result.insert)
        self._asked, self._choices = (line.text, line.at), result.choices
        return [] if line.text != before else None
