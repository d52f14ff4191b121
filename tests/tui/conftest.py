"""A picker on a served socket, at a fixed time, in a window of a given size."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.wire_server import NOW, WireServer
from tui.app import FaceApp
from tui.states import LastSession
from tui.widgets.lines import Lines


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "BARTIZAN_ASCII", "BARTIZAN_HOST", "BARTIZAN_UI", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")


class Picker:
    """The application under a pilot. Conditions are awaited, never times."""

    def __init__(self, app: FaceApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, done: Callable[[], bool]) -> None:
        """Let the application work until `done`."""
        for _ in range(2_000):
            if done():
                return
            await self.pilot.pause(0.005)
        raise AssertionError("it did not come to that:\n" + "\n".join(self.screen()))

    async def until_shown(self, text: str) -> None:
        await self.until(lambda: any(text in line for line in self.screen()))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        for char in text:
            await self.pilot.press({" ": "space", ":": "colon", "-": "minus"}.get(char, char))

    def screen(self) -> list[str]:
        """The text of the window, a line per row."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    def line(self, id: str) -> str:
        """Text of one of the frame's lines; empty as long as it is not there."""
        found = self.app.screen.query(f"#{id}").results(Lines)
        return next((line.text for line in found), "")


@contextlib.asynccontextmanager
async def open_picker(
    server: WireServer, size: tuple[int, int] = (80, 24), last: LastSession | None = None
) -> AsyncIterator[Picker]:
    """A picker that has shown its first rows."""
    app = FaceApp(str(server.path), last, clock=lambda: NOW / 1_000_000)
    async with app.run_test(size=size) as pilot:
        picker = Picker(app, pilot)
        await picker.until(lambda: picker.line("count") != "" or not app.is_running)
        await pilot.pause()
        yield picker


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WireServer]:
    async with WireServer(tmp_path / "control") as server:
        yield server
