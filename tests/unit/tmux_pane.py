"""tmux as a reference emulator: a pane that shows exactly the bytes it is given."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recorder.cast import Event
from recorder.screen import Screen, Style
from tests.world.process import PATIENCE

_LOOK_EVERY = 0.01
Cell = tuple[str, Style]
_BLANK: Cell = (" ", Style())


@dataclass(frozen=True, slots=True)
class Picture:
    """What is seen: `cells` by row and column, an empty text being the right half of a wide character."""

    cells: list[list[Cell]]
    cursor: tuple[int, int]
    """Column and row."""
    alternate: bool

    @property
    def rows(self) -> list[str]:
        """The text, without blanks at the ends of rows."""
        return ["".join(text for text, _ in row).rstrip() for row in self.cells]

    def differences(self, other: Picture) -> list[str]:
        """What differs; `other` is tmux's, which does not tell the colour of blanks at the ends of rows."""
        found = [] if self.cursor == other.cursor else [f"cursor {self.cursor}, tmux: {other.cursor}"]
        if self.alternate != other.alternate:
            found.append(f"alternate screen {self.alternate}, tmux: {other.alternate}")
        for y, (ours, theirs) in enumerate(zip(self.cells, other.cells, strict=True)):
            end = max((x + 1 for x, cell in enumerate(theirs) if cell != _BLANK), default=0)
            ours = ours[:end] + [(text, style._replace(bg=_BLANK[1].bg)) for text, style in ours[end:]]
            found += [
                f"({x},{y}) {mine}, tmux: {cell}"
                for x, (mine, cell) in enumerate(zip(ours, theirs, strict=True))
                if mine != cell
            ][:1]
        return found


def picture_of(screen: Screen) -> Picture:
    """What our emulator shows."""
    return Picture(_cells(screen), (screen.cursor.x, screen.cursor.y), screen.alternate)


def _cells(screen: Screen) -> list[list[Cell]]:
    rows = []
    for y in range(screen.rows):
        styles = [run.style for run in screen.cells(y) for _ in range(run.width)]
        rows.append([_visible(text, style) for text, style in zip(screen.columns(y), styles, strict=True)])
    return rows


def _visible(text: str, style: Style) -> Cell:
    """A blank has no colour of its own unless something is drawn on it."""
    drawn = style.underline or style.strike or style.reverse
    if text != " " or drawn:
        return text, style
    return text, Style(bg=style.bg)


def same_throughout(tmux: Tmux, size: tuple[int, int], events: Iterable[Event]) -> None:
    """Plays the events of a cast (o and r) on both; asserts that they show the same after each output."""
    screen = Screen(*size)
    with tmux.open(*size) as pane:
        for number, event in enumerate(events):
            if event.code == "r":
                columns, _, rows = event.data.partition("x")
                screen.resize(int(columns), int(rows))
                pane.resize(int(columns), int(rows))
                continue
            screen.feed(event.data.encode())
            pane.feed(event.data.encode())
            found = picture_of(screen).differences(pane.look())
            assert found == [], f"after event {number}"


class Tmux:
    """A private server whose panes print what they are fed."""

    def __init__(self) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="bzp-", dir="/tmp"))
        self._panes = 0
        self("new-session", "-d", "-x", "80", "-y", "24", "exec sleep 100000")
        self("set-option", "-g", "status", "off")

    def __call__(self, *arguments: str) -> str:
        argv = ["tmux", "-S", str(self._place / "s"), "-f", "/dev/null", *arguments]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return subprocess.run(argv, capture_output=True, text=True, check=True, env=environment).stdout

    def open(self, cols: int, rows: int) -> Pane:
        """A blank pane of that size."""
        self._panes += 1
        return Pane(self, self._place / str(self._panes), cols, rows)

    def close(self) -> None:
        """End the server and all its panes."""
        self("kill-server")
        for path in self._place.iterdir():
            path.unlink()
        self._place.rmdir()


class Pane:
    """One pane; use it as a context."""

    def __init__(self, tmux: Tmux, fifo: Path, cols: int, rows: int) -> None:
        os.mkfifo(fifo)
        self._tmux, self._fed = tmux, 0
        script = 'stty raw -echo; exec cat "$0"'
        self._id = tmux("new-window", "-dPF", "#{pane_id}", "sh", "-c", script, str(fifo)).strip()
        self.resize(cols, rows)
        self._fifo = fifo.open("wb", buffering=0)

    def __enter__(self) -> Pane:
        return self

    def __exit__(self, *error: object) -> None:
        self._fifo.close()  # which ends the program, and with it the pane

    def resize(self, cols: int, rows: int) -> None:
        self._tmux("resize-window", "-t", self._id, "-x", str(cols), "-y", str(rows))

    def feed(self, data: bytes) -> None:
        """Print the bytes; returns when tmux has drawn them. They must end outside any sequence."""
        self._fed += 1
        title = f"fed {self._fed}"
        self._fifo.write(data + f"\x1b]2;{title}\x07".encode())
        deadline = time.monotonic() + PATIENCE
        while self._ask("#{pane_title}") != title:
            assert time.monotonic() < deadline, "tmux did not read the bytes"
            time.sleep(_LOOK_EVERY)

    def look(self) -> Picture:
        """What tmux shows now, its colours read by our emulator from plain rows."""
        cols, rows, x, y, alternate = map(
            int, self._ask("#{pane_width} #{pane_height} #{cursor_x} #{cursor_y} #{alternate_on}").split()
        )
        lines = self._tmux("capture-pane", "-peNt", self._id).split("\n")[:rows]
        screen = Screen(cols, rows)
        screen.feed(b"\x1b)0\x1b[?7l")  # line drawing comes as letters after SO
        for number, line in enumerate(lines):
            screen.feed(f"\x1b[{number + 1}H{line}".encode())
        return Picture(_cells(screen), (min(x, cols - 1), y), alternate == 1)

    def _ask(self, template: str) -> str:
        return self._tmux("display-message", "-p", "-t", self._id, template).rstrip("\n")
