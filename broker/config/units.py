"""The written forms of values: durations, sizes, file modes, paths, names and patterns."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StringConstraints, ValidationInfo

from broker.model import pattern

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_UNITS_B = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:ms|s|m|h|d))+\Z")
_DURATION_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,12}) ?(B|KiB|MiB|GiB|TiB)\Z")
_MODE = re.compile(r"0?[0-7]{3}\Z")
_NEVER = frozenset({"never", "none"})


def duration(value: object) -> float:
    """`30s`, `5m`, `1h30m`, `250ms` in seconds. Raises ValueError for anything else, and for zero."""
    if not isinstance(value, str) or not _DURATION.match(value):
        raise ValueError(f"expected a duration such as 30s, 5m or 2h, got {value!r}")
    seconds = sum(int(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(value))
    if seconds <= 0:
        raise ValueError("expected a duration longer than 0")
    return float(seconds)


def duration_or_never(value: object) -> float | None:
    """As `duration`; `never`, `none` and 0 give None."""
    if value in _NEVER or (value == 0 and not isinstance(value, bool)):
        return None
    try:
        return duration(value)
    except ValueError as error:
        raise ValueError(f"{error} (or never)") from None


def size(value: object) -> int:
    """`64MiB` in bytes. Raises ValueError for anything else, and for zero."""
    match = _SIZE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected a size such as 512KiB, 64MiB or 2GiB, got {value!r}")
    if int(match[1]) == 0:
        raise ValueError("expected a size larger than 0")
    return int(match[1]) * _UNITS_B[match[2]]


def mode(value: object) -> int:
    """`0660` as a number. Raises ValueError for anything but three octal digits."""
    text = str(value)
    if isinstance(value, bool) or not _MODE.match(text):
        raise ValueError(f"expected a file mode such as 0660, got {value!r}")
    return int(text, 8)


def resolved(value: Path, info: ValidationInfo) -> Path:
    """A path as written; a relative one from the folder of its file (`base` of the context)."""
    if not str(value).strip() or str(value) == "." or "\n" in str(value):
        raise ValueError("expected a path")
    base: Path = (info.context or {}).get("base", Path())
    return base / value


def one_or_more(value: Any) -> Any:
    """A single text stands for a list of one."""
    return [value] if isinstance(value, str) else value


def filled(value: Any) -> Any:
    """Refuses an empty list or mapping: what is left out is left out with its key."""
    if value in ([], {}):
        raise ValueError("must not be empty")
    return value


def matching(form: str, expected: str) -> Callable[[str], str]:
    """A check that a text fits the pattern as a whole, with words for what was expected."""
    compiled = re.compile(rf"(?:{form})\Z")

    def check(value: str) -> str:
        if not compiled.match(value):
            raise ValueError(f"expected {expected}, got {value!r}")
        return value

    return check


def regex(value: str) -> str:
    """Refuses what is no regular expression."""
    why = pattern.problem(value)
    if why is not None:
        raise ValueError(f"expected a regular expression in RE2 syntax, got {value!r} ({why})")
    return value


Duration = Annotated[float, BeforeValidator(duration)]
"""Seconds."""
DurationOrNever = Annotated[float | None, BeforeValidator(duration_or_never)]
Size = Annotated[int, BeforeValidator(size)]
"""Bytes."""
Mode = Annotated[int, BeforeValidator(mode)]
FilePath = Annotated[Path, AfterValidator(resolved)]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Regex = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(regex)]
"""RE2 syntax."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""A short text for people."""
Name = Annotated[
    str,
    AfterValidator(
        matching(r"[a-z0-9][a-z0-9._-]{0,63}", "a name of a-z, 0-9, '.', '_' or '-' (64 at most)"),
    ),
]
Account = Annotated[
    str,
    AfterValidator(
        matching(r"[A-Za-z_][A-Za-z0-9._-]{0,62}\$?", "an account name of letters, digits, '.', '_' or '-'")
    ),
]
EnvName = Annotated[
    str, AfterValidator(matching(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of an environment variable"))
]
