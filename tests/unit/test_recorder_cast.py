"""The formats: what is written is one line of valid JSON, what is read is any asciicast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.cast import (
    CastError,
    EventDecoder,
    Header,
    decode_header,
    decode_stream_event,
    decode_v1,
    encode_event,
    encode_header,
    encode_stream_event,
    json_text,
    seconds,
)
from recorder.reader import CastReader

CASTS = Path(__file__).parents[1] / "casts"


@given(st.text())
def test_text_is_one_line_for_every_kind_of_reader(text: str) -> None:
    encoded = json_text(text)
    assert json.loads(encoded) == text
    assert len(encoded.decode().splitlines()) == 1


def test_a_lone_surrogate_is_written_as_a_question_mark() -> None:
    assert json.loads(json_text("a\ud800b")) == "a?b"
    line = encode_stream_event(1, "exec", {"command": ["a\ud800", {"k\ud800": 1}]})
    assert json.loads(line)["command"] == ["a?", {"k?": 1}]


@given(st.integers(0, 10**14), st.text())
def test_an_event_survives_writing_and_reading(t: int, text: str) -> None:
    event = EventDecoder(2).line(encode_event(t, "o", text), 2)
    assert event is not None
    assert (event.t, event.code, event.data) == (t, "o", text)


def test_time_is_never_in_exponent_form() -> None:
    assert seconds(10) == b"0.000010"
    assert seconds(86_400_000_001) == b"86400.000001"


def test_header_keeps_its_own_fields_and_others() -> None:
    header = Header(
        width=80,
        height=24,
        timestamp=1,
        title="t\u2028",
        command="ls",
        env={"TERM": "x"},
        extra={"bartizan": {"user": "anna"}, "width": 1},
    )
    line = encode_header(header)
    assert len(line.decode().splitlines()) == 1
    read = decode_header(line)
    assert (read.width, read.title, read.command, read.env) == (80, "t\u2028", "ls", {"TERM": "x"})
    assert read.extra == {"bartizan": {"user": "anna"}}


def test_stream_event_survives_and_bytes_become_base64() -> None:
    event = decode_stream_event(encode_stream_event(7, "bytes", {"line": 3, "base64": b"\xff"}), 1)
    assert (event.t, event.kind, dict(event.fields)) == (7, "bytes", {"line": 3, "base64": "/w=="})


def test_a_value_without_json_form_is_an_error_at_once() -> None:
    with pytest.raises(TypeError):
        encode_stream_event(1, "x", {"value": object()})


@pytest.mark.parametrize(
    ("version", "events"),
    [
        (1, [(250_000, "o", "hello "), (1_000_000, "o", "world\r\n"), (1_500_000, "o", "bye\r\n")]),
        (
            2,
            [
                (0, "o", "hello "),
                (500_000, "i", "x"),
                (1_250_000, "r", "100x30"),
                (1_000_000, "m", "chapter"),
                (1_500_000, "o", "wörld\r\n"),
            ],
        ),
        (
            3,
            [
                (500_000, "o", "hello "),
                (750_000, "m", "chapter"),
                (2_000_000, "o", "world\r\n"),
                (2_500_000, "x", "3"),
            ],
        ),
    ],
)
def test_each_version_is_read(version: int, events: list[tuple[int, str, str]]) -> None:
    with CastReader(CASTS / f"v{version}.cast") as reader:
        assert [event[:3] for event in reader.events()] == events
        assert reader.header.version == version
        assert reader.header.title == ["old", "two", "three"][version - 1]
        assert reader.header.width == [40, 80, 90][version - 1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"[1, 2]", "line 9: an event must be"),
        (b'[1, "o", 5]', "line 9: the code and the data"),
        (b'["1", "o", "x"]', "line 9: a time must be"),
        (b'[-1, "o", "x"]', "line 9: a time must be"),
        (b'[true, "o", "x"]', "line 9: a time must be"),
        (b"nonsense", "line 9: not valid JSON"),
        (b"[" * 100_000, "line 9: not valid JSON"),
    ],
)
def test_a_bad_event_names_its_line(line: bytes, says: str) -> None:
    with pytest.raises(CastError, match=says):
        EventDecoder(2).line(line, 9)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"version": 4}',
        b'{"version": 2}',
        b'{"version": 2, "width": 0, "height": 1}',
        b'{"version": 2, "width": "80", "height": 24}',
        b'{"version": 3}',
        b'{"version": 3, "term": {"cols": 1}}',
        b'{"version": 2, "width": 80, "height": 24, "title": 5}',
        b'{"version": 2, "width": 80, "height": 24, "timestamp": 1e999}',
    ],
)
def test_a_bad_header_is_refused(line: bytes) -> None:
    with pytest.raises(CastError, match="line 1: "):
        decode_header(line)


@pytest.mark.parametrize(
    "content",
    [
        b'{"version": 1, "width": 1, "height": 1}',
        b'{"version": 1, "width": 1, "height": 1, "stdout": [[1]]}',
        b'{"version": 2, "width": 1, "height": 1, "stdout": []}',
    ],
)
def test_a_bad_v1_file_is_refused(content: bytes) -> None:
    with pytest.raises(CastError, match="line 1"):
        decode_v1(content)


@pytest.mark.parametrize(
    "line", [b"[]", b'{"t": 1}', b'{"t": true, "kind": "x"}', b'{"t": 1.5, "kind": "x"}']
)
def test_a_bad_stream_event_names_its_line(line: bytes) -> None:
    with pytest.raises(CastError, match="line 4"):
        decode_stream_event(line, 4)
