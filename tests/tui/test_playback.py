"""The clock of a replay: exact, without a screen and without waiting."""

from __future__ import annotations

import pytest

from recorder.cast import Event, Header
from tui.screens.moments import TYPED, beside
from tui.screens.playback import Playback

S = 1_000_000


@pytest.fixture
def playback() -> Playback:
    events = [Event(1 * S, "o", "one "), Event(2 * S, "m", "make"), Event(2 * S, "o", "two "),
              Event(62 * S, "o", "three "), Event(63 * S, "m", "exit"),
              Event(64 * S, "o", "four")]  # fmt: skip
    return Playback(events, Header(width=40, height=4))


def text(playback: Playback) -> str:
    return playback.settle().display()[0].strip()


def test_time_stands_still_until_played(playback: Playback) -> None:
    playback.tick(5 * S)
    assert playback.at == 0
    playback.play()
    playback.tick(S)
    assert (playback.at, text(playback)) == (1 * S, "one")


def test_a_long_pause_is_played_for_a_second_and_then_skipped(playback: Playback) -> None:
    playback.play()
    playback.seek(2 * S)
    playback.tick(900_000)
    assert playback.at == 2_900_000
    playback.tick(200_000)
    assert (playback.at, text(playback)) == (62 * S, "one two three")


def test_a_pause_is_played_whole_if_wanted(playback: Playback) -> None:
    playback.skips_idle = False
    playback.play()
    playback.seek(2 * S)
    playback.tick(30 * S)
    assert playback.at == 32 * S


def test_speed(playback: Playback) -> None:
    playback.skips_idle = False
    playback.play()
    playback.faster(2)
    assert playback.speed == 4.0
    playback.tick(S)
    assert playback.at == 4 * S
    playback.faster(100)
    assert playback.speed == 32.0
    playback.faster(-100)
    assert playback.speed == 0.25


def test_the_end_pauses_and_play_starts_again(playback: Playback) -> None:
    playback.play()
    playback.tick(1000 * S)
    playback.skips_idle = False
    playback.tick(1000 * S)
    assert (playback.at, playback.playing) == (64 * S, False)
    playback.play()
    assert (playback.at, playback.playing) == (0, True)


def test_seeking_back_shows_what_was_there(playback: Playback) -> None:
    playback.seek(64 * S)
    assert text(playback) == "one two three four"
    playback.seek(2 * S)
    assert text(playback) == "one two"
    playback.seek(-5)
    assert (playback.at, text(playback)) == (0, "")
    playback.seek(10**12)
    assert playback.at == 64 * S


def test_markers_are_moments_where_no_events_are_beside(playback: Playback) -> None:
    assert [(m.t, m.letter) for m in playback.moments] == [(2 * S, "c"), (63 * S, "c")]
    moment = beside(playback.moments, 0, 1, TYPED)
    assert moment is not None
    playback.seek(moment.t)
    assert text(playback) == "one two"
    assert beside(playback.moments, 63 * S, 1) is None
    assert beside(playback.moments, 2 * S, -1) is None


def test_text_is_found_at_the_time_it_was_complete(playback: Playback) -> None:
    assert playback.find("TWO three") == [(62 * S, "one two three four")]
    assert playback.find("nothing of that") == []
    assert playback.find("") == []


def test_steps_go_from_event_to_event(playback: Playback) -> None:
    seen = []
    for _ in range(5):
        playback.step(1)
        seen.append(playback.at // S)
    assert seen == [1, 2, 62, 63, 64]
    playback.step(-1)
    playback.step(-1)
    assert playback.at == 62 * S


def test_an_empty_recording_does_not_play() -> None:
    playback = Playback([], Header(width=10, height=2))
    playback.play()
    playback.tick(S)
    playback.step(1)
    assert (playback.at, playback.playing) == (0, False)
