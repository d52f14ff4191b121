"""Lines of styled text: the one way from words to cells. What comes from others is made inert here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tui.states import inert

Piece = tuple[str, str]
"""Text, and a Rich style for it (empty: the terminal's own)."""


@lru_cache(maxsize=256)
def style(words: str) -> Style:
    return Style.parse(words) if words else Style.null()


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells, with `…` where something was cut off."""
    text = inert(text)
    size = cell_len(text)
    if size <= width:
        return text + " " * (width - size)
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


def strip(pieces: Iterable[Piece], width: int, base: str = "") -> Strip:
    """One line of `width` cells; `base` is mixed into every piece and fills the rest."""
    ground = style(base)
    segments = [Segment(inert(text), ground + style(words)) for text, words in pieces if text]
    return Strip(segments).adjust_cell_length(width, ground)


def both_ends(left: str, right: str, width: int) -> str:
    """`left` and `right` at the two ends of a line; the left end gives way."""
    right = inert(right)
    room = width - cell_len(right)
    return f"{fit(left, room - 1)} {right}" if room > 2 else fit(left, width)


def wrap(text: str, width: int) -> list[str]:
    """Wrapped by words, longer words cut."""
    lines: list[str] = []
    line = ""
    for word in inert(text).split():
        while cell_len(word) > width:
            lines.extend([line] if line else [])
            head = set_cell_size(word, width).rstrip()
            lines.append(head)
            line, word = "", word[len(head) :]
        candidate = f"{line} {word}".strip()
        if cell_len(candidate) > width:
            lines.append(line)
            line = word
        else:
            line = candidate
    return [*lines, line] if line else lines


def exact(text: str, width: int) -> list[str]:
    """Every character of the text, cut only at its own line ends and where `width` cells are full."""
    lines: list[str] = []
    for line in text.split("\n"):
        whole = inert(line)
        parts = chop_cells(whole, width) or [""]
        parts[-1] += whole[sum(map(len, parts)) :]  # what takes no cell of its own at the end
        lines += parts
    return lines


class Lines(Widget):
    """A block of lines that is drawn as given; the height is the layout's affair."""

    DEFAULT_CSS = "Lines { height: 1; width: 1fr; }"

    def __init__(self, lines: Sequence[Sequence[Piece]] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines = lines

    def show(self, lines: Sequence[Sequence[Piece]]) -> None:
        """Draw these lines; only if they are other ones than before."""
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    @property
    def text(self) -> str:
        """What is shown, without styles, a line each."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def render_line(self, y: int) -> Strip:
        pieces = self._lines[y] if y < len(self._lines) else ()
        return strip(pieces, self.size.width)
