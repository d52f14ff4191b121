"""How things are shown: state glyphs and words, inert text, ages, the last session. Standard library only.

Each state has a glyph, a word, an ASCII form and an attribute, so that any one channel is enough; red and
green are never a pair. Glyphs stay within WGL4, which every terminal font has.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class State:
    """`style` is a Rich style of the 16-colour palette; empty for the terminal's own colours."""

    word: str
    glyph: str
    ascii: str
    style: str


STATES: dict[str, State] = {
    "OK": State("OK", "○", "o", ""),
    "REASON": State("REASON", "○", "o", "bold"),
    "WAIT": State("WAIT", "►", ">", "yellow bold"),
    "DENY": State("DENY", "■", "#", "red reverse"),
    "LIVE": State("LIVE", "●", "*", "blue bold"),
    "APPR": State("APPR", "●", "+", "blue bold"),
    "WARN": State("WARN", "▲", "!", "yellow"),
    "MASK": State("MASK", "◊", "%", "magenta"),
    "END": State("END", "○", "-", "dim"),
    "CUT": State("CUT", "▲", "!", "yellow"),
}
"""By the word used on the wire or in a list. `CUT`: the broker died under the session."""

UNKNOWN = STATES["DENY"]
"""A state this version does not know is shown as the one that promises least."""

_REQUEST_STATES = {
    "pending": "WAIT",
    "approved": "APPR",
    "used": "APPR",
    "denied": "DENY",
}
"""Of requests; all others are over."""

_SESSION_STATES = {"live": "LIVE", "ended": "END", "interrupted": "CUT"}


def access_state(word: str) -> State:
    """The state of an account as the broker names it."""
    return STATES.get(word, UNKNOWN)


def session_state(word: str) -> State:
    """The state of a session (`live`, `ended`, `interrupted`)."""
    return STATES[_SESSION_STATES.get(word, "CUT")]


def request_state(word: str) -> State:
    """The state of a request, with its own word where it is over: `EXPIRED`, `CANCELLED` …"""
    known = _REQUEST_STATES.get(word)
    if known is not None:
        return replace(STATES[known], word=word.upper()) if word in ("used", "denied") else STATES[known]
    return replace(STATES["END"], word=word.upper())


def risk(level: str, score: int | None = None) -> str:
    """`HIGH ▲▲▲ (8)`."""
    marks = {"LOW": 1, "MED": 2}.get(level, 3)
    return f"{level:<4} {STATES['WARN'].glyph * marks}" + ("" if score is None else f" ({score})")


# ---------------------------------------------------------------- terminal

MIN_COLUMNS, MIN_ROWS = 40, 10
_DUMB_TERMS = frozenset({"", "dumb", "unknown", "emacs", "network"})
_UTF8 = re.compile(r"utf-?8", re.IGNORECASE)


def wants_plain(env: Mapping[str, str], columns: int, rows: int) -> bool:
    """True where only the numbered menu works: chosen, a terminal without a cursor, or too small a window."""
    choice = env.get("BARTIZAN_UI", "")
    if choice == "plain":
        return True
    return env.get("TERM", "") in _DUMB_TERMS or columns < MIN_COLUMNS or rows < MIN_ROWS


def wants_ascii(env: Mapping[str, str]) -> bool:
    """True if the user asked for it, or the locale that counts names another character set.

    No locale at all (the usual case behind sshd without AcceptEnv) is taken as UTF-8.
    """
    if env.get("BARTIZAN_ASCII"):
        return True
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := env.get(name):
            return not _UTF8.search(value)
    return False


def terminal_size(fd: int) -> tuple[int, int]:
    """Columns and rows of the terminal at `fd`; 80x24 where it cannot tell."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return 80, 24
    return columns or 80, rows or 24


_ASCII = str.maketrans({
    "●": "*", "○": "o", "■": "#", "▲": "!", "►": ">", "◊": "%", "─": "-", "│": "|", "┃": "|", "├": "|",
    "┤": "|", "┌": "+", "┐": "+", "└": "+", "┘": "+", "═": "=", "↑": "^", "↓": "v", "←": "<", "→": ">",
    "…": "~", "·": ".", "⟨": "<", "⟩": ">", "–": "-", "’": "'",
})  # fmt: skip


def to_ascii(text: str) -> str:
    """The text in ASCII with the same number of cells, so that the layout does not move."""
    if text.isascii():
        return text
    return "".join(_ascii_cells(char) for char in text.translate(_ASCII))


def _ascii_cells(char: str) -> str:
    if char.isascii():
        return char
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return ""
    base = unicodedata.normalize("NFKD", char)[0]
    if base.isascii() and base.isprintable():
        return base
    return "??" if unicodedata.east_asian_width(char) in "WF" else "?"


# ---------------------------------------------------------------- text

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def inert(text: str) -> str:
    """Text of others without power over the terminal: control, bidi and invisible characters as ⟨U+202E⟩."""
    return _UNSAFE.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text)


# ---------------------------------------------------------------- times

SECOND = 1_000_000


def age(then: int | None, now: int) -> str:
    """`2h ago`; `never` for None. Both in microseconds since the epoch."""
    if then is None:
        return "never"
    seconds = max(0, now - then) // SECOND
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return "now"


def length(microseconds: int) -> str:
    """`06:41`, or `2:06:41` from one hour on."""
    seconds = max(0, microseconds) // SECOND
    hours, rest = divmod(seconds, 3_600)
    clock = f"{rest // 60:02d}:{rest % 60:02d}"
    return f"{hours}:{clock}" if hours else clock


def when(microseconds: int, now: int) -> str:
    """`21 Nov 13:48`, in UTC; with the year instead of the clock if it is another year."""
    moment, today = _utc(microseconds), _utc(now)
    return moment.strftime("%d %b %H:%M" if moment.year == today.year else "%d %b  %Y")


def clock(microseconds: int) -> str:
    """`14:02Z`."""
    return _utc(microseconds).strftime("%H:%MZ")


def seconds(microseconds: int) -> str:
    """`14:02:10`, in UTC."""
    return _utc(microseconds).strftime("%H:%M:%S")


def _utc(microseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(microseconds / SECOND, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)


# ---------------------------------------------------------------- coming back


@dataclass(frozen=True, slots=True)
class LastSession:
    """What the broker tells a new picker about the session it comes back from."""

    session: str = ""
    target: str = ""
    account: str = ""
    status: int | None = None
    end: str = ""
    """One word: `exit`, `idle`, `killed` …"""
    reason: str = ""
    """The reason typed for it, offered again."""
    error: str = ""
    """Code, message and hint if it could not be opened at all."""
    play: str = ""
    """A recording to play instead of picking; leaving it ends the face."""

    @classmethod
    def from_json(cls, text: str) -> LastSession:
        """Of the JSON object given on the command line; what is not understood is left out."""
        try:
            data: Any = json.loads(text or "{}")
        except ValueError:
            return cls()
        return cls.from_object(data)

    @classmethod
    def from_object(cls, data: Any) -> LastSession:
        if not isinstance(data, dict):
            return cls()
        texts = {
            name: value
            for name in ("session", "target", "account", "end", "reason", "error", "play")
            if isinstance(value := data.get(name), str)
        }
        status = data.get("status")
        return cls(**texts, status=status if isinstance(status, int) else None)
