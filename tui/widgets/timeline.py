"""The line that shows where a replay is: `06:41 ├──c──┃──────┤ 17:22`."""

from __future__ import annotations

from collections.abc import Iterable

from tui.states import length


def timeline(width: int, at: int, duration: int, moments: Iterable[tuple[int, str]], order: str) -> str:
    """In `width` cells. Moments are times in microseconds with letters, of which the later in `order` covers
    the earlier; `┃` is the moment shown."""
    start, end = length(at), length(duration)
    room = width - len(start) - len(end) - 4
    if room < 3:
        return f"{start} / {end}"[:width]
    cells = ["─"] * room
    for t, letter in moments:
        place = _place(t, duration, room)
        if order.find(cells[place]) <= order.find(letter):
            cells[place] = letter
    cells[_place(at, duration, room)] = "┃"
    return f"{start} ├{''.join(cells)}┤ {end}"


def _place(t: int, duration: int, room: int) -> int:
    return min(room - 1, t * room // duration) if duration else 0
