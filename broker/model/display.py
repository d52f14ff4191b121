"""Text of requesters and targets as a decider may be shown it: whole, inert, what it hides spelled out.

Nothing that is drawn can act on a terminal, be invisible, or change the order of what stands around it
(lesson 13; Unicode TR36 and TR39). The form is unambiguous: every `⟨` in it is ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from confusable_homoglyphs import categories, confusables

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Blank by their glyph or as Default_Ignorable_Code_Point, although letters, marks or symbols."""
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x1810))
_MOST_MARKS = 2
"""Marks on one letter; more of them paint over the rows above and below."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_TOGETHER = (
    frozenset({"LATIN", "HAN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "CJK", "HANGUL"}),
)
"""Scripts that one word may mix (TR39, "highly restrictive")."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """`text`: safe to show. `hidden`: how many characters had to be spelled out. `scripts`: those mixed
    within one word, or that imitate Latin letters; empty: no word does."""

    text: str
    hidden: int = 0
    scripts: tuple[str, ...] = ()


def drawn(data: bytes | str) -> Drawn:
    """All of it, on the rows it has. Bytes that are no UTF-8 are drawn as `⟨0x9C⟩`."""
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
    parts = list(_parts(text))
    hidden = sum(shown != char for char, shown in zip(text, parts, strict=True)) - text.count("⟨")
    return Drawn("".join(parts), hidden, _scripts(text))


def drawn_row(data: bytes | str) -> str:
    """The same on one row."""
    return drawn(data).text.replace("\n", "⟨U+000A⟩")


def _parts(text: str) -> Iterator[str]:
    """One drawn text for each character."""
    marks = _MOST_MARKS
    for char in text:
        category = unicodedata.category(char)
        if category in ("Mn", "Me") and not _blank(char):
            marks += 1
            yield char if marks <= _MOST_MARKS else _spelled(char)
            continue
        marks = 0 if category[0] == "L" else _MOST_MARKS
        plain = char == "\n" or not (category[0] == "C" or category in ("Zl", "Zp") or _blank(char))
        space = category == "Zs" and char != " "
        yield char if plain and not space and char != "⟨" and not _leftward(char) else _spelled(char)


def _leftward(char: str) -> bool:
    """Letters and digits of right-to-left scripts move what stands beside them."""
    return unicodedata.bidirectional(char) in ("R", "AL", "AN")


def _blank(char: str) -> bool:
    return char in _BLANK or any(ord(char) in span for span in _SELECTORS)


def _spelled(char: str) -> str:
    code = ord(char)
    return f"⟨0x{code - 0xDC00:02X}⟩" if 0xDC80 <= code <= 0xDCFF else f"⟨U+{code:04X}⟩"


def _scripts(text: str) -> tuple[str, ...]:
    if text.isascii():
        return ()
    found: set[str] = set()
    for word in _WORD.findall(text):
        if not word.isascii():
            found |= _suspect(word)
    return tuple(sorted(name.title() for name in found))


def _suspect(word: str) -> set[str]:
    """Its scripts, if it mixes some that do not go together or could be read as a Latin word."""
    scripts = {categories.alias(char) for char in word} - {"COMMON", "INHERITED"}
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        return scripts
    return scripts if scripts and "LATIN" not in scripts and _imitates_latin(word) else set()


def _imitates_latin(word: str) -> bool:
    return all(_latin_twin(char) for char in set(word))


@lru_cache(maxsize=4096)
def _latin_twin(char: str) -> bool:
    """True if it looks like one ASCII letter."""
    found = confusables.is_confusable(char, greedy=True) or []
    twins = [str(twin["c"]) for entry in found for twin in entry["homoglyphs"]]
    return any(len(twin) == 1 and twin.isascii() and twin.isalpha() for twin in twins)
