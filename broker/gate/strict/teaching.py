"""Taking a shell's line editor over: type a probe, then the script, and swallow what that echoes.

A shell that cannot be taken over is left for bash where the target has one; else nothing is typed at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from broker.gate import hooks
from broker.gate.lines.boot import ANSWER_LATEST, PROMPT_LATEST, PROMPT_QUIET, PROMPT_SHOWN_QUIET
from broker.gate.lines.doings import Said
from broker.gate.lines.flow import Flow, Place, Wait, Why
from broker.gate.lines.marks import Mark

_PASTE_ON = b"\x1b[?2004h"
_ANSWERS = 4


class Step(Enum):
    PROMPT = 0
    VERSIONS = 1
    READY = 2


class Pupil(Protocol):
    """Who wants to know what became of it."""

    def taught(self, level: int, shell: str, t: int) -> None: ...

    def untaught(self, level: int, why: str, t: int) -> None: ...


@dataclass(slots=True)
class _Lesson:
    level: int
    step: Step = Step.PROMPT
    shell: str = ""
    replaced: str = ""
    """The shell that was left for bash."""
    echoing: bool = False
    """It echoes the line by which it is left."""
    swallowed: bytearray = field(default_factory=bytearray)


class Teaching:
    """At most one shell is being taken over; each shell inside another is one level deeper."""

    def __init__(self, flow: Flow, pupil: Pupil) -> None:
        self._flow, self._pupil = flow, pupil
        self._lesson: _Lesson | None = None
        self._levels = 0
        self._tail = b""

    @property
    def level(self) -> int:
        """Level of the shell that is being taken over; 0: none is."""
        return self._lesson.level if self._lesson is not None else 0

    def begin(self, t: int, quiet: int | None = None) -> None:
        """Take over the shell whose prompt comes up."""
        self._levels += 1
        self._lesson = _Lesson(self._levels)
        self._flow.place = Place.BOOT
        self._flow.hold(Wait(Why.BOOT, t, t + PROMPT_LATEST, quiet))

    def give_up(self) -> None:
        """The prompt was that of a shell that is ours already."""
        self._lesson, self._flow.wait = None, None

    def output(self, data: bytes, t: int) -> bytes:
        """Look at output on its way; what of it is not swallowed."""
        lesson, flow = self._lesson, self._flow
        if lesson is None:
            return data
        if lesson.step is not Step.PROMPT:
            lesson.swallowed += data
            return b""
        if lesson.echoing:
            _, end, data = data.partition(b"\n")
            lesson.echoing = not end
        if self.editor_up(data):
            flow.hold(Wait(Why.BOOT, t, t + PROMPT_LATEST, PROMPT_SHOWN_QUIET))
        elif flow.wait is not None and flow.wait.quiet is None:
            flow.hold(Wait(Why.BOOT, t, flow.wait.until, PROMPT_QUIET))
        return data

    def editor_up(self, data: bytes) -> bool:
        """True if some line editor comes up in this output."""
        seen = self._tail + data
        up = _PASTE_ON in seen
        self._tail = b"" if up else seen[1 - len(_PASTE_ON) :]
        return up

    def over(self, t: int) -> None:
        """The time for the prompt, or for an answer, is over."""
        lesson = self._lesson
        if lesson is None:
            return
        if lesson.step is Step.PROMPT:
            lesson.step = Step.VERSIONS
            self._flow.send(hooks.probe(self._flow.setup.nonce, lesson.level, strict=True))
            self._flow.hold(Wait(Why.BOOT, t, t + ANSWER_LATEST))
        else:
            self._fail("the shell did not answer", t)

    def mark(self, mark: Mark, t: int) -> None:
        """A mark of the shell that is being taken over."""
        lesson = self._lesson
        if lesson is None or mark.level != lesson.level:
            return
        if mark.kind == "V" and lesson.step is Step.VERSIONS:
            self._answered(lesson, mark.payload, t)
        elif mark.kind == "R" and lesson.step is Step.READY:
            self._lesson, self._flow.wait = None, None
            self._flow.show(b"\r\x1b[K")
            if lesson.replaced:
                text = f"this account's shell is {lesson.replaced}; strict line mode goes on with bash"
                self._flow.out.append(Said("warning", "NOTE", text))
            self._pupil.taught(lesson.level, lesson.shell, t)

    def _answered(self, lesson: _Lesson, answer: bytes, t: int) -> None:
        setup = self._flow.setup
        shell = hooks.shell_of(answer)
        lesson.swallowed.clear()
        if shell in hooks.STRICT_SHELLS:
            lesson.step, lesson.shell = Step.READY, shell
            self._flow.send(hooks.injection(shell, setup.nonce, lesson.level, setup.tag, strict=True))
            self._flow.hold(Wait(Why.BOOT, t, t + ANSWER_LATEST))
        elif self._has_bash(answer) and not lesson.replaced and lesson.level == 1:
            lesson.step, lesson.replaced, lesson.echoing = Step.PROMPT, shell or "another shell", True
            self._flow.fact("gate-shell-replaced", by="bash", was=lesson.replaced)
            self._flow.show(b"\r\x1b[K")
            self._flow.send(b" exec bash -l\r")
            self._flow.hold(Wait(Why.BOOT, t, t + PROMPT_LATEST))
        else:
            self._fail("the shell is neither bash (4.4 or later) nor zsh, and there is no bash", t)

    @staticmethod
    def _has_bash(answer: bytes) -> bool:
        parts = answer.split(b",")
        return len(parts) == _ANSWERS and parts[-1].startswith(b"/")

    def _fail(self, why: str, t: int) -> None:
        lesson = self._lesson
        assert lesson is not None, "only what was begun fails"
        self._lesson, self._flow.wait = None, None
        swallowed = bytes(lesson.swallowed).replace(self._flow.setup.nonce.encode(), b"...")
        self._flow.show(b"\r\x1b[K" + swallowed)
        self._pupil.untaught(lesson.level, why, t)
