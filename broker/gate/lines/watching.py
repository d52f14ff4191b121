"""A program that reads lines and does not report them: judged by the keys and the screen."""

from __future__ import annotations

from dataclasses import replace

from broker.gate.lines import picture
from broker.gate.lines.doings import Refused
from broker.gate.lines.flow import MS, PASTE_END, QUIET, SETTLE_LATEST, Flow, Place, Wait, Why
from broker.gate.lines.foreign import reads_no_shell, screen_escape
from broker.gate.lines.holding import Holding
from broker.gate.lines.keys import Key, Kind
from broker.gate.lines.kill import INTERRUPT, Killing, remains
from broker.gate.lines.programs import takes_screen
from broker.gate.lines.ruling import ALLOWED, Candidate, Ruling, Source, Word, stricter
from broker.gate.lines.typing import Evidence, same
from broker.gate.reading.place import Reads, Where

KILL_LATEST = 600 * MS
LONGEST_POISON = 4096
INTERRUPTS = frozenset({b"\x03", b"\x1c", b"\x1a"})
NO_ECHO = "it needs a word of approval and was typed without echo, so it cannot be shown to anybody"
IN_PASTE = "it needs a word of approval: type or paste it on its own"
UNCLEAR = "this line cannot be read for sure: press Ctrl-U and type it again"


class Watching:
    """Holds each key that may run a line until the line was judged."""

    def __init__(self, flow: Flow, holding: Holding) -> None:
        self._flow, self._holding = flow, holding
        self._key_at = 0
        self._killing: Killing | None = None
        self._poison = ""
        """Refused text that could not be taken back: the program may still have it."""
        self._carried = ""
        """Text that an interrupt should have ended, and the prompt in front of it."""
        self._carried_at = ""

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
        if ruling.word is Word.HOLD:
            ruling = stricter(ruling, self._doubt("a row of the screen may be less than the line"))
        if command:
            flow.note(command, Source.ROWS, False, ruling)
        if ruling.waits:
            self._holding.open(
                ruling,
                command,
                t,
                release=lambda t: flow.send(key.raw),
                drop=lambda t: flow.send(INTERRUPT),
                unchanged=lambda: screen_escape(picture.cursor_row(flow.view.sync()).strip()) == command,
            )
        elif ruling.allowed:
            flow.warn(ruling, command)
            flow.send(key.raw)
        else:
            flow.send(INTERRUPT)
            flow.refuse(Refused(ruling, command, None, overlay=True))

    # ------------------------------------------------------------ judging

    def _decide(self, evidence: Evidence, key: Key, t: int) -> None:
        flow = self._flow
        candidates = self._with_more(list(evidence.candidates))
        blank = evidence.agreed and not any(one.text.strip() for one in candidates)
        ruling = ALLOWED if blank else self._ruled(evidence, candidates)
        if not blank:
            source = candidates[0].source if candidates else Source.ROWS
            flow.note(evidence.text, source, evidence.agreed, ruling, evidence.silent)
        if ruling.waits:
            self._wait(ruling, evidence, key, t)
        elif ruling.allowed:
            if not evidence.silent:
                flow.warn(ruling, evidence.text)
            self._accept(evidence, key, t)
        else:
            self._kill(ruling, evidence, t)

    def _ruled(self, evidence: Evidence, candidates: list[Candidate]) -> Ruling:
        """The answer to all readings. What nobody has read for sure, nobody can approve."""
        ruling = self._flow.rule(candidates)
        exact = all(one.source is Source.AGREED for one in candidates)
        more = bool(self._poison or self._carried)  # than what is shown to whoever has to say the word
        unsure = not evidence.readable or (ruling.waits and more) or (ruling.word is Word.HOLD and not exact)
        if unsure and ruling.word is not Word.DENY:
            ruling = stricter(ruling, self._doubt(evidence.why))
        if ruling.waits and (evidence.silent or self._flow.pasting):
            why = NO_ECHO if evidence.silent else IN_PASTE
            return replace(ruling, word=Word.DENY, reason=f"{ruling.reason}: {why}")
        return ruling

    def _wait(self, ruling: Ruling, evidence: Evidence, key: Key, t: int) -> None:
        self._holding.open(
            ruling,
            evidence.text,
            t,
            release=lambda t: self._accept(evidence, key, t),
            drop=lambda t: self._kill(ruling, evidence, t, told=True),
            unchanged=lambda: self._is_still(evidence),
            redraw=True,
        )

    def _is_still(self, evidence: Evidence) -> bool:
        """Keys and screen agree now, on what was judged."""
        now = self._flow.typing.evidence(self._flow.view.sync())
        return evidence.agreed and now.agreed and now.text == evidence.text

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

    def _doubt(self, why: str) -> Ruling:
        ruling = self._flow.setup.doubt(UNCLEAR)
        if ruling.allowed:
            self._flow.fact("gate-doubt-passed", why=why)
        return ruling

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

    def _kill(self, ruling: Ruling, evidence: Evidence, t: int, told: bool = False) -> None:
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
        rows = picture.line_rows(flow.view.sync())
        self._killing = Killing(
            ruling, text, typing.prompt, typing.start, interrupt, erase, evidence.silent, rows, told
        )
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
        if killing.told:
            flow.bring_back(line)
        elif flow.view.sync().alternate:
            flow.refuse(Refused(killing.ruling, line, None, overlay=True))
        else:
            row = picture.repaint(flow.view.sync())
            flow.refuse(Refused(killing.ruling, line, row, above=killing.above if line else b""))

    def forget(self) -> None:
        """Nothing of earlier lines is left."""
        self._poison = self._carried = ""
