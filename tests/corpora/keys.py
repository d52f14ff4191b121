"""The lines that keystrokes become in bash's readline, emacs keys: enough for the corpus, else None."""

from __future__ import annotations

import re

_KEYS = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|\x1b.|.", re.DOTALL)


def typed_lines(keys: str) -> list[str] | None:
    """Each line as it is submitted; None for a key whose meaning depends on the shell's surroundings."""
    editor = _Editor()
    for match in _KEYS.finditer(keys):
        if not editor.press(match[0]):
            return None
    return editor.lines


class _Editor:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.left, self.right, self.kill = "", "", ""

    def press(self, key: str) -> bool:
        if key in {"\r", "\n"}:
            self.lines.append(self.left + self.right)
            self.left = self.right = ""
        elif key in _MOVES:
            _MOVES[key](self)
        elif key.isprintable() and len(key) == 1:
            self.left += key
        else:
            return False
        return True

    def home(self) -> None:
        self.left, self.right = "", self.left + self.right

    def end(self) -> None:
        self.left, self.right = self.left + self.right, ""

    def back(self) -> None:
        self.right, self.left = self.left[-1:] + self.right, self.left[:-1]

    def forth(self) -> None:
        self.left, self.right = self.left + self.right[:1], self.right[1:]

    def delete(self) -> None:
        self.right = self.right[1:]

    def backspace(self) -> None:
        self.left = self.left[:-1]

    def kill_right(self) -> None:
        self.kill, self.right = self.right, ""

    def kill_left(self) -> None:
        self.kill, self.left = self.left, ""

    def kill_word(self) -> None:
        match = re.search(r"\S*\s*\Z", self.left)
        assert match is not None, "it matches the empty end at least"
        self.kill, self.left = match[0], self.left[: match.start()]

    def yank(self) -> None:
        self.left += self.kill

    def drop(self) -> None:
        self.left = self.right = ""

    def previous(self) -> None:
        self.left, self.right = (self.lines[-1], "") if self.lines else (self.left, self.right)

    def lower(self) -> None:
        match = re.match(r"\W*\w*", self.right)
        assert match is not None, "it matches the empty beginning at least"
        self.left, self.right = self.left + match[0].lower(), self.right[match.end() :]


_MOVES = {
    "\x01": _Editor.home, "\x1b[H": _Editor.home, "\x1bOH": _Editor.home, "\x1b[1~": _Editor.home,
    "\x05": _Editor.end, "\x1b[F": _Editor.end, "\x1bOF": _Editor.end, "\x1b[4~": _Editor.end,
    "\x02": _Editor.back, "\x1b[D": _Editor.back, "\x06": _Editor.forth, "\x1b[C": _Editor.forth,
    "\x04": _Editor.delete, "\x1b[3~": _Editor.delete, "\x7f": _Editor.backspace, "\x08": _Editor.backspace,
    "\x0b": _Editor.kill_right, "\x15": _Editor.kill_left, "\x17": _Editor.kill_word, "\x19": _Editor.yank,
    "\x03": _Editor.drop, "\x10": _Editor.previous, "\x1b[A": _Editor.previous, "\x1bl": _Editor.lower,
}  # fmt: skip
