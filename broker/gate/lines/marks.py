"""Marks of the hooked shell in the target's output: cut out, checked and read.

A mark is `ESC ] 5522 ; nonce ; level ; kind ; serial ; payload BEL`. Only the session's nonce makes it one:
anything else that looks like it is output like any other. The nonce never reaches the user.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

PREFIX = b"\x1b]5522;"
LONGEST = 64 << 10
LONGEST_ECHO = 32
_ECHOED = re.compile(rb"\d+;\d+;[a-z](?:\^\^|\x1e)")
_ECHO_PART = re.compile(rb"[0-9;a-z^]*\Z")


@dataclass(frozen=True, slots=True)
class Mark:
    """`kind`: one letter, which `reporting` and the hooks agree on. `payload`: as it was quoted."""

    level: int
    kind: str
    serial: int
    payload: bytes


class MarkScanner:
    """Parts output into what is for the user and marks, in order. What the broker has typed as an answer is
    cut out as well: a terminal that echoes shows it where the shell was not quick enough to prevent that."""

    def __init__(self, nonce: str) -> None:
        self._start = PREFIX + nonce.encode() + b";"
        self._echoes = {sign: sign + nonce.encode() + b";" for sign in (b"^^", b"\x1e")}
        self._all = re.compile(b"|".join(map(re.escape, (self._start, *self._echoes.values()))))
        self._held = b""

    def feed(self, data: bytes) -> list[bytes | Mark]:
        """The next piece of output. Only the beginning of a mark of ours is kept back."""
        if not self._held and not any(sign in data for sign in (b"\x1b", b"^", b"\x1e")):
            return [data]
        buffer, self._held = self._held + data, b""
        found: list[bytes | Mark] = []
        at = 0
        while (match := self._all.search(buffer, at)) is not None:
            start, echoed = match.start(), match.group() != self._start
            end = self._end(buffer, match, echoed)
            if end is None:
                self._held, buffer = buffer[start:], buffer[:start]
                break
            if start > at:
                found.append(buffer[at:start])
            mark = None if echoed else _read(buffer[match.end() : end - 1])
            if mark is not None:
                found.append(mark)
            at = end
        rest = buffer[at:]
        if not self._held and (keep := self._begun(rest)):
            rest, self._held = rest[:-keep], rest[-keep:]
        if rest:
            found.append(rest)
        return found

    def _end(self, buffer: bytes, match: re.Match[bytes], echoed: bool) -> int | None:
        """Behind the mark; None: its end has not come. What is too long is none, and only its head goes."""
        if echoed:
            whole = _ECHOED.match(buffer, match.end())
            if whole is not None:
                return whole.end()
            unfinished = len(buffer) - match.end() < LONGEST_ECHO and _ECHO_PART.match(buffer, match.end())
            return None if unfinished else match.end()
        end = buffer.find(b"\x07", match.start(), match.start() + LONGEST)
        if end >= 0:
            return end + 1
        return None if len(buffer) - match.start() < LONGEST else match.end()

    def _begun(self, data: bytes) -> int:
        """How many bytes at the end are the beginning of a mark; of an echo only what is past its sign, as a
        lone `^` is what a user has typed just now."""
        for size in range(min(len(self._start) - 1, len(data)), 0, -1):
            end = data[-size:]
            if self._start.startswith(end):
                return size
            if any(size > len(sign) and echo.startswith(end) for sign, echo in self._echoes.items()):
                return size
        return 0


def _read(body: bytes) -> Mark | None:
    parts = body.split(b";", 3)
    if len(parts) < 2:
        return None
    try:
        level, kind = int(parts[0]), parts[1].decode("ascii")
        serial = int(parts[2]) if len(parts) > 2 and parts[2] else 0
    except ValueError:
        return None
    return Mark(level, kind, serial, parts[3] if len(parts) > 3 else b"")


_ESCAPES = {
    b"n": b"\n", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"r": b"\r", b"v": b"\v",
    b"e": b"\x1b", b"E": b"\x1b",
}  # fmt: skip
_PIECE = re.compile(rb"\$'((?:\\.|[^'\\])*)'|'([^']*)'|\\(.)|([^\\'$]+)|(.)", re.DOTALL)
_IN_ANSI = re.compile(rb"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|c.|C-.|.)|([^\\]+)", re.DOTALL)


def unquoted(payload: bytes) -> str:
    """The text behind `printf %q` of bash or zsh, or (with a leading `%`) fish's URL form."""
    if payload.startswith(b"%"):
        return unquote_to_bytes(payload[1:]).decode("utf-8", "replace")
    out: list[bytes] = []
    for ansi, single, escaped, plain, other in _PIECE.findall(payload):
        out.append(_ansi(ansi) if ansi else single or escaped or plain or other)
    return b"".join(out).decode("utf-8", "replace")


def _ansi(body: bytes) -> bytes:
    out: list[bytes] = []
    for escape, plain in _IN_ANSI.findall(body):
        if plain:
            out.append(plain)
        elif escape[:1].isdigit():
            out.append(bytes([int(escape, 8) & 0xFF]))
        elif escape[:1] == b"x" and len(escape) > 1:
            out.append(bytes([int(escape[1:], 16)]))
        elif (escape[:1] == b"c" and len(escape) == 2) or escape[:2] == b"C-":
            out.append(bytes([escape[-1] & 0x1F]))
        else:
            out.append(_ESCAPES.get(escape, escape))
    return b"".join(out)
