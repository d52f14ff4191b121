"""The player's model: any moment of a recording as a screen, and transforms of its time. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from recorder.cast import Event, Header
from recorder.screen import Screen

_EVERY_BYTES = 64 * 1024
_EVERY_EVENTS = 2000
_MAX_KEYFRAMES = 512
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})\Z")


class Marker(NamedTuple):
    """A place to jump to."""

    t: int
    label: str


class _Keyframe(NamedTuple):
    """The screen after the first `at` events."""

    at: int
    cols: int
    rows: int
    dump: bytes

    def screen(self) -> Screen:
        screen = Screen(self.cols, self.rows)
        screen.feed(self.dump)
        return screen


def cap_idle(events: Iterable[Event], limit: int) -> Iterator[Event]:
    """Pauses longer than `limit` microseconds become `limit`."""
    before, saved = 0, 0
    for event in events:
        saved += max(0, event.t - before - limit)
        before = event.t
        yield event._replace(t=event.t - saved)


def at_speed(events: Iterable[Event], factor: float) -> Iterator[Event]:
    """Times divided by `factor` (> 0)."""
    return (event._replace(t=round(event.t / factor)) for event in events)


class Replay:
    """Output goes through the emulator only: nothing a program printed can reach the viewer's own terminal.

    `screen` shows the state at `t`. It is one object until a seek goes back or far ahead.
    """

    def __init__(self, events: Sequence[Event], header: Header) -> None:
        """`events` in the order of time."""
        self._events = events
        self._times = [event.t for event in events]
        self.duration = self._times[-1] if events else 0
        self.markers = [Marker(event.t, event.data) for event in events if event.code == "m"]
        self.screen = Screen(header.width, header.height)
        self.t = 0
        self._index = 0
        self._since = (0, 0)
        self._keyframes = [_Keyframe(0, self.screen.cols, self.screen.rows, b"")]
        self._spacing = 1
        self._apply_until(0)

    @property
    def next_t(self) -> int | None:
        """When something happens next; None at the end."""
        return self._times[self._index] if self._index < len(self._times) else None

    def seek(self, t: int) -> Screen:
        """The screen at `t`, forward or back; times beyond either end are taken as that end."""
        t = min(max(t, 0), self.duration)
        target = bisect_right(self._times, t)
        nearest = self._keyframes[bisect_right(self._keyframes, target, key=lambda frame: frame.at) - 1]
        if target < self._index or nearest.at > self._index:
            self.screen, self._index, self._since = nearest.screen(), nearest.at, (0, 0)
        self._apply_until(t)
        return self.screen

    def advance(self, by: int) -> Screen:
        """The screen `by` microseconds later."""
        return self.seek(self.t + by)

    def _apply_until(self, t: int) -> None:
        target = bisect_right(self._times, t)
        while self._index < target:
            self._apply(self._events[self._index])
            self._index += 1
            self._keep_frame()
        self.t = t

    def _apply(self, event: Event) -> None:
        if event.code == "o":
            data = event.data.encode("utf-8", "replace")
            self.screen.feed(data)
            self._since = (self._since[0] + len(data), self._since[1] + 1)
        elif event.code == "r" and (size := _SIZE.match(event.data)):
            self.screen.resize(int(size[1]), int(size[2]))

    def _keep_frame(self) -> None:
        """A keyframe after enough work, where none is yet; when there are many, every second one goes."""
        size, count = self._since
        if size < _EVERY_BYTES * self._spacing and count < _EVERY_EVENTS * self._spacing:
            return
        self._since = (0, 0)
        if self._index <= self._keyframes[-1].at:
            return
        frame = _Keyframe(self._index, self.screen.cols, self.screen.rows, self.screen.dump())
        self._keyframes.append(frame)
        if len(self._keyframes) > _MAX_KEYFRAMES:
            self._keyframes = self._keyframes[::2]
            self._spacing *= 2
