"""What the keys typed since the last line make up, in two readings: an editor's and a cooked terminal's.

`EditorLine` follows readline's defaults (Emacs keys), `CookedLine` the kernel's line discipline (termios,
ICANON). Each says so as soon as a key comes whose effect it cannot know.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from broker.gate.lines.keys import Key, Kind

_LEFT = frozenset({b"\x02", b"\x1b[D", b"\x1bOD"})
_RIGHT = frozenset({b"\x06", b"\x1b[C", b"\x1bOC"})
_HOME = frozenset({b"\x01", b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"\x1b[7~"})
_END = frozenset({b"\x05", b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"\x1b[8~"})
_RUBOUT = frozenset({b"\x7f", b"\x08"})
_HARMLESS = frozenset({b"\x0c", b"\x00"})
_INTERRUPT = frozenset({b"\x03", b"\x1c"})


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@dataclass(slots=True)
class EditorLine:
    """As readline edits by default. `known` turns false at the first key of another kind."""

    known: bool = True
    _before: list[str] = field(default_factory=list)
    _after: list[str] = field(default_factory=list)
    _killed: str | None = None
    """What Ctrl-Y brings back; None: unknown."""

    @property
    def text(self) -> str:
        return "".join(self._before) + "".join(self._after)

    @property
    def at_end(self) -> bool:
        return not self._after

    def clear(self) -> None:
        self._before, self._after, self.known = [], [], True

    def take(self, key: Key) -> None:
        if key.kind is Kind.TEXT:
            self._before += decoded(key.full)
        elif key.kind in (Kind.CONTROL, Kind.SEQUENCE):
            self._command(key.full)
        elif key.kind is Kind.ACCEPT:
            self.known = False

    def _command(self, key: bytes) -> None:
        before, after = self._before, self._after
        if key in _RUBOUT:
            _drop_character(before)
        elif key in _LEFT:
            if before:
                after.insert(0, before.pop())
        elif key in _RIGHT:
            if after:
                before.append(after.pop(0))
        elif key in _HOME:
            self._before, self._after = [], before + after
        elif key in _END:
            self._before, self._after = before + after, []
        elif key in (b"\x1b[3~", b"\x04"):
            if not before and not after and key == b"\x04":
                self.known = False
            del after[:1]
        elif key in _INTERRUPT:
            self.clear()
        elif key not in _HARMLESS:
            self._kill(key)

    def _kill(self, key: bytes) -> None:
        before, after = self._before, self._after
        if key == b"\x15":
            self._killed, self._before = "".join(before) or self._killed, []
        elif key == b"\x0b":
            self._killed, self._after = "".join(after) or self._killed, []
        elif key == b"\x17":
            start = _word_start(before)
            self._killed = "".join(before[start:]) or self._killed
            del before[start:]
        elif key == b"\x19" and self._killed is not None:
            before += self._killed
        else:
            self.known = False


@dataclass(slots=True)
class CookedLine:
    """As the kernel edits in canonical mode; what a mid-line Ctrl-D pushed can no longer be erased."""

    known: bool = True
    pushed: bool = False
    """A Ctrl-D has handed part of the line to the reader already."""
    _text: list[str] = field(default_factory=list)
    _kept: int = 0
    _literal: bool = False

    @property
    def text(self) -> str:
        return "".join(self._text)

    def clear(self) -> None:
        self.known, self.pushed, self._text, self._kept, self._literal = True, False, [], 0, False

    def take(self, key: Key) -> None:
        if key.kind is Kind.TEXT:
            self._text += decoded(key.full)
            self._literal = False
            return
        for byte in key.raw:
            self._byte(byte)

    def _byte(self, byte: int) -> None:
        char = chr(byte)
        if self._literal:
            self._text.append(char)
            self._literal = False
        elif byte == 0x7F:
            self._erase(1)
        elif byte == 0x15:
            del self._text[self._kept :]
        elif byte == 0x17:
            self._erase(len(self._text) - _kernel_word_start(self._text))
        elif byte == 0x16:
            self._literal = True
        elif byte == 0x04:
            self._kept = len(self._text)
            self.pushed = self.pushed or bool(self._text)
        elif byte in (0x03, 0x1C, 0x1A):
            self.clear()
        elif byte not in (0x12, 0x13, 0x11):
            self._text.append(char)

    def _erase(self, count: int) -> None:
        for _ in range(count):
            if len(self._text) > self._kept:
                del self._text[-1]


def _drop_character(text: list[str]) -> None:
    """A character with the marks that combine with it."""
    while text and unicodedata.combining(text[-1]):
        text.pop()
    if text:
        text.pop()


def _word_start(text: list[str]) -> int:
    """Where the last word begins, words being parted by white space (unix-word-rubout)."""
    at = len(text)
    while at and text[at - 1].isspace():
        at -= 1
    while at and not text[at - 1].isspace():
        at -= 1
    return at


def _kernel_word_start(text: list[str]) -> int:
    """Where WERASE stops: n_tty's words are letters, digits and `_`; bytes of other scripts count too."""
    at = len(text)
    while at and not _kernel_word(text[at - 1]):
        at -= 1
    while at and _kernel_word(text[at - 1]):
        at -= 1
    return at


def _kernel_word(char: str) -> bool:
    return char.isalnum() or char == "_" or ord(char) >= 0x80
