"""The player's model: any moment, both ways, is the same as playing from the start."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.cast import Event, Header
from recorder.replay import Marker, Replay, at_speed, cap_idle
from recorder.screen import Screen

HEADER = Header(width=80, height=24)
CAPTURED = sorted((Path(__file__).parents[1] / "captured").glob("*.bin"))


def session(data: bytes, seed: int) -> list[Event]:
    """Output in chunks cut at characters, with resizes and markers between."""
    source = random.Random(seed)
    text, events, t = data.decode("utf-8", "replace"), [], 0
    while text:
        size = source.randint(1, 400)
        events.append(Event(t, "o", text[:size]))
        text = text[size:]
        t += source.choice([0, 1, 1000, 50_000])
        if source.random() < 0.03:
            events.append(Event(t, "r", f"{source.randint(20, 100)}x{source.randint(5, 30)}"))
        if source.random() < 0.03:
            events.append(Event(t, "m", f"at {t}"))
        events.append(Event(t, "i", "typed"))
    return events


def from_the_start(events: list[Event], t: int) -> str:
    screen = Screen(HEADER.width, HEADER.height)
    for event in events:
        if event.t <= t and event.code == "o":
            screen.feed(event.data.encode())
        elif event.t <= t and event.code == "r":
            screen.resize(*map(int, event.data.split("x")))
    return screen.fingerprint()


@pytest.mark.parametrize("seed", range(4))
def test_seeking_to_any_time_equals_playing_from_the_start(seed: int) -> None:
    """lesson 7: with resizes on the way, forward and back."""
    source = random.Random(seed)
    data = b"".join(path.read_bytes() for path in CAPTURED)
    events = session(data + b"scrolling text\r\n" * 20_000, seed)
    replay = Replay(events, HEADER)
    times = [source.randint(0, replay.duration) for _ in range(6)] + [replay.duration, 0]
    for t in times:
        assert replay.seek(t).fingerprint() == from_the_start(events, t)
    assert len(replay._keyframes) > 2  # or the jumps back have not been tested


def test_advance_and_next_event() -> None:
    replay = Replay([Event(0, "o", "a"), Event(5, "o", "b"), Event(9, "o", "c")], HEADER)
    assert replay.screen.display()[0].rstrip() == "a"
    assert replay.next_t == 5
    assert replay.advance(5).display()[0].rstrip() == "ab"
    assert replay.advance(100).display()[0].rstrip() == "abc"
    assert replay.t == 9
    assert replay.next_t is None
    assert replay.advance(-1).display()[0].rstrip() == "ab"
    assert replay.seek(-5).display()[0].rstrip() == "a"


def test_an_empty_recording_has_a_blank_screen() -> None:
    replay = Replay([], HEADER)
    assert replay.duration == 0
    assert replay.seek(10).display() == [" " * 80] * 24


def test_markers_and_hostile_resizes() -> None:
    events = [
        Event(1, "m", "one"),
        Event(2, "r", "0x0"),
        Event(3, "r", "999999x999999"),
        Event(4, "r", "-1x²"),
    ]
    replay = Replay(events, HEADER)
    assert replay.markers == [Marker(1, "one")]
    assert (replay.seek(2).cols, replay.screen.rows) == (1, 1)
    assert (replay.seek(4).cols, replay.screen.rows) == (1000, 500)


def test_keyframes_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.replay._EVERY_EVENTS", 1)
    monkeypatch.setattr("recorder.replay._MAX_KEYFRAMES", 8)
    events = [Event(t, "o", f"{t} ") for t in range(500)]
    replay = Replay(events, HEADER)
    replay.seek(replay.duration)
    assert len(replay._keyframes) <= 8
    for t in (499, 3, 250, 120, 499):
        assert replay.seek(t).fingerprint() == from_the_start(events, t)


TIMES = st.lists(st.integers(0, 10**7), max_size=30).map(sorted)


@settings(max_examples=50)
@given(TIMES, st.integers(0, 10**6))
def test_idle_cap_shortens_pauses_and_nothing_else(times: list[int], limit: int) -> None:
    events = [Event(t, "o", "x") for t in times]
    capped = [event.t for event in cap_idle(events, limit)]
    pauses = [b - a for a, b in zip([0, *times], times, strict=False)]
    assert [b - a for a, b in zip([0, *capped], capped, strict=False)] == [
        min(pause, limit) for pause in pauses
    ]


def test_speed_divides_time() -> None:
    events = [Event(0, "o", "x"), Event(30, "o", "y", 7)]
    assert [(event.t, event.line) for event in at_speed(events, 2)] == [(0, 0), (15, 7)]
    assert [event.t for event in at_speed(events, 0.5)] == [0, 60]
