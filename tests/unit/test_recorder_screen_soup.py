"""Ten million bytes of escape soup, in chunks of every size, with resizes: the emulator holds."""

from __future__ import annotations

import pytest
from pyte.screens import wcwidth

from recorder.screen import LazyScreen, Screen
from tests.unit.soup import CHUNKS, Soup, pieces

STREAMS = 40
SIZE = 250_000
"""Bytes of each stream: ten million together."""


def holds(screen: Screen) -> None:
    """What must be so after every piece, cheap enough for that."""
    cursor, margins = screen.cursor, screen.margins
    assert 0 <= cursor.x < screen.cols
    assert 0 <= cursor.y < screen.rows
    assert margins is None or 0 <= margins[0] < margins[1] < screen.rows
    assert len(screen.title) <= 256


def holds_throughout(screen: Screen) -> None:
    """What must be so of every row and of the saved cursor: no row is longer, none is beyond the last."""
    lines = screen.display()
    assert len(lines) == screen.rows
    for number, line in enumerate(lines):
        columns = screen.columns(number)
        assert len(columns) == screen.cols
        assert sum(wcwidth(text[0]) for text in columns if text) == screen.cols, repr(line)
        assert "".join(run.text for run in screen.cells(number)) == line
    x, y = screen.saved_cursor
    assert 0 <= x <= screen.cols
    assert 0 <= y < screen.rows


@pytest.mark.parametrize("seed", range(STREAMS))
def test_lesson_7_ten_million_bytes_of_soup(seed: int) -> None:
    """lesson 7: nothing raises, every row is as wide as the screen, the cursor is on it; cut in another way,
    or fed only now and then, the same bytes make the same screen."""
    soup = Soup(seed)
    size, chunk = soup.size(), CHUNKS[seed % len(CHUNKS)]
    cut, whole, lazy = Screen(*size), Screen(*size), LazyScreen(*size)
    for number, step in enumerate(soup.steps(SIZE)):
        if isinstance(step, tuple):
            for screen in (cut, whole, lazy):
                screen.resize(*step)
        else:
            for piece in pieces(step, chunk):
                cut.feed(piece)
                lazy.add(piece)
                holds(cut)
            whole.feed(step)
        if number % 20 == 0:
            holds_throughout(cut)
            assert cut.fingerprint() == whole.fingerprint() == lazy.sync().fingerprint()
    holds_throughout(cut)
    assert cut.fingerprint() == whole.fingerprint() == lazy.sync().fingerprint()
