"""The picture of a recorded terminal, out of cells: nothing the recorded program wrote reaches the viewer's
own terminal, neither queries nor titles nor clipboard writes. It never resizes the viewer's window; where
the recording is larger, the part around the cursor is shown.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from recorder.screen import Run, Screen, Style

_RGB = 1 << 24
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""Characters without a cell of their own, which could still reorder or hide what is beside them."""
_CURSOR = RichStyle(reverse=True)


def _color(number: int) -> Color | None:
    if number < 0:
        return None
    if number >= _RGB:
        return Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255)
    return Color.from_ansi(number)


@lru_cache(maxsize=1024)
def rich_style(style: Style) -> RichStyle:
    """The same look for Rich. Nothing blinks, and what was concealed is shown as concealed."""
    return RichStyle(
        color=_color(style.fg), bgcolor=_color(style.bg), bold=style.bold, dim=style.dim, italic=style.italic,
        underline=style.underline, reverse=style.reverse, conceal=style.conceal, strike=style.strike,
    )  # fmt: skip


class TerminalView(Widget):
    """`show` a screen; only rows that changed are drawn again."""

    DEFAULT_CSS = "TerminalView { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[list[Run]] = []
        self._cursor: tuple[int, int] | None = None
        self._left = 0
        self._screen_size = (0, 0)

    def show(self, screen: Screen) -> None:
        """Draw the part of the screen that fits, with the cursor in it."""
        x, y, visible, _ = screen.cursor
        width, height = self.size
        top = min(max(0, y - height + 1), max(0, screen.rows - height))
        self._screen_size = (screen.cols, screen.rows)
        left = 0 if screen.cols <= width else max(0, min(x - width + 1, screen.cols - width))
        rows = [screen.cells(row) for row in range(top, min(screen.rows, top + height))]
        cursor = (x, y - top) if visible else None
        self._draw(rows, cursor, left)

    def _draw(self, rows: list[list[Run]], cursor: tuple[int, int] | None, left: int) -> None:
        if left != self._left or len(rows) != len(self._rows):
            self._rows, self._cursor, self._left = rows, cursor, left
            self.refresh()
            return
        changed = {y for y, (new, old) in enumerate(zip(rows, self._rows, strict=True)) if new != old}
        if cursor != self._cursor:
            changed |= {place[1] for place in (cursor, self._cursor) if place}
        self._rows, self._cursor = rows, cursor
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in sorted(changed)))

    def on_resize(self, event: events.Resize) -> None:
        self._rows = []

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._rows):
            return Strip.blank(width)
        columns = sum(run.width for run in self._rows[y])
        segments = [Segment(_UNSAFE.sub("", run.text), rich_style(run.style)) for run in self._rows[y]]
        line = Strip(segments, columns)
        if self._cursor and self._cursor[1] == y:
            x = self._cursor[0]
            here = line.crop(x, x + 1)
            marked = Strip([Segment(part.text, (part.style or RichStyle()) + _CURSOR) for part in here], 1)
            line = Strip.join([line.crop(0, x), marked, line.crop(x + 1)])
        return line.crop(self._left, self._left + width).extend_cell_length(width)

    @property
    def cropped(self) -> bool:
        """True if a part of the recorded screen does not fit."""
        return self._screen_size[0] > self.size.width or self._screen_size[1] > self.size.height
