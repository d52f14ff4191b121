"""Each screen at the sizes that matter, as the terminal gets it. The files under `snapshots/` can be looked
at with `cat` in a terminal of that size; after a wanted change, look, then run with `UPDATE_SNAPSHOTS=1`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.tui.conftest import Picker, open_picker
from tests.tui.wire_server import WireServer
from tui.states import LastSession

FOLDER = Path(__file__).parent / "snapshots"
SIZES = [(80, 24), (120, 40), (40, 10)]
BACK = LastSession(session="S-81b", target="stg-db-1", account="postgres", status=0, end="exit")

SCREENS: dict[str, tuple[list[str], str]] = {
    "connect": ([], "? help"),
    "list": (["tab", "k"], "OK, until"),
    "none-match": (["z", "z"], "No target matches"),
    "denied": ([*"window", "enter"], "Not opened"),
    "reason": ([*"orders", "enter"], "Last (↑)"),
    "accounts": ([*"orders", "tab", "a", "down"], "break-glass"),
    "help": (["question_mark"], "On this screen"),
    "recordings": (["tab", "5"], "S-81b, shell"),
    "requests": (["tab", "2"], "R-4F9"),
    "approvals": (["tab", "3"], "R-4F2: "),
    "decision": (["tab", "3", "enter"], "expires 04:31"),
    "approve": (["tab", "3", "enter", "pagedown", "a"], "to approve:"),
    "ask": ([*"kafka", "enter"], "Needs approval"),
    "wait": (["tab", "2", "enter"], "13:48"),
    "live": (["tab", "4"], "S-81d"),
    "replay": (["tab", "r", "right_square_bracket", "right_square_bracket"], "18204"),
}
"""Keys to get there, and a text that is there when it is drawn."""


def ansi(picker: Picker) -> str:
    """The window's rows with their attributes, a line each."""
    console = picker.app.console
    strips = picker.app.screen._compositor.render_strips()
    return "".join(strip.render(console) + "\x1b[0m\n" for strip in strips)


def check(name: str, shown: str) -> None:
    path = FOLDER / f"{name}.ansi"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", sorted(SCREENS))
async def test_screen(server: WireServer, name: str, size: tuple[int, int]) -> None:
    pressed, there = SCREENS[name]
    async with open_picker(server, size, BACK) as picker:
        await picker.press(*pressed)
        await picker.until_shown(there)
        await picker.pilot.pause()
        lines = picker.screen()
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        check(f"{name}-{size[0]}x{size[1]}", ansi(picker))


@pytest.mark.parametrize("name", sorted(SCREENS))
async def test_without_colour(server: WireServer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR: bold, dim, underline and reverse at most, and every state still has its word."""
    monkeypatch.setenv("NO_COLOR", "1")
    pressed, there = SCREENS[name]
    async with open_picker(server, (80, 24), BACK) as picker:
        await picker.press(*pressed)
        await picker.until_shown(there)
        await picker.pilot.pause()
        shown = ansi(picker)
        used = {number for sgr in re.findall(r"\x1b\[([\d;]*)m", shown) for number in sgr.split(";")}
        assert used <= {"", "0", "1", "2", "4", "7", "39", "49"}
        check(f"{name}-no-color", shown)
