"""Replay of one recording: play, pause, seek both ways, speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.widget import Widget

from broker.wire.messages import Chunk, ListRecordings, ReadRecording, Sessions, SessionView
from recorder.cast import CastError
from recorder.reader import CastReader
from tui import keys, states
from tui.screens.frame import Frame
from tui.screens.playback import Playback
from tui.widgets.lines import Lines, Piece, both_ends, wrap
from tui.widgets.terminal_view import TerminalView
from tui.widgets.timeline import timeline

FRAME_S = 1 / 30
LARGEST = 256 << 20
"""Bytes of a cast that are played here; a larger one is exported and played locally."""

Progress = Callable[[int, int], None]
Load = Callable[["ReplayScreen"], Awaitable[bytes | None]]


class ReplayScreen(Frame):
    """Opens paused at the start. The clock runs here, the emulator in a thread, and only the latest moment is
    drawn: a backlog is never worked off frame by frame."""

    SCOPE = "replay"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("replay")

    DEFAULT_CSS = """
    ReplayScreen #tabs { display: none; }
    ReplayScreen.-full Lines { display: none; }
    """

    def __init__(self, name: str, load: Load, view: SessionView | None = None) -> None:
        super().__init__()
        self._title = name
        self._load = load
        self._view = view
        self._state = "loading"
        self._playback: Playback | None = None
        self._before = 0.0
        self._settling = False

    @classmethod
    def of_recording(cls, id: str, view: SessionView | None = None) -> ReplayScreen:
        """Fetched from the broker."""
        return cls(id, lambda screen: screen.fetch(id), view)

    @classmethod
    def of_file(cls, path: str) -> ReplayScreen:
        """A local file, without a broker."""
        return cls(Path(path).name, lambda screen: asyncio.to_thread(Path(path).read_bytes))

    def body(self) -> Iterator[Widget]:
        yield TerminalView(id="picture")
        yield Lines(id="timeline")

    def on_mount(self) -> None:
        self.start()

    # ------------------------------------------------------------ loading

    @work(exclusive=True, group="load")
    async def start(self) -> None:
        """Load, then show the first moment."""
        try:
            data = await self._load(self)
            if data is None:
                self._fail("")
                return
            self._playback = await asyncio.to_thread(_playback, data)
        except CastError as exc:
            self._fail(f"This recording cannot be played: {exc}")
            return
        except OSError as exc:
            self._fail(f"{self._title}: {exc.strerror}")
            return
        self._state = ""
        self.draw()
        self.set_interval(FRAME_S, self._tick)

    def _fail(self, words: str) -> None:
        self._state = "cannot be played"
        if words:
            self.say(words, "bold")
        self.draw_frame()

    async def fetch(self, id: str) -> bytes | None:
        """All chunks of the cast as it is now; None after a failure, which has then been said."""
        await self._look_up(id)
        data = bytearray()
        while True:
            body = await self.ask(ReadRecording(id, "cast", len(data)))
            if not isinstance(body, Chunk):
                return None
            if body.size > LARGEST:
                self.say(f"{id} has {body.size >> 20} MB, too large to play here. Export it, play the file.")
                return None
            data += body.data
            if not body.data or len(data) >= body.size:
                return bytes(data)
            self._state = f"loading {len(data) >> 20} of {body.size >> 20} MB"
            self.draw_frame()

    async def _look_up(self, id: str) -> None:
        """Who and where, for the first row, if the caller did not know."""
        if self._view is None:
            body = await self.ask(ListRecordings(id, 20))
            if isinstance(body, Sessions):
                self._view = next((view for view in body.items if view.id == id), None)

    # ------------------------------------------------------------ the clock

    def _tick(self) -> None:
        """Thirty times a second; costs nothing while paused."""
        now = time.monotonic()
        elapsed, self._before = now - self._before, now
        if self._playback is not None and self._playback.playing and not self._settling:
            self._playback.tick(round(min(elapsed, 1.0) * 1_000_000))
            self.draw()

    @work(exclusive=False, group="draw")
    async def draw(self) -> None:
        """Bring the picture to the clock's moment; one at a time, the latest wins."""
        playback = self._playback
        if playback is None or self._settling:
            return
        self._settling = True
        try:
            while True:
                moment = playback.at
                screen = await asyncio.to_thread(playback.settle)
                if moment == playback.at:
                    break
        finally:
            self._settling = False
        if self.is_attached:
            self.query_one("#picture", TerminalView).show(screen)
            self.draw_frame()

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    # ------------------------------------------------------------ rows around the picture

    def draw_frame(self) -> None:
        super().draw_frame()
        playback = self._playback
        if playback is None or not self.composed or not self.size.width:
            return
        line = timeline(self.size.width - 2, playback.at, playback.duration, (m.t for m in playback.markers))
        self.query_one("#timeline", Lines).show([[(f" {line}", "")]])
        if playback.markers:
            number = playback.marker()
            label = playback.markers[number - 1].label if number else ""
            words = f"cmd {number}/{len(playback.markers)}  {label}"
            if words != self._fact[0]:
                self.tell(words)

    def _draw_news(self) -> None:
        """What came last; in a low window only what is no mere fact."""
        if not self.composed:
            return
        news = self.query_one("#news", Lines)
        texts = wrap(self._latest[0], max(1, self.size.width - 2)) if self._latest is self._event else []
        news.display = bool(texts) or not self.low
        lines: list[list[Piece]] = [[(f" {text}", self._latest[1])] for text in texts or [self._fact[0]]]
        news.styles.height = len(lines)
        news.show(lines)

    def _identity(self) -> str:
        view, now = self._view, self.face.now()
        parts = [self._title]
        if view is not None:
            parts += [f"{view.account}@{view.target}", view.user, states.when(view.started_at, now)]
        left = f" {'  '.join(parts)}"
        return both_ends(left, f"{self._play_state()} ", self.size.width)

    def _play_state(self) -> str:
        playback = self._playback
        if playback is None:
            return self._state
        size = f"{playback.replay.screen.cols}x{playback.replay.screen.rows}"
        idle = "skip idle  " if playback.skips_idle and self.size.width >= 60 else ""
        glyph, word = ("WAIT", "play") if playback.playing else ("DENY", "pause")
        return f"{idle}{size}  {playback.speed:g}x  {self.glyph(states.STATES[glyph])} {word}"

    # ------------------------------------------------------------ actions

    def action_play(self) -> None:
        if self._playback is not None:
            self._playback.play()
            self._before = time.monotonic()
            self.draw()

    def action_skip(self, seconds: int) -> None:
        if self._playback is not None:
            self._playback.seek(self._playback.at + seconds * 1_000_000)
            self.draw()

    def action_edge(self, end: int) -> None:
        if self._playback is not None:
            self._playback.seek(self._playback.duration if end else 0)
            self.draw()

    def action_tenth(self, tenth: int) -> None:
        if self._playback is not None:
            self._playback.seek(self._playback.duration * tenth // 10)
            self.draw()

    def action_step(self, by: int) -> None:
        if self._playback is not None:
            self._playback.step(by)
            self.draw()

    def action_marker(self, by: int) -> None:
        if self._playback is None:
            return
        if not self._playback.jump_to_marker(by):
            self.say("No command that way." if self._playback.markers else "No commands are marked in it.")
        self.draw()

    def action_speed(self, by: int) -> None:
        if self._playback is not None:
            self._playback.faster(by)
            self.draw_frame()

    def action_idle(self) -> None:
        if self._playback is not None:
            self._playback.skips_idle = not self._playback.skips_idle
            self.draw_frame()

    def action_full(self) -> None:
        """The picture alone, without the rows around it."""
        self.toggle_class("-full")
        self.call_after_refresh(self.draw)

    def action_leave(self) -> None:
        self.dismiss(None)


def _playback(data: bytes) -> Playback:
    with CastReader(data) as reader:
        return Playback(list(reader.events()), reader.header)
