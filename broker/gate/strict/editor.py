"""The line editor: keys in, the line and its picture out. No key has an effect that is not in this file.

Keys and their meanings are readline's Emacs ones. Nothing of what is typed reaches the target from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.gate.lines.keys import Key, KeyReader, Kind
from broker.gate.strict.act import Act
from broker.gate.strict.history import History
from broker.gate.strict.layout import Picture, layout, prompt_of
from broker.gate.strict.search import NEWER, OLDER, Search
from broker.gate.strict.text import EditText
from broker.gate.strict.vi import ESCAPE, Vi

FAINT = "2"
_REST = re.compile(rb"[\[O].")


Command = Callable[["Editor"], Act]


class Editor:
    """One line after another. `kept`: it was refused and stands there to be changed; what is typed at once
    takes its place, a key that edits or moves keeps it."""

    def __init__(self) -> None:
        self.line: EditText = EditText()
        self.history = History()
        self.prompt, self.more = prompt_of("$ "), prompt_of("> ").cells
        self.kept = False
        self.vi: Vi | None = None
        """None: Emacs keys alone."""
        self._search: Search | None = None
        self._pasted: bytearray | None = None
        self._prefix = self._literal = self._escaped = False
        self._words = 0
        """How many lines back Alt-. has gone."""
        self._stash: list[str] = []
        self._next: int | None = None
        """The place in the history that comes after the line that Ctrl-O entered."""

    # ------------------------------------------------------------ the line

    @property
    def text(self) -> str:
        return self.line.text

    def prompts(self, first: str, more: str) -> None:
        """What stands in front of the line and of its further rows."""
        self.prompt, self.more = prompt_of(first), prompt_of(more).cells

    def begin(self) -> None:
        """A new line; or one that was put aside, or comes after the one that Ctrl-O entered."""
        self.line.clear()
        self.kept, self._search, self._prefix, self._literal = False, None, False, False
        self.history.begin()
        if self.vi is not None:
            self.vi.begin()
        if self._next is not None and self._next < len(self.history.entries):
            self.line.set(self.history.to(self._next, ""))
        elif self._stash:
            self.line.set(self._stash.pop())
        self._next = None

    def entered(self, text: str) -> None:
        """The line is on its way: it belongs to the history now."""
        place, count = self.history.place, len(self.history.entries)
        self.history.add(text)
        if self._next is not None:
            self._next = place + 1 if place < count else None
        self.kept = False

    def mode(self, vi: bool) -> None:
        """Which keys the user's shell has."""
        if vi != (self.vi is not None):
            self.vi = Vi() if vi else None

    def refused(self) -> None:
        """The line stays. It can be found again too when something else was typed."""
        if self.vi is not None:
            self.vi.begin()
        self.kept, self._next = True, None
        self.history.add(self.text, sent=False)

    def picture(self, cols: int) -> Picture:
        if self._search is not None:
            text, at = self._search.found
            return layout(prompt_of(self._search.prompt), self.more, text, at, cols)
        style = FAINT if self.kept else ""
        return layout(self.prompt, self.more, self.text, self.line.at, cols, style)

    # ------------------------------------------------------------ keys

    def key(self, key: Key) -> Act:
        """One key. What it did is in the picture."""
        if self._pasted is not None:
            return self._paste(key)
        key = self._after_escape(key)
        if self.vi is not None and self._search is None and (act := self.vi.key(self, key)) is not None:
            return act
        if key.kind is Kind.PART and not self._escaped:
            return Act.SHOW
        if key.kind is Kind.PASTE:
            self._pasted = bytearray()
            return Act.SHOW
        if self._search is not None and (act := self._searching(key)) is not None:
            return act
        if key.kind is Kind.TEXT:
            return self.type(clean(key.full.decode("utf-8", "replace")))
        return self._command(key.full)

    def _after_escape(self, key: Key) -> Key:
        """Where Escape alone has a meaning it acts at once; what comes next is a key of its own then, unless
        it is the rest of a sequence that was cut."""
        escaped, self._escaped = self._escaped, False
        if key.full == ESCAPE and (self.vi is not None or self._search is not None):
            self._escaped = True
        elif escaped and key.raw != key.full and not _REST.match(key.raw):
            return KeyReader().feed(key.raw)[0]
        return key

    def type(self, text: str) -> Act:
        """Characters, as if typed."""
        self._words, literal, self._literal = 0, self._literal, False
        if self._prefix:
            self._prefix = False
            return self._command(b"\x18" + text.encode())
        if self.kept and not literal:
            self.kept = False
            self.line.set(text)
            return Act.SHOW
        return Act.SHOW if self.line.insert(text) else Act.BELL

    def _command(self, keys: bytes) -> Act:
        if self._literal:
            self._literal = False
            return self.type("\t") if keys == b"\t" else self.newline() if keys in _ENTERS else Act.BELL
        if self._prefix:
            self._prefix, keys = False, b"\x18" + keys
        command = KEYS.get(keys)
        if command is not _last_word:
            self._words = 0
        if command is None:
            return Act.BELL
        if command not in _KEEPING:
            self.kept = False
        return command(self)

    def newline(self) -> Act:
        """A line break at the cursor: the line has a further row."""
        self.kept = False
        return Act.SHOW if self.line.insert("\n") else Act.BELL

    def _paste(self, key: Key) -> Act:
        assert self._pasted is not None, "only inside a paste"
        if key.kind is not Kind.PASTED:
            self._pasted += key.raw
            return Act.SHOW
        text, self._pasted = bytes(self._pasted).decode("utf-8", "replace"), None
        if self._search is not None:
            self._search.type(clean(text).partition("\n")[0])
            return Act.SHOW
        return self.type(clean(text.replace("\r\n", "\n").replace("\r", "\n")).rstrip("\n"))

    def _searching(self, key: Key) -> Act | None:
        """A key in a search. None: it ended the search and goes on as a key for the line."""
        search = self._search
        assert search is not None, "only while searching"
        if key.kind is Kind.TEXT:
            search.type(clean(key.full.decode("utf-8", "replace")))
        elif key.full in (b"\x12", b"\x13"):
            search.again(OLDER if key.full == b"\x12" else NEWER)
        elif key.full in (b"\x7f", b"\x08"):
            search.rubout()
        elif key.full in (b"\x07", b"\x03"):
            self._search = None
            return Act.SHOW
        else:
            self._search = None
            if search.place is not None:
                text, at = search.found
                self.history.to(search.place, self.text)
                self.line.set(text, at)
                self.kept = False
            return Act.SHOW if key.full in (b"\x1b", b"\x1b\x1b") else None
        return Act.BELL if search.failed else Act.SHOW

    # ------------------------------------------------------------ commands that need more than the text

    def step(self, by: int) -> Act:
        """Through the history."""
        text = self.history.step(by, self.text)
        if text is None:
            return Act.BELL
        self.line.set(text)
        return Act.SHOW

    def up(self) -> Act:
        return Act.SHOW if self.line.row_up() else self.step(-1)

    def down(self) -> Act:
        return Act.SHOW if self.line.row_down() else self.step(1)

    def ends(self, last: bool) -> Act:
        """To the oldest line of the history, or to the one under edit."""
        self.line.set(self.history.to(len(self.history.entries) if last else 0, self.text))
        return Act.SHOW

    def search(self, by: int) -> Act:
        self._search = Search(self.history, self.text, self.line.at, by)
        return Act.SHOW

    def last_word(self) -> Act:
        """The last word of the line before; repeated, of the one before that."""
        before = self.history.last_word(self._words) or "" if self._words else ""
        word = self.history.last_word(self._words + 1)
        if word is None:
            return Act.BELL
        self._words += 1
        self.line.replace_before(len(before), word)
        return Act.SHOW

    def push(self) -> Act:
        """Put the line aside; it comes back at the next prompt."""
        if self.text:
            self._stash.append(self.text)
            self.line.set("")
        return Act.SHOW

    def enter_and_next(self) -> Act:
        self._next = self.history.place
        return Act.ENTER

    def prefixed(self) -> Act:
        self._prefix = True
        return Act.SHOW

    def literal(self) -> Act:
        self._literal = True
        return Act.SHOW

    def delete_or_leave(self) -> Act:
        if not self.text:
            return Act.LEAVE
        self.line.delete()
        return Act.SHOW


def clean(text: str) -> str:
    """Without control characters but tabs and line breaks: none is ever part of a line."""
    return "".join(char for char in text if char in "\n\t" or not (char < " " or "\x7f" <= char < "\xa0"))


def _text(act: Callable[[EditText], object]) -> Command:
    """A command that only changes the text; what answers False is not possible."""

    def command(editor: Editor) -> Act:
        return Act.BELL if act(editor.line) is False else Act.SHOW

    return command


def _says(act: Act) -> Command:
    return lambda editor: act


_enter, _clear = _says(Act.ENTER), _says(Act.CLEAR)
_prefixed: Command = Editor.prefixed
_KEEPING = (_enter, _clear, _prefixed)
"""Commands that neither edit nor move."""
_last_word: Command = lambda editor: editor.last_word()  # noqa: E731 - a value in a table
_ENTERS = frozenset({b"\r", b"\n"})
_TEXT: dict[Callable[[EditText], object], tuple[bytes, ...]] = {
    EditText.left: (b"\x02", b"\x1b[D", b"\x1bOD"),
    EditText.right: (b"\x06", b"\x1b[C", b"\x1bOC"),
    EditText.home: (b"\x01", b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"\x1b[7~"),
    EditText.end: (b"\x05", b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"\x1b[8~"),
    EditText.word_left: (b"\x1bb", b"\x1b[1;5D", b"\x1b[1;3D", b"\x1b[5D", b"\x1b\x1b[D"),
    EditText.word_right: (b"\x1bf", b"\x1b[1;5C", b"\x1b[1;3C", b"\x1b[5C", b"\x1b\x1b[C"),
    EditText.rubout: (b"\x7f", b"\x08"),
    EditText.delete: (b"\x1b[3~",),
    EditText.kill_to_end: (b"\x0b",),
    EditText.kill_to_start: (b"\x15",),
    EditText.kill_word: (b"\x1bd", b"\x1b[3;5~"),
    EditText.rubout_word: (b"\x1b\x7f", b"\x1b\x08"),
    EditText.rubout_blank_word: (b"\x17",),
    EditText.yank: (b"\x19",),
    EditText.yank_pop: (b"\x1by",),
    EditText.transpose: (b"\x14",),
    EditText.upper: (b"\x1bu",),
    EditText.lower: (b"\x1bl",),
    EditText.capital: (b"\x1bc",),
    EditText.undo: (b"\x1f", b"\x18\x15"),
}
_OWN: dict[Command, tuple[bytes, ...]] = {
    Editor.up: (b"\x1b[A", b"\x1bOA"),
    Editor.down: (b"\x1b[B", b"\x1bOB"),
    lambda editor: editor.step(-1): (b"\x10",),
    lambda editor: editor.step(1): (b"\x0e",),
    lambda editor: editor.ends(last=False): (b"\x1b<",),
    lambda editor: editor.ends(last=True): (b"\x1b>",),
    lambda editor: editor.search(OLDER): (b"\x12",),
    lambda editor: editor.search(NEWER): (b"\x13",),
    _last_word: (b"\x1b.", b"\x1b_"),
    Editor.push: (b"\x1bq",),
    Editor.newline: (b"\x1b\r", b"\x1b\n"),
    Editor.enter_and_next: (b"\x0f",),
    _prefixed: (b"\x18",),
    Editor.literal: (b"\x16", b"\x11"),
    Editor.delete_or_leave: (b"\x04",),
    _enter: (b"\r", b"\n", b"\x1bOM", b"\x1b[13u", b"\x1b[13;1u", b"\x1b[57414u"),
    _says(Act.COMPLETE): (b"\t",),
    _clear: (b"\x0c",),
    _says(Act.OUTSIDE): (b"\x18\x05",),
    _says(Act.INTERRUPT): (b"\x03", b"\x1b[99;5u"),
    _says(Act.SHOW): (b"\x00", b"\x07", b"\x1b", b"\x1b[I", b"\x1b[O"),
}
KEYS: dict[bytes, Command] = {
    **{key: _text(act) for act, keys in _TEXT.items() for key in keys},
    **{key: command for command, keys in _OWN.items() for key in keys},
}
"""All keys. What is not here rings the bell."""
