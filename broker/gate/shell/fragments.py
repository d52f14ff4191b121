"""The simple commands in a text that our grammar cannot read as a whole, or whose shell reads it otherwise.

Quotes are respected; words that only give a text its form are taken off. Each fragment is then read alone.
"""

from __future__ import annotations

import re

from broker.gate.text import names

MOST = 300
_SPLIT = frozenset("\n;&|(){}`")
_FORM = names(
    """if then elif else while until do done fi esac ! time begin end and or not nocorrect noglob repeat
    coproc"""
)
_HEADER = names("for foreach select case switch function")
"""The words behind one of these run nothing, except for substitutions in them."""
_FISH_SET = re.compile(
    r"set\s+(?:-\w+\s+|--[\w-]+\s+)*([A-Za-z_]\w*)((?:\s+(?:[^\s'\"$]+|'[^']*'|\"[^\"$]*\"))*)\s*\Z"
)


def fragments(text: str, *, fish: bool = False) -> list[str]:
    """The texts of the commands, in order. `fish`: its `set` becomes an assignment."""
    found: list[str] = []
    for piece in _pieces(text, fish=fish)[:MOST]:
        bare = _without_form(piece)
        if fish and (match := _FISH_SET.match(bare)):
            bare = f"{match[1]}='" + re.sub(r"['\"]", "", match[2]).strip() + "'"
        if bare.rstrip(" :"):
            found.append(bare)
    return found


def _without_form(piece: str) -> str:
    words = piece.strip()
    while True:
        first, _, rest = words.partition(" ")
        if first in _HEADER:
            return f": {rest}".rstrip() if rest.strip() else ""
        if first not in _FORM:
            return words
        words = rest.strip()


def _pieces(text: str, *, fish: bool) -> list[str]:
    """The text parted at what parts commands, outside of quotes and substitutions. What is open at the end
    is no quote and no substitution that could be read: it is parted too."""
    pieces: list[str] = []
    start = at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
        elif char in "'\"":
            at = _quote_end(text, at, escapes=fish or char == '"')
        elif (end := _substitution_end(text, at, fish=fish)) is not None:
            at = end
        elif char in _SPLIT:
            pieces.append(text[start:at].removesuffix("$"))
            at += 1
            start = at
        else:
            at += 1
    pieces.append(_closed(text[start:]))
    return [_as_bash(piece) if fish else piece for piece in pieces]


def _substitution_end(text: str, at: int, *, fish: bool) -> int | None:
    """The place behind the substitution or parameter that begins here; None if there is none, or no end."""
    if text.startswith("${", at):
        return _quote_end(text, at, escapes=True, end="}")
    if text[at] == "`" and not fish:
        end = text.find("`", at + 1)
        return None if end < 0 else end + 1
    if not (text.startswith(("$(", "<(", ">("), at) or (fish and text[at] == "(")):
        return None
    depth = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in "'\"":
            at = _quote_end(text, at, escapes=fish or text[at] == '"') - 1
        elif text[at] in "()":
            depth += 1 if text[at] == "(" else -1
            if depth == 0:
                return at + 1
        at += 1
    return None


def _as_bash(piece: str) -> str:
    """fish writes a substitution without a sign in front."""
    out, at = [], 0
    while at < len(piece):
        if piece[at] == "'":
            end = _quote_end(piece, at, escapes=True)
            out.append(piece[at:end])
            at = end
            continue
        plain = piece[at] == "(" and piece[at - 1 : at] not in {"$", "\\"}
        out.append("$(" if plain else piece[at])
        at += 1
    return "".join(out)


def _quote_end(text: str, at: int, *, escapes: bool, end: str = "") -> int:
    end = end or text[at]
    at += 1
    while at < len(text) and text[at] != end:
        at += 2 if text[at] == "\\" and escapes else 1
    return min(at + 1, len(text))


def _closed(piece: str) -> str:
    """The last piece with the quote closed that it leaves open."""
    quote, at = "", 0
    while at < len(piece):
        char = piece[at]
        if char == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        at += 1
    return piece.rstrip("\\") + quote
