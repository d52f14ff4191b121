"""The emulator against tmux: the same text and cursor for real programs and for single sequences."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.screen import Screen

CAPTURED = sorted((Path(__file__).parents[1] / "captured").glob("*.bin"))
COLS, ROWS = 80, 24


class Tmux:
    """A private tmux server. One pane per look, which prints the bytes and then waits."""

    def __init__(self) -> None:
        self._socket = f"recorder-{uuid.uuid4().hex[:8]}"
        self("new-session", "-d", "-x", str(COLS), "-y", str(ROWS), "exec sleep 1000")
        self("set-option", "-g", "status", "off")

    def __call__(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    def look(self, path: Path) -> tuple[list[str], tuple[int, int], bool]:
        """After the bytes of `path`: rows without trailing blanks, cursor, is it the alternate screen."""
        script = "stty raw -echo; cat \"$0\"; printf '\\033]2;END\\007'; exec sleep 1000"
        pane = self("new-window", "-dPF", "#{pane_id}", "sh", "-c", script, str(path)).strip()
        self("resize-window", "-t", pane, "-x", str(COLS), "-y", str(ROWS))
        deadline = time.monotonic() + 60
        while self("display", "-p", "-t", pane, "#{pane_title}").strip() != "END":
            assert time.monotonic() < deadline, "tmux did not read the bytes"
            time.sleep(0.01)
        rows = self("capture-pane", "-p", "-t", pane).split("\n")[:ROWS]
        state = self("display", "-p", "-t", pane, "#{cursor_x} #{cursor_y} #{alternate_on}").split()
        self("kill-window", "-t", pane)
        return [row.rstrip() for row in rows], (min(int(state[0]), COLS - 1), int(state[1])), state[2] == "1"

    def close(self) -> None:
        """End the server."""
        self("kill-server")


@pytest.fixture(scope="module")
def tmux() -> Iterator[Tmux]:
    server = Tmux()
    yield server
    server.close()


def same(tmux: Tmux, path: Path) -> None:
    screen = Screen(COLS, ROWS)
    screen.feed(path.read_bytes())
    rows, cursor, alternate = tmux.look(path)
    assert [row.rstrip() for row in screen.display()] == rows
    assert (screen.cursor.x, screen.cursor.y) == cursor
    assert screen.alternate == alternate


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)
def test_a_program_looks_the_same(tmux: Tmux, path: Path) -> None:
    same(tmux, path)


@pytest.mark.parametrize("part", [0.2, 0.35, 0.5, 0.65, 0.8])
@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)
def test_a_program_looks_the_same_in_the_middle(tmux: Tmux, path: Path, part: float, tmp_path: Path) -> None:
    data = path.read_bytes()
    cut = tmp_path / "cut.bin"
    cut.write_bytes(data[: data.index(b"\n", int(len(data) * part)) + 1] + b"\x1b[m")
    same(tmux, cut)


FILL = "".join(f"\x1b[{row};1H{chr(96 + row) * 80}" for row in range(1, 25))


# Left out, because tmux 3.3a differs from xterm and the VT manuals: CHT, the column after IL and DL, DL
# outside the margins, an overwritten right half; and line drawing, which capture-pane shows as letters.
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
    "decstr": "\x1b[20;30H\x1b[!px",
    "colour-erase": "\x1b[31mred\x1b[44m\x1b[K\x1b[0m\x1b[5;5H\x1b[1Jx",
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_looks_the_same(tmux: Tmux, name: str, tmp_path: Path) -> None:
    path = tmp_path / "sequence.bin"
    path.write_bytes(SEQUENCES[name].encode())
    same(tmux, path)
