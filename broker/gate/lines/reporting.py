"""The shell that reports its lines: how it is taught to, and what its marks mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from broker.gate.lines import picture
from broker.gate.lines.boot import ANSWER_LATEST, PROMPT_LATEST, PROMPT_QUIET, PROMPT_SHOWN_QUIET, Boot, Step
from broker.gate.lines.doings import Refused
from broker.gate.lines.flow import MS, QUIET, SETTLE_LATEST, Flow, Place, Wait, Why
from broker.gate.lines.holding import NO_TEXT, Holding
from broker.gate.lines.keys import Key, Kind
from broker.gate.lines.marks import Mark, unquoted
from broker.gate.lines.refusing import Refusing
from broker.gate.lines.ruling import ALLOWED, Candidate, Ruling, Source, Word, doubted
from broker.gate.lines.typing import Typing

REPORT_LATEST = 1000 * MS
ODD_REPORT_LATEST = 250 * MS
"""For keys that accept a line in some editors only."""
ACK_LATEST = 3000 * MS
INNER_PROMPT_QUIET = 80 * MS
"""Time for a hooked shell to say that the prompt is its own."""
ENTERS = frozenset({b"\r", b"\n"})
META_ENTERS = frozenset({b"\x1b\r", b"\x1b\n"})
"""Put a line break into the line, in zsh and fish; where they accept it, the shell reports it too."""
LONGEST_JOINED = 1 << 16
_PASTE_ON = b"\x1b[?2004h"
_TOO_LONG = "\x01too-long"


def _joined(reported: str, text: str) -> str:
    """A line with those before it that it goes on with; zsh reports them again, bash does not."""
    return text if not reported or text.startswith(f"{reported}\n") else f"{reported}\n{text}"


class Reporting:
    """Marks in, verdicts out."""

    def __init__(self, flow: Flow, holding: Holding) -> None:
        self._flow, self._holding = flow, holding
        self.boot: Boot | None = None
        self._fresh: bytearray | None = None
        """Output since a shell was hooked, until its prompt is complete, which takes the old one's place."""
        self._levels = 0
        self._level = 0
        self._serials: dict[int, int] = {}
        """Serial number of the last line that each hooked shell reported."""
        self._entering = 0
        """Serial of a line whose shell asked for leave to report it."""
        self._reported = ""
        """Lines reported and allowed since the last prompt: a continuation is judged with them."""
        self._verdict = ""
        self._refusing = Refusing(flow)
        self._clearing: set[int] = set()
        """Shells that take the line from the screen before they report it."""
        self._several: int | None = None
        """The shell that was allowed more than one line at once, and asks about each after the first: until
        it shows a prompt all that it runs is from there, or is what it does at every prompt."""
        self._waited = False
        """The line answered last had to wait."""
        self._vouched = True
        """What runs was reported or asked about."""
        self._distrusted: set[int] = set()
        """Shells that ran something unreported: their prompts are prompts like any other."""
        self._tail = b""
        self._kinds: dict[str, Callable[[Mark, int], None]] = {
            "N": self._leaves,
            "P": self._prompt,
            "C": self._prompt,
            "X": self._exec,
            "E": self._enter,
            "L": self._line,
            "D": self._command,
            "B": self._acknowledged,
            "T": self._tamper,
            "K": self._pong,
        }

    # ------------------------------------------------------------ hooking

    def begin(self, t: int, quiet: int | None = None) -> None:
        """Hook the shell whose prompt comes up."""
        flow = self._flow
        self._levels += 1
        self.boot = Boot(flow.setup.nonce, flow.setup.tag, self._levels)
        flow.place, flow.nestable = Place.BOOT, False
        flow.hold(Wait(Why.BOOT, t, t + PROMPT_LATEST, quiet))

    def output(self, data: bytes, t: int) -> bool:
        """Look at output on its way; True if it is swallowed."""
        flow, boot = self._flow, self.boot
        if self._fresh is not None:
            self._fresh += data
            if len(self._fresh) > LONGEST_JOINED:
                self._draw_prompt()
            return True
        if boot is not None and boot.swallowing:
            boot.swallowed += data
            return True
        if boot is not None or flow.nestable:
            seen = self._tail + data
            self._tail = seen[1 - len(_PASTE_ON) :]
            if _PASTE_ON in seen:
                self._tail = b""
                self._editor_up(t)
        if boot is not None and flow.wait is not None and flow.wait.quiet is None:
            flow.hold(Wait(Why.BOOT, t, flow.wait.until, PROMPT_QUIET))
        return False

    def _editor_up(self, t: int) -> None:
        """A line editor has come up: there is a prompt."""
        flow = self._flow
        if self.boot is not None:
            flow.hold(Wait(Why.BOOT, t, t + PROMPT_LATEST, PROMPT_SHOWN_QUIET))
        elif (
            flow.setup.hook
            and flow.place is Place.RUNNING
            and flow.typing.fresh
            and not flow.waits(Why.SETTLE, Why.ACK)
        ):
            self.begin(t, INNER_PROMPT_QUIET)

    def boot_over(self, t: int) -> None:
        """The time for the prompt, or for an answer, is over."""
        boot = self.boot
        if boot is None:
            return
        if boot.step is Step.PROMPT:
            self._flow.send(boot.probe())
            self._flow.hold(Wait(Why.BOOT, t, t + ANSWER_LATEST))
        else:
            self._give_up("the shell did not answer", t)

    def _versions(self, boot: Boot, mark: Mark, t: int) -> None:
        lines = boot.inject(mark.payload)
        if lines is None:
            self._give_up("the shell is none that can report its lines", t)
            return
        self._flow.send(lines)
        self._flow.hold(Wait(Why.BOOT, t, t + ANSWER_LATEST))

    def _ready(self, boot: Boot, t: int) -> None:
        flow = self._flow
        self._serials[boot.level] = 0
        if boot.shell == "bash":
            self._clearing.add(boot.level)
        self.boot, flow.hooked = None, True
        flow.level, flow.shells[boot.level] = boot.level, boot.shell or ""
        flow.place, flow.typing = Place.RUNNING, Typing()
        flow.fact("gate-hooked", shell=boot.shell, level=boot.level)
        self._fresh = bytearray()
        flow.hold(Wait(Why.ANSWER, t, t + REPORT_LATEST))

    def _give_up(self, why: str, t: int) -> None:
        """This shell does not report: its lines are read from the keys and the screen. What was typed ahead
        waits for its prompt."""
        flow, boot = self._flow, self.boot
        assert boot is not None, "only a shell that is being hooked is given up"
        self.boot = None
        flow.place = Place.RUNNING if flow.hooked else Place.UNHOOKED
        self._fresh = boot.swallowed.replace(boot.nonce.encode(), b"...")
        flow.typing = Typing()
        flow.fact("gate-unhooked", why=why)
        flow.hold(Wait(Why.ANSWER, t, t + SETTLE_LATEST, PROMPT_QUIET))

    # ------------------------------------------------------------ keys at its prompt

    def key(self, key: Key, t: int, literal: bool) -> None:
        """The key goes to the shell, which reports if it accepts a line. `literal`: after Ctrl-V."""
        flow = self._flow
        flow.send(key.raw)
        if key.kind is not Kind.ACCEPT or flow.pasting or literal or key.full in META_ENTERS:
            return
        latest = REPORT_LATEST if key.full in ENTERS else ODD_REPORT_LATEST
        flow.hold(Wait(Why.REPORT, t, t + latest, key=key))

    def unreported(self, key: Key, t: int) -> None:
        """No report came: ask whether the hook is still there."""
        flow = self._flow
        if key.full in ENTERS:
            flow.send(f"\x1e{flow.setup.nonce};{self._level};0;q\x1e".encode())
            flow.hold(Wait(Why.PONG, t, t + REPORT_LATEST))

    def lost(self, why: str) -> None:
        """The hook is gone: from now on this shell is like any program that reads lines."""
        flow = self._flow
        self.answered()
        self._distrusted.add(self._level)
        flow.place, flow.typing = Place.LOST, Typing()
        flow.fact("gate-lost", level=self._level, why=why)

    # ------------------------------------------------------------ marks

    def mark(self, mark: Mark, t: int) -> None:
        """A mark with the session's nonce."""
        if self.boot is not None and not self._boot_mark(self.boot, mark, t):
            return
        if mark.level in self._serials and (act := self._kinds.get(mark.kind)):
            act(mark, t)

    def _boot_mark(self, boot: Boot, mark: Mark, t: int) -> bool:
        """A mark while a shell is being hooked. True if it is for a shell that is hooked already: the prompt
        that came up was that one's, and no other shell is there."""
        if mark.level == boot.level and mark.kind == "V" and boot.step is Step.VERSIONS:
            self._versions(boot, mark, t)
        elif mark.level == boot.level and mark.kind == "R" and boot.step is Step.READY:
            self._ready(boot, t)
        elif mark.level in self._serials and mark.kind in "PL":
            self.boot, self._flow.wait = None, None
            self._flow.place = Place.RUNNING
            if mark.kind == "L" and boot.nonce in unquoted(mark.payload):
                self._serials[mark.level] = mark.serial  # what was typed to hook the other shell
                self._answer(mark, t, "n")
                return False
            return True
        return False

    def _leaves(self, mark: Mark, t: int) -> None:
        """The shell has left a refused line behind; its prompt comes next."""
        if self._flow.waits(Why.ANSWER):
            self._flow.wait = None
        self._refusing.tell(between=True)

    def answered(self) -> None:
        """No more output is waited for."""
        self._refusing.tell(between=False)
        self._draw_prompt()

    def _draw_prompt(self) -> None:
        """The prompt of a shell that has just been hooked, over the one that it showed before."""
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            self._flow.show(picture.over_prompt(self._flow.view.sync(), bytes(fresh)))

    def _prompt(self, mark: Mark, t: int) -> None:
        """P: a prompt. C: the prompt for the rest of a line. Both carry the serial of the last line: an
        editor draws the old prompt again when a line was accepted."""
        flow = self._flow
        if flow.waits(Why.ACK) or mark.serial != self._serials[mark.level]:
            return
        self._holding.gone(t)
        self._level = flow.level = mark.level
        flow.nestable = False
        if not self._vouched:
            self.lost("a command ran that was not reported")
        self._vouched = True
        if mark.level in self._distrusted:
            return
        held = flow.wait.key if flow.wait is not None and flow.waits(Why.SETTLE) else None
        flow.place, flow.typing = Place.PROMPT, Typing()
        if mark.kind == "P":
            self._reported, self._several = "", None
        if self._fresh is not None:
            flow.hold(Wait(Why.ANSWER, t, t + SETTLE_LATEST, PROMPT_SHOWN_QUIET))
        elif flow.waits(Why.ANSWER, Why.SETTLE):
            flow.wait = None
        if held is not None:
            self.key(held, t, literal=False)

    def _exec(self, mark: Mark, t: int) -> None:
        self._holding.gone(t)
        self._vouched = self._vouched and self._verdict == "y"
        self._verdict = ""
        self._flow.place = Place.RUNNING

    def _enter(self, mark: Mark, t: int) -> None:
        self._holding.gone(t)
        self._serials[mark.level] = self._entering = mark.serial
        self._flow.send(self._frame(mark, "r"))

    def _line(self, mark: Mark, t: int) -> None:
        """A line that is about to be accepted."""
        if mark.serial <= self._serials[mark.level] and mark.serial != self._entering:
            return
        self._holding.gone(t)
        self._several = None
        self._serials[mark.level], self._entering = mark.serial, 0
        text = unquoted(mark.payload)
        whole = _joined(self._reported, text)
        begun = whole if len(whole) < LONGEST_JOINED else text
        self._ruled(mark, t, self._judged(text, whole), text, whole, begun)

    def _command(self, mark: Mark, t: int) -> None:
        """A command that no reported line stands behind: accepted by some other key, or bound to one."""
        self._holding.gone(t)
        self._vouched = True
        if mark.level == self._several:
            self._answer(mark, t, "y")
            return
        text = unquoted(mark.payload)
        self._ruled(mark, t, self._judged(text, text), text, text, None)

    def _judged(self, text: str, whole: str) -> Ruling:
        flow = self._flow
        flow.place = Place.ASKED
        if not text.strip():
            return ALLOWED
        if text == _TOO_LONG:
            ruling = doubted("the line is too long to be judged")
        else:
            ruling = flow.rule([Candidate(whole, Source.HOOK)])
        if ruling.waits and "\ufffd" in whole:
            ruling = replace(ruling, word=Word.DENY, reason=f"{ruling.reason}: {NO_TEXT}")
        flow.note(text, Source.HOOK, True, ruling)
        return ruling

    def _ruled(self, mark: Mark, t: int, ruling: Ruling, text: str, whole: str, begun: str | None) -> None:
        """Answer, or let the line wait for its answer. `whole`: with the lines before that it goes on with;
        `begun`: what the next line may go on with; None: it was no line of the prompt."""
        flow = self._flow

        def passed(t: int) -> None:
            self._reported = self._reported if begun is None else begun
            self._several = mark.level if begun is not None and "\n" in text else None
            flow.went_out(whole)
            flow.expect(whole)
            self._answer(mark, t, "y")

        def refused(t: int) -> None:
            self._reported = self._reported if begun is None else ""
            flow.bring_back(text)
            self._answer(mark, t, "n")

        self._waited = ruling.waits
        redraws = self._flow.shells.get(mark.level) == "fish"  # it colours the line in its own time
        if ruling.waits:
            self._holding.open(ruling, whole, t, release=passed, drop=refused, redraw=redraws)
        elif ruling.allowed:
            flow.warn(ruling, text, redraws)
            passed(t)
        else:
            flow.drop_lines()
            self._tell(ruling, text, mark)
            refused(t)

    def _tell(self, ruling: Ruling, text: str, mark: Mark) -> None:
        """A line stays on the screen, above the notice; a command that was no line is named in it."""
        if mark.kind == "L":
            self._refusing.begin(ruling, text, mark.level in self._clearing)
        else:
            self._flow.refuse(Refused(ruling, text, None))

    def _answer(self, mark: Mark, t: int, verdict: str) -> None:
        self._level, self._verdict = mark.level, verdict
        self._flow.send(self._frame(mark, verdict))
        self._flow.hold(Wait(Why.ACK, t, t + ACK_LATEST))

    def _acknowledged(self, mark: Mark, t: int) -> None:
        """The shell has the verdict; the payload is input it read meanwhile, which comes first."""
        flow = self._flow
        self._holding.gone(t)  # the shell has stopped waiting by itself
        if not flow.waits(Why.ACK):
            return
        flow.wait = None
        typed_ahead = unquoted(mark.payload).encode().replace(flow.setup.nonce.encode(), b"")
        if not self._waited:
            flow.burst[:0] = typed_ahead
        elif self._verdict == "y":
            self._holding.bounced(typed_ahead)
        if self._verdict == "y":
            flow.place, flow.typing = Place.RUNNING, Typing()
            flow.hold(Wait(Why.ANSWER, t, t + SETTLE_LATEST, QUIET))
        else:
            flow.place = Place.LOST if self._level in self._distrusted else Place.PROMPT
            if self._refusing.pending:
                flow.hold(Wait(Why.ANSWER, t, t + REPORT_LATEST))

    def _tamper(self, mark: Mark, t: int) -> None:
        self._flow.fact("gate-tamper", what=mark.payload.decode("utf-8", "replace")[:100])

    def _pong(self, mark: Mark, t: int) -> None:
        if self._flow.waits(Why.PONG):
            self._flow.wait = None

    def _frame(self, mark: Mark, answer: str) -> bytes:
        return f"\x1e{self._flow.setup.nonce};{mark.level};{mark.serial};{answer}\x1e".encode()
