"""Names and free text that people give to things: what is refused, so that they are safe everywhere.

A name may stand in a path, a table, a log line and an ssh login name; a text may be shown on a terminal.
"""

from __future__ import annotations

import re
import unicodedata

from broker.model.errors import Invalid

MAX_TEXT = 500
"""Longest free text (comment, reason), in characters."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


def checked_name(text: str, what: str) -> str:
    """The name itself. Raises Invalid, naming `what` (`user`, `secret`, `group`)."""
    if _NAME.match(text):
        return text
    raise Invalid(
        f"{text[:80]!a} is not a {what} name",
        hint="use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit",
    )


def is_printable(text: str) -> bool:
    """False if a character controls a terminal, reverses text or cannot be seen (Unicode class C, Zl, Zp)."""
    return not any(unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp") for c in text)


def checked_text(text: str, what: str) -> str:
    """The text itself. Raises Invalid for control and bidirectional characters, and for too long a text."""
    if len(text) > MAX_TEXT:
        raise Invalid(f"the {what} has {len(text)} characters; at most {MAX_TEXT} are kept")
    if not is_printable(text):
        raise Invalid(f"the {what} holds control or invisible characters: {text[:80]!a}")
    return text
