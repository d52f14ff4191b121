"""Keys in a stream of terminal input: text, controls, escape sequences and pastes, however it is cut.

Follows what xterm sends (ctlseqs): CSI, SS3, Meta as ESC, bracketed paste, and CSI u (fixterms).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_CSI = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_CSI_PART = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
_ENTER_CSI = re.compile(rb"\x1b\[(?:13|57414)(?:;[0-9:]*)?(?:;[0-9:]*)?u\Z")
_LONGEST = 64


class Kind(Enum):
    """What a key is. `ACCEPT`: it may run the line. `PART`: the beginning of an unfinished sequence."""

    TEXT = 0
    CONTROL = 1
    SEQUENCE = 2
    ACCEPT = 3
    PASTE = 4
    PASTED = 5
    PART = 6


ACCEPT_CONTROLS = frozenset(b"\r\n\x0f")
"""CR, LF, and Ctrl-O, which accepts in readline and zle."""


@dataclass(frozen=True, slots=True)
class Key:
    """`raw`: the bytes of this key in this piece of input. `full`: all of it, from earlier pieces too."""

    kind: Kind
    raw: bytes
    full: bytes


class KeyReader:
    """Splits input into keys. Text comes in runs; a cut sequence is given as a PART, then the rest."""

    def __init__(self) -> None:
        self._part = b""

    @property
    def unfinished(self) -> bool:
        return bool(self._part)

    def feed(self, data: bytes) -> list[Key]:
        """The keys in the next piece of the stream; their `raw` joined is the piece."""
        held = len(self._part)
        buffer, self._part = self._part + data, b""
        keys: list[Key] = []
        at = 0
        while at < len(buffer):
            kind, end = _next(buffer, at)
            full = buffer[at:end]
            raw = buffer[max(at, held) : end]
            if kind is Kind.PART:
                self._part = full
            keys.append(Key(kind, raw, full))
            at = end
        return [key for key in keys if key.raw]


def _next(data: bytes, at: int) -> tuple[Kind, int]:
    """The kind of the key at `at`, and where it ends."""
    byte = data[at]
    if byte == 0x1B:
        return _sequence(data, at)
    if byte in ACCEPT_CONTROLS:
        return Kind.ACCEPT, at + 1
    if byte < 0x20 or byte == 0x7F:
        return Kind.CONTROL, at + 1
    end = at
    while end < len(data) and data[end] >= 0x20 and data[end] != 0x7F:
        end += 1
    whole = _whole_characters(data, at, end) if end == len(data) else end
    return (Kind.TEXT, whole) if whole > at else (Kind.PART, end)


def _whole_characters(data: bytes, at: int, end: int) -> int:
    """Where the last complete UTF-8 character ends."""
    for back in range(1, min(4, end - at + 1)):
        lead = data[end - back]
        if lead < 0x80:
            return end
        if lead >= 0xC0:
            need = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return end if back >= need else end - back
    return end


def _sequence(data: bytes, at: int) -> tuple[Kind, int]:
    rest = data[at : at + _LONGEST]
    match = _CSI.match(rest)
    if match is not None:
        return _csi_kind(match.group()), at + match.end()
    if _CSI_PART.match(rest) and at + len(rest) == len(data) and len(rest) < _LONGEST:
        return Kind.PART, len(data)
    if rest[:2] == b"\x1bO" and len(rest) > 2:
        return (Kind.ACCEPT if rest[2:3] == b"M" else Kind.SEQUENCE), at + 3
    if rest[:2] == b"\x1b[" or len(rest) < 2:
        return Kind.SEQUENCE, at + 1
    if rest[1] in ACCEPT_CONTROLS:
        return Kind.ACCEPT, at + 2
    if rest[1] == 0x1B:
        return Kind.SEQUENCE, at + 1
    return Kind.SEQUENCE, at + 2


def _csi_kind(sequence: bytes) -> Kind:
    if sequence == b"\x1b[200~":
        return Kind.PASTE
    if sequence == b"\x1b[201~":
        return Kind.PASTED
    return Kind.ACCEPT if _ENTER_CSI.match(sequence) else Kind.SEQUENCE
