"""Regular expressions that people write in policies: RE2, whose time grows only with the text.

Syntax: https://github.com/google/re2/wiki/Syntax. There is no look-around and no back-reference.
"""

from __future__ import annotations

from functools import lru_cache

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern, _OPTIONS)


def problem(pattern: str) -> str | None:
    """Why it is no pattern; None if it is one."""
    try:
        _compiled(pattern)
    except re2.error as error:
        (text,) = error.args
        return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return None


def found(pattern: str, text: str) -> bool:
    """Whether it fits some part of the text. Raises re2.error for what is no pattern."""
    return _compiled(pattern).search(_encodable(text)) is not None


def fits(pattern: str, text: str) -> bool:
    """Whether it fits the whole text. Raises re2.error for what is no pattern."""
    return _compiled(pattern).fullmatch(_encodable(text)) is not None


def _encodable(text: str) -> str:
    """A client's bytes that are no UTF-8 stand as lone surrogates, which RE2 does not take."""
    return text.encode("utf-8", "replace").decode()
