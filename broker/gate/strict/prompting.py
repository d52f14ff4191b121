"""The prompt: the user edits here, and the shell gets a line in a frame once it was judged.

Stages from one prompt to the next: RUNNING, (S) CALLED, (P) EDIT, SENT, (A) ECHO, BETWEEN, (X) RUNNING. The
letters are marks of the shell. `S`: it will read a line; all input up to our answer was typed ahead and comes
back with `B`. `P`: its editor reads. `A`: it has the line, and shows it once more, up to the line feed. `C`:
it wants the rest of a line. `X`: the line runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from broker.gate.lines.doings import Hangup, Kept, Said, Spot, ToClient, Warned
from broker.gate.lines.flow import MS, QUIET, SETTLE_LATEST, Flow, Place, Wait, Why
from broker.gate.lines.holding import NO_TEXT, Holding
from broker.gate.lines.keys import Key
from broker.gate.lines.marks import Mark, unquoted
from broker.gate.lines.ruling import Candidate, JudgeLine, Ruling, Source, Word
from broker.gate.lines.typing import Typing
from broker.gate.shell import ANY_SHELL, Session
from broker.gate.strict.act import Act
from broker.gate.strict.asking import Asking
from broker.gate.strict.editor import Editor
from broker.gate.strict.frames import AtPrompt, at_prompt, frame, go
from broker.gate.strict.inputs import InputJudge
from broker.gate.strict.paint import Painter
from broker.gate.strict.readers import Opened, changes_shell, opened_by, reads_lines, unlocks
from broker.gate.text import Unreadable
from broker.model.command import CommandLine

LATEST = 10_000 * MS
"""So long a shell that is ours may take for its next mark; nothing of the user's runs meanwhile."""
_NOISE = re.compile(rb"(?:\r|\a|\x1b\[[0-9]*[JKm]|\x1b\[\?(?:1|2004)[hl]|\x1b[=>])*\Z")
"""What the shells' own editors print around an empty line."""
_LEAVING = re.compile(r"\s*(?:exit|logout)(?:\s+\d{1,3})?\s*")
LEAVING = Ruling(Word.ALLOW, "", "leaving is always allowed")
_PASTE_ON, _PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"


class Stage(Enum):
    RUNNING = 0
    CALLED = 1
    EDIT = 2
    SENT = 3
    ECHO = 4
    BETWEEN = 5


@dataclass(frozen=True, slots=True)
class _Entered:
    """A line that was judged. `text`: what the shell gets; `whole`: with the lines before that it ends."""

    text: str
    whole: str
    line: CommandLine
    opened: Opened
    ruling: Ruling


class Prompting:
    """One session's prompts. `dropped`: a line was refused; what came with it, behind it, does not run."""

    def __init__(
        self, flow: Flow, holding: Holding, judge: JudgeLine, inputs: InputJudge, readers: frozenset[str]
    ) -> None:
        self._flow, self._holding = flow, holding
        self._judge, self._inputs, self._readers = judge, inputs, readers
        self.editor = Editor()
        self._painter = Painter(flow.setup.cols, flow.setup.rows)
        self.asking = Asking(flow, self.editor, self._request)
        self.stage = Stage.RUNNING
        self.dropped = False
        self.opened = Opened()
        """What the line that runs has opened."""
        self.changing = False
        """The line that runs could take the shell out of our hand."""
        self._parts = 0
        """How often `X` may come for it: a line of several rows is run piece by piece."""
        self._level = 0
        self._serials: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._shells: dict[int, Session] = {}
        """What is known of each shell from the lines that were sent."""
        self._at: AtPrompt | None = None
        self._earlier = ""
        """Lines sent before that the shell wants the rest of."""
        self._ran = False
        self._back = b""
        """Input that was typed ahead, to be edited now."""
        self._kinds: dict[str, Callable[[Mark, int], None]] = {
            "S": self._called,
            "B": self._returned,
            "P": self._prompt,
            "A": self._taken,
            "C": self._more,
            "X": self._runs,
            "O": self._answered,
            "I": self._interrupted,
            "Y": self._history,
            "U": self._skipped,
            "T": self._tampered,
            "Q": self._unlocked,
        }
        self._acts: dict[Act, Callable[[int], None]] = {
            Act.SHOW: lambda t: self._draw(),
            Act.BELL: lambda t: self._bell(),
            Act.ENTER: self._enter,
            Act.COMPLETE: self._complete,
            Act.CLEAR: lambda t: self._clear(),
            Act.INTERRUPT: self._interrupt,
            Act.LEAVE: self._leave,
            Act.OUTSIDE: lambda t: self._outside(),
        }

    # ------------------------------------------------------------ from the gate

    def begin(self, level: int, shell: str) -> None:
        """A shell was taken over."""
        self._serials[level] = 0
        self._names[level] = self._flow.shells[level] = shell
        self._flow.hooked, self._flow.level = True, level
        self._shells[level] = Session(shell=shell if shell == "bash" else ANY_SHELL)
        self.stage, self._flow.place = Stage.RUNNING, Place.RUNNING

    def knows(self, level: int) -> bool:
        return level in self._serials

    def key(self, key: Key, t: int) -> None:
        """A key at the prompt."""
        self._acts[self.editor.key(key)](t)

    def output(self, data: bytes, t: int) -> None:
        """Output of the target that is no mark."""
        if self.stage is Stage.ECHO:
            _, end, data = data.partition(b"\n")
            if not end:
                return
            self.stage = Stage.BETWEEN
        if self.stage in (Stage.RUNNING, Stage.EDIT) or not _NOISE.match(data):
            self._show(data)

    def _show(self, data: bytes) -> None:
        flow = self._flow
        if self.stage is not Stage.EDIT:
            flow.show(data)
        elif not _NOISE.match(data):
            self._put(self._painter.erase())
            flow.show(data)
            self._fresh_row()
            self._draw(whole=False)

    def mark(self, mark: Mark, t: int) -> None:
        """A mark of a shell that is ours."""
        if mark.level in self._serials and (act := self._kinds.get(mark.kind)):
            act(mark, t)

    def late(self, t: int) -> None:
        """The shell's next mark did not come in time."""
        if self.stage is Stage.EDIT:
            self.asking.late(t)
        else:
            self.hang_up(f"the shell did not go on ({self.stage.name.lower()})")

    def resized(self, cols: int, rows: int) -> None:
        picture = self.editor.picture(cols)
        drawn = self._painter.drawn
        again = self._painter.resized(cols, rows, picture)
        if drawn:
            self._put(again)
            self._draw(whole=False)

    def hang_up(self, why: str) -> None:
        """What the shell does can no longer be seen."""
        self._flow.place = Place.LOST
        self._flow.fact("gate-lost", level=self._level, why=why)
        self._flow.out.append(Hangup(why))

    # ------------------------------------------------------------ marks

    def _called(self, mark: Mark, t: int) -> None:
        at = at_prompt(mark.payload)
        if at is None or mark.serial != self._serials[mark.level]:
            self.hang_up("the shell's report is not what it should be")
            return
        flow = self._flow
        if self.stage is Stage.EDIT:
            self._put(self._painter.erase())
        if self._ran:
            flow.fact("line-done", status=at.status, folder=at.folder[:1000])
        held = flow.wait.key.raw if flow.wait is not None and flow.wait.key is not None else b""
        flow.pasting = flow.dropping = False
        self._at, self._ran, self._earlier, self._back = at, False, "", held
        self._level = flow.level = mark.level
        self.stage, flow.place = Stage.CALLED, Place.ASKED
        flow.send(go(flow.setup.nonce, mark.level, mark.serial))
        flow.hold(Wait(Why.ACK, t, t + LATEST))

    def _returned(self, mark: Mark, t: int) -> None:
        nonce = self._flow.setup.nonce.encode()
        self._back = unquoted(mark.payload).encode().replace(nonce, b"") + self._back

    def _prompt(self, mark: Mark, t: int) -> None:
        if self.stage is not Stage.CALLED or mark.serial != self._serials[mark.level] or self._at is None:
            return
        self.editor.prompts(self._at.prompt, self._at.more)
        self.editor.mode(self._at.vi)
        self._open(t)

    def _more(self, mark: Mark, t: int) -> None:
        if self.stage not in (Stage.ECHO, Stage.BETWEEN) or self._at is None:
            return
        self.editor.prompts(self._at.more, self._at.more)
        self._open(t)

    def _open(self, t: int) -> None:
        """The user may edit."""
        flow = self._flow
        flow.wait, flow.typing, flow.place, self.stage = None, Typing(), Place.PROMPT, Stage.EDIT
        flow.nestable = False
        flow.burst[:0], self._back = self._back, b""
        self.asking.reset()
        self.editor.begin()
        self._fresh_row()
        self._draw()

    def _taken(self, mark: Mark, t: int) -> None:
        if self.stage is Stage.SENT and mark.serial == self._serials[mark.level]:
            self.stage = Stage.ECHO

    def _runs(self, mark: Mark, t: int) -> None:
        self._parts -= 1
        if self.stage not in (Stage.ECHO, Stage.BETWEEN, Stage.CALLED):
            if self.stage is Stage.RUNNING and self._parts < 0 and mark.level == self._level:
                self.hang_up("a line ran that was not sent from here")
            return
        flow = self._flow
        self.stage, self._ran, flow.place, flow.typing = Stage.RUNNING, True, Place.RUNNING, Typing()
        flow.burst[:0], self._back = self._back, b""
        flow.hold(Wait(Why.ANSWER, t, t + SETTLE_LATEST, QUIET))

    def _answered(self, mark: Mark, t: int) -> None:
        if self.stage is not Stage.EDIT or mark.serial != self._serials[mark.level]:
            return
        rows = self.asking.answered(unquoted(mark.payload))
        if rows is None:
            self._bell()
        elif rows:
            self._below("\r\n".join(rows) + "\r\n")
        else:
            self._draw()

    def _interrupted(self, mark: Mark, t: int) -> None:
        """The next thing is a prompt."""

    def _history(self, mark: Mark, t: int) -> None:
        listing = unquoted(mark.payload)
        if not self.editor.history.entries:
            self.editor.history.load(listing, escaped=self._names[mark.level] == "zsh")

    def _skipped(self, mark: Mark, t: int) -> None:
        self._flow.fact("gate-skipped", text=unquoted(mark.payload)[:1000])

    def _tampered(self, mark: Mark, t: int) -> None:
        self.hang_up(unquoted(mark.payload)[:200])

    def _unlocked(self, mark: Mark, t: int) -> None:
        if not self._flow.nestable:
            self.hang_up("the shell showed a prompt of its own")

    # ------------------------------------------------------------ what keys ask for

    def _enter(self, t: int) -> None:
        text = self.editor.text
        if self.asking.busy:
            self._bell()
            return
        if not text.strip() and not self._earlier:
            self._finish()
            self.editor.begin()
            self._draw()
            return
        try:
            expanded = self.editor.history.expand(text) if self._at and self._at.expands else text
        except Unreadable as error:
            self._say(Said("warning", "NOT SENT", f"{error}: the history has no such line"))
            return
        if expanded != text:
            self.editor.line.set(expanded)
            self._draw()
        self._entered(expanded, t)

    def _entered(self, text: str, t: int) -> None:
        whole = f"{self._earlier}\n{text}" if self._earlier else text
        line = Session(shell=ANY_SHELL).read(whole.encode()) if self._earlier else self._read(text)
        if line.incomplete and not self._earlier:
            self.editor.line.last()
            self.editor.newline()
            self._draw()
            return
        ruling, opened = self._ruled(whole, line)
        self._flow.note(whole, Source.EDITOR, True, ruling)
        entered = _Entered(text, whole, line, opened, ruling)
        if ruling.waits:
            self._wait(entered, t)
        elif ruling.allowed:
            self._run(entered, t)
        else:
            self._refuse(ruling)

    def _wait(self, entered: _Entered, t: int) -> None:
        """The line stays, and goes to the shell once somebody has said the word."""
        self._finish()
        self._holding.open(
            entered.ruling,
            entered.whole,
            t,
            release=lambda t: self._run(entered, t),
            drop=lambda t: self._again(),
            stands=True,
        )

    def _again(self) -> None:
        """The line, once more."""
        last = self._flow.out[-1] if self._flow.out else None
        if isinstance(last, ToClient) and not last.data.endswith(b"\n"):  # what came while it waited
            self._put("\r\n")
        self.editor.refused()
        self._draw()

    def _read(self, text: str) -> CommandLine:
        return self._shells[self._level].copy().read(text.encode("utf-8", "replace"))

    def _ruled(self, whole: str, line: CommandLine) -> tuple[Ruling, Opened]:
        if _LEAVING.fullmatch(whole):
            return LEAVING, Opened()
        ruling = self._judge([Candidate(whole, Source.EDITOR, where=self._flow.where)])
        opened = opened_by(line, self._readers)
        may = ruling.allowed or ruling.waits
        if may and (name := unlocks(line)) is not None:
            why = f"{name} would take the shell's line editor out of bartizan's hand"
            return Ruling(Word.DENY, "", why), opened
        if may and opened.refused:
            return Ruling(Word.DENY, "", reads_lines(opened.refused[0])), opened
        if ruling.waits and "\ufffd" in whole:
            return replace(ruling, word=Word.DENY, reason=f"{ruling.reason}: {NO_TEXT}"), opened
        return ruling, opened

    def _run(self, entered: _Entered, t: int) -> None:
        """The line goes to the shell."""
        flow, text, whole = self._flow, entered.text, entered.whole
        self.opened, self.changing = entered.opened, changes_shell(entered.line)
        self._inputs.runs(entered.opened, entered.line.opaque is not None, flow.where)
        self._shells[self._level].read(text.encode("utf-8", "replace"))
        self.editor.entered(text)
        self._finish(_PASTE_OFF.decode())
        if entered.ruling.word is Word.WARN:
            spot = Spot(flow.view.sync().cols, bare=True, stands=True)
            flow.out.append(Warned(entered.ruling, whole, spot))
        flow.went_out(whole)
        flow.expect(whole)
        flow.nestable = bool(self.opened.taught or self.opened.listed) and flow.nestable
        self._earlier, self._parts = whole, whole.count("\n") + 1
        self._send("l", text, t)

    def _refuse(self, ruling: Ruling) -> None:
        """The line stays."""
        self.dropped = True
        self._finish()
        self._flow.out.append(Kept(ruling))
        self.editor.refused()
        self._draw()

    def _complete(self, t: int) -> None:
        rows = self.asking.ask(self._flow.view.sync().cols, t)
        if rows:
            self._below("\r\n".join(rows) + "\r\n")
        elif rows is None:
            self._bell()

    def _request(self, question: str, t: int) -> None:
        """Ask the shell for what a word could become."""
        serial = self._next()
        self._flow.send(frame(self._flow.setup.nonce, self._level, serial, "c", question))

    def _clear(self) -> None:
        self._painter.erase()
        self._flow.show(b"\x1b[H\x1b[2J")
        self._draw()

    def _interrupt(self, t: int) -> None:
        self._flow.show(b"^C")
        self._finish()
        self.editor.begin()
        if self._earlier:
            self._send("i", "", t)
        else:
            self._draw()

    def _leave(self, t: int) -> None:
        """As if `exit` had been typed."""
        if self._earlier:
            self._interrupt(t)
            return
        self.editor.line.set("exit")
        self._draw()
        self._entered("exit", t)

    def _outside(self) -> None:
        self._refuse(Ruling(Word.DENY, "", "no other editor gets the line in strict line mode"))

    # ------------------------------------------------------------ doing

    def _send(self, kind: str, text: str, t: int) -> None:
        flow = self._flow
        flow.send(frame(flow.setup.nonce, self._level, self._next(), kind, text))
        self.stage = Stage.SENT if kind == "l" else Stage.BETWEEN
        flow.place = Place.ASKED
        flow.hold(Wait(Why.ACK, t, t + LATEST))

    def _next(self) -> int:
        self._serials[self._level] += 1
        return self._serials[self._level]

    def _draw(self, *, whole: bool = True) -> None:
        """The line as it is now. `whole`: where none is drawn, with the rows that a prompt has above it."""
        opening = ""
        if not self._painter.drawn:
            above = self.editor.prompt.above if whole else ""
            opening = "\x1b[?7h" + _PASTE_ON.decode() + above
        self._put(opening + self._painter.paint(self.editor.picture(self._painter.cols)))

    def _finish(self, before: str = "") -> None:
        """The line is left as it is; the cursor goes below it."""
        self._put(before + self._painter.end())

    def _put(self, text: str) -> None:
        if text:
            self._flow.show(text.encode("utf-8", "replace"))

    def _fresh_row(self) -> None:
        cursor = self._flow.view.sync().cursor
        if cursor.x or cursor.wraps:
            self._flow.show(b"\r\n")

    def _below(self, text: str) -> None:
        """Text under the line, and the line again under that."""
        self._finish()
        self._put(text)
        self._draw()

    def _say(self, said: Said) -> None:
        self._finish()
        self._flow.out.append(said)
        self._draw()

    def _bell(self) -> None:
        self._draw()
        self._flow.show(b"\a")
