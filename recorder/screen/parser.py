"""ECMA-48 tokenizer: characters in, calls out. It cannot fail, and it does not matter how the input is cut.

States follow the parser of DEC's video terminals: controls act inside sequences, CAN, SUB and ESC abort, the
bodies of DCS, APC, PM, SOS and of `ESC k` titles are swallowed. Memory is bounded: a control string that is
kept ends by itself after 64 Ki characters, so an unterminated one cannot hide what follows for ever.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Protocol

from recorder.screen.sgr import Params

STRING_LIMIT = 65536
_SEQUENCE_LIMIT = 256
_PARAM_LIMIT = 32
_NUMBER_LIMIT = 65535

_ESC = "\x1b"
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
_PLAIN_CSI = re.compile(r"\x1b\[([0-9;]{0,64})([@-~])")
_CSI = re.compile(r"([<=>?]?)([0-9:;]*)([ -/]*)\Z")
_OSC_STOP = re.compile(r"[\x07\x18\x1a\x1b\x9c]")
_STRING_STOP = re.compile(r"[\x18\x1a\x1b\x9c]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNKEPT = "P_"  # DCS and APC carry images of megabytes; nothing of them is stored, so they need no limit
_STRINGS = "]P_^Xk"


class Actions(Protocol):
    """What the tokenizer calls, in the order of the stream."""

    def draw(self, text: str) -> None:
        """Printable characters."""

    def execute(self, control: str) -> None:
        """One C0 or C1 control."""

    def escape(self, intermediates: str, final: str) -> None:
        """`ESC intermediates final`."""

    def csi(self, prefix: str, params: Params, intermediates: str, final: str) -> None:
        """A control sequence; `prefix` is one of `<=>?` or empty."""

    def osc(self, text: str) -> None:
        """A complete operating system command, free of controls."""


@lru_cache(maxsize=2048)
def parse_params(text: str) -> Params:
    """`1;38:2::5` as ((1,), (38, 2, 0, 5)); empty text as no parameter at all."""
    if not text:
        return ()
    parts = [part.split(":")[:_PARAM_LIMIT] for part in text.split(";")[:_PARAM_LIMIT]]
    return tuple(tuple(min(int(number or 0), _NUMBER_LIMIT) for number in part) for part in parts)


class Parser:
    """Feed it text; it calls `actions`."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._state = self._ground
        self._held = ""
        self._string = ""
        self._parts: list[str] = []
        self._length = 0

    def feed(self, text: str) -> None:
        """Tokenize the next characters of the stream."""
        position, end = 0, len(text)
        while position < end:
            position = self._state(text, position)

    def pending(self) -> str:
        """The unfinished sequence, as text that brings a fresh parser to the same state."""
        body = "".join(self._parts)
        if self._state == self._in_string:
            return f"{_ESC}{self._string}{body}"
        if self._state == self._in_escape:
            return f"{_ESC}{self._string}{body}{_ESC}" if self._string else f"{_ESC}{self._held}"
        if self._state == self._in_csi:
            return f"{_ESC}[{self._held}"
        return f"{_ESC}[0<" if self._state == self._in_ignored else ""

    def _ground(self, text: str, position: int) -> int:
        actions, end = self._actions, len(text)
        while position < end:
            if run := _TEXT.match(text, position):
                actions.draw(run.group())
                position = run.end()
                continue
            char = text[position]
            if char == _ESC:
                sequence = _PLAIN_CSI.match(text, position)
                if sequence is None:
                    self._begin_escape()
                    return position + 1
                actions.csi("", parse_params(sequence[1]), "", sequence[2])
                position = sequence.end()
            elif char >= "\x80":
                self._c1(char)
                return position + 1
            else:
                actions.execute(char)
                position += 1
        return position

    def _begin_escape(self) -> None:
        self._state, self._held = self._in_escape, ""

    def _begin_string(self, kind: str) -> None:
        self._state, self._string, self._parts, self._length = self._in_string, kind, [], 0

    def _end(self) -> None:
        self._state, self._held, self._string, self._parts = self._ground, "", "", []

    def _c1(self, char: str) -> None:
        """An eight-bit control is its seven-bit pair: ESC and the character 64 below."""
        self._end()
        self._escape("", chr(ord(char) - 0x40))

    def _escape(self, intermediates: str, final: str) -> None:
        if intermediates or final not in "[" + _STRINGS:
            self._actions.escape(intermediates, final)
        elif final == "[":
            self._state, self._held = self._in_csi, ""
        else:
            self._begin_string(final)

    def _interrupted(self, char: str) -> bool:
        """True if `char` is a control and was dealt with; ESC, CAN, SUB and C1 end the sequence."""
        if " " <= char < "\x7f" or char > "\x9f":
            return False
        if char == _ESC:
            self._end()
            self._begin_escape()
        elif char in "\x18\x1a":
            self._end()
        elif char >= "\x80":
            self._c1(char)
        elif char != "\x7f":
            self._actions.execute(char)
        return True

    def _in_escape(self, text: str, position: int) -> int:
        char = text[position]
        if self._string:
            kind, body = self._string, "".join(self._parts)
            self._string, self._parts = "", []
            if char == "\\":
                self._end()
                self._finish_string(kind, body)
                return position + 1
        if self._interrupted(char):
            return position + 1
        if char > "\x7f":
            self._end()
            return position  # not part of any sequence: shown
        if char <= "/":
            self._held = (self._held + char)[:_SEQUENCE_LIMIT]
        else:
            intermediates = self._held
            self._end()
            self._escape(intermediates, char)
        return position + 1

    def _in_csi(self, text: str, position: int) -> int:
        char = text[position]
        if self._interrupted(char):
            return position + 1
        if char > "\x7f":
            self._end()
            return position
        sequence = _CSI.match(self._held if char >= "@" else self._held + char)
        if sequence is None or len(self._held) >= _SEQUENCE_LIMIT:
            self._state, self._held = self._in_ignored, ""
            return position  # a final character ends it there
        if char >= "@":
            self._end()
            self._actions.csi(sequence[1], parse_params(sequence[2]), sequence[3], char)
        else:
            self._held += char
        return position + 1

    def _in_ignored(self, text: str, position: int) -> int:
        char = text[position]
        if self._interrupted(char):
            return position + 1
        if char >= "@":
            self._end()
        return position if char > "\x7f" else position + 1

    def _in_string(self, text: str, position: int) -> int:
        kind = self._string
        stop = (_OSC_STOP if kind == "]" else _STRING_STOP).search(text, position)
        end = stop.start() if stop else len(text)
        if kind not in _UNKEPT:
            end = min(end, position + STRING_LIMIT - self._length)
            self._parts.append(text[position:end])
            self._length += end - position
            if self._length >= STRING_LIMIT:
                self._end()
                return end
        if stop is None:
            return end
        return self._stop_string(kind, text[end], end)

    def _stop_string(self, kind: str, char: str, position: int) -> int:
        if char == _ESC:
            self._state, self._held = self._in_escape, ""  # ESC \ completes it, anything else drops it
            return position + 1
        body = "".join(self._parts)
        self._end()
        if char in "\x07\x9c":
            self._finish_string(kind, body)
        return position + 1

    def _finish_string(self, kind: str, body: str) -> None:
        if kind == "]":
            self._actions.osc(_CONTROLS.sub("", body))
