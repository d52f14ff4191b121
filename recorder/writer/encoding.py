"""A batch of what a session did, as lines for the two files. Runs on the writing thread."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from recorder.cast import encode_event, encode_stream_event

OUTPUT, STDERR, RESIZE, MARKER, EVENT, DIGEST = "o", "e", "r", "m", "x", "d"

MERGED = 10_000
"""Microseconds of output that share a time in the cast: finer than an eye, coarser than a pty's reads."""

_ESCAPED = bytes(range(0x20)) + b'"\\'
_LINE = 48  # more than the frame of one cast line
_NOTE = 160  # more than the frame of one line beside it


class Operation(NamedTuple):
    """One thing that was accepted. `cost`: the most bytes it can take in the cast and in the event stream."""

    code: str
    t: int
    data: bytes
    name: str
    cost: tuple[int, int]


def cost_of(data: bytes) -> tuple[int, int]:
    """The most bytes that `data` can take in the cast and in the event stream, however it is merged.

    A control becomes 6 bytes (`\\u001b`), an invalid byte 3 and a base64 copy of its chunk beside.
    """
    size = len(data)
    escaped = size - len(data.translate(None, _ESCAPED))
    if data.isascii():
        return size + 5 * escaped + _LINE, _NOTE
    return 3 * size + 5 * escaped + 2 * _LINE + 16, (size + 3) * 4 // 3 + 4 + 2 * _NOTE


def surely_fits(cast_room: int, events_room: int) -> int:
    """How many bytes of any content fit, by the same reckoning as `cost_of`."""
    return max(0, min((cast_room - 2 * _LINE - 16) // 8, (events_room - 2 * _NOTE - 12) * 3 // 4))


class Digest:
    """Running SHA-256 and length of bytes that are not kept."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._length = 0

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self._hash.update(data)
        self._length += len(data)

    def summary(self) -> dict[str, Any]:
        """For the end event."""
        return {"sha256": self._hash.hexdigest(), "bytes": self._length}


class Encoder:
    """Keeps what must survive between batches: line count, unfinished UTF-8, digests.

    `terminal`: False for a program's plain output. Binary data in it (invalid UTF-8 with a NUL) is then one
    line in the cast that says how much, and its exact bytes are beside; on a terminal every byte counts for
    the picture.
    """

    def __init__(self, terminal: bool = True) -> None:
        self._terminal = terminal
        self.lines = 1  # the header
        self.digests: dict[str, Digest] = {}
        self._tails = {OUTPUT: b"", STDERR: b""}
        self._cast: list[bytes] = []
        self._events: list[bytes] = []

    def batch(self, operations: Iterable[Operation]) -> tuple[bytes, bytes]:
        """Lines for the cast and for the event stream; output within `MERGED` becomes one event."""
        for (code, _), group in groupby(operations, lambda each: (each.code, each.t // MERGED)):
            if code in self._tails:
                self._text(code, list(group))
                continue
            for operation in group:
                self._single(operation)
        return self._taken()

    def finish(self, t: int) -> tuple[bytes, bytes]:
        """What is still held back: characters that never became complete."""
        for code, tail in self._tails.items():
            if tail:
                self._emit(code, t, tail.decode("utf-8", "replace"), tail)
                self._tails[code] = b""
        return self._taken()

    def _taken(self) -> tuple[bytes, bytes]:
        taken = b"".join(self._cast), b"".join(self._events)
        self._cast, self._events = [], []
        return taken

    def _single(self, operation: Operation) -> None:
        if operation.code == EVENT:
            self._events.append(operation.data)
        elif operation.code == DIGEST:
            self.digests.setdefault(operation.name, Digest()).update(operation.data)
        else:
            self._line(operation.t, operation.code, operation.name)

    def _text(self, code: str, group: list[Operation]) -> None:
        merged = self._tails[code] + b"".join([operation.data for operation in group])
        try:
            text, used = codecs.utf_8_decode(merged, "strict", False)
        except UnicodeDecodeError:
            if not self._terminal and b"\0" in merged:
                self._tails[code] = b""
                self._emit(code, group[0].t, f"[{len(merged)} bytes of binary data]\r\n", merged)
                return
            for operation in group:
                self._inexact(code, operation)
            return
        self._tails[code] = merged[used:]
        if text:
            self._emit(code, group[0].t, text, None)

    def _inexact(self, code: str, operation: Operation) -> None:
        """One chunk with invalid bytes near: alone, so that no other chunk pays for the copy of its bytes."""
        tail, data = self._tails[code], operation.data
        if tail and data.isascii():
            self._emit(code, operation.t, tail.decode("utf-8", "replace"), tail)
            tail = b""
        data = tail + data
        text, used = codecs.utf_8_decode(data, "replace", False)
        exact, self._tails[code] = data[:used], data[used:]
        if text:
            self._emit(code, operation.t, text, None if text.encode() == exact else exact)

    def _emit(self, code: str, t: int, text: str, exact: bytes | None) -> None:
        self._line(t, "o", text)
        if code == STDERR:
            self._events.append(encode_stream_event(t, "stderr", {"line": self.lines}))
        if exact is not None:
            self._events.append(encode_stream_event(t, "bytes", {"line": self.lines, "base64": exact}))

    def _line(self, t: int, code: str, data: str) -> None:
        self.lines += 1
        self._cast.append(encode_event(t, code, data))
