"""Where a replay is and where it goes next: a clock over events. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from recorder.cast import Event, Header, StreamEvent
from recorder.replay import Replay
from recorder.screen import Screen
from tui.screens.moments import moments
from tui.screens.transcript import Transcript

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
IDLE_CAP = 1_000_000
"""Microseconds of a pause that are played when idle time is skipped."""


class Playback:
    """Times are microseconds of the session, never of the viewer: skipping a pause jumps over it.

    `at` is where the clock is. The picture follows with `settle`, which may take long and may run in a
    thread; nothing else here touches the emulator.
    """

    def __init__(self, events: Sequence[Event], header: Header, beside: Iterable[StreamEvent] = ()) -> None:
        """`beside`: the event stream, where there is one."""
        self.replay = Replay(events, header)
        self.moments = moments(self.replay.markers, beside)
        self._output = events
        self._transcript: Transcript | None = None
        self.header = header
        self.duration = self.replay.duration
        self.at = 0
        self.playing = False
        self.skips_idle = True
        self._times = [event.t for event in events]
        self._speed = SPEEDS.index(1.0)

    @property
    def speed(self) -> float:
        return SPEEDS[self._speed]

    def settle(self) -> Screen:
        """Bring the emulator to where the clock is. Call it from one place at a time."""
        return self.replay.seek(self.at)

    # ------------------------------------------------------------ time goes on

    def tick(self, elapsed: int) -> None:
        """`elapsed` microseconds have passed for the viewer."""
        if not self.playing:
            return
        to = self.at + round(elapsed * self.speed)
        if self.skips_idle:
            to = self._past_idle(to)
        self.at = min(to, self.duration)
        if self.at >= self.duration:
            self.playing = False

    def _past_idle(self, to: int) -> int:
        """The next event's time, if the pause around `to` has been shown for as long as it may."""
        index = bisect_right(self._times, self.at)
        if index == len(self._times):
            return to
        following = self._times[index]
        quiet_since = self._times[index - 1] if index else 0
        return following if quiet_since + IDLE_CAP < to < following else to

    def play(self) -> None:
        """Play or pause; at the end, from the start again."""
        if not self.playing and self.at >= self.duration:
            self.at = 0
        self.playing = not self.playing and self.duration > 0

    def faster(self, by: int) -> None:
        """`by` steps of the speeds there are."""
        self._speed = max(0, min(len(SPEEDS) - 1, self._speed + by))

    # ------------------------------------------------------------ jumps

    def seek(self, to: int) -> None:
        self.at = max(0, min(to, self.duration))

    def step(self, by: int) -> None:
        """To the next (1) or the previous (-1) moment at which something happened; pauses."""
        self.playing = False
        if by > 0:
            index = bisect_right(self._times, self.at)
            self.seek(self._times[index] if index < len(self._times) else self.duration)
        else:
            index = bisect_left(self._times, self.at) - 1
            self.seek(self._times[index] if index >= 0 else 0)

    def find(self, words: str) -> list[tuple[int, str]]:
        """Times and lines where these words were written. The first search reads all there is."""
        if self._transcript is None:
            self._transcript = Transcript(self._output)
        return self._transcript.find(words)
