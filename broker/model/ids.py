"""Identifiers: typed by their prefix, made by the broker alone, safe as file names."""

from __future__ import annotations

import re
from typing import NewType

SessionId = NewType("SessionId", str)
"""`S-` and lower-case hexadecimal digits of a number from the store's sequence, e.g. `S-81c`."""

_SESSION = re.compile(r"S-[0-9a-f]{1,16}\Z")


def session_id(number: int) -> SessionId:
    """The id of the `number`-th session (number >= 1)."""
    return SessionId(f"S-{number:x}")


def is_session_id(text: str) -> bool:
    """True for a text that has the form of a session id, and so is safe as a file name."""
    return bool(_SESSION.match(text))


RequestId = NewType("RequestId", str)
"""`R-` and upper-case hexadecimal digits of a number from the store's sequence, e.g. `R-4F2`."""

_REQUEST = re.compile(r"R-[0-9A-F]{1,16}\Z")


def request_id(number: int) -> RequestId:
    """The id of the `number`-th request (number >= 1)."""
    return RequestId(f"R-{number:X}")


def is_request_id(text: str) -> bool:
    """True for a text that has the form of a request's id."""
    return bool(_REQUEST.match(text))
