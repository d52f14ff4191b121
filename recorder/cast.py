"""The formats of a recording: asciicast v1, v2, v3 (docs.asciinema.org) and the event stream beside a cast.

Pure: bytes and values, no files. Times are integer microseconds since the start of the session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

V1, V2, V3 = 1, 2, 3

# Readers that split lines as `str.splitlines` does (asciinema's, for a URL) would cut a JSON line at these.
_LINE_BREAKERS = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")
_MAX_SECONDS = 10**10
_KNOWN = frozenset({"version", "width", "height", "timestamp", "title", "command", "env", "idle_time_limit"})


class CastError(ValueError):
    """A file is not a readable asciicast or event stream; the text names the line and what is wrong."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a cast says about itself. `extra` holds every key the format does not define."""

    width: int
    height: int
    timestamp: int | None = None
    """Seconds since the epoch."""
    title: str | None = None
    command: str | None = None
    env: dict[str, str] = {}
    idle_time_limit: float | None = None
    extra: dict[str, Any] = {}
    version: int = V2


class Event(NamedTuple):
    """One event of a cast. `code`: o output, i input, r resize (`80x24`), m marker, x exit status (v3)."""

    t: int
    code: str
    data: str
    line: int = 0
    """Line of the file, the header being 1; 0 when the event is not from a file."""


class StreamEvent(NamedTuple):
    """One line of the event stream: `fields` are its members other than `t` and `kind`."""

    t: int
    kind: str
    fields: Mapping[str, Any]


def json_text(text: str) -> bytes:
    """`text` as a JSON string that no reader takes for more than one line. Lone surrogates become `?`."""
    try:
        encoded = msgspec.json.encode(text)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(text.encode("utf-8", "replace").decode())
    return encoded if encoded.isascii() else _LINE_BREAKERS.sub(_escape, encoded)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match.group().decode())


def seconds(t: int) -> bytes:
    """Microseconds as the decimal seconds of asciicast, never in exponent form."""
    return b"%d.%06d" % divmod(t, 1_000_000)


def encode_header(header: Header) -> bytes:
    """The first line of an asciicast v2 file, with its line break."""
    fields: dict[str, Any] = {"version": V2, "width": header.width, "height": header.height}
    optional = {
        "timestamp": header.timestamp,
        "title": header.title,
        "command": header.command,
        "idle_time_limit": header.idle_time_limit,
        "env": header.env or None,
    }
    fields.update({name: value for name, value in optional.items() if value is not None})
    fields.update({name: value for name, value in header.extra.items() if name not in _KNOWN})
    return _one_line(fields)


def encode_event(t: int, code: str, data: str) -> bytes:
    """One event line of an asciicast v2 file, with its line break."""
    return b'[%s, "%s", %s]\n' % (seconds(t), code.encode(), json_text(data))


def encode_stream_event(t: int, kind: str, fields: Mapping[str, Any]) -> bytes:
    """One line of the event stream. Raises TypeError for a value JSON has no form for."""
    return _one_line({"t": t, "kind": kind, **fields})


def _one_line(fields: Mapping[str, Any]) -> bytes:
    try:
        encoded = msgspec.json.encode(fields)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_without_surrogates(fields))
    return (encoded if encoded.isascii() else _LINE_BREAKERS.sub(_escape, encoded)) + b"\n"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_surrogates(item) for item in value]
    return value


def decode_stream_event(line: bytes, number: int) -> StreamEvent:
    """One line of the event stream. Raises CastError."""
    fields = _json(line, number)
    if not isinstance(fields, dict):
        raise CastError(f"line {number}: an event must be an object")
    t, kind = fields.pop("t", None), fields.pop("kind", None)
    if not isinstance(t, int) or isinstance(t, bool) or not isinstance(kind, str):
        raise CastError(f"line {number}: an event needs a whole number `t` and a text `kind`")
    return StreamEvent(t, kind, fields)


def decode_header(line: bytes) -> Header:
    """The header of a v2 or v3 file from its first line. Raises CastError."""
    return _header(_json(line, 1))


class EventDecoder:
    """Turns the lines after the header into events; stateful, as v3 writes the time since the last event."""

    def __init__(self, version: int) -> None:
        self._intervals = version == V3
        self._t = 0

    def line(self, line: bytes, number: int) -> Event | None:
        """The event of one line; None for a blank line or a v3 comment. Raises CastError."""
        text = line.strip()
        if not text or (self._intervals and text.startswith(b"#")):
            return None
        value = _json(text, number)
        if not isinstance(value, list) or len(value) < 3:
            raise CastError(f"line {number}: an event must be [time, code, data]")
        when, code, data = value[:3]
        if not isinstance(code, str) or not isinstance(data, str):
            raise CastError(f"line {number}: the code and the data of an event must be text")
        t = _microseconds(when, number)
        self._t = self._t + t if self._intervals else t
        return Event(self._t, code, data, number)


def decode_v1(content: bytes) -> tuple[Header, list[Event]]:
    """A whole v1 file: one JSON object with `stdout` as [delay, text] pairs. Raises CastError."""
    fields = _json(content, 1)
    if not isinstance(fields, dict) or fields.get("version") != V1:
        raise CastError("line 1: not an asciicast v1 file")
    frames = fields.pop("stdout", None)
    if not isinstance(frames, list):
        raise CastError("line 1: a v1 file needs a list named `stdout`")
    fields.pop("duration", None)
    return _header(fields), list(_v1_events(frames))


def _v1_events(frames: list[Any]) -> Iterator[Event]:
    t = 0
    for index, frame in enumerate(frames):
        if not isinstance(frame, list) or len(frame) != 2 or not isinstance(frame[1], str):
            raise CastError(f"line 1: frame {index} of `stdout` must be [delay, text]")
        t += _microseconds(frame[0], 1)
        yield Event(t, "o", frame[1], 1)


def _header(fields: Any) -> Header:
    version = fields.get("version") if isinstance(fields, dict) else None
    if version not in (V1, V2, V3):
        raise CastError("line 1: not an asciicast header (needs a `version` of 1, 2 or 3)")
    extra = dict(fields)
    if version == V3:
        extra |= _v3_terminal(extra.pop("term", None))
    values = {name: extra.pop(name) for name in _KNOWN if extra.get(name) is not None}
    values["env"] = (
        {k: v for k, v in (values.get("env") or {}).items() if isinstance(v, str)}
        if isinstance(values.get("env"), dict)
        else {}
    )
    if isinstance(values.get("timestamp"), float):
        values["timestamp"] = int(values["timestamp"])
    extra = {name: value for name, value in extra.items() if name not in _KNOWN}
    try:
        header = msgspec.convert(values | {"extra": extra}, Header)
    except (msgspec.ValidationError, OverflowError) as error:
        raise CastError(f"line 1: the header is not valid: {error}") from None
    if header.width < 1 or header.height < 1:
        raise CastError("line 1: the header needs a width and a height of at least 1")
    return header


def _v3_terminal(term: Any) -> dict[str, Any]:
    if not isinstance(term, dict):
        raise CastError("line 1: a v3 header needs `term` with `cols` and `rows`")
    rest = {name: value for name, value in term.items() if name not in ("cols", "rows")}
    return {"width": term.get("cols"), "height": term.get("rows")} | ({"term": rest} if rest else {})


def _json(line: bytes, number: int) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CastError(f"line {number}: not valid JSON: {error}") from None


def _microseconds(value: Any, number: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MAX_SECONDS:
        raise CastError(f"line {number}: a time must be a number of seconds, not negative")
    return round(value * 1_000_000)
