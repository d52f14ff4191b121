"""Reading recordings, also ones that are still being written or were cut off."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from recorder.cast import (
    CastError,
    Event,
    EventDecoder,
    Header,
    StreamEvent,
    decode_header,
    decode_stream_event,
    decode_v1,
)

_TAIL = 65536
_MAX_V1 = 64 << 20


class _Note(msgspec.Struct, frozen=True):
    """Members of a `bytes` or `stderr` event: which line of the cast it is about."""

    line: int
    base64: bytes = b""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a list shows of a cast. `duration` in microseconds, `size` in bytes."""

    header: Header
    duration: int
    size: int
    truncated: bool


class CastReader:
    """An asciicast v1, v2 or v3. Iterating reads from the file again, so a growing file shows what is new."""

    def __init__(self, source: Path | bytes) -> None:
        """Open a file or content. Raises OSError, CastError."""
        self._file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        self.truncated = False
        """The last line was incomplete at the last reading (a crash, or a writer in the middle of a line)."""
        self._v1: list[Event] = []
        self._first = b""
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> CastReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_header(self) -> Header:
        self._first = self._file.readline()
        if not self._first.endswith(b"\n") and not self._first.rstrip(b"\0"):
            raise CastError("line 1: the file is empty")
        try:
            header = decode_header(self._first)
        except CastError:
            if self._first.rstrip()[-1:] == b"}":
                raise
            self._file.seek(0)  # a v1 file may be spread over lines
            header, self._v1 = decode_v1(self._file.read(_MAX_V1))
            return header
        if header.version == 1:
            header, self._v1 = decode_v1(self._first)
        return header

    def events(self) -> Iterator[Event]:
        """All events there are by now, in order. Raises CastError for a bad line that is not the last."""
        if self.header.version == 1:
            yield from self._v1
            return
        self._file.seek(len(self._first))
        decoder = EventDecoder(self.header.version)
        self.truncated = False
        for number, line in enumerate(self._file, start=2):
            complete = line.endswith(b"\n")
            try:
                event = decoder.line(line, number)
            except CastError:
                if complete and self._file.read(1):
                    raise
                self.truncated = True
                return
            if event is not None:
                yield event

    def summary(self) -> Recording:
        """Header, duration and size; of a v2 file only the end is read."""
        size = self._file.seek(0, os.SEEK_END)
        duration = self._last_time_v2(size) if self.header.version == 2 else None
        if duration is None:
            duration = max((event.t for event in self.events()), default=0)
        return Recording(self.header, duration, size, self.truncated)

    def _last_time_v2(self, size: int) -> int | None:
        start = max(size - _TAIL, len(self._first))
        self._file.seek(start)
        tail = self._file.read(size - start)
        self.truncated = bool(tail) and not tail.endswith(b"\n")
        for line in reversed(tail.split(b"\n")):
            with contextlib.suppress(CastError):
                if line and (event := EventDecoder(2).line(line, 0)):
                    return event.t
        return None


def events_path(cast: Path) -> Path:
    """The event stream that belongs to a cast."""
    return cast.with_suffix(".events")


def read_events(path: Path) -> Iterator[StreamEvent]:
    """The event stream, in order; an incomplete last line is left out. Raises OSError, CastError."""
    with open(path, "rb") as file:
        yield from _stream(file)


def decode_events(data: bytes) -> list[StreamEvent]:
    """As `read_events`, of the content of such a file. Raises CastError."""
    return list(_stream(io.BytesIO(data)))


def _stream(file: BinaryIO) -> Iterator[StreamEvent]:
    for number, line in enumerate(file, start=1):
        try:
            event = decode_stream_event(line, number)
        except CastError:
            if line.endswith(b"\n") and file.read(1):
                raise
            return
        yield event


def exact_output(cast: Path, stream: str | None = None) -> bytes:
    """The bytes shown, exactly; `stream`: only `stdout` or only `stderr`. Raises OSError, CastError."""
    exact: dict[int, bytes] = {}
    errors: set[int] = set()
    with contextlib.suppress(FileNotFoundError):
        for event in read_events(events_path(cast)):
            if event.kind == "bytes":
                note = _note(event)
                exact[note.line] = note.base64
            elif event.kind == "stderr":
                errors.add(_note(event).line)
    return _joined(cast, exact, errors, stream)


def _joined(cast: Path, exact: dict[int, bytes], errors: set[int], stream: str | None) -> bytes:
    with CastReader(cast) as reader:
        return b"".join(
            exact.get(event.line, b"") or event.data.encode()
            for event in reader.events()
            if event.code == "o" and (stream is None or (event.line in errors) == (stream == "stderr"))
        )


def _note(event: StreamEvent) -> _Note:
    try:
        return msgspec.convert(event.fields, _Note)
    except msgspec.ValidationError as error:
        raise CastError(f"the event stream has a bad `{event.kind}` event at {event.t}: {error}") from None
