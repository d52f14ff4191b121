"""Patterns of commands that a window lets through without a hold.

Strict on purpose: a line fits only if it is one command of plain words, with nothing in it that a shell would
expand, quote or chain; and word by word. `*` and `?` stand for characters of one word, never for a `/`, and
never for an option that the pattern does not show.
"""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z0-9_./=:,@%+ -]*\Z")
_PATTERN = re.compile(r"[A-Za-z0-9_./=:,@%+*? -]*\Z")
LONGEST = 500


def pattern_problem(pattern: str) -> str:
    """Why it is no pattern; empty if it is one."""
    if not pattern.strip() or len(pattern) > LONGEST:
        return f"it has to have 1 to {LONGEST} characters"
    if not _PATTERN.match(pattern):
        return "it may hold letters, digits, spaces, * ? and _ . / = : , @ % + - only"
    if pattern.split()[0].strip("*?") == "":
        return "it has to name the program"
    return ""


def fits(pattern: str, line: bytes) -> bool:
    """Whether the line is such a command."""
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        return False
    words, wanted = text.split(), pattern.split()
    if not _PLAIN.match(text) or len(words) != len(wanted) or not words:
        return False
    return all(_word(one, word) for one, word in zip(wanted, words, strict=True))


def _word(pattern: str, word: str) -> bool:
    if word.startswith("-") and not pattern.startswith("-"):
        return False
    if ".." in word and ".." not in pattern:
        return False
    parts = ("[^/]*" if char == "*" else "[^/]" if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), word) is not None
