"""Moments as people write them: `7d` ago, a day, a day with a time; and times of a recording. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGE = re.compile(r"-?(\d{1,6})([smhdw])\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):([0-5]\d)(?:\.(\d{1,6}))?\Z")
SECOND = 1_000_000


def moment(text: str, now: int) -> int:
    """Microseconds since the epoch of `7d` or `-7d` (before `now`), `2026-11-01`, `2026-11-01T14:02`,
    `2026-11-01T14:02:10Z`. Without a zone it is UTC. Raises ValueError."""
    if age := _AGE.match(text):
        return now - int(age[1]) * _UNITS[age[2]] * SECOND
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return round(found.timestamp() * SECOND)
    except (ValueError, OverflowError):
        raise ValueError(
            f"expected a time such as 7d, 2026-11-01 or 2026-11-01T14:02, got {text!r}"
        ) from None


def clock(t: int) -> str:
    """A time of a recording for people: `06:41`, `1:02:03`."""
    minutes, seconds = divmod(t // SECOND, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


def from_clock(text: str) -> int:
    """Microseconds of `06:41`, `1:02:03` or `06:41.5`. Raises ValueError."""
    found = _CLOCK.match(text)
    if not found:
        raise ValueError(f"expected a time such as 06:41 or 1:02:03, got {text!r}")
    hours, minutes, seconds, part = found.groups()
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole * SECOND + int((part or "0").ljust(6, "0"))
