"""Conversations with a session core: an event in, the actions that must come out, a diff if they do not."""

from __future__ import annotations

import difflib
from typing import Self

from broker.session.actions import Action
from broker.session.core import SessionCore
from broker.session.events import Event


class Playbook:
    """Written as `Playbook(core).start(...).on(event, action, action).at(5).on(...)`; each step is checked
    at once. `at` sets the session time in seconds for what follows."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._t = 0
        self._story: list[str] = []

    def at(self, seconds: float) -> Self:
        self._t = round(seconds * 1_000_000)
        self._story.append(f"-- at {seconds} s")
        return self

    def start(self, *wanted: Action) -> Self:
        """The first actions."""
        return self._check("start", self._core.start(), wanted)

    def on(self, event: Event, *wanted: Action) -> Self:
        """What happens, and all that must be done about it, in order."""
        return self._check(f">> {event!r}", self._core.handle(event, self._t), wanted)

    def _check(self, said: str, got: list[Action], wanted: tuple[Action, ...]) -> Self:
        self._story.append(said)
        expected, actual = [f"<< {a!r}" for a in wanted], [f"<< {a!r}" for a in got]
        if expected != actual:
            story = "\n".join(self._story)
            diff = "\n".join(difflib.unified_diff(expected, actual, "expected", "actual", lineterm="", n=99))
            raise AssertionError(f"the conversation went otherwise:\n{story}\n{diff}")
        self._story += actual
        return self
