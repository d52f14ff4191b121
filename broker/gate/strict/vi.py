"""vi's command mode, for users whose shell is in it (`set -o vi`). POSIX: sh, vi line editing; no macros."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.gate.lines.keys import Key, Kind
from broker.gate.strict.act import Act
from broker.gate.strict.text import EditText

if TYPE_CHECKING:
    from broker.gate.strict.editor import Editor

ESCAPE = b"\x1b"
_COMMAND = re.compile(r"([1-9]\d*)?(?:([dcy])([1-9]\d*)?)?(.)(.)?", re.DOTALL)
_TAKES_CHARACTER = frozenset("fFtTr")
MOST = 100
"""The largest count: more is a slip of the finger."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a motion leads, and whether an operator takes the character there too."""

    to: int
    inclusive: bool = False


class Vi:
    """The mode of one line. In insert mode all keys but Escape are the editor's."""

    def __init__(self) -> None:
        self.commanding = False
        self._typed = ""
        self._found = ""
        """The last search for a character, for `;` and `,`."""
        self._taken = ""

    @property
    def _inserts(self) -> bool:
        return not self.commanding

    def begin(self) -> None:
        """A new line begins in insert mode."""
        self.commanding, self._typed = False, ""

    def key(self, editor: Editor, key: Key) -> Act | None:
        """None: the key means the same as without vi."""
        if key.full == ESCAPE:
            if not self.commanding and editor.line.at > 0:
                editor.line.left()
            self.commanding, self._typed = True, ""
            return Act.SHOW
        if not self.commanding:
            return None
        if key.kind is not Kind.TEXT:
            return None
        act = Act.SHOW
        text = key.full.decode("utf-8", "replace")
        for number, char in enumerate(text):
            if self._inserts:
                return editor.type(text[number:])
            self._typed += char
            act = self._try(editor)
        return act

    def _try(self, editor: Editor) -> Act:
        """Run what was typed, once it is a whole command."""
        typed = self._typed
        if typed.isdigit() and typed[0] != "0":
            return Act.SHOW
        match = _COMMAND.fullmatch(typed)
        if match is None:
            self._typed = "" if len(typed) > 8 else typed
            return Act.SHOW
        count = min(int(match[1] or 1) * int(match[3] or 1), MOST)
        verb, char, argument = match[2] or "", match[4], match[5] or ""
        if (char in _TAKES_CHARACTER and not argument) or (char in "dcy" and not verb and not argument):
            return Act.SHOW
        self._typed = ""
        editor.kept = False
        if verb or char in "dcy":
            return self._operate(editor, verb or char, char if verb else argument, argument, count)
        if (span := self._motion(editor.line, char, argument, count)) is not None:
            editor.line.at = min(span.to, max(len(editor.line.text) - 1, 0))
            return Act.SHOW
        if (elsewhere := _ELSEWHERE.get(char)) is not None:
            return elsewhere(editor)
        return Act.SHOW if self._change(editor.line, char, argument, count) else Act.BELL

    def _change(self, line: EditText, char: str, argument: str, count: int) -> bool:
        """A command that changes the text. False: there is none of that name."""
        text, at, end = line.text, line.at, min(line.at + count, len(line.text))
        if char in _INSERTING:
            _INSERTING[char](line)
        elif char in _CUTS:
            self._cut(line, Span({"X": max(at - count, 0), "D": len(text), "C": len(text)}.get(char, end)))
        elif char == "S":
            line.set("")
        elif char in "pP":
            at = min(at + (char == "p"), len(text))
            line.set(text[:at] + self._taken * count + text[at:], at + len(self._taken) * count - 1)
        elif char == "r":
            line.set(text[:at] + argument + text[at + 1 :], at)
        elif char == "~":
            line.set(text[:at] + text[at:end].swapcase() + text[end:], end)
        else:
            return False
        self.commanding = char not in _BEGIN_INSERTING
        return True

    def _operate(self, editor: Editor, verb: str, char: str, argument: str, count: int) -> Act:
        line = editor.line
        if char == verb:
            span: Span | None = Span(len(line.text))
            line.at = 0
        elif verb == "c" and char in "wW":  # as `ce`: the blanks behind the word stay
            span = self._motion(line, {"w": "e", "W": "E"}[char], "", count)
        else:
            span = self._motion(line, char, argument, count)
        if span is None:
            return Act.BELL
        if verb == "y":
            first, end = sorted((line.at, span.to + span.inclusive))
            self._taken = line.text[first:end]
            line.at = first
        else:
            self._cut(line, span)
        self.commanding = verb != "c"
        return Act.SHOW

    def _cut(self, line: EditText, span: Span) -> None:
        first, end = sorted((line.at, span.to))
        end += span.inclusive
        self._taken = line.text[first:end]
        line.set(line.text[:first] + line.text[end:], first)

    def _motion(self, line: EditText, char: str, argument: str, count: int) -> Span | None:
        text, at = line.text, line.at
        if char in "fFtT":
            self._found = char + argument
            return _find(text, at, self._found, count)
        if char in ";," and self._found:
            found = self._found if char == ";" else self._found.swapcase()[0] + self._found[1:]
            return _find(text, at, found, count)
        move = _MOTIONS.get(char)
        if move is None:
            return None
        for _ in range(count):
            at = move(text, at)
        return Span(at, char in "eE$" and bool(text) and at < len(text))


def _find(text: str, at: int, how: str, count: int) -> Span | None:
    """`f`, `t` to the right, `F`, `T` to the left; `t` and `T` stop beside the character."""
    kind, char = how[0], how[1:]
    for _ in range(count):
        if kind in "ft":
            at = text.find(char, at + 1 + (kind == "t" and text[at + 1 : at + 2] == char))
        else:
            at = text.rfind(char, 0, max(at - (kind == "T" and text[at - 1 : at] == char), 0))
        if at < 0:
            return None
    return Span(at - (kind == "t") + (kind == "T"), kind in "ft")


def _class(char: str, big: bool) -> int:
    return 0 if char.isspace() else 1 if big or char.isalnum() or char == "_" else 2


def _forward(big: bool) -> Callable[[str, int], int]:
    def move(text: str, at: int) -> int:
        kind = _class(text[at], big) if at < len(text) else 0
        while at < len(text) and kind and _class(text[at], big) == kind:
            at += 1
        while at < len(text) and not _class(text[at], big):
            at += 1
        return at

    return move


def _backward(big: bool) -> Callable[[str, int], int]:
    def move(text: str, at: int) -> int:
        at -= 1
        while at > 0 and not _class(text[at], big):
            at -= 1
        while at > 0 and _class(text[at - 1], big) == _class(text[at], big):
            at -= 1
        return max(at, 0)

    return move


def _ending(big: bool) -> Callable[[str, int], int]:
    def move(text: str, at: int) -> int:
        at += 1
        while at < len(text) and not _class(text[at], big):
            at += 1
        while at + 1 < len(text) and _class(text[at + 1], big) == _class(text[at], big):
            at += 1
        return min(at, max(len(text) - 1, 0))

    return move


_MOTIONS: dict[str, Callable[[str, int], int]] = {
    "h": lambda text, at: max(at - 1, 0),
    "l": lambda text, at: min(at + 1, len(text)),
    " ": lambda text, at: min(at + 1, len(text)),
    "0": lambda text, at: 0,
    "^": lambda text, at: len(text) - len(text.lstrip()),
    "$": lambda text, at: max(len(text) - 1, 0),
    "w": _forward(False),
    "W": _forward(True),
    "b": _backward(False),
    "B": _backward(True),
    "e": _ending(False),
    "E": _ending(True),
}
_INSERTING: dict[str, Callable[[EditText], None]] = {
    "i": lambda line: None,
    "a": EditText.right,
    "I": EditText.first,
    "A": EditText.last,
}
_CUTS = frozenset("xXDCs")
_BEGIN_INSERTING = frozenset("iIaACsS")


def _comment(editor: Editor) -> Act:
    editor.line.set("#" + editor.text)
    return Act.ENTER


_ELSEWHERE: dict[str, Callable[[Editor], Act]] = {
    "k": lambda editor: editor.step(-1),
    "-": lambda editor: editor.step(-1),
    "j": lambda editor: editor.step(1),
    "+": lambda editor: editor.step(1),
    "G": lambda editor: editor.ends(last=False),
    "/": lambda editor: editor.search(-1),
    "?": lambda editor: editor.search(1),
    "u": lambda editor: Act.SHOW if editor.line.undo() else Act.BELL,
    "#": _comment,
    "v": lambda editor: Act.OUTSIDE,
}
