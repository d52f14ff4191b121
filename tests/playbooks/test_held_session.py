"""Conversations with a core whose lines are gated: what is asked, shown and kept of a line that waits."""

from __future__ import annotations

import hashlib
import re

import pytest

from broker.gate.lines.gate import LineGate, Setup
from broker.gate.lines.piped import PipedGate
from broker.model import exits
from broker.session import events as ev
from broker.session.actions import (
    Action,
    Audit,
    CancelApproval,
    Close,
    EofTarget,
    OpenApproval,
    PauseClient,
    RecordEvent,
    RecordMarker,
    RecordOutput,
    SendClient,
    SendTarget,
    SetTimer,
    UseApproval,
)
from broker.session.core import SECOND, SessionCore, Terms
from broker.session.lines import NOTICE, TIMER, GatedLines, Lines
from broker.session.notices import Voice
from broker.session.stream import PipedLines
from recorder.screen import Screen
from tests.playbooks.gated import NONCE, TERMS, judge

BOOT = (
    ("\x1b[?2004huser$ ", 0.2),
    (f"\x1b]5522;{NONCE};1;V;0;5.2,,\x07", 0),
    (f"\x1b]5522;{NONCE};1;R;0;bash\x07\x1b]5522;{NONCE};1;P;0;\x07user$ ", 0.2),
)


class Talk:
    """A core, the time, and the actions since the last look."""

    def __init__(self, lines: Lines | None, voice: Voice, *, idle: int | None = None) -> None:
        self.core = SessionCore(Terms(voice, idle and idle * SECOND, None, lines=lines))
        self.t = 0
        self.timers: dict[str, int] = {}
        self.new: list[Action] = []
        self.screen = Screen(80, 24)
        self.shown = b""
        self._do(self.core.start())

    def on(self, event: ev.Event) -> Talk:
        self.t += 1_000
        self._do(self.core.handle(event, self.t))
        return self

    def hear(self, data: str) -> Talk:
        return self.on(ev.TargetBytes(data.encode()))

    def type(self, data: str) -> Talk:
        return self.on(ev.ClientBytes(data.encode()))

    def wait(self, seconds: float) -> Talk:
        end = self.t + round(seconds * SECOND)
        while self.timers and min(self.timers.values()) <= end:
            name = min(self.timers, key=lambda name: self.timers[name])
            self.t = max(self.t, self.timers.pop(name))
            self._do(self.core.handle(ev.TimerFired(name), self.t))
        self.t = end
        return self

    def look(self) -> list[Action]:
        """What was done, timers aside."""
        new, self.new = self.new, []
        return [action for action in new if not isinstance(action, SetTimer)]

    def of(self, kind: type) -> list[Action]:
        return [action for action in self.look() if isinstance(action, kind)]

    @property
    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.screen.display() if row.strip()]

    def _do(self, actions: list[Action]) -> None:
        self.new += actions
        for action in actions:
            if isinstance(action, SetTimer):
                self.timers[action.name] = action.at
            elif isinstance(action, SendClient):
                self.screen.feed(action.data)
                self.shown += action.data


def at_prompt(*, utf8: bool = True, idle: int | None = None) -> Talk:
    """A session at the prompt of a hooked bash."""
    voice = Voice(terminal=True, utf8=utf8)
    gate = LineGate(Setup(80, 24, NONCE, "_t"), judge)
    talk = Talk(GatedLines(gate, voice, 1_800_000_000_000_000), voice, idle=idle)
    for data, pause in BOOT:
        talk.hear(data).wait(pause)
    talk.look()
    return talk


def held(line: str = "hold x", *, utf8: bool = True, idle: int | None = None) -> Talk:
    """The same, and it waits for the word on a line; the shell has cleared its row as readline does."""
    talk = at_prompt(utf8=utf8, idle=idle)
    return talk.type(f"{line}\r").hear(
        f"\r\x1b[K\x1b]5522;{NONCE};1;L;1;{line.replace(' ', chr(92) + ' ')}\x07"
    )


def sent(actions: list[Action]) -> bytes:
    return b"".join(action.data for action in actions if isinstance(action, SendTarget))


def test_the_question_has_the_exact_line_its_rule_and_the_screen() -> None:
    talk = held()
    actions = talk.look()
    [ask] = [action for action in actions if isinstance(action, OpenApproval)]
    assert ask == OpenApproval(
        1, "hold x", "hold-it", "p.yaml:7", "hold is not for everybody", TERMS, ask.screen
    )
    assert isinstance(ask.screen, tuple)
    [event] = [action for action in actions if isinstance(action, RecordEvent) and action.kind == "held"]
    assert event.fields["sha256"] == hashlib.sha256(b"hold x").hexdigest()
    assert RecordMarker("held: hold x") in actions


def test_nothing_is_said_before_there_is_a_request_or_a_moment_has_passed() -> None:
    talk = held()
    shown = len(talk.shown)
    assert b"HELD" not in talk.shown
    talk.on(ev.ApprovalOpened(1, "R-4F2", "1 of bob, carol", 900))
    assert "► HELD R-4F2  needs 1 of bob, carol.  00:00 waited, 15:00 left.  Ctrl-C cancels." in talk.rows
    assert len(talk.shown) > shown
    assert "► HELD  asking for approval.  Ctrl-C cancels." in held().wait(0.4).rows


def test_the_notice_is_one_row_brought_up_to_date_in_place() -> None:
    talk = held().on(ev.ApprovalOpened(1, "R-4F2", "1 of bob, carol", 900)).wait(72)
    notices = [row for row in talk.rows if "HELD" in row]
    assert notices == ["► HELD R-4F2  needs 1 of bob, carol.  01:10 waited, 13:50 left.  Ctrl-C cancels."]
    assert talk.shown.count(b"HELD") == 8
    assert "  hold is not for everybody (rule hold-it, p.yaml:7)." in talk.rows


def test_approved_it_is_used_then_sent_and_nothing_else_is() -> None:
    talk = held().on(ev.ApprovalOpened(1, "R-4F2", "1 of bob", 900))
    talk.look()
    talk.on(ev.ApprovalSettled(1, "approved", "bob", "ok"))
    actions = talk.look()
    at = actions.index(UseApproval(1))
    assert isinstance(actions[at + 1], SendTarget)
    assert sent(actions) == f"\x1e{NONCE};1;1;y\x1e".encode()
    assert RecordMarker("approved: hold x") in actions
    assert [
        row for row in talk.rows if re.fullmatch(r'● APPROVED  by bob \d\d:\d\d:\d\dZ "ok"\.  Running\.', row)
    ]
    assert talk.core.lines is not None
    assert (talk.core.lines.held, talk.core.lines.verdict, talk.core.lines.source) == (1, "hold", "hook")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("denied", '■ DENIED  by bob {} "no".  Nothing sent.  Arrow up brings it back.'),
        ("expired", "○ EXPIRED  nobody decided in time.  Nothing sent.  Arrow up brings it back."),
        ("failed", "■ NOT SENT  nobody can approve here.  Nothing sent.  Arrow up brings it back."),
    ],
)
def test_any_other_end_is_told_and_the_shell_refused(outcome: str, words: str) -> None:
    talk = held()
    talk.look()
    by, comment = {"denied": ("bob", "no"), "failed": ("", "nobody can approve here")}.get(outcome, ("", ""))
    talk.on(ev.ApprovalSettled(1, outcome, by, comment))
    actions = talk.look()
    assert sent(actions) == f"\x1e{NONCE};1;1;n\x1e".encode()
    assert not [action for action in actions if isinstance(action, UseApproval)]
    assert [row for row in talk.rows if re.sub(r"\d\d:\d\d:\d\dZ", "{}", row) == words]


def test_ctrl_c_cancels_the_request() -> None:
    talk = held().on(ev.ApprovalOpened(1, "R-4F2", "1 of bob", 900))
    talk.look()
    actions = talk.type("\x03").look()
    assert CancelApproval(1, "cancelled") in actions
    assert sent(actions) == f"\x1e{NONCE};1;1;n\x1e".encode()
    assert talk.on(ev.ApprovalSettled(1, "approved", "bob")).look() == []


@pytest.mark.parametrize(
    "end",
    [
        ev.ClientGone(),
        ev.KillRequested("killed", "bob", "x"),
        ev.SinkFailed("full"),
        ev.TargetGone("reset"),
    ],
)
def test_the_end_of_the_session_cancels_it(end: ev.Event) -> None:
    """lesson 17: what was asked for in a session that is over never runs."""
    talk = held()
    talk.look()
    actions = talk.on(end).look()
    assert isinstance(actions[-1], Close)
    assert actions[-2] == CancelApproval(1, actions[-1].reason)
    assert talk.on(ev.ApprovalSettled(1, "approved", "bob")).look() == []


def test_what_was_printed_meanwhile_is_not_lost_with_the_session() -> None:
    talk = held().hear("last words\r\n")
    talk.look()
    actions = talk.on(ev.TargetGone("reset")).look()
    assert RecordOutput(b"last words\r\n") in actions
    assert SendClient(b"last words\r\n") in actions
    talk = held().hear("last words\r\n")
    talk.look()
    actions = talk.on(ev.SinkFailed("full")).look()
    assert b"last words" not in b"".join(action.data for action in actions if isinstance(action, SendClient))


def test_a_session_that_waits_for_somebody_else_is_not_idle() -> None:
    talk = held(idle=60).on(ev.ApprovalOpened(1, "R-1", "1 of bob", 900)).wait(300)
    assert not talk.core.closed
    talk.on(ev.ApprovalSettled(1, "denied", "bob")).wait(130)
    assert talk.core.closed


def test_what_is_typed_meanwhile_is_hinted_at_once_in_the_notice() -> None:
    talk = held().on(ev.ApprovalOpened(1, "R-1", "1 of bob", 900))
    talk.type("ls\r").type("ls\r")
    assert " ".join(talk.rows).count("typed now is dropped.") == 1


def test_a_confirmation_asks_nobody_else() -> None:
    talk = held("confirm x")
    actions = talk.look()
    assert not [action for action in actions if isinstance(action, OpenApproval)]
    assert "▲ CONFIRM  Press y to run it, any other key drops it." in talk.rows
    actions = talk.wait(0.6).type("y").look()
    assert not [action for action in actions if isinstance(action, UseApproval)]
    assert [action.kind for action in actions if isinstance(action, RecordEvent)] == ["confirmed"]
    assert sent(actions).endswith(b";y\x1e")


def test_without_utf8_every_notice_is_ascii() -> None:
    talk = held(utf8=False).on(ev.ApprovalOpened(1, "R-1", "1 of bob", 900))
    talk.on(ev.ApprovalSettled(1, "approved", "bob", "grün"))
    assert "> HELD R-1  needs 1 of bob." in " ".join(talk.rows)
    assert talk.shown.isascii()


def test_words_of_others_act_on_no_terminal() -> None:
    """lesson 13: who decides writes a comment, and a policy a reason."""
    talk = held().on(ev.ApprovalOpened(1, "R-1\x1b[2J", "bob\x07", 900))
    talk.on(ev.ApprovalSettled(1, "denied", "bob\x1b]0;x\x07", "no\x9b2J"))
    assert b"\x1b[2J" not in talk.shown
    assert b"\x1b]0;" not in talk.shown
    assert "\x9b" not in talk.shown.decode()


def test_a_refused_line_and_an_observed_rule_reach_the_audit() -> None:
    talk = at_prompt().type("forbidden x\r").hear(f"\x1b]5522;{NONCE};1;L;1;forbidden\\ x\x07")
    [note] = talk.of(Audit)
    assert isinstance(note, Audit)
    assert (note.code, note.fields["text"], note.fields["rule"]) == (
        "line.refused",
        "forbidden x",
        "no-forbidden",
    )


def test_approvals_mean_nothing_to_a_session_without_a_gate() -> None:
    talk = Talk(None, Voice(terminal=True))
    talk.on(ev.ApprovalOpened(1, "R-1", "bob", 9)).on(ev.ApprovalSettled(1, "approved", "bob"))
    assert talk.look() == []


def test_a_full_screen_program_keeps_its_screen() -> None:
    """A row over it, the window's title and one bell; title and row come back."""
    talk = (
        at_prompt()
        .type("vim x\r")
        .hear(f"\x1b]5522;{NONCE};1;L;1;vim\\ x\x07\x1b]5522;{NONCE};1;B;1;\x07\x1b]5522;{NONCE};1;X;0;\x07")
    )
    talk.hear("\x1b[?1049h\x1b[2J\x1b[Htext\x1b]2;vim\x07\x1b[24;1H:!confirm x").wait(0.5)
    talk.look()
    talk.type("\r").wait(0.7)
    shown = b"".join(action.data for action in talk.of(SendClient) if isinstance(action, SendClient))
    assert shown.count(b"\x1b]2;CONFIRM: confirm x\x07\x07") == 1
    assert talk.screen.display()[23].startswith("▲ CONFIRM")
    assert talk.screen.display()[0].startswith("text")
    actions = talk.type("y").look()
    shown = b"".join(action.data for action in actions if isinstance(action, SendClient))
    assert b"\x1b]2;vim\x07\x1b[23;2t" in shown
    assert sent(actions) == b"\r"
    talk.wait(6)
    assert talk.screen.display()[23].startswith(":!confirm x")


# ---------------------------------------------------------------- a stream


def stream() -> Talk:
    voice = Voice(terminal=False)
    return Talk(PipedLines(PipedGate(judge), voice), voice)


def said(talk: Talk) -> list[str]:
    return [action.data.decode() for action in talk.of(SendClient) if isinstance(action, SendClient)]


def test_a_stream_stops_at_a_held_line_and_goes_on_behind_it() -> None:
    talk = stream().type("one\nhold x\nthree\n")
    assert sent(talk.look()) == b"one\n"
    talk.on(ev.ApprovalOpened(1, "R-1", "1 of bob", 900))
    assert said(talk) == [
        "bartizan: [E-HELD R-1] needs 1 of bob within 15:00: hold is not for everybody"
        " (rule hold-it, p.yaml:7): hold x\n"
    ]
    talk.on(ev.ClientEof()).on(ev.ApprovalSettled(1, "approved", "bob", "ok"))
    actions = talk.look()
    assert [action for action in actions if isinstance(action, SendTarget | EofTarget | UseApproval)] == [
        UseApproval(1),
        SendTarget(b"hold x\n"),
        SendTarget(b"three\n"),
        EofTarget(),
    ]
    assert talk.core.lines is not None
    assert talk.core.lines.mode == "stream"


@pytest.mark.parametrize(
    ("outcome", "code", "status"),
    [("denied", "E-DENIED R-1] denied by bob.", 77), ("expired", "E-EXPIRED R-1] nobody decided", 75)],
)
def test_a_stream_ends_at_a_line_that_may_not_run(outcome: str, code: str, status: int) -> None:
    talk = stream().type("hold x\nthree\n").on(ev.ApprovalOpened(1, "R-1", "1 of bob", 900))
    talk.look()
    talk.on(ev.ApprovalSettled(1, outcome, "bob" if outcome == "denied" else ""))
    actions = talk.look()
    assert sent(actions) == b""
    assert EofTarget() in actions
    [notice] = [action.data.decode() for action in actions if isinstance(action, SendClient)]
    assert notice.startswith(f"bartizan: [{code}")
    assert notice.endswith("Nothing is run from here on: hold x\n")
    talk.on(ev.TargetExited(0)).on(ev.TargetGone())
    assert talk.look()[-1] == Close(status, "exit")


def test_a_stream_takes_only_so_much_behind_a_held_line() -> None:
    talk = stream().type("hold x\n")
    assert talk.type("#" * 1023 + "\n").of(PauseClient) == []
    talk.type(("#" * 1023 + "\n") * 1024)
    assert talk.of(PauseClient) == [PauseClient(True)]
    talk.on(ev.ApprovalSettled(1, "denied", "bob"))
    assert talk.of(PauseClient) == [PauseClient(False)]


def test_a_stream_cannot_be_confirmed_and_what_is_no_text_not_approved() -> None:
    for line in (b"confirm x\n", b"hold \xff\n"):
        talk = stream().on(ev.ClientBytes(line + b"ls\n"))
        assert sent(talk.look()) == b""
        talk.on(ev.TargetExited(0)).on(ev.TargetGone())
        assert talk.look()[-1] == Close(exits.DENIED, "exit")


def test_a_warning_in_a_stream_goes_to_stderr() -> None:
    talk = stream().type("warn x\n")
    assert said(talk) == ["bartizan: [WARNING] warn is not for everybody (rule warn-it, p.yaml:7): warn x\n"]


def test_timers_of_the_gate_are_its_own() -> None:
    talk = held()
    assert set(talk.timers) <= {TIMER, NOTICE}
