"""Reading: growing, torn and damaged files."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.cast import CastError
from recorder.reader import CastReader, exact_output, read_events

CASTS = Path(__file__).parents[1] / "casts"
HEAD = b'{"version": 2, "width": 80, "height": 24}\n'


def test_a_growing_file_shows_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "x.cast"
    with open(path, "wb", buffering=0) as file:
        file.write(HEAD + b'[1, "o", "a"]\n[2, "o", ')
        with CastReader(path) as reader:
            assert [event.data for event in reader.events()] == ["a"]
            assert reader.truncated
            file.write(b'"b"]\n')
            assert [event.data for event in reader.events()] == ["a", "b"]
            assert not reader.truncated


@pytest.mark.parametrize("rest", [b'[2, "o', b"\0\0\0\0", b"[", b'[2, "o", "b\n', b"\0\0\n"])
def test_a_torn_last_line_is_reported_not_raised(rest: bytes) -> None:
    reader = CastReader(HEAD + b'[1, "o", "a"]\n' + rest)
    assert [event.data for event in reader.events()] == ["a"]
    assert reader.truncated


def test_a_complete_last_line_without_line_break_counts() -> None:
    reader = CastReader(HEAD + b'[1, "o", "a"]')
    assert [event.data for event in reader.events()] == ["a"]
    assert not reader.truncated


def test_a_bad_line_in_the_middle_names_itself() -> None:
    reader = CastReader(HEAD + b'[1, "o", "a"]\nrubbish\n[2, "o", "b"]\n')
    with pytest.raises(CastError, match="line 3"):
        list(reader.events())


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0", b"hello", b"\n", b'{"version": 2}\n', b'{"version": 2, "wid']
)
def test_what_is_no_cast_is_refused(content: bytes) -> None:
    with pytest.raises(CastError, match="line 1"):
        CastReader(content)


@pytest.mark.parametrize(("name", "duration"), [("v1", 1_500_000), ("v2", 1_500_000), ("v3", 2_500_000)])
def test_summary(name: str, duration: int) -> None:
    path = CASTS / f"{name}.cast"
    with CastReader(path) as reader:
        summary = reader.summary()
    assert (summary.duration, summary.size, summary.truncated) == (duration, path.stat().st_size, False)


def test_summary_of_a_long_torn_file_and_of_one_without_events() -> None:
    lines = b"".join(b'[%d, "o", "%s"]\n' % (number, b"x" * 100) for number in range(2000))
    summary = CastReader(HEAD + lines + b'[5000, "').summary()
    assert (summary.duration, summary.truncated) == (1_999_000_000, True)
    assert CastReader(HEAD).summary().duration == 0
    assert CastReader(HEAD + b'[7, "o", "%s"]\n' % (b"y" * 100_000)).summary().duration == 7_000_000


def test_the_event_stream_tolerates_a_torn_end_but_no_damage_inside(tmp_path: Path) -> None:
    path = tmp_path / "x.events"
    path.write_bytes(b'{"t":0,"kind":"start"}\n{"t":1,"ki')
    assert [event.kind for event in read_events(path)] == ["start"]
    path.write_bytes(b'{"t":0,"kind":"start"}\nrubbish\n{"t":1,"kind":"end"}\n')
    with pytest.raises(CastError, match="line 2"):
        list(read_events(path))


def test_exact_output_names_a_bad_note_and_works_without_an_event_stream(tmp_path: Path) -> None:
    cast = tmp_path / "x.cast"
    cast.write_bytes(HEAD + '[1, "o", "a\u00e9"]\n[1, "i", "typed"]\n'.encode())
    assert exact_output(cast) == "aé".encode()
    (tmp_path / "x.events").write_bytes(b'{"t":0,"kind":"bytes","line":[]}\n')
    with pytest.raises(CastError, match="bad `bytes` event"):
        exact_output(cast)
