"""The emulator under any input: never raises, chunking makes no difference, a dump is the whole state."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyte.screens import wcwidth

from recorder.screen import Screen

TEXT = st.one_of(
    st.text("abc xyz019", max_size=30),
    st.sampled_from(
        [
            "世界",
            "é",
            "e\u0301",
            "a\u200bb",
            "👨\u200d👩",
            "\ufe0f",
            "│─",
            "\u202e",
            "\u0301" * 12,
            "\x9b3A",
            "\x85",
            "\x90abc\x9c",
            "\x9d0;t\x07",
            "\ufffd",
        ]
    ),
)
NUMBER = st.sampled_from(
    ["", "0", "1", "2", "3", "5", "7", "20", "999999999", "4:3", "38:2::1:2:3", "38;5;9", "48;2;1;2;3"]
)
CSI = st.builds(
    lambda prefix, numbers, middle, final: f"\x1b[{prefix}{';'.join(numbers)}{middle}{final}",
    st.sampled_from(["", "", "", "?", ">", "<", "="]),
    st.lists(NUMBER, max_size=3),
    st.sampled_from(["", "", "", "", " ", "!", "$", "'"]),
    st.sampled_from("@ABCDEFGHIJKLMPSTXZ`abcdefghlmnpqrstuy"),
)
MODE = st.builds(
    lambda number, final: f"\x1b[?{number}{final}",
    st.sampled_from([1, 3, 5, 6, 7, 25, 47, 1047, 1048, 1049, 2004]),
    st.sampled_from("hl"),
)
OTHER = st.sampled_from(
    [
        "\x1b7",
        "\x1b8",
        "\x1bM",
        "\x1bD",
        "\x1bE",
        "\x1bc",
        "\x1b#8",
        "\x1b(0",
        "\x1b(B",
        "\x1b)0",
        "\x0e",
        "\x0f",
        "\x1bH",
        "\x1b[3g",
        "\x1b[4h",
        "\x1b[4l",
        "\x1b[20h",
        "\x1b]0;tié\x07",
        "\x1b]2;x",
        "\x1bP1;q##",
        "\x1b_Gx\x1b\\",
        "\x1bkname\x1b\\",
        "\x18",
        "\x1a",
        "\x1b",
        "\x1b[",
        "\x1b[1;",
        "\r",
        "\n",
        "\r\n\n",
        "\t",
        "\x08\x08",
        "\x7f",
    ]
)
PIECE = st.one_of(TEXT, CSI, MODE, OTHER).map(lambda text: text.encode())
SOUP = st.lists(st.one_of(PIECE, PIECE, PIECE, st.binary(max_size=6)), max_size=40).map(b"".join)
SIZE = st.tuples(st.integers(0, 30), st.integers(0, 10))
STEPS = st.lists(st.one_of(SOUP, SOUP, SIZE), min_size=1, max_size=5)


def played(
    size: tuple[int, int], steps: list[bytes | tuple[int, int]], cuts: list[int] | None = None
) -> Screen:
    """A screen after the steps; output whole, or in pieces of the given lengths in turn."""
    screen = Screen(*size)
    for step in steps:
        if isinstance(step, tuple):
            screen.resize(*step)
            continue
        while cuts and step:
            cuts = [*cuts[1:], cuts[0]]
            screen.feed(step[: cuts[-1]])
            step = step[cuts[-1] :]
        screen.feed(step)
    return screen


@settings(max_examples=400, deadline=None)
@given(SIZE, STEPS, st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_chunking_makes_no_difference(
    size: tuple[int, int], steps: list[bytes | tuple[int, int]], cuts: list[int]
) -> None:
    assert played(size, steps).fingerprint() == played(size, steps, cuts).fingerprint()


@settings(max_examples=400, deadline=None)
@given(SIZE, STEPS, SOUP, SIZE)
def test_a_dump_is_the_whole_state(
    size: tuple[int, int], steps: list[bytes | tuple[int, int]], more: bytes, resized: tuple[int, int]
) -> None:
    """The screen a dump makes equals the original now, and goes on like it."""
    original = played(size, steps)
    copy = Screen(original.cols, original.rows)
    copy.feed(b"anything \x1b[?1049h before \x1b[5;6r\x1b(0")
    copy.feed(b"\x18" + original.dump())
    for screen in (original, copy):
        screen.feed(more)
        screen.resize(*resized)
        screen.feed(more)
    assert original.fingerprint() == copy.fingerprint()


@settings(max_examples=400, deadline=None)
@given(SIZE, STEPS)
def test_every_row_is_exactly_as_wide_as_the_screen(
    size: tuple[int, int], steps: list[bytes | tuple[int, int]]
) -> None:
    screen = played(size, steps)
    lines = screen.display()
    assert len(lines) == screen.rows
    for number, line in enumerate(lines):
        assert sum(map(wcwidth, line)) == screen.cols
        assert "".join(run.text for run in screen.cells(number)) == line
        assert sum(run.width for run in screen.cells(number)) == screen.cols
    assert 0 <= screen.cursor.x < screen.cols
    assert 0 <= screen.cursor.y < screen.rows


@pytest.mark.parametrize(
    "data",
    [
        "\x1b[?6h\x1b7",
        "\x1b[?6h\x1b[2;4r\x1b[2;3H",
        "\x1b[2;4r\x1b[?6h\x1b7\x1b[r\x1b[?6l",
        "x" * 10 + "\x1b7",
        "x" * 10,
        "\x1b[31mx世\x1b[9G世\x1b7\x1b[m",
        "x" * 15,
        "x" * 75,
        "x" * 75 + "\x1b[2;3r\x1b[2H\x1bM",
        "main\x1b7\x1b[?1049halt" + "y" * 30 + "\x1b7\x1b(0\x0e",
        "\x1b)0\x0e\x1b7\x0f",
        "\x1b[4h\x1b[20h\x1b[?5h\x1b[?7l\x1b[?25l\x1b[?1h\x1b[?2004h",
        "\x1b[3g\x1b[4G\x1bH\x1b[8G\x1bH",
        "\x1b]2;title\x07\x1b[1;4;38;5;9;48;2;1;2;3m",
        "\x1b[44m\x1b[2J\x1b[K",
        "a\x1b]0;unfinished",
        "a\x1b]0;unfinished\x1b",
        "a\x1bPimage",
        "a\x1b[1;2",
        "a\x1b[1;2<",
        "a\x1b(",
        "a\x1b",
        "e\u0301\u0301 \u0301世\u200d",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("tail", [b"", b"\xe4\xb8", b"\xf0\x9f\x98"])
def test_a_dump_keeps_each_part_of_the_state(data: str, tail: bytes) -> None:
    original, copy = Screen(10, 5), Screen(10, 5)
    original.feed(data.encode() + tail)
    copy.feed(original.dump())
    assert copy.fingerprint() == original.fingerprint()
    assert Screen(10, 5).fingerprint() != original.fingerprint()
