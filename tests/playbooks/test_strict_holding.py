"""A line at the strict prompt that somebody has to say a word about: it waits, and stays edited here."""

from __future__ import annotations

from typing import Any

from broker.gate.lines.flow import Setup
from broker.gate.strict.gate import StrictGate
from broker.session import actions as act
from broker.session.events import ApprovalOpened, ApprovalSettled
from broker.session.notices import Voice
from broker.session.strict import StrictLines
from recorder.screen import Screen
from tests.playbooks.gated import NONCE, judge
from tests.playbooks.strict import FRAME, _plain

SECOND = 1_000_000


class Desk:
    """A strict session with its notices, and a shell that answers each frame. `ran`: lines it was given."""

    def __init__(self) -> None:
        self.gone_out: list[tuple[str, str, int]] = []
        self.gate = StrictGate(Setup(80, 24, NONCE, "_t"), judge, frozenset(), self._accepted)
        self.lines = StrictLines(self.gate, Voice(terminal=True))
        self.screen, self.actions = Screen(80, 24), list[act.Action]()
        self.now, self.serial, self._taken = 0, 0, 0
        self.sent, self.ran = bytearray(), list[str]()
        self._do(self.lines.start(0))
        self.hear("\x1b[?2004huser$ ").wait(0.2)
        self.mark("V", "5.2.15(1)-release,,,/bin/bash").mark("R", "bash")
        self._taken = len(self.sent)
        self.call()

    def _accepted(self, text: str, where: object) -> None:
        self.gone_out.append((text, where.reads.value, where.level))  # type: ignore[attr-defined]

    def say(self, keys: str) -> Desk:
        self.now += SECOND
        self._do(self.lines.client(keys.encode(), self.now))
        return self._answer()

    def hear(self, data: str) -> Desk:
        self.now += 1000
        self._do(self.lines.target(data.encode(), False, self.now))
        return self

    def wait(self, seconds: float) -> Desk:
        self.now += int(seconds * SECOND)
        self._do(self.lines.wake(self.now))
        return self

    def on(self, event: ApprovalOpened | ApprovalSettled) -> Desk:
        settled = isinstance(event, ApprovalSettled)
        self._do(self.lines.settled(event, self.now) if settled else self.lines.opened(event, self.now))  # type: ignore[arg-type]
        return self._answer()

    def mark(self, kind: str, payload: str = "", serial: int | None = None) -> Desk:
        number = self.serial if serial is None else serial
        return self.hear(f"\x1b]5522;{NONCE};1;{kind};{number};{payload}\x07")

    def call(self) -> Desk:
        return self.mark("S", "$'0\\037/home\\037user$ \\037> \\037himBH'")._answer()

    def _answer(self) -> Desk:
        while match := FRAME.search(bytes(self.sent), self._taken):
            self._taken = match.end()
            if match[3] == b"g":
                self.mark("B", "''").mark("P")
                continue
            self.serial = int(match[2])
            text = _plain(match[4] or b"")
            self.ran.append(text)
            self.hear("\r\x1b[K").mark("A", "''").hear(f"{text}\r\n\r").mark("X", serial=0)
        return self

    def _do(self, actions: list[act.Action]) -> None:
        self.actions += actions
        for action in actions:
            if isinstance(action, act.SendTarget):
                self.sent += action.data
            elif isinstance(action, act.SendClient):
                self.screen.feed(action.data)

    def of(self, kind: type) -> list[Any]:
        return [action for action in self.actions if isinstance(action, kind)]

    @property
    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.screen.display() if row.strip()]

    @property
    def row(self) -> str:
        return "".join(self.screen.columns(self.screen.cursor.y)).rstrip()


def held() -> Desk:
    return Desk().say("hold fire\r").on(ApprovalOpened(1, "R-4F2", "1 of bob", 900))


def test_a_warned_line_runs_and_its_user_is_told() -> None:
    desk = Desk().say("warn me\r")
    assert desk.ran == ["warn me"]
    assert "▲ WARNING  warn is not for everybody (rule warn-it, p.yaml:7)." in desk.rows
    assert desk.gone_out == [("warn me", "shell", 1)]


def test_a_line_to_confirm_runs_at_y() -> None:
    desk = Desk().say("confirm it\r")
    assert desk.ran == []
    assert desk.lines.holds
    assert desk.lines.state == "line: confirming"
    assert desk.rows[-1].startswith("▲ CONFIRM  Press y to run it")
    desk.say("y")
    assert desk.ran == ["confirm it"]
    assert not desk.lines.holds


def test_any_other_key_leaves_the_line_in_the_editor() -> None:
    desk = Desk().say("confirm it\r").say("n")
    assert desk.ran == []
    assert desk.gone_out == []
    assert desk.row == "user$ confirm it"
    desk.say("\x15echo ok\r")
    assert desk.ran == ["echo ok"]


def test_a_held_line_is_asked_about_and_sent_once() -> None:
    desk = held()
    (asked,) = desk.of(act.OpenApproval)
    assert (asked.line, asked.rule) == ("hold fire", "hold-it")
    assert desk.ran == []
    assert desk.lines.state == "line: held"
    assert any(row.startswith("► HELD R-4F2  needs 1 of bob.") for row in desk.rows)
    assert sum("hold fire" in row for row in desk.rows) == 1, "the line stands above, once"
    for _ in range(2):
        desk.on(ApprovalSettled(1, "approved", "bob", ""))
    assert desk.ran == ["hold fire"]
    assert desk.gone_out == [("hold fire", "shell", 1)]
    used = [n for n, action in enumerate(desk.actions) if isinstance(action, act.UseApproval)]
    sent = [
        n
        for n, action in enumerate(desk.actions)
        if isinstance(action, act.SendTarget) and b"hold fire" in action.data
    ]
    assert len(used) == len(sent) == 1
    assert used < sent


def test_what_is_typed_meanwhile_goes_nowhere() -> None:
    desk = held().say("echo sneaked\r")
    desk.on(ApprovalSettled(1, "approved", "bob", ""))
    assert desk.ran == ["hold fire"]


def test_denied_it_stays_to_be_edited() -> None:
    desk = held().on(ApprovalSettled(1, "denied", "bob", "no"))
    assert desk.ran == []
    assert desk.row == "user$ hold fire"
    assert any(row.startswith("■ DENIED  by bob") for row in desk.rows)
    assert "Arrow up" not in "".join(desk.rows)


def test_ctrl_c_takes_the_question_back() -> None:
    desk = held().say("\x03")
    assert [cancel.why for cancel in desk.of(act.CancelApproval)] == ["cancelled"]
    desk.on(ApprovalSettled(1, "approved", "bob", ""))
    assert desk.ran == []
    assert desk.row == "user$ hold fire"


def test_lines_behind_a_held_one_wait_for_enter_and_are_judged() -> None:
    desk = Desk().say("hold fire\rforbidden\r").on(ApprovalOpened(1, "R-4F2", "1 of bob", 900))
    desk.on(ApprovalSettled(1, "approved", "bob", "")).call().wait(1)
    assert desk.ran == ["hold fire"]
    desk.say("\r")
    assert desk.ran == ["hold fire"]
    assert any(row.startswith("■ BLOCKED  forbidden never runs") for row in desk.rows)


def test_output_that_comes_meanwhile_is_shown_afterwards() -> None:
    desk = held().hear("a job speaks")
    assert "a job speaks" not in desk.rows
    desk.say("\x03")
    assert "a job speaks" in desk.rows
    assert desk.row == "user$ hold fire"


def test_a_new_prompt_ends_the_wait() -> None:
    desk = held().call()
    assert [cancel.why for cancel in desk.of(act.CancelApproval)] == ["gone"]
    desk.on(ApprovalSettled(1, "approved", "bob", ""))
    assert desk.ran == []
    assert desk.row == "user$"


def test_a_shell_that_is_lost_takes_the_question_back_and_ends() -> None:
    desk = held().mark("T", "tampered")
    assert desk.of(act.CancelApproval)
    assert isinstance(desk.actions[-1], act.Close)


def test_what_a_program_reads_is_held_too() -> None:
    desk = Desk().say("bc\r").hear("> ").wait(1)
    desk.say("hold 1")
    desk.hear("hold 1").wait(1).say("\r").wait(1)
    (asked,) = desk.of(act.OpenApproval)
    assert asked.line == "hold 1"
    desk.on(ApprovalOpened(1, "R-4F2", "1 of bob", 900)).on(ApprovalSettled(1, "approved", "bob", ""))
    assert desk.sent.count(b"\r")
    assert desk.sent.endswith(b"\r")
    assert desk.gone_out[-1] == ("hold 1", "program", 1)


def test_the_report_says_how_lines_become_known() -> None:
    desk = Desk().say("echo a\r").call().say("forbidden\r")
    report = desk.lines.report
    assert (report.mode, report.allowed, report.denied, report.source) == ("editor", 1, 1, "editor")
