"""The line that shows where a replay is: `06:41 ├──c──┃──────┤ 17:22`."""

from __future__ import annotations

from collections.abc import Iterable

from tui.states import length


def timeline(width: int, at: int, duration: int, markers: Iterable[int]) -> str:
    """In `width` cells; `c` is a marker, `┃` the moment shown. Times in microseconds."""
    start, end = length(at), length(duration)
    room = width - len(start) - len(end) - 4
    if room < 3:
        return f"{start} / {end}"[:width]
    cells = ["─"] * room
    for marker in markers:
        cells[_place(marker, duration, room)] = "c"
    cells[_place(at, duration, room)] = "┃"
    return f"{start} ├{''.join(cells)}┤ {end}"


def _place(t: int, duration: int, room: int) -> int:
    return min(room - 1, t * room // duration) if duration else 0
