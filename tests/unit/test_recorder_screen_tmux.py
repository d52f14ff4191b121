"""The emulator against tmux: the same text and cursor for real programs and for single sequences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.reader import CastReader
from recorder.screen import Screen
from tests.unit.tmux_pane import Tmux, picture_of, same_throughout

FOLDER = Path(__file__).parents[1] / "captured"
CAPTURED = sorted(FOLDER.glob("*.bin"))
CASTS = sorted(FOLDER.glob("*.cast"))
COLS, ROWS = 80, 24


@pytest.fixture(scope="module")
def tmux() -> Iterator[Tmux]:
    server = Tmux()
    yield server
    server.close()


def same(tmux: Tmux, data: bytes) -> None:
    screen = Screen(COLS, ROWS)
    screen.feed(data)
    with tmux.open(COLS, ROWS) as pane:
        pane.feed(data)
        assert picture_of(screen).differences(pane.look()) == []


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)
def test_a_program_looks_the_same(tmux: Tmux, path: Path) -> None:
    same(tmux, path.read_bytes())


@pytest.mark.parametrize("part", [0.2, 0.35, 0.5, 0.65, 0.8])
@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)
def test_a_program_looks_the_same_in_the_middle(tmux: Tmux, path: Path, part: float) -> None:
    data = path.read_bytes()
    same(tmux, data[: data.index(b"\n", int(len(data) * part)) + 1] + b"\x1b[m")


@pytest.mark.parametrize("path", CASTS, ids=lambda path: path.stem)
def test_a_recorded_program_looks_the_same_after_every_step(tmux: Tmux, path: Path) -> None:
    """Text, colours, cursor and which screen shows, through changes of the window's size."""
    with CastReader(path) as cast:
        same_throughout(tmux, (cast.header.width, cast.header.height), cast.events())


FILL = "".join(f"\x1b[{row};1H{chr(96 + row) * 80}" for row in range(1, 25))


# Left out, because tmux 3.3a differs from xterm and the VT manuals: CHT, the column after IL and DL, DL
# outside the margins, an overwritten right half. tmux also keeps a wrap that is due through LF, RI, CUB,
# TAB, ICH, DCH, ECH, EL 1 and EL 2 and forgets it in DECSC; makes one character of a ZWJ sequence or a flag,
# which readline and the kernel count one by one, as we do; and when the window's width changes, wraps lines
# anew and fetches back what had scrolled away, where xterm cuts them.
SEQUENCES = {
    "rep": "ab\x1b[5b",
    "su": "1\r\n2\r\n3\x1b[2S",
    "su-full": FILL + "\x1b[3S",
    "sd-full": FILL + "\x1b[3T",
    "su-margins": FILL + "\x1b[5;10r\x1b[2S",
    "il-margins": FILL + "\x1b[5;10r\x1b[7;5H\x1b[2L\x1b[7;1H",
    "dl-margins": FILL + "\x1b[5;10r\x1b[7;5H\x1b[2M\x1b[7;1H",
    "lf-at-margin": FILL + "\x1b[5;10r\x1b[10;3H\n\n",
    "ri-at-margin": FILL + "\x1b[5;10r\x1b[5;3H\x1bM\x1bM",
    "lf-at-bottom": FILL + "\x1b[24;3H\n\n\n",
    "dl-il": FILL + "\x1b[1;1H\x1b[2M\x1b[22;1H\x1b[9L",
    "ich": FILL + "\x1b[5;5H\x1b[10@",
    "dch": FILL + "\x1b[5;5H\x1b[10P",
    "ech": FILL + "\x1b[5;5H\x1b[10X",
    "el0": FILL + "\x1b[5;5H\x1b[K",
    "el1": FILL + "\x1b[5;5H\x1b[1K",
    "el2": FILL + "\x1b[5;5H\x1b[2K",
    "ed0": FILL + "\x1b[5;5H\x1b[J",
    "ed1": FILL + "\x1b[5;5H\x1b[1J",
    "ed2": FILL + "\x1b[5;5H\x1b[2J",
    "cbt": "a\tb\tc\x1b[2Zx",
    "tab-stops": "\x1b[5;20H\x1bH\r\tx\x1b[3g\r\ty",
    "save": "\x1b[3;3Hx\x1b7\x1b[9;9Hy\x1b8z\x1b[s\x1b[1;1H\x1b[uw",
    "wide": "世" * 45,
    "wide-at-margin": "x" * 79 + "世",
    "wide-left-half": "世\x1b[1;1Hx",
    "combining": "e\u0301\u0301x",
    "no-autowrap": "\x1b[?7l" + "x" * 85 + "y",
    "full-row": "x" * 80 + "\r\ny",
    "wrap": "x" * 81,
    "insert": "\x1b[4habc\x1b[1;1Hdef",
    "origin": "\x1b[5;10r\x1b[?6h\x1b[2;2Hx\x1b[20;20Hy",
    "columns": "abc\x1b[2Gx\x1b[5`y\x1b[3dz",
    "lines": "abc\x1b[5Ex\x1b[2Fy",
    "moves": "\x1b[10;10H\x1b[99A\x1b[99Dx\x1b[99B\x1b[99Cy",
    "strings": "a\x1bPq~~~\x1b\\b\x1b_x\x1b\\c",
    "colons": "a\x1b[4:3mb\x1b[38:2::1:2:3mc\x1b[md",
    "alternate": "one\x1b[?1049htwo\x1b[5;5H",
    "alternate-left": "one\x1b[?1049htwo\x1b[?1049lthree",
    "decaln": "\x1b#8",
    "ris": "abc\x1bcdef",
    "index": "a\x1bEb\x1bDc\x1bMd",
    "backspace": "ab\x08\x08\x08c",
    "backspace-over-a-wrap": "x" * 85 + "\x08" * 10 + "y",
    "backspace-where-a-wrap-is-due": "x" * 80 + "\x08y",
    "kernel-erases-a-line": "$ " + "x" * 200 + "\x08 \x08" * 200 + "echo",
    "kernel-erases-wide": "世" * 45 + "\x08 \x08" * 20 + "y",
    "decstr": "\x1b[20;30H\x1b[!px",
    "el-where-a-wrap-is-due": "x" * 80 + "\x1b[Kyz",
    "ed-where-a-wrap-is-due": "x" * 80 + "\x1b[Jyz",
    "line-drawing": "\x1b(0lqqk\r\nx\x1b(Bq\x1b(0x\r\nmqqj\x1b(B",
    "attributes": "".join(f"\x1b[{number}m{number}\x1b[m " for number in (*range(1, 10), 31, 43, 95, 106)),
    "palette": "".join(f"\x1b[38;5;{number};48;5;{255 - number}mx" for number in range(0, 256, 5)),
    "colour-erase": "\x1b[31mred\x1b[44m\x1b[K\x1b[0m\x1b[5;5H\x1b[1Jx",
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_looks_the_same(tmux: Tmux, name: str) -> None:
    same(tmux, SEQUENCES[name].encode())
