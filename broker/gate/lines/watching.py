"""A program that reads lines and does not report them: judged by the keys and the screen."""

from __future__ import annotations

from broker.gate.lines import picture
from broker.gate.lines.doings import Restore
from broker.gate.lines.flow import MS, PASTE_END, QUIET, SETTLE_LATEST, Flow, Place, Wait, Why
from broker.gate.lines.foreign import reads_no_shell, screen_escape
from broker.gate.lines.keys import Key, Kind
from broker.gate.lines.kill import INTERRUPT, Killing, remains
from broker.gate.lines.programs import takes_screen
from broker.gate.lines.ruling import ALLOWED, Candidate, Ruling, Source, Word
from broker.gate.lines.typing import Evidence, same
from broker.gate.reading.place import Reads, Where

KILL_LATEST = 600 * MS
OVERLAY_TIME = 5000 * MS
LONGEST_POISON = 4096
INTERRUPTS = frozenset({b"\x03", b"\x1c", b"\x1a"})
UNCLEAR = "this line cannot be read for sure: press Ctrl-U and type it again"


class Watching:
    """Holds each key that may run a line until the line was judged."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._key_at = 0
        self._killing: Killing | None = None
        self._poison = ""
        """Refused text that could not be taken back: the program may still have it."""
        self._carried = ""
        """Text that an interrupt should have ended, and the prompt in front of it."""
        self._carried_at = ""
        self.overlay_until: int | None = None
        """When the notice over a full-screen program goes."""

    def key(self, key: Key, t: int) -> None:
        """A key for the program."""
        flow = self._flow
        if key.kind is Kind.ACCEPT:
            flow.hold(Wait(Why.SETTLE, t, t + SETTLE_LATEST, QUIET, key))
            self.look_again(t)
            return
        if key.full in INTERRUPTS:
            self._interrupted()
        look = flow.typing.fresh or flow.output_at > self._key_at
        flow.typing.take(key, flow.view.sync() if look else None)
        self._key_at = t
        flow.send(key.raw)

    def _interrupted(self) -> None:
        """The key should end the line, but may have been rebound: the text is kept in mind while it shows."""
        typing = self._flow.typing
        text = typing.everything
        if text.strip():
            self._carried = (self._carried + text + "\x03")[-LONGEST_POISON:]
            self._carried_at = typing.start.prompt if typing.start is not None else ""

    def look_again(self, t: int) -> None:
        """If keys and screen agree by now, there is nothing to wait for."""
        flow, wait = self._flow, self._flow.wait
        if wait is None or wait.why is not Why.SETTLE or wait.key is None:
            return
        if self._full_screen():
            flow.wait = None
            self._screen_key(wait.key, t)
            return
        evidence = flow.typing.evidence(flow.view.sync())
        if evidence.agreed and (flow.typing.plain or t - max(flow.output_at, self._key_at) >= QUIET):
            flow.wait = None
            self._decide(evidence, wait.key, t)

    def settled(self, key: Key, t: int) -> None:
        """It has been silent: what is known now has to do."""
        self._decide(self._flow.typing.evidence(self._flow.view.sync()), key, t)

    # ------------------------------------------------------------ full-screen programs

    def _full_screen(self) -> bool:
        return takes_screen(self._flow.accepted) and self._flow.view.sync().alternate

    def _screen_key(self, key: Key, t: int) -> None:
        """Enter in an editor or pager: only what goes to a shell from there is a line."""
        flow = self._flow
        flow.typing.next_line()
        command = screen_escape(picture.cursor_row(flow.view.sync()).strip())
        handed = Where(Reads.HANDED)
        ruling = flow.rule([Candidate(command, Source.ROWS)], handed) if command else ALLOWED
        if command:
            flow.note(command, Source.ROWS, False, ruling)
        if ruling.allowed:
            flow.send(key.raw)
            return
        flow.send(INTERRUPT)
        self._overlay(ruling, command, t)

    def _overlay(self, ruling: Ruling, line: str, t: int) -> None:
        self._flow.refuse(ruling, line, None, overlay=True)
        self.overlay_until = t + OVERLAY_TIME

    def end_overlay(self, t: int | None = None) -> None:
        """Draw what the notice covered: at the next key, or when its time is over."""
        if self.overlay_until is not None and (t is None or t >= self.overlay_until):
            self.overlay_until = None
            self._flow.out.append(Restore(picture.last_row(self._flow.view.sync())))

    # ------------------------------------------------------------ judging

    def _decide(self, evidence: Evidence, key: Key, t: int) -> None:
        flow = self._flow
        candidates = self._with_more(list(evidence.candidates))
        blank = evidence.agreed and not any(one.text.strip() for one in candidates)
        ruling = ALLOWED if blank else flow.rule(candidates)
        if ruling.allowed and not evidence.readable and not blank:
            ruling = self._doubt(evidence)
        if not blank:
            source = candidates[0].source if candidates else Source.ROWS
            flow.note(evidence.text, source, evidence.agreed, ruling, evidence.silent)
        if ruling.allowed:
            self._accept(evidence, key, t)
        else:
            self._kill(ruling, evidence, t)

    def _with_more(self, candidates: list[Candidate]) -> list[Candidate]:
        """Also what could still stand in front of the line."""
        flow = self._flow
        if self._carried and self._begins_anew():
            self._carried = ""
        whole = picture.behind(flow.view.sync(), flow.typing.prompt)
        if whole and not any(same(one.text.rpartition("\n")[2], whole) for one in candidates):
            candidates.append(Candidate(whole, Source.SCREEN))
        if before := self._poison + self._carried:
            candidates += [Candidate(before + one.text, one.source, one.secret) for one in candidates]
        return candidates

    def _begins_anew(self) -> bool:
        """True if the line begins behind a prompt like that of the line before, and that one is not shown."""
        screen = self._flow.view.sync()
        start = self._flow.typing.start or picture.start_of(screen)
        if start.prompt == self._carried_at and start.prompt.strip():
            return True
        alike = start.prompt.rstrip()[-1:] == self._carried_at.rstrip()[-1:] != ""
        return alike and not remains(self._carried, picture.around_cursor(screen))

    def _doubt(self, evidence: Evidence) -> Ruling:
        if self._flow.setup.pass_doubt:
            self._flow.fact("gate-doubt-passed", why=evidence.why)
            return ALLOWED
        return Ruling(Word.DOUBT, "", UNCLEAR)

    def _accept(self, evidence: Evidence, key: Key, t: int) -> None:
        flow = self._flow
        flow.send(key.raw)
        self.forget()
        text = "" if evidence.silent else evidence.text
        if text.strip():
            flow.went_out(text)
            if not flow.pasting:
                self._expect(text)
        flow.typing.accepted(text)
        flow.hold(Wait(Why.ANSWER, t, t + SETTLE_LATEST, QUIET))

    def _expect(self, line: str) -> None:
        """A line does not end a REPL; the prompt that the REPL was started at does."""
        flow = self._flow
        prompt = flow.typing.start.prompt if flow.typing.start is not None else ""
        if not reads_no_shell(flow.accepted) or prompt == flow.accepted_at:
            flow.expect(line, prompt)

    # ------------------------------------------------------------ taking a line back

    def _kill(self, ruling: Ruling, evidence: Evidence, t: int) -> None:
        flow, typing = self._flow, self._flow.typing
        flow.drop_lines()
        if flow.pasting:
            flow.send(PASTE_END)
            flow.dropping = True
        prompt = typing.start.prompt.rstrip() if typing.start is not None else ""
        at_shell = flow.place in (Place.UNHOOKED, Place.LOST) and prompt.endswith(("$", "#", "%", ">"))
        interrupt = bool(typing.earlier) or typing.cooked.pushed or evidence.silent or at_shell
        shown = [one.text for one in evidence.candidates if one.source is not Source.ROWS]
        text = max([*shown, typing.everything], key=len)
        erase = len(self._poison) + len(self._carried) + len(text)
        self._killing = Killing(ruling, text, typing.prompt, typing.start, interrupt, erase, evidence.silent)
        self._try(self._killing, t)

    def _try(self, killing: Killing, t: int) -> None:
        flow = self._flow
        keys = killing.next(flow.view.sync())
        if keys is None:
            left = "" if killing.secret else self._poison + self._carried + killing.text
            self._poison, self._carried = left[-LONGEST_POISON:], ""
            flow.fact("gate-poisoned")
            self._tell(killing, t)
            return
        if keys == INTERRUPT:
            flow.typing.earlier = ""
        flow.send(keys)
        flow.hold(Wait(Why.KILL, t, t + KILL_LATEST, QUIET))

    def killed(self, t: int) -> None:
        """The keys that take a line back had their time."""
        killing = self._killing
        if killing is None:
            return
        if killing.proven(self._flow.view.sync()):
            self.forget()
            self._tell(killing, t)
        else:
            self._try(killing, t)

    def _tell(self, killing: Killing, t: int) -> None:
        flow = self._flow
        self._killing = None
        flow.typing.next_line()
        line = "" if killing.secret else killing.text
        if self._full_screen():
            self._overlay(killing.ruling, line, t)
        else:
            flow.refuse(killing.ruling, line, picture.repaint(flow.view.sync()))

    def forget(self) -> None:
        """Nothing of earlier lines is left."""
        self._poison = self._carried = ""
