"""What a recording's events become on the timeline, and the text that can be searched in it."""

from __future__ import annotations

import random

import pytest

from recorder.cast import Event, StreamEvent
from recorder.replay import Marker
from tui.screens.moments import ORDER, Moment, beside, moments, time_of, told
from tui.screens.transcript import Transcript
from tui.widgets.timeline import timeline

S = 1_000_000
EVENTS = [
    StreamEvent(0, "start", {}),
    StreamEvent(1 * S, "line", {"text": "ls", "verdict": "allow", "rule": "ops"}),
    StreamEvent(2 * S, "line", {"text": "rm -r x", "verdict": "deny", "rule": "no-rm"}),
    StreamEvent(3 * S, "line", {"text": "DELETE FROM o", "verdict": "hold", "rule": "dml"}),
    StreamEvent(3 * S, "held", {"text": "DELETE FROM o", "rule": "dml"}),
    StreamEvent(9 * S, "approved", {"by": "bob", "request": "R-1", "comment": "ok"}),
    StreamEvent(11 * S, "line", {"text": "hunter2", "secret": True, "verdict": "allow"}),
    StreamEvent(12 * S, "masked", {"rule": "aws-key"}),
    StreamEvent(13 * S, "line", {"text": 7, "verdict": ["odd"]}),
]
FOUND = moments([Marker(3 * S, "held: DELETE FROM o")], EVENTS)


def test_lines_and_decisions_become_letters_and_a_held_line_stands_once() -> None:
    assert "".join(m.letter for m in FOUND) == "cXHAc◊"
    assert FOUND[1].said == "blocked by no-rm"
    assert FOUND[3].said == 'approved by bob R-1 "ok"'
    assert FOUND[4].text == "(typed without echo)"


def test_markers_count_only_where_no_event_tells_of_a_line() -> None:
    assert moments([Marker(5, "make")], []) == [Moment(5, "c", "make", "")]


def test_the_row_under_the_picture_tells_the_line_and_what_became_of_it() -> None:
    assert told(FOUND, 0) == "cmd 0/4"
    assert told(FOUND, 2 * S) == "cmd 2/4  rm -r x   blocked by no-rm"
    assert told(FOUND, 5 * S) == "cmd 3/4  DELETE FROM o   held by dml"
    assert told(FOUND, 10 * S) == 'cmd 3/4  DELETE FROM o   held by dml, approved by bob R-1 "ok"'
    assert told([], 10) == ""


def test_jumps_go_by_kind() -> None:
    assert (one := beside(FOUND, 0, 1, None, "c")) is not None
    assert one.letter == "X"
    assert (last := beside(FOUND, 20 * S, -1, None, "c")) is not None
    assert last.letter == "◊"


def test_of_several_on_one_cell_the_gravest_shows() -> None:
    assert "X" in timeline(20, 0, 100 * S, [(50 * S, "X"), (50 * S, "c")], ORDER)
    assert "X" in timeline(20, 0, 100 * S, [(50 * S, "c"), (50 * S, "X")], ORDER)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6:41", 401),
        ("1:02:03", 3723),
        ("90", 90),
        (" 0:00 ", 0),
        ("50%", 500),
        ("6:99", None),
        ("soon", None),
    ],
)
def test_times_as_people_type_them(text: str, seconds: int | None) -> None:
    assert time_of(text, 1_000 * S) == (None if seconds is None else seconds * S)


def test_what_is_searched_holds_no_control_sequences_however_they_are_split() -> None:
    raw = "\x1b[1mcon\x1b[31mnection \x1b]0;title\x07ref\x1b[0mused\r\nnext\x1b(B line\x1bP1$q\x1b\\ ok\r\n"
    for seed in range(50):
        rng = random.Random(seed)
        cuts = sorted(rng.sample(range(1, len(raw)), rng.randrange(0, 12)))
        parts = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        transcript = Transcript(Event(n, "o", part) for n, part in enumerate(parts))
        (hit,) = transcript.find("Connection REFUSED")
        end = raw.index("used\r") + 3
        before, through = (sum(map(len, parts[:count])) for count in (hit[0], hit[0] + 1))
        assert before <= end < through
        assert hit[1] == "connection refused"
        assert [line for _, line in transcript.find("next line ok")] == ["next line ok"]
