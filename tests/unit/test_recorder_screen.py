"""The emulator: each input that pyte 0.8.2 gets wrong, and what never reaches a viewer."""

from __future__ import annotations

import tracemalloc

import pytest

from recorder.screen import Cursor, Screen, Style

W = "世"


def screen(data: bytes | str, cols: int = 20, rows: int = 5) -> Screen:
    result = Screen(cols, rows)
    result.feed(data.encode() if isinstance(data, str) else data)
    return result


def text(data: bytes | str, cols: int = 20, rows: int = 5) -> list[str]:
    """The rows without trailing blanks, and without the empty ones at the end."""
    lines = [line.rstrip() for line in screen(data, cols, rows).display()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(": a\u200bb; forbidden", [": a\u200bb; forbidden"], id="zero-width-space"),
        pytest.param("👨\u200d👩 after", ["👨\u200d👩 after"], id="joiner"),
        pytest.param("❤\ufe0f after", ["❤\ufe0f after"], id="variation-selector"),
        pytest.param("e\u0301x", ["e\u0301x"], id="combining"),
        pytest.param("a\x18b\x00c\x7fd", ["abcd"], id="controls-inside-text"),
        pytest.param("a\x1bPq#0;1;1#0~~@@\x1b\\b", ["ab"], id="dcs-sixel"),
        pytest.param("a\x1bP+q544e\x1b\\b", ["ab"], id="dcs-xtgettcap"),
        pytest.param("a\x1b_Gf=24;AAAA\x1b\\b", ["ab"], id="apc-kitty-image"),
        pytest.param("a\x1b^private\x1b\\b", ["ab"], id="pm"),
        pytest.param("a\x1bXstart of string\x1b\\b", ["ab"], id="sos"),
        pytest.param("a\x1bktitle\x1b\\b", ["ab"], id="title-of-screen"),
        pytest.param("a\x90q\x9cb\x9fG\x9cc\x9e1\x9cd\x98x\x9ce", ["abcde"], id="eight-bit-strings"),
        pytest.param("a\x1b]0;no end\x1b[1mb", ["ab"], id="osc-aborted-by-esc"),
        pytest.param("a\x1b]0;no end\x18b", ["ab"], id="osc-aborted-by-can"),
        pytest.param("a\x1bPno end\x1ab", ["ab"], id="dcs-aborted-by-sub"),
        pytest.param("a\x1b[<ub", ["ab"], id="kitty-pop"),
        pytest.param("a\x1b[=1;1ub", ["ab"], id="kitty-set"),
        pytest.param("a\x1b[>1ub", ["ab"], id="kitty-push"),
        pytest.param("a\x1b[!pb", ["ab"], id="decstr"),
        pytest.param("a\x1b[4:3mb", ["ab"], id="colon-underline"),
        pytest.param("a\x1b[38:2::1:2:3mb", ["ab"], id="colon-colour"),
        pytest.param('a\x1b[1"qb\x1b[2\'}c\x1b[62;1"pd', ["abcd"], id="intermediates"),
        pytest.param("a\x1b*Bb\x1b+Bc\x1b-Ad\x1b Fe\x1b%Gf", ["abcdef"], id="charset-designations"),
        pytest.param("a\x1b[?4mb\x1b[>4;2mc\x1b[?6nd", ["abcd"], id="private-parameters"),
        pytest.param("a\x1b[1;2;3Ab", ["ab"], id="extra-parameters"),
        pytest.param("a\x1b[2\r\nCb", ["a", "  b"], id="controls-inside-a-sequence"),
        pytest.param("a\x1b[12;\x1b[1mb", ["ab"], id="sequence-aborted-by-esc"),
        pytest.param("ab\x1b[3bX", ["abbbbX"], id="rep"),
        pytest.param("1\r\n2\r\n3\x1b[SX", ["2", "3", " X"], id="su"),
        pytest.param("1\r\n2\x1b[TX", ["", "1X", "2"], id="sd"),
        pytest.param("a\tb\x1b[2ZX", ["X       b"], id="cbt"),
        pytest.param("\x1b[2IX", [" " * 16 + "X"], id="cht"),
        pytest.param("ab\x1b[s\x1b[3;3Hx\x1b[uY", ["abY", "", "  x"], id="sco-save-restore"),
        pytest.param("\x1b[2;2H\x1b7\x1b[3;3H\x1b7\x1b8A\x1b8B", ["", "", "  B"], id="decsc-has-one-slot"),
        pytest.param("\x1b(0lqk\x1b(Bq", ["┌─┐q"], id="line-drawing"),
        pytest.param("\x1b)0a\x0eq\x0fq", ["a─q"], id="line-drawing-by-shift"),
        pytest.param("x" * 19 + W + "y", ["x" * 19, W + "y"], id="wide-at-the-margin-wraps"),
        pytest.param(W + "\x1b[1;2HX", [" X"], id="right-half-overwritten"),
        pytest.param(W + "\x1b[1;1HX", ["X"], id="left-half-overwritten"),
        pytest.param("a" + W + "b\x1b[1;3H\x1b[P", ["a b"], id="dch-in-a-wide-character"),
        pytest.param("a" + W + "b\x1b[1;3H\x1b[@", ["a   b"], id="ich-in-a-wide-character"),
        pytest.param("a" + W + "b\x1b[1;3H\x1b[K", ["a"], id="el-in-a-wide-character"),
        pytest.param("a" + W + "b\x1b[1;2H\x1b[1K", ["   b"], id="el1-in-a-wide-character"),
        pytest.param("a" + W + "b\x1b[1;2H\x1b[X", ["a  b"], id="ech-in-a-wide-character"),
        pytest.param("x" * 18 + W + "\x1b[1;1H\x1b[@", [" " + "x" * 18], id="wide-pushed-over-the-margin"),
        pytest.param("1\r\n2\r\n3\x1b[2H\x1b[5M\x1b[1;1H", ["1"], id="dl-of-never-written-lines"),
        pytest.param("x" * 20 + "\r\nb", ["x" * 20, "b"], id="full-row-then-line-break"),
        pytest.param("\x1b[?7l" + "x" * 19 + "abc", ["x" * 19 + "c"], id="autowrap-off"),
        pytest.param("\x1b[2;3r\x1b[?6h\x1b[1;1HA\x1b[9;1HB", ["", "A", "B"], id="origin-mode"),
        pytest.param("\x1b[2;3r\x1b[1H1\x1b[2H2\r\n3\r\n4", ["1", "3", "4"], id="scroll-region"),
        pytest.param("\x1b[3;5r\x1b[1;1H\x1b[5Atop", ["top"], id="cuu-above-the-region"),
        pytest.param("abc\x1b[1;1H\x1b[4hX\x1b[4lY", ["XYbc"], id="insert-mode"),
        pytest.param("a\x1b[3Jb", ["ab"], id="ed3-clears-no-text"),
        pytest.param("\xff\xfe", ["ÿþ"], id="latin"),
    ],
)
def test_defect(data: str, lines: list[str]) -> None:
    assert text(data) == lines


def test_an_unterminated_osc_hides_at_most_64_kib() -> None:
    lines = text(b"\x1b]0;" + b"x" * 65534 + b"seen")
    assert lines == ["seen"]
    assert text(b"\x1b]0;" + b"x" * 60000) == []


def test_a_large_image_is_swallowed_without_being_kept() -> None:
    result = Screen(20, 5)
    tracemalloc.start()
    result.feed(b"a\x1bPq")
    for _ in range(200):
        result.feed(b"~" * 10_000)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    result.feed(b"\x1b\\b")
    assert result.display()[0].rstrip() == "ab"
    assert held < 100_000


def test_memory_stays_bounded_under_hostile_input() -> None:
    result = Screen(80, 24)
    tracemalloc.start()
    for number in range(300):
        result.feed(b"\x1b[38;2;%d;%d;%dmx" % (number % 256, number // 256, 7) + "\u0301".encode() * 2000)
        result.feed(b"\x1b[" + b"1;" * 5000 + b"\x1b]" + b"t" * 500 + b"\x1b7" * 200 + b"\x1bH")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 3_000_000


@pytest.mark.parametrize("mode", [47, 1047, 1049])
def test_alternate_screen(mode: int) -> None:
    result = screen(f"shell\x1b[?{mode}h\x1b[H\x1b[2Jvim")
    assert result.alternate
    assert result.display()[0].rstrip() == "vim"
    result.feed(f"\x1b[?{mode}l".encode())
    assert not result.alternate
    assert result.display()[0].rstrip() == "shell"
    assert (result.cursor.x == 5) == (mode == 1049)


def test_each_screen_has_its_own_saved_cursor() -> None:
    result = screen("\x1b[2;2H\x1b7\x1b[?47h\x1b[4;4H\x1b7\x1b[?47l\x1b8")
    assert (result.cursor.x, result.cursor.y) == (1, 1)


def test_rows_joined_by_autowrap_are_known() -> None:
    result = screen("prompt " + "x" * 30 + "\r\nnext")
    assert [result.joined(row) for row in range(5)] == [False, True, False, False, False]
    result.feed(b"\x1b[1;5H\x1b[K")
    assert not result.joined(1)


def test_a_join_moves_with_its_row_and_ends_when_the_row_above_goes() -> None:
    result = screen("x" * 25 + "\r\n\n\n\nlast", rows=5)
    assert [result.joined(row) for row in range(2)] == [True, False]
    result = screen("\r\n" + "x" * 25 + "\x1b[2;1H\x1b[M")
    assert not any(result.joined(row) for row in range(5))


def test_a_wide_character_in_one_column_and_styles_of_its_halves() -> None:
    assert text(W + "a", cols=1, rows=3) == ["\ufffd", "a"]
    runs = screen("\x1b[31m" + W + "\x1b[0mx").cells(0)
    assert [(run.text, run.width) for run in runs] == [(W, 2), ("x" + " " * 17, 18)]


@pytest.mark.parametrize(
    ("sgr", "style"),
    [
        (
            "1;3;4;5;7;8;9",
            Style(
                bold=True, italic=True, underline=True, blink=True, reverse=True, conceal=True, strike=True
            ),
        ),
        ("2", Style(dim=True)),
        ("1;22", Style()),
        ("31;42", Style(fg=1, bg=2)),
        ("95;106", Style(fg=13, bg=14)),
        ("38;5;200", Style(fg=200)),
        ("48;2;1;2;3", Style(bg=(1 << 24) + 0x010203)),
        ("38:5:200", Style(fg=200)),
        ("38:2:1:2:3", Style(fg=(1 << 24) + 0x010203)),
        ("38:2::1:2:3", Style(fg=(1 << 24) + 0x010203)),
        ("4:3", Style(underline=True)),
        ("4:0", Style()),
        ("58;2;1;2;3;1", Style(bold=True)),
        ("58:2::1:2:3;1", Style(bold=True)),
        ("38;5", Style()),
        ("38;5;999;1", Style(bold=True)),
        ("38;2;1", Style()),
        ("31;39;41;49", Style()),
        ("", Style()),
        ("38;9;1", Style(bold=True)),
        ("7;27;1000", Style()),
    ],
)
def test_attributes(sgr: str, style: Style) -> None:
    assert screen(f"\x1b[{sgr}mx").cells(0)[0].style == style


def test_erasing_uses_the_background_and_nothing_else() -> None:
    (run,) = screen("\x1b[1;44;31m\x1b[2J").cells(0)
    assert run.style == Style(bg=4)


def test_screen_wide_reverse() -> None:
    assert screen("\x1b[?5h").cells(0)[0].style == Style(reverse=True)
    assert screen("\x1b[?5h\x1b[?5l").cells(0)[0].style == Style()


def test_cursor_and_modes() -> None:
    result = screen("x" * 20 + "\x1b[?25l\x1b[?2004h\x1b[2;4r\x1b[4h")
    assert result.cursor == Cursor(0, 0, False, False)
    assert result.mode(2004)
    assert result.mode(4, private=False)
    assert result.mode(7)
    assert result.margins == (1, 3)
    result.feed(b"\x1b[!p")
    assert (result.margins, result.mode(4, private=False), result.cursor.visible) == (None, False, True)
    assert screen("x" * 20).cursor == Cursor(19, 0, True, True)


def test_lesson_14_nothing_but_text_reaches_a_viewer() -> None:
    """lesson 14: clipboard, title, queries, resizes and images leave no trace in what is drawn."""
    hostile = (
        b"\x1b]52;c;cm0gLXJmIC8=\x07\x1b[c\x1b[>c\x1b[6n\x1b[5n\x1b]10;?\x07\x1b[8;1;1t\x1b[3t\x1b[21t\x1bZ"
        b"\x1bP$qm\x1b\\\x1b[?69$p\x1b[x\x05\x07\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\"
        b"\x1b]2;ti\x00t\x1fle\xc2\x9b31m" + b"y" * 500 + b"\x07"
    )
    result = screen(hostile)
    assert (result.cols, result.rows) == (20, 5)
    assert [line.rstrip() for line in result.display()] == ["link", "", "", "", ""]
    assert len(result.title) <= 256
    for row in range(5):
        for run in result.cells(row):
            assert run.text.isprintable()
    assert result.title.isprintable()


@pytest.mark.parametrize("size", [(1, 1), (0, 0), (-5, -5), (3, 2), (10**9, 10**9), (500, 1), (1, 400)])
def test_lesson_7_shrinking_then_restoring_the_cursor(size: tuple[int, int]) -> None:
    """lesson 7: a saved cursor, margins and tab stops outside the new size."""
    result = Screen(80, 24)
    result.feed(b"\x1b[24;80H\x1b7\x1b[10;20r\x1b[?6h\x1b[?1049h\x1b[20;70H\x1b7")
    result.resize(*size)
    result.feed(b"\x1b8x\x1b[?1049l\x1b8y\x1b[99;99Hz\t\x1b[99Z\x1bM\x1bD")
    assert 1 <= result.cols <= 1000
    assert 1 <= result.rows <= 500
    assert len(result.display()) == result.rows
    result.resize(80, 24)
    result.feed(b"\x1b8\x1b[Hend")
    assert result.display()[0].startswith("end")


def test_resizing_keeps_the_text_around_the_cursor() -> None:
    result = screen("1\r\n2\r\n3\r\n4\r\n5", rows=5)
    result.resize(20, 3)
    assert [line.rstrip() for line in result.display()] == ["3", "4", "5"]
    assert result.cursor.y == 2
    result = screen("1\r\n2", rows=5)
    result.resize(20, 3)
    assert [line.rstrip() for line in result.display()] == ["1", "2", ""]
    result = screen(W * 3, cols=6)
    result.resize(5, 5)
    assert result.display()[0] == W * 2 + " "
