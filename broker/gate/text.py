"""Text that is only partly known, and patterns of policies compared with it.

What only the running shell could know stands in a text as a noncharacter of Unicode, which no client can
send (a line that holds one is opaque). A comparison with such a text may answer "perhaps".
"""

from __future__ import annotations

import posixpath
import re
from enum import IntEnum
from functools import lru_cache

ANY = "\ufdd0"
"""Any text, a part of one word (`"$x"`)."""
WORDS = "\ufdd1"
"""Any text that may also end the word and begin others (`$x`)."""
STAR = "\ufdd2"
"""An unquoted `*`: any text without a slash."""
ONE = "\ufdd3"
"""An unquoted `?` or `[…]`: one character."""
NUMBER = "\ufdd4"
"""Digits (`$$`, `$((…))`)."""
UNKNOWN = frozenset({ANY, WORDS, STAR, ONE, NUMBER})
_SHOWN = {ANY: "…", WORDS: "…", STAR: "*", ONE: "?", NUMBER: "…"}
_OPEN = frozenset({ANY, WORDS})
_LONGEST = 2000
"""A longer text that is not wholly known perhaps fits: comparing grows with the product of the lengths."""


class Unreadable(Exception):
    """The line means more than its text says. The argument is the reason, for people."""


class Match(IntEnum):
    """Whether a rule fits a text that is perhaps not wholly known. `min` is "and", `max` is "or"."""

    NO = 0
    PERHAPS = 1
    YES = 2


def shown(text: str) -> str:
    """A text from a client, short and inert: what does not print is escaped (lesson 13)."""
    safe = "".join(
        _SHOWN.get(char) or (char if char.isprintable() else repr(char)[1:-1]) for char in text[:80]
    )
    return safe if len(text) <= 80 else f"{safe}…"


def known(text: str) -> bool:
    """True if the text is what it says, character by character."""
    return UNKNOWN.isdisjoint(text)


def open_ended(text: str) -> bool:
    """True if some part of it could be any text at all."""
    return not _OPEN.isdisjoint(text)


def names(text: str) -> frozenset[str]:
    """A set of names from words."""
    return frozenset(text.split())


def basename(text: str) -> str:
    """The last component of a path."""
    return posixpath.basename(text) or text


def resolved(path: str, folder: str = "") -> str:
    """An absolute path without `.`, `..` and repeated slashes. After a part that is not known, `..` stays."""
    if path.startswith("file://"):
        path = path[7:]
    if folder and not path.startswith("/"):
        path = f"{folder}/{path}"
    path = re.sub(r"\A/+proc/+(?:self|[0-9]+|thread-self)/+root(?=/)", "", path)
    out: list[str] = []
    for part in path.split("/"):
        if part in {"", "."}:
            continue
        if part == ".." and out and out[-1] != ".." and not open_ended(out[-1]):
            out.pop()
        elif part != ".." or (out and open_ended(out[-1])) or not path.startswith("/"):
            out.append(part)
    return ("/" if path.startswith("/") else "") + "/".join(out)


def matches(glob: str, text: str) -> Match:
    """`*` and `?` as in the shell: neither matches a `/`; `**` matches everything. A pattern never
    matches a `..` part for certain."""
    if _wild(glob) and ".." in text.split("/"):
        return Match.NO
    if _compiled(glob).match(text) is not None:
        return Match.YES
    if known(text):
        return Match.NO
    if len(text) > _LONGEST:
        return Match.PERHAPS
    return Match.PERHAPS if overlap(_tokens(glob), text) else Match.NO


def _wild(glob: str) -> bool:
    return "*" in glob or "?" in glob


@lru_cache(maxsize=4096)
def _tokens(glob: str) -> str:
    """The pattern with the same signs as texts have."""
    return re.sub(r"\*+", lambda stars: ANY if len(stars[0]) > 1 else STAR, glob).replace("?", ONE)


@lru_cache(maxsize=4096)
def _compiled(glob: str) -> re.Pattern[str]:
    signs = {
        ANY: ".*",
        STAR: f"[^/{ANY}{WORDS}]*",
        ONE: f"[^/{ANY}{WORDS}{STAR}{NUMBER}]",
    }
    return re.compile(
        "".join(signs.get(char) or re.escape(char) for char in _tokens(glob)) + r"\Z", re.DOTALL
    )


def _takes(sign: str, char: str) -> bool:
    """Whether what `sign` stands for can hold `char` (itself perhaps a sign)."""
    if sign in _OPEN or char in UNKNOWN:
        return True
    if sign == NUMBER:
        return char.isdecimal()
    return char != "/"


_MANY = frozenset({ANY, WORDS, STAR, NUMBER})


def overlap(first: str, second: str) -> bool:
    """True if some text fits both; either may hold wildcards. Looks at each pair of positions once."""
    seen: set[tuple[int, int]] = set()
    waiting = [(0, 0)]
    while waiting:
        state = waiting.pop()
        if state in seen:
            continue
        seen.add(state)
        at, there = state
        left, right = first[at : at + 1], second[there : there + 1]
        if not left and not right:
            return True
        if left in _MANY:
            waiting.append((at + 1, there))
        if right in _MANY:
            waiting.append((at, there + 1))
        if left and right and _meet(left, right):
            waiting.append((at + (left not in _MANY), there + (right not in _MANY)))
    return False


def _meet(first: str, second: str) -> bool:
    if first == second:
        return True
    if first in UNKNOWN:
        return _takes(first, second)
    return second in UNKNOWN and _takes(second, first)
