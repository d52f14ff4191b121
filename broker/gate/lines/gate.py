"""`LineGate`: lets keys through, holds whatever may run a line, and sends it on when it was allowed.

At a hooked prompt keys pass as they are: the shell reports the line at Enter and waits for the answer. In
every other place each key that may run a line is held until the line is known from the keys and the screen.
While the gate waits for something, the user's input queues up behind it, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum

from broker.gate.lines import picture
from broker.gate.lines.boot import ANSWER_LATEST, PROMPT_LATEST, PROMPT_QUIET, PROMPT_SHOWN_QUIET, Boot, Step
from broker.gate.lines.doings import Doing, Fact, Refused, Restore, ToClient, ToTarget, Wake
from broker.gate.lines.foreign import handed_over, reads_no_shell, screen_escape
from broker.gate.lines.keys import Key, KeyReader, Kind
from broker.gate.lines.kill import Killing, remains
from broker.gate.lines.marks import Mark, MarkScanner, unquoted
from broker.gate.lines.programs import starts_shell, takes_screen
from broker.gate.lines.ruling import ALLOWED, Candidate, JudgeLine, Ruling, Source, Word
from broker.gate.lines.typing import Evidence, Typing, readings
from broker.gate.lines.view import LazyScreen

MS = 1000
QUIET = 60 * MS
SETTLE_LATEST = 400 * MS
REPORT_LATEST = 1000 * MS
ODD_REPORT_LATEST = 250 * MS
"""For keys that accept a line in some editors only."""
ACK_LATEST = 3000 * MS
KILL_LATEST = 600 * MS
OVERLAY_TIME = 5000 * MS
MAX_QUEUE = 1 << 20
ENTERS = frozenset({b"\r", b"\n"})
META_ENTERS = frozenset({b"\x1b\r", b"\x1b\n"})
"""Put a line break into the line, in zsh and fish; where they accept it, the shell reports it all the same."""
_UP = frozenset({b"\x1b[A", b"\x1bOA"})
_PASTE_ON = b"\x1b[?2004h"
_UNCLEAR = "this line cannot be read for sure: press Ctrl-U and type it again"


class Place(StrEnum):
    """Where the user's keys go; shown by `sessions show`."""

    BOOT = "starting"
    PROMPT = "prompt"
    ASKED = "asked"
    RUNNING = "running"
    UNHOOKED = "unhooked"
    LOST = "lost"


class Why(Enum):
    """What the gate waits for."""

    BOOT = 0
    REPORT = 1
    PONG = 2
    ACK = 3
    ANSWER = 4
    SETTLE = 5
    KILL = 6


@dataclass(slots=True)
class Wait:
    """Until something comes, until `quiet` of silence, at the latest until `until`. `key`: held meanwhile."""

    why: Why
    since: int
    until: int
    quiet: int | None = None
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """One session's gate. `nonce` and `tag`: random; `hook`: teach the shell to report.

    `running`: the command that was started instead of a login shell. `pass_doubt`: lines that cannot be
    read go through with a fact instead of being refused.
    """

    cols: int
    rows: int
    nonce: str
    tag: str
    hook: bool = True
    running: str = ""
    pass_doubt: bool = False


class LineGate:
    """The gate of one session with a terminal. Every method returns what to do, in order; none raises."""

    def __init__(self, setup: Setup, judge: JudgeLine) -> None:
        self._setup, self._judge = setup, judge
        self._view = LazyScreen(setup.cols, setup.rows)
        self._marks = MarkScanner(setup.nonce)
        self._reader = KeyReader()
        self._typing = Typing()
        self._queue = bytearray()
        self._out: list[Doing] = []
        self._wait: Wait | None = None
        self._place = Place.UNHOOKED
        self._boot: Boot | None = None
        self._levels = 0
        self._serials: dict[int, int] = {}
        self._level = 0
        self._entering = 0
        """Serial of a line whose shell asked for leave to report it."""
        self._accepted = setup.running
        self._accepted_at = ""
        """The prompt that line was typed at, where no shell reported it."""
        self._reported = ""
        """Lines reported and allowed since the last prompt: a continuation is judged with them."""
        self._pasting = self._literal = self._dropping = False
        self._verdict = b""
        self._killing: Killing | None = None
        self._poison = ""
        self._recall = ""
        self._nestable = starts_shell(setup.running)
        self._tail = b""
        self._output_at = self._key_at = 0
        self._overlay_until: int | None = None

    # ------------------------------------------------------------ what others see

    @property
    def state(self) -> str:
        """In one or two words, for people."""
        place = self._place.value
        return f"{place}, held" if self._wait is not None and self._wait.key is not None else place

    # ------------------------------------------------------------ events

    def start(self, t: int) -> list[Doing]:
        """The session's program runs."""
        if self._setup.hook:
            self._begin_boot(t)
        return self._done()

    def keys(self, data: bytes, t: int) -> list[Doing]:
        """Input of the user."""
        self._queue += data.replace(self._setup.nonce.encode(), b"")
        if len(self._queue) > MAX_QUEUE:
            self._queue.clear()
            self._out.append(Fact("input-dropped", {"why": "too much input while a line was held"}))
        self._end_overlay()
        self._drain(t)
        return self._done()

    def output(self, data: bytes, t: int) -> list[Doing]:
        """Output of the target."""
        self._output_at = t
        for piece in self._marks.feed(data):
            if isinstance(piece, Mark):
                self._mark(piece, t)
            else:
                self._pass_on(piece, t)
        self._look_again(t)
        self._drain(t)
        return self._done()

    def shown(self, data: bytes) -> None:
        """Something of the broker's own was put on the user's terminal."""
        self._view.add(data)

    def resized(self, cols: int, rows: int) -> None:
        self._view.resize(cols, rows)

    def wake(self, t: int) -> list[Doing]:
        """The time that a `Wake` named has come."""
        if self._overlay_until is not None and t >= self._overlay_until:
            self._end_overlay()
        wait = self._wait
        if wait is not None:
            due = wait.until
            if wait.quiet is not None:
                due = min(due, max(self._output_at, wait.since) + wait.quiet)
            if t >= due:
                self._over(wait, t)
                self._drain(t)
            else:
                self._out.append(Wake(due))
        return self._done()

    # ------------------------------------------------------------ input

    def _drain(self, t: int) -> None:
        while self._queue and self._wait is None:
            keys = self._reader.feed(bytes(self._queue))
            self._queue.clear()
            for number, key in enumerate(keys):
                self._key(key, t)
                if self._wait is not None:
                    rest = b"".join(later.raw for later in keys[number + 1 :])
                    if rest:
                        self._reader = KeyReader()
                        self._queue[:0] = rest
                    break

    def _key(self, key: Key, t: int) -> None:
        recall, self._recall = self._recall, ""
        if key.kind is Kind.PASTED:
            self._pasting = False
            if self._dropping:
                self._dropping = False
                return
        if self._dropping:
            return
        if key.kind is Kind.PASTE:
            self._pasting = True
        if recall and key.full in _UP:
            self._queue[:0] = recall.encode()
            return
        if self._place is Place.PROMPT:
            self._prompt_key(key, t)
        else:
            self._reader_key(key, t)
        self._literal = key.full == b"\x16" and not self._literal

    def _prompt_key(self, key: Key, t: int) -> None:
        """The shell reports what this key accepts."""
        self._send(key.raw)
        if key.kind is not Kind.ACCEPT or self._pasting or self._literal or key.full in META_ENTERS:
            return
        self._hold(Wait(Why.REPORT, t, t + (REPORT_LATEST if key.full in ENTERS else ODD_REPORT_LATEST), key=key))

    def _reader_key(self, key: Key, t: int) -> None:
        """Some other program reads, or a shell that does not report."""
        if key.kind is Kind.ACCEPT:
            self._hold(Wait(Why.SETTLE, t, t + SETTLE_LATEST, QUIET, key))
            self._look_again(t)
            return
        look = self._typing.fresh or self._output_at > self._key_at
        self._typing.take(key, self._view.sync() if look else None)
        self._key_at = t
        self._send(key.raw)

    # ------------------------------------------------------------ output

    def _pass_on(self, data: bytes, t: int) -> None:
        boot = self._boot
        if boot is not None and boot.swallowing:
            boot.swallowed += data
            return
        self._out.append(ToClient(data))
        self._view.add(data)
        if boot is not None or self._nestable:
            seen = self._tail + data
            self._tail = seen[-len(_PASTE_ON) :]
            if _PASTE_ON in seen:
                self._prompt_seen(t)

    def _prompt_seen(self, t: int) -> None:
        """A line editor came up."""
        self._tail = b""
        if self._boot is not None:
            self._hold(Wait(Why.BOOT, t, t + PROMPT_LATEST, PROMPT_SHOWN_QUIET))
        elif self._setup.hook and self._place is Place.RUNNING and self._typing.fresh and self._wait is None:
            self._nestable = False
            self._begin_boot(t)
            self._hold(Wait(Why.BOOT, t, t + PROMPT_LATEST, PROMPT_SHOWN_QUIET))

    # ------------------------------------------------------------ marks of the hooked shell

    def _mark(self, mark: Mark, t: int) -> None:
        if mark.kind == "V":
            self._versions(mark, t)
        elif mark.kind == "R" and self._boot is not None:
            self._ready(mark, t)
        elif mark.level not in self._serials:
            return
        elif mark.kind in "PC":
            self._prompt(mark, t)
        elif mark.kind == "X":
            self._place = Place.RUNNING
        elif mark.kind == "E":
            self._serials[mark.level] = self._entering = mark.serial
            self._send(self._frame(mark, "r"))
        elif mark.kind in "LD":
            self._report(mark, t)
        elif mark.kind == "B":
            self._acknowledged(mark, t)
        elif mark.kind == "T":
            self._out.append(Fact("gate-tamper", {"what": mark.payload.decode("utf-8", "replace")[:100]}))
        elif mark.kind == "K" and self._waits(Why.PONG):
            self._wait = None

    def _prompt(self, mark: Mark, t: int) -> None:
        if self._waits(Why.ACK) or self._boot is not None or mark.serial != self._serials[mark.level]:
            return  # an editor draws the prompt of the last line again when that line was accepted
        held = self._wait.key if self._wait is not None and self._waits(Why.SETTLE) else None
        self._place, self._level, self._poison, self._nestable = Place.PROMPT, mark.level, "", False
        if mark.kind == "P":
            self._reported = ""
        self._typing = Typing()
        if self._waits(Why.ANSWER, Why.SETTLE):
            self._wait = None
        if held is not None:
            self._prompt_key(held, t)

    def _report(self, mark: Mark, t: int) -> None:
        """A line (L) or a command that no reported line stands behind (D), and the shell waits."""
        if mark.kind == "L":
            if mark.serial <= self._serials[mark.level] and mark.serial != self._entering:
                return
            self._serials[mark.level], self._entering = mark.serial, 0
        self._place, self._level = Place.ASKED, mark.level
        text = unquoted(mark.payload)
        whole = f"{self._reported}\n{text}" if self._reported and mark.kind == "L" else text
        candidates = [Candidate(one, Source.HOOK) for one in readings(whole)]
        ruling = self._rule(candidates) if text.strip() else ALLOWED
        self._note(text, Source.HOOK, True, ruling)
        if ruling.allowed:
            self._verdict = b"y"
            if mark.kind == "L":
                self._reported = whole if len(whole) < 1 << 16 else text
            self._accepted_at = ""
            self._expect(text if mark.kind == "D" else whole)
        else:
            self._verdict = b"i" if self._reported and mark.kind == "L" else b"n"
            self._reported = ""
            self._drop_lines()
            self._refuse(ruling, text, None)
        self._send(self._frame(mark, self._verdict.decode()))
        self._hold(Wait(Why.ACK, t, t + ACK_LATEST))

    def _acknowledged(self, mark: Mark, t: int) -> None:
        if not self._waits(Why.ACK):
            return
        self._wait = None
        self._queue[:0] = unquoted(mark.payload).encode().replace(self._setup.nonce.encode(), b"")
        if self._verdict == b"y":
            self._place = Place.RUNNING
            self._typing = Typing()
            self._hold(Wait(Why.ANSWER, t, t + SETTLE_LATEST, QUIET))
        else:
            self._place = Place.PROMPT

    def _frame(self, mark: Mark, answer: str) -> bytes:
        return f"\x1e{self._setup.nonce};{mark.level};{mark.serial};{answer}\x1e".encode()

    # ------------------------------------------------------------ hooking

    def _begin_boot(self, t: int) -> None:
        self._levels += 1
        self._boot = Boot(self._setup.nonce, self._setup.tag, self._levels)
        self._place = Place.BOOT
        self._hold(Wait(Why.BOOT, t, t + PROMPT_LATEST, PROMPT_QUIET if self._output_at else None))

    def _versions(self, mark: Mark, t: int) -> None:
        boot = self._boot
        if boot is None or boot.step is not Step.VERSIONS or mark.level != boot.level:
            return
        lines = boot.inject(mark.payload)
        if lines is None:
            self._end_boot("the shell is none that can report its lines")
            return
        self._send(lines)
        self._hold(Wait(Why.BOOT, t, t + ANSWER_LATEST))

    def _ready(self, mark: Mark, t: int) -> None:
        boot = self._boot
        if boot is None or boot.step is not Step.READY or mark.level != boot.level:
            return
        self._serials[boot.level] = 0
        self._boot = None
        self._place = Place.RUNNING
        self._show(b"\r\x1b[K")
        self._typing = Typing()
        self._out.append(Fact("gate-hooked", {"shell": boot.shell, "level": boot.level}))
        self._hold(Wait(Why.ANSWER, t, t + REPORT_LATEST))

    def _end_boot(self, why: str) -> None:
        """This shell does not report: its lines are read from the keys and the screen."""
        boot = self._boot
        if boot is None:
            return
        self._boot, self._wait = None, None
        self._place = Place.RUNNING if self._level else Place.UNHOOKED
        if boot.swallowing:
            self._show(b"\r\x1b[K" + bytes(boot.swallowed))
        self._typing = Typing()
        self._out.append(Fact("gate-unhooked", {"why": why}))

    # ------------------------------------------------------------ waiting

    def _waits(self, *whys: Why) -> bool:
        return self._wait is not None and self._wait.why in whys

    def _hold(self, wait: Wait) -> None:
        self._wait = wait
        due = wait.until if wait.quiet is None else min(wait.until, wait.since + wait.quiet)
        self._out.append(Wake(due))

    def _over(self, wait: Wait, t: int) -> None:
        """What was waited for did not come."""
        self._wait = None
        if wait.why is Why.BOOT:
            self._boot_over(t)
        elif wait.why is Why.REPORT and wait.key is not None and wait.key.full in ENTERS:
            ping = f"\x1e{self._setup.nonce};{self._level};0;q\x1e"
            self._send(ping.encode())
            self._hold(Wait(Why.PONG, t, t + REPORT_LATEST))
        elif wait.why in (Why.PONG, Why.ACK):
            self._place = Place.LOST
            self._out.append(Fact("gate-lost", {"level": self._level}))
            self._typing = Typing()
        elif wait.why is Why.SETTLE and wait.key is not None:
            self._decide(self._typing.evidence(self._view.sync()), wait.key, t)
        elif wait.why is Why.KILL:
            self._killed(t)

    def _boot_over(self, t: int) -> None:
        boot = self._boot
        if boot is None:
            return
        if boot.step is Step.PROMPT:
            self._send(boot.probe())
            self._hold(Wait(Why.BOOT, t, t + ANSWER_LATEST))
        else:
            self._end_boot("the shell did not answer")

    def _look_again(self, t: int) -> None:
        """A held key: if keys and screen agree by now, there is nothing to wait for."""
        wait = self._wait
        if wait is None or wait.why is not Why.SETTLE or wait.key is None:
            if wait is not None and wait.why is Why.BOOT and wait.quiet is None and self._boot is not None:
                if self._boot.step is Step.PROMPT:
                    wait.quiet = PROMPT_QUIET
                    self._out.append(Wake(t + PROMPT_QUIET))
            return
        screen = self._view.sync()
        if self._full_screen():
            self._wait = None
            self._screen_key(wait.key, t)
            return
        evidence = self._typing.evidence(screen)
        if evidence.agreed:
            self._wait = None
            self._decide(evidence, wait.key, t)

    # ------------------------------------------------------------ judging what another program reads

    def _full_screen(self) -> bool:
        return self._view.sync().alternate and takes_screen(self._accepted)

    def _screen_key(self, key: Key, t: int) -> None:
        """Enter in an editor or pager: only what goes to a shell from there is a line."""
        row = picture.cursor_row(self._view.sync()).strip()
        command = screen_escape(row)
        ruling = self._rule([Candidate(command, Source.ROWS)]) if command else ALLOWED
        if command:
            self._note(command, Source.ROWS, False, ruling)
        if ruling.allowed:
            self._typing.next_line()
            self._send(key.raw)
            return
        self._typing.next_line()
        self._send(b"\x03")
        self._refuse(ruling, command, None, overlay=True)
        self._overlay_until = t + OVERLAY_TIME
        self._out.append(Wake(self._overlay_until))

    def _decide(self, evidence: Evidence, key: Key, t: int) -> None:
        candidates = list(evidence.candidates)
        if self._poison and not remains(self._poison, picture.around_cursor(self._view.sync())):
            self._poison = ""
        if self._poison:
            candidates += [Candidate(self._poison + c.text, c.source, c.secret) for c in candidates]
        if reads_no_shell(self._accepted):
            inner = [(text, c) for c in candidates for text in handed_over(c.text)]
            candidates += [Candidate(text, c.source, c.secret) for text, c in inner]
        blank = evidence.agreed and not any(c.text.strip() for c in candidates)
        ruling = ALLOWED if blank else self._rule(candidates)
        if ruling.allowed and not evidence.readable and not blank:
            ruling = self._doubt(evidence)
        if not blank:
            source = candidates[0].source if candidates else Source.ROWS
            self._note("" if evidence.silent else evidence.text, source, evidence.agreed, ruling, evidence.silent)
        if ruling.allowed:
            self._accept(evidence, key, t)
        else:
            self._kill(ruling, evidence, t)

    def _accept(self, evidence: Evidence, key: Key, t: int) -> None:
        self._send(key.raw)
        if self._pasting and key.full in ENTERS:
            self._typing.accepted(evidence.text)
            return
        if evidence.text.strip() and not evidence.silent:
            self._expect_below(evidence.text)
        self._typing.accepted("" if evidence.silent else evidence.text)
        self._hold(Wait(Why.ANSWER, t, t + SETTLE_LATEST, QUIET))

    def _expect(self, line: str) -> None:
        """An accepted line is about to run."""
        self._accepted = line
        self._nestable = starts_shell(line)

    def _expect_below(self, line: str) -> None:
        """The same for a line of a program that reads: it does not end a REPL, the old prompt does."""
        prompt = self._typing.start.prompt if self._typing.start is not None else ""
        if reads_no_shell(self._accepted) and prompt != self._accepted_at:
            return
        self._accepted_at = prompt
        self._expect(line)

    def _rule(self, candidates: list[Candidate]) -> Ruling:
        return self._judge(candidates)

    def _doubt(self, evidence: Evidence) -> Ruling:
        if self._setup.pass_doubt:
            self._out.append(Fact("gate-doubt-passed", {"why": evidence.why}))
            return ALLOWED
        return Ruling(Word.DOUBT, "", _UNCLEAR)

    # ------------------------------------------------------------ refusing

    def _kill(self, ruling: Ruling, evidence: Evidence, t: int) -> None:
        """Take the line back from the program that has it, and make sure that it is gone."""
        self._drop_lines()
        if self._pasting:
            self._send(b"\x1b[201~")
            self._dropping = True
        at_prompt = self._place in (Place.UNHOOKED, Place.LOST) and not takes_screen(self._accepted)
        prompt = self._typing.start.prompt.rstrip() if self._typing.start is not None else ""
        interrupt = (
            bool(self._typing.earlier) or self._typing.cooked.pushed or evidence.silent
            or (at_prompt and prompt.endswith(("$", "#", "%", ">")))
        )  # fmt: skip
        erase = len(self._poison) + len(evidence.text)
        self._killing = Killing(ruling, evidence.text, self._typing.start, interrupt, erase, evidence.silent)
        self._next_kill(t)

    def _next_kill(self, t: int) -> None:
        killing = self._killing
        assert killing is not None, "there is a line to kill"
        keys = killing.next(self._view.sync())
        if keys is None:
            self._poison = "" if killing.secret else (self._poison + killing.text)[-4096:]
            self._out.append(Fact("gate-poisoned", {}))
            self._tell_killed(killing, t)
            return
        if keys == b"\x03":
            self._typing.earlier = ""
        self._send(keys)
        self._hold(Wait(Why.KILL, t, t + KILL_LATEST, QUIET))

    def _killed(self, t: int) -> None:
        killing = self._killing
        if killing is None:
            return
        if killing.proven(self._view.sync()):
            self._poison = ""
            self._tell_killed(killing, t)
        else:
            self._next_kill(t)

    def _tell_killed(self, killing: Killing, t: int) -> None:
        self._killing = None
        self._typing.next_line()
        screen = self._view.sync()
        overlay = self._full_screen()
        repaint = None if overlay else picture.repaint(screen)
        self._refuse(killing.ruling, "" if killing.secret else killing.text, repaint, overlay)

    def _refuse(self, ruling: Ruling, line: str, repaint: bytes | None, overlay: bool = False) -> None:
        if line.isprintable() and not overlay:
            self._recall = line
        self._out.append(Refused(ruling, line, repaint, overlay))

    def _drop_lines(self) -> None:
        """What was typed or pasted behind a refused line does not run on its own."""
        if b"\r" in self._queue or b"\n" in self._queue:
            self._queue.clear()

    def _end_overlay(self) -> None:
        if self._overlay_until is None:
            return
        self._overlay_until = None
        screen = self._view.sync()
        self._out.append(Restore(picture.last_row(screen)))

    # ------------------------------------------------------------ small

    def _note(self, text: str, source: Source, agreed: bool, ruling: Ruling, secret: bool = False) -> None:
        fields: dict[str, str | int | bool | None] = {
            "text": text[:4096], "source": source.value, "agreed": agreed, "verdict": ruling.word.value,
            "rule": ruling.rule, "reason": ruling.reason, "state": self._place.value,
        }  # fmt: skip
        if secret:
            fields |= {"text": "", "secret": True}
        self._out.append(Fact("line", fields))

    def _show(self, data: bytes) -> None:
        """Our own drawing, between the target's."""
        self._out.append(ToClient(data))
        self._view.add(data)

    def _send(self, data: bytes) -> None:
        last = self._out[-1] if self._out else None
        if isinstance(last, ToTarget):
            self._out[-1] = ToTarget(last.data + data)
        else:
            self._out.append(ToTarget(data))

    def _done(self) -> list[Doing]:
        out, self._out = self._out, []
        return out
