"""Completion: which word stands before the cursor, what to ask the shell for, what to make of its answer."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from broker.gate.strict.layout import cell_of

SEPARATORS = frozenset(";&|()\n{}")
_SPECIAL = re.compile(r"[\s\\'\"`$&|;()<>*?\[\]{}!#~]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)?\Z")
_BEFORE_COMMAND = frozenset(
    ["if", "then", "else", "elif", "do", "while", "until", "!", "time", "exec", "sudo", "command", "nohup"]
)
_FOLDERS = frozenset(["cd", "pushd", "rmdir"])
MOST_LISTED = 100


@dataclass(slots=True)
class Word:
    """The word before the cursor. `start`: where it begins in the line; `quote`: which is open in it."""

    words: list[str] = field(default_factory=list)
    """Those before it in its command, quotes removed."""
    text: str = ""
    start: int = 0
    quote: str = ""
    redirected: bool = False
    begun: bool = False

    @property
    def how(self) -> str:
        """What to ask for: a command, variable, folder or file, or what the program wants."""
        if self.quote != "'" and _VARIABLE.search(self.text):
            return "v"
        if self.redirected:
            return "f"
        if not self.words:
            return "f" if "/" in self.text else "c"
        return "d" if self.words[0] in _FOLDERS else "p"

    @property
    def asked(self) -> str:
        """What the answer has to begin with."""
        return (_VARIABLE.search(self.text) or [""])[1] or "" if self.how == "v" else self.text

    def question(self) -> str:
        """For the shell: how, then the words."""
        return "\x1f".join([self.how, *(self.words if self.how == "p" else []), self.asked])


def word_before(line: str) -> Word:
    """The word at the end of the line, which is cut at the cursor."""
    word = Word()
    at = 0
    while at < len(line):
        char = line[at]
        at += 1
        if char == "\\" and word.quote != "'":
            _add(word, at - 1, line[at : at + 1])
            at += 1
        elif word.quote:
            if char == word.quote:
                word.quote = ""
            else:
                word.text += char
        elif char in "'\"":
            _add(word, at - 1, "")
            word.quote = char
        elif char in SEPARATORS and not (char in "{}" and word.begun):
            word = Word(start=at)
        elif char in "<>":
            word = Word(word.words, start=at, redirected=True)
        elif char.isspace():
            word = _next(word, at)
        else:
            _add(word, at - 1, char)
    if not word.begun:
        word.start = len(line)
    return word


def _add(word: Word, at: int, text: str) -> None:
    if not word.begun:
        word.begun, word.start = True, at
    word.text += text


def _next(word: Word, at: int) -> Word:
    """The word has ended."""
    if not word.begun:
        return word
    if word.redirected:
        return Word(word.words, start=at)
    if not word.words and (word.text in _BEFORE_COMMAND or _ASSIGNMENT.match(word.text)):
        return Word(start=at)
    return Word([*word.words, word.text], start=at)


@dataclass(frozen=True, slots=True)
class Completed:
    """`insert` takes the place of the line from `start` to the cursor. `choices`: what it could become."""

    start: int
    insert: str
    choices: tuple[str, ...] = ()


def completed(word: Word, answers: Sequence[str], hidden: str) -> Completed | None:
    """What to do with the shell's answers; None: there are none. `hidden`: how our own names begin."""
    found = sorted({_whole(word, one.rstrip(" ")) for one in answers if one.isprintable()} - {""})
    found = [one for one in found if one.startswith(word.asked) and not one.startswith(hidden)]
    if not found:
        return None
    if word.how == "v":
        return _variable(word, found)
    common = os.path.commonprefix(found)  # noqa: RUF071 - characters are meant, not folders
    text = quoted(common, word.quote)
    if len(found) == 1 and not common.endswith(("/", "=", ":")):
        text += f"{word.quote} "
    return Completed(word.start, text, tuple(found) if len(found) > 1 else ())


def _whole(word: Word, answer: str) -> str:
    """An answer may leave out what stands before a `=` or `:` in the word, as bash parts words there."""
    if answer.startswith(word.asked):
        return answer
    cut = max(word.asked.rfind("="), word.asked.rfind(":")) + 1
    return word.asked[:cut] + answer


def _variable(word: Word, found: list[str]) -> Completed:
    common = os.path.commonprefix(found)  # noqa: RUF071 - characters are meant, not folders
    brace = "{" if word.text.endswith("{" + word.asked) else ""
    text = word.text[: len(word.text) - len(word.asked) - len(brace) - 1]
    ending = ("}" if brace else " ") if len(found) == 1 else ""
    head = (word.quote + text if word.quote else quoted(text, "")) + "$" + brace
    return Completed(word.start, head + common + ending, tuple(found) if len(found) > 1 else ())


def quoted(text: str, quote: str) -> str:
    """The text so that a shell reads it as it is, inside the quote that is open."""
    if quote == "'":
        return "'" + text.replace("'", "'\\''")
    if quote:
        return '"' + re.sub(r"([\\\"`$])", r"\\\1", text)
    home = "~/" if text.startswith("~/") else ""
    return home + _SPECIAL.sub(lambda match: "\\" + match[0], text[len(home) :])


def listing(choices: Sequence[str], cols: int) -> list[str]:
    """The choices in columns, each harmless (lesson 13), only the last part of paths."""
    names = [_shown(one) for one in choices[:MOST_LISTED]]
    wide = max((sum(width for _, width in name) for name in names), default=0) + 2
    across = max(1, cols // wide)
    down = -(-len(names) // across)
    rows = [
        "".join(
            "".join(text for text, _ in name) + " " * (wide - sum(w for _, w in name))
            for name in names[y::down]
        ).rstrip()
        for y in range(down)
    ]
    left = len(choices) - len(names)
    return [*rows, f"… {left} more"] if left > 0 else rows


def _shown(choice: str) -> list[tuple[str, int]]:
    head, _, last = choice.rstrip("/").rpartition("/")
    name = choice[len(head) + 1 :] if head or last != choice.rstrip("/") else choice
    cells = [cell_of(char) for char in name[:80]]
    return [(cell.text, cell.width) for cell in cells]
