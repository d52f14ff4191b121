"""Recordings, live sessions and replay, used against a served control socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App, ComposeResult

from broker.wire.messages import Failure, KillSession, ListRecordings, ReadRecording
from recorder.screen import Screen
from tests.tui.conftest import Picker, open_picker
from tests.tui.wire_server import CAST, WireServer
from tui.app import FaceApp
from tui.screens.replay import ReplayScreen
from tui.states import LastSession
from tui.widgets.terminal_view import TerminalView

EVIL = (
    "\x1b]52;c;ZXZpbA==\x07\x1b]0;evil\x07\x1b[c\x1b[6n\x1b[8;10;10t\x1bP$qm\x1b\\"
    "\x1b[?1049h\x1b[?1000hok\u202e\x07"
)


async def open_recordings(picker: Picker) -> None:
    await picker.press("tab", "5")
    await picker.until_shown("S-81b, shell")


async def open_replay(picker: Picker) -> None:
    await open_recordings(picker)
    await picker.press("enter")
    await picker.until_shown("1x  ■ pause")


async def test_recordings_are_listed_with_state_and_exit(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_recordings(picker)
        rows = picker.screen()[4:7]
        assert rows[0].split()[:7] == ["►", "24", "Nov", "12:02", "06:41", "alice", "postgres@stg-db-1"]
        assert "○ END     3  systemctl rest…" in rows[1]
        assert "▲ CUT" in rows[2]


async def test_a_link_to_a_recording_plays_it_and_leaving_it_ends_the_face(server: WireServer) -> None:
    app = FaceApp(str(server.path), LastSession.from_object({"play": "S-81b"}))
    async with app.run_test(size=(80, 24)) as pilot:
        picker = Picker(app, pilot)
        await picker.until_shown("1x  ■ pause")
        await picker.press("q")
        await picker.until(lambda: not app.is_running)
    assert app.return_value is not None
    assert app.return_value.status == 0


async def test_the_query_is_asked_of_the_broker(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_recordings(picker)
        await picker.type("ci-7 deploy")
        await picker.until(lambda: picker.line("count") == "1 ")
        assert server.asked[-1] == ListRecordings("ci-7 deploy", 500)
        await picker.type("x")
        await picker.until_shown("No recording matches the filter.")


async def test_play_seek_and_markers(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_replay(picker)
        assert picker.screen()[0].startswith(" S-81b  postgres@stg-db-1  alice  24 Nov 12:02 ")
        await picker.press("right_square_bracket")
        await picker.until_shown("cmd 1/2  psql shop")
        await picker.until_shown("alice@stg-db-1:~$ psql shop")
        await picker.press("end")
        await picker.until_shown(" 18204")
        await picker.press("home")
        await picker.until(lambda: "alice@stg-db-1" not in "\n".join(picker.screen()[1:]))
        await picker.press("9")
        await picker.until_shown(" 00:58 ├")
        await picker.press("left")
        await picker.until_shown(" 00:53 ├")
        await picker.press("plus")
        await picker.until_shown("2x  ■ pause")
        await picker.press("i")
        await picker.until(lambda: "skip idle" not in picker.screen()[0])
        await picker.press("q")
        await picker.until_shown("COMMAND")


async def test_commands_and_decisions_are_listed_jumped_to_and_found(server: WireServer) -> None:
    server.events["S-81b"] = b"".join([
        b'{"t": 1000000, "kind": "line", "text": "psql shop", "verdict": "allow", "rule": "ops"}\n',
        b'{"t": 30000000, "kind": "line", "text": "DROP TABLE o", "verdict": "deny", "rule": "no-ddl"}\n',
        b'{"t": 61500000, "kind": "line", "text": "select count(*)", "verdict": "allow", "rule": "ops"}\n',
    ])  # fmt: skip
    async with open_picker(server) as picker:
        await open_replay(picker)
        assert "X" in picker.line("timeline")
        await picker.press("right_curly_bracket")
        await picker.until_shown("cmd 2/3  DROP TABLE o   blocked by no-ddl")
        await picker.press("right_curly_bracket")
        await picker.until_shown("Nothing was blocked, held or masked that way.")
        await picker.press("l")
        await picker.until_shown("00:30  X  DROP TABLE o")
        await picker.press("down", "enter")
        await picker.until_shown(" 01:01 ├")
        await picker.press("slash")
        await picker.until_shown("text that was shown")
        await picker.type("18204")
        await picker.press("enter")
        await picker.until_shown("1 of 1: 18204")
        await picker.press("colon")
        await picker.until_shown("Go to")
        await picker.press("0", "colon", "3", "0", "enter")
        await picker.until_shown(" 00:30 ├")


async def test_playing_runs_to_the_end_by_itself(server: WireServer) -> None:
    server.casts["S-81b"] = b'{"version": 2, "width": 20, "height": 4}\n[0.02, "o", "a"]\n[0.05, "o", "b"]\n'
    async with open_picker(server) as picker:
        await open_replay(picker)
        await picker.press("space")
        await picker.until_shown("ab")
        await picker.until_shown("■ pause")


async def test_r_replays_the_session_one_comes_back_from(server: WireServer) -> None:
    async with open_picker(server, last=LastSession(session="S-81b", target="stg-db-1")) as picker:
        await picker.press("tab", "r")
        await picker.until_shown(" S-81b  postgres@stg-db-1  alice")


async def test_a_recording_that_takes_several_chunks_is_whole(server: WireServer) -> None:
    filler = b"".join(b'[1.0, "o", "%s"]\n' % (b"x" * 1_000) for _ in range(700))
    server.casts["S-81b"] = (
        CAST.split(b"\n")[0] + b"\n" + filler + b'[2.0, "o", "\\u001b[2J\\u001b[Hthe end"]\n'
    )
    async with open_picker(server) as picker:
        await open_replay(picker)
        await picker.press("end")
        await picker.until_shown("the end")
    offsets = [ask.offset for ask in server.asked if isinstance(ask, ReadRecording)]
    assert offsets == [0, 1 << 18, 2 << 18, 0]  # and the event stream


async def test_a_recording_that_may_not_be_read_says_so(server: WireServer) -> None:
    server.answers[ReadRecording] = lambda ask: Failure(0, "E-DENIED", "S-81b is not yours")
    async with open_picker(server) as picker:
        await open_recordings(picker)
        await picker.press("enter")
        await picker.until_shown("E-DENIED: S-81b is not yours")
        await picker.press("space", "right", "q")
        await picker.until_shown("COMMAND")


async def test_a_damaged_recording_says_so(server: WireServer) -> None:
    server.casts["S-81b"] = b"not a cast\n"
    async with open_picker(server) as picker:
        await open_recordings(picker)
        await picker.press("enter")
        await picker.until_shown("This recording cannot be played: line 1")


async def test_live_sessions_are_ended_only_with_a_reason_and_by_an_admin(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.press("tab", "4")
        await picker.until_shown("S-81d: dan from 10.1.4.9")
        await picker.press("tab", "t")
        await picker.until_shown("Only an administrator can end a session from here.")


async def test_an_admin_ends_a_session(server: WireServer) -> None:
    server.welcome = WireServer(server.path, admin=True).welcome
    async with open_picker(server) as picker:
        await picker.press("tab", "4")
        await picker.until_shown("S-81d: dan")
        await picker.press("tab", "t")
        await picker.until_shown("End S-81d of dan on prod-web-1")
        await picker.press("enter")
        await picker.until_shown("Type a reason first.")
        await picker.type("wrong host")
        await picker.press("enter")
        await picker.until_shown("S-81d ended.")
    assert KillSession("S-81d", "wrong host") in server.asked


class Picture(App[None]):
    """A terminal view alone."""

    def compose(self) -> ComposeResult:
        yield TerminalView(id="view")


@pytest.mark.parametrize(
    ("size", "cols", "rows"), [((40, 10), 200, 60), ((80, 24), 80, 24), ((40, 10), 20, 5)]
)
async def test_the_part_around_the_cursor_is_shown(size: tuple[int, int], cols: int, rows: int) -> None:
    screen = Screen(cols, rows)
    screen.feed(f"\x1b[{rows};{cols - 8}Hhere".encode())
    app = Picture()
    async with app.run_test(size=size) as pilot:
        app.query_one(TerminalView).show(screen)
        await pilot.pause()
        lines = [strip.text for strip in app.screen._compositor.render_strips()]
        assert any("here" in line for line in lines)
        assert all(len(line) == size[0] for line in lines)


async def test_cells_only_reach_the_viewer() -> None:
    """lesson 14: no control character of a recording is among what is drawn, whatever it wrote."""
    screen = Screen(40, 5)
    screen.feed(EVIL.encode())
    app = Picture()
    async with app.run_test(size=(40, 10)) as pilot:
        app.query_one(TerminalView).show(screen)
        await pilot.pause()
        text = "".join(part.text for strip in app.screen._compositor.render_strips() for part in strip)
    assert "ok" in text
    assert not [char for char in text if ord(char) < 32 or char in "\x7f\u202e"]
    assert "evil" not in text


async def test_a_local_file_is_played_without_a_broker(tmp_path: Path) -> None:
    path = tmp_path / "x.cast"
    path.write_bytes(CAST)
    app = FaceApp(None, replay=ReplayScreen.of_file(str(path)))
    async with app.run_test(size=(80, 24)) as pilot:
        picker = Picker(app, pilot)
        await picker.until_shown("■ pause")
        await picker.press("end")
        await picker.until_shown(" 18204")
        await picker.press("q")
        await picker.until(lambda: not app.is_running)
