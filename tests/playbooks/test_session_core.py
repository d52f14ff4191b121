"""Conversations with the session core: what happens, and what is done about it, in order."""

from __future__ import annotations

import itertools
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.model import exits
from broker.session import events as ev
from broker.session.actions import (
    Action,
    BreakTarget,
    Close,
    EofClient,
    EofTarget,
    RecordEvent,
    RecordInput,
    RecordOutput,
    RecordResize,
    ResizeTarget,
    SendClient,
    SendTarget,
    SetTimer,
    SignalTarget,
)
from broker.session.core import SECOND, SessionCore, Terms
from broker.session.notices import Voice, inert
from tests.playbooks.playbook import Playbook

PERSON, SCRIPT = Voice(terminal=True), Voice(terminal=False)


def core(
    voice: Voice = SCRIPT, *, idle: int | None = None, longest: int | None = None, banner: str = ""
) -> SessionCore:
    """Times in seconds."""
    return SessionCore(Terms(voice, idle and idle * SECOND, longest and longest * SECOND, banner))


def said(text: str, shown: str | None = None, *, stderr: bool = False) -> tuple[Action, Action]:
    """A notice: kept as an event, then shown. `shown`: with what stands around it."""
    return RecordEvent("notice", {"text": text}), SendClient((shown or text).encode(), stderr)


def line(text: str) -> tuple[Action, Action]:
    """A notice for a script."""
    return said(text, f"{text}\n", stderr=True)


def box(text: str) -> tuple[Action, Action]:
    """A notice for a person."""
    return said(text, f"\r\n{text}\r\n")


def test_nothing_is_shown_before_it_is_recorded() -> None:
    Playbook(core()).start().on(ev.TargetBytes(b"out"), RecordOutput(b"out"), SendClient(b"out")).on(
        ev.TargetBytes(b"err", True), RecordOutput(b"err", True), SendClient(b"err", True)
    )


def test_input_is_counted_before_it_is_sent() -> None:
    Playbook(core()).on(ev.ClientBytes(b"id\n"), RecordInput(b"id\n"), SendTarget(b"id\n"))


def test_half_close_each_way() -> None:
    """The end of one direction does not end the other."""
    Playbook(core()).on(ev.ClientEof(), EofTarget()).on(
        ev.TargetBytes(b"x"), RecordOutput(b"x"), SendClient(b"x")
    ).on(ev.TargetEof(), EofClient()).on(ev.TargetExited(3)).on(ev.TargetGone(), Close(3, "exit"))


def test_exit_status_before_the_last_output() -> None:
    """The status is kept until the channel is closed: what comes in between is not lost."""
    Playbook(core()).on(ev.TargetExited(3)).on(
        ev.TargetBytes(b"tail"), RecordOutput(b"tail"), SendClient(b"tail")
    ).on(ev.TargetGone(), Close(3, "exit"))


def test_signal_of_the_program() -> None:
    Playbook(core()).on(ev.TargetSignalled("TERM", True, "bye")).on(
        ev.TargetGone(), Close(exits.INTERNAL, "signal", "TERM", True, "bye")
    )


def test_resize_signal_and_break_are_recorded_first() -> None:
    Playbook(core(PERSON)).on(
        ev.Resized(132, 40, 1, 2), RecordResize(132, 40), ResizeTarget(132, 40, 1, 2)
    ).on(ev.SignalSent("INT"), RecordEvent("signal", {"name": "INT"}), SignalTarget("INT")).on(
        ev.BreakSent(500), RecordEvent("break", {"msec": 500}), BreakTarget(500)
    )


def test_refused_request_is_kept() -> None:
    """lesson 39"""
    fields: dict[str, str | int | bool | None] = {"name": "x11-req", "detail": ""}
    Playbook(core()).on(ev.RequestRefused("x11-req", ""), RecordEvent("request-refused", fields))


def test_banner_and_timers_at_the_start() -> None:
    Playbook(core(PERSON, idle=60, longest=600, banner="web as root, recorded S-1.")).start(
        *said("● bartizan  web as root, recorded S-1.", "● bartizan  web as root, recorded S-1.\r\n"),
        SetTimer("idle", 60 * SECOND),
        SetTimer("warn", 540 * SECOND),
        SetTimer("longest", 600 * SECOND),
    )


# ---------------------------------------------------------------- ends


def test_target_lost_without_a_status() -> None:
    text = "bartizan: [E-UNREACHABLE] the connection to the target was lost (reset)"
    Playbook(core()).on(ev.TargetGone("reset"), *line(text), Close(exits.UNREACHABLE, "target-lost"))


def test_connection_that_breaks_after_the_exit_status_changes_nothing() -> None:
    Playbook(core()).on(ev.TargetExited(0)).on(ev.TargetGone("reset"), Close(0, "exit"))


def test_end_that_could_not_be_performed_is_overtaken() -> None:
    """The last output waits for room when the disk fails: a status 0 must not hide that it is lost."""
    session = core()
    Playbook(session).on(ev.TargetExited(0)).on(ev.TargetGone(), Close(0, "exit"))
    assert session.overtake(ev.SinkFailed("full"), 3)[-1] == Close(exits.CANNOT_RECORD, "recording")
    assert session.overtake(ev.KillRequested("killed", "bob", "x"), 3)[-1] == Close(137, "killed")


def test_nothing_happens_after_the_close() -> None:
    play = Playbook(core(PERSON, idle=1, longest=300)).on(ev.ClientGone(), Close(130, "client-gone")).at(400)
    for event in (
        ev.ClientBytes(b"x"),
        ev.TargetBytes(b"x"),
        ev.TargetExited(0),
        ev.TargetGone(),
        ev.TargetEof(),
        ev.Resized(1, 1),
        ev.TimerFired("idle"),
        ev.TimerFired("warn"),
        ev.TimerFired("longest"),
        ev.KillRequested("killed", "bob", "late"),
        ev.SinkFailed("late"),
        ev.RequestRefused("env", ""),
    ):
        play.on(event)


def test_client_gone_says_nothing_to_nobody() -> None:
    Playbook(core()).on(ev.ClientGone(), Close(exits.CANCELLED, "client-gone"))


def test_recording_that_fails_ends_the_session() -> None:
    """The reason is shown, and cannot be recorded any more."""
    text = "■ ENDED  the recording cannot be written (disk full); nothing runs unrecorded"
    Playbook(core(PERSON)).on(
        ev.SinkFailed("disk full"), box(text)[1], Close(exits.CANNOT_RECORD, "recording")
    ).on(ev.ClientBytes(b"more\n")).on(ev.TargetBytes(b"more"))


@pytest.mark.parametrize(
    ("why", "status"),
    [("killed", exits.TERMINATED), ("shutdown", exits.TERMINATED), ("cancelled", exits.CANCELLED)],
)
def test_kill_with_who_and_why(why: str, status: int) -> None:
    fact = RecordEvent("killed", {"by": "bob", "text": 'ended by bob: "stop"'})
    Playbook(core()).on(
        ev.KillRequested(why, "bob", 'ended by bob: "stop"'),
        fact,
        *line('bartizan: [E-TERMINATED] ended by bob: "stop"'),
        Close(status, why),
    )


def test_notices_are_inert() -> None:
    """lesson 13: what an admin typed acts on no terminal."""
    text = "x\x1b]0;y\x07\r\n\u202e"
    shown = "bartizan: [E-TERMINATED] x⟨U+001B⟩]0;y⟨U+0007⟩⟨U+000D⟩⟨U+000A⟩⟨U+202E⟩"
    Playbook(core()).on(
        ev.KillRequested("killed", "bob", text),
        RecordEvent("killed", {"by": "bob", "text": text}),
        *line(shown),
        Close(exits.TERMINATED, "killed"),
    )


def test_idle_counts_from_the_last_traffic_of_either_side() -> None:
    play = Playbook(core(idle=10)).start(SetTimer("idle", 10 * SECOND))
    play.at(4).on(ev.ClientBytes(b"x"), RecordInput(b"x"), SendTarget(b"x"))
    play.at(10).on(ev.TimerFired("idle"), SetTimer("idle", 14 * SECOND))
    play.at(13).on(ev.TargetBytes(b"y"), RecordOutput(b"y"), SendClient(b"y"))
    play.at(14).on(ev.TimerFired("idle"), SetTimer("idle", 23 * SECOND))
    play.at(20).on(ev.Resized(80, 24), RecordResize(80, 24), ResizeTarget(80, 24, 0, 0))
    play.at(23).on(
        ev.TimerFired("idle"),
        *line("bartizan: [E-IDLE] no traffic for 10 s"),
        Close(exits.TERMINATED, "idle"),
    )


def test_longest_time_with_a_warning_for_people_only() -> None:
    warned = "▲ WARNING  this session ends in 1 minute: its longest time is reached"
    text = "the longest time of a session is reached"
    end = Close(exits.TERMINATED, "max-time")
    Playbook(core(PERSON)).on(ev.TimerFired("warn"), *box(warned)).on(
        ev.TimerFired("longest"), *box(f"■ ENDED  {text}"), end
    )
    Playbook(core()).on(ev.TimerFired("warn")).on(
        ev.TimerFired("longest"), *line(f"bartizan: [E-TIME] {text}"), end
    )


def test_voice_without_utf8_is_ascii() -> None:
    plain = Voice(terminal=True, utf8=False)
    assert plain.say("ended", "ENDED", "grün").isascii()
    assert plain.banner("grün").isascii()


@given(st.text())
def test_inert_text_holds_nothing_that_acts(text: str) -> None:
    """lesson 13"""
    assert inert(text).isprintable()


# ---------------------------------------------------------------- whatever happens

EVENTS = st.one_of(
    st.builds(ev.ClientBytes, st.binary(max_size=20)),
    st.builds(ev.TargetBytes, st.binary(max_size=20), st.booleans()),
    st.builds(ev.Resized, st.integers(0, 500), st.integers(0, 500)),
    st.builds(ev.TargetExited, st.integers(0, 255)),
    st.builds(ev.TargetGone, st.text(max_size=5)),
    st.builds(ev.TimerFired, st.sampled_from(["idle", "warn", "longest", "other"])),
    st.builds(ev.SinkFailed, st.text(max_size=5)),
    st.builds(ev.KillRequested, st.just("killed"), st.text(max_size=5), st.text(max_size=5)),
    st.sampled_from([ev.ClientEof(), ev.ClientGone(), ev.TargetEof(), ev.SignalSent("HUP"), ev.BreakSent(1)]),
)


@given(st.lists(EVENTS, max_size=30), st.booleans())
def test_properties_of_every_conversation(happened: list[ev.Event], person: bool) -> None:
    """Output is recorded, then shown, whole and in order; a close is the last action, and the only one."""
    session = core(PERSON if person else SCRIPT, idle=5, longest=500)
    actions: list[Action] = []
    for second, event in enumerate(happened):
        todo = session.handle(event, second * SECOND)
        assert all(action.at > second * SECOND for action in todo if isinstance(action, SetTimer))
        actions += todo
    closes = [action for action in actions if isinstance(action, Close)]
    assert closes == ([actions[-1]] if closes else [])
    assert session.closed == bool(closes)
    for before, action in itertools.pairwise(actions):
        if isinstance(action, SendClient):
            recorded = isinstance(before, RecordOutput) and before.data == action.data
            assert recorded or isinstance(before, RecordEvent) or actions[-1].reason == "recording"  # type: ignore[union-attr]
        if isinstance(action, SendTarget):
            assert before == RecordInput(action.data)


def test_every_event_is_handled() -> None:
    session = core()
    assert set(session._dispatch) == set(typing.get_args(ev.Event))
