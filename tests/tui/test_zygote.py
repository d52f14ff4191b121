"""The zygote as the broker uses it: a real process, real terminals, a real control socket."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.wire.messages import OpenTarget
from recorder.screen import Screen
from tests.tui.wire_server import CAST, WireServer
from tests.tui.zygote_driver import Terminal, ZygoteDriver, zygote
from tui import zygote as module

SANE = "\x1b[?1049l\x1b[?25h"


class ServerThread:
    """The served socket on a loop of its own: the test blocks on terminals meanwhile."""

    def __init__(self, path: Path) -> None:
        self.server = WireServer(path)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        async with self.server:
            self._started.set()
            await self._end.wait()

    def __enter__(self) -> WireServer:
        self._thread.start()
        self._started.wait()
        return self.server

    def __exit__(self, *exc: object) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def drop(self) -> None:
        self.loop.call_soon_threadsafe(self.server.drop)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[ServerThread]:
    thread = ServerThread(tmp_path / "control")
    with thread:
        yield thread


@pytest.fixture(scope="module")
def driver() -> Iterator[ZygoteDriver]:
    with zygote() as driver:
        yield driver


def picture(terminal: Terminal, columns: int = 80, rows: int = 24) -> list[str]:
    screen = Screen(columns, rows)
    screen.feed(terminal.output)
    return [line.rstrip() for line in screen.display()]


def end(driver: ZygoteDriver, terminal: Terminal, id: int) -> int:
    """The child's exit status."""
    terminal.read_to_end()
    terminal.hang_up()
    message = driver.next()
    assert message["id"] == id
    return int(message["status"])


def start(driver: ZygoteDriver, serving: ServerThread, **options: object) -> Terminal:
    terminal = driver.login(serving.server.path, **options)  # type: ignore[arg-type]
    assert set(driver.next()) == {"id", "pid"}
    return terminal


def test_a_login_gets_the_picker_and_opens_a_target(driver: ZygoteDriver, serving: ServerThread) -> None:
    terminal = start(driver, serving, id=3)
    terminal.wait_for("? help")
    assert picture(terminal)[4].startswith(" ► prod-db-1    postgres +2  prod")
    terminal.type("stg\r")
    assert end(driver, terminal, 3) == 0
    assert serving.server.asked[-1] == OpenTarget("stg-db-1", "postgres", "")
    assert SANE in terminal.output.decode()
    assert not any(picture(terminal))


def test_the_next_login_is_told_how_the_last_session_ended(
    driver: ZygoteDriver, serving: ServerThread
) -> None:
    terminal = start(driver, serving, state={"session": "S-81b", "target": "stg-db-1", "status": 3})
    terminal.wait_for("S-81b (Tab r = replay)")
    terminal.wait_for("? help")
    assert " Last session: stg-db-1 ended, exit 3, S-81b (Tab r = replay)" in picture(terminal)
    terminal.type("\x04")
    assert end(driver, terminal, 1) == 0


def test_small_and_resized_windows(driver: ZygoteDriver, serving: ServerThread) -> None:
    terminal = start(driver, serving, columns=40, rows=10)
    terminal.wait_for("? help")
    assert picture(terminal, 40, 10)[9] == " Enter open  Tab list  ? help"
    terminal.resize(120, 40)
    terminal.wait_for("Ctrl-D log out")
    terminal.type("\x04")
    assert end(driver, terminal, 1) == 0


@pytest.mark.parametrize(("env", "columns"), [
    ({"TERM": "dumb"}, 80), ({}, 80), ({"TERM": "xterm"}, 30),
    ({"TERM": "xterm", "BARTIZAN_UI": "plain"}, 80),
])  # fmt: skip
def test_terminals_that_cannot_show_the_picker_get_the_menu(
    driver: ZygoteDriver, serving: ServerThread, env: dict[str, str], columns: int
) -> None:
    terminal = start(driver, serving, env=env, columns=columns)
    terminal.wait_for("\r\n> ")
    terminal.type("q\r")
    assert end(driver, terminal, 1) == 0
    assert b"\x1b" not in terminal.output


def test_the_menu_can_be_asked_for(driver: ZygoteDriver, serving: ServerThread) -> None:
    terminal = start(driver, serving, mode="menu")
    terminal.wait_for("\r\n> ")
    terminal.type("stg\r")
    terminal.wait_for("1. stg-db-1")
    terminal.type("1\r")
    assert end(driver, terminal, 1) == 0
    assert serving.server.asked[-1] == OpenTarget("stg-db-1", "postgres", "")


def test_a_login_without_a_terminal_gets_the_menu_on_its_socket(
    driver: ZygoteDriver, serving: ServerThread
) -> None:
    control = socket.socket(socket.AF_UNIX)
    control.connect(str(serving.server.path))
    ours, theirs = socket.socketpair()
    with control, ours:
        with theirs:
            request = {"id": 6, "mode": "menu", "env": {}, "state": {}}
            driver.send(request, [theirs.fileno(), control.fileno()])
        assert set(driver.next()) == {"id", "pid"}
        ours.shutdown(socket.SHUT_WR)
        assert driver.next() == {"id": 6, "status": 0}
        with ours.makefile("rb") as printed:
            assert b"19. prod-web-13 as deploy" in printed.read()


def test_a_bug_leaves_a_sane_terminal_and_no_traceback_on_it(tmp_path: Path) -> None:
    code = """
import sys, tui.cli
tui.cli.prepare({})
import tui.app
class Broken(tui.app.FaceApp):
    def now(self):
        raise RuntimeError("secret local value")
sys.exit(tui.app.run(Broken("/nowhere"), int(sys.argv[1])))
"""
    terminal = Terminal(80, 24)
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(log.fileno())], stdin=terminal.slave, stdout=terminal.slave,
            stderr=terminal.slave, pass_fds=[log.fileno()], start_new_session=True,
            env={**os.environ, "TERM": "xterm", "LANG": "C.UTF-8"},
        )  # fmt: skip
        terminal.close_slave()
        terminal.read_to_end()
        assert process.wait(60) == 70
    terminal.hang_up()
    text = terminal.output.decode()
    assert SANE in text
    assert "secret local value" not in text
    assert "[E-INTERNAL] the menu failed" in picture(terminal)[0]
    assert "secret local value" in (tmp_path / "log").read_text()


def test_ascii_mode_sends_ascii_only(driver: ZygoteDriver, serving: ServerThread) -> None:
    terminal = start(driver, serving, env={"TERM": "vt100", "LC_ALL": "C"})
    terminal.wait_for("? help")
    assert picture(terminal)[4].startswith(" > prod-db-1    postgres +2  prod  o REASON at least~")
    terminal.type("\x04")
    assert end(driver, terminal, 1) == 0
    assert terminal.output.isascii()


def test_no_color_is_exact(driver: ZygoteDriver, serving: ServerThread) -> None:
    terminal = start(
        driver, serving, env={"TERM": "xterm-256color", "NO_COLOR": "1", "COLORTERM": "truecolor"}
    )
    terminal.wait_for("? help")
    terminal.type("?")
    terminal.wait_for("Esc close")
    terminal.type("\x1b")
    terminal.wait_for("? help")
    terminal.type("\x04")
    assert end(driver, terminal, 1) == 0
    used = {n for sgr in re.findall(r"\x1b\[([\d;]*)m", terminal.output.decode()) for n in sgr.split(";")}
    assert used <= {"", "0", "1", "2", "4", "7", "39", "49"}
    assert "7" in used


def test_unknown_terminals_are_asked_nothing_and_sent_no_strings(
    driver: ZygoteDriver, serving: ServerThread
) -> None:
    """Mode queries, kitty keys, mouse, pointer shapes and focus reports are printed by some terminals."""
    terminal = start(driver, serving)
    terminal.wait_for("? help")
    terminal.type("\x04")
    assert end(driver, terminal, 1) == 0
    text = terminal.output.decode()
    assert not re.findall(
        r"\x1b\[\?\d+\$p|\x1b\[[<>=]\d*u|\x1b\]|\x1bP|\x1b\[c|\x1b\[6n|\x1b\[\?100\d(?:;\d+)*h", text
    )


def test_a_replay_sends_nothing_but_cells(driver: ZygoteDriver, serving: ServerThread) -> None:
    """lesson 14: clipboard, title, queries and window size requests of a recording never reach the viewer."""
    evil = (
        b"\\u001b]52;c;ZXZpbA==\\u0007\\u001b]0;evil\\u0007\\u001b[c\\u001b[6n\\u001b[8;10;10t"
        b"\\u001b[18tharmless"
    )
    serving.server.casts["S-81b"] = (
        CAST.split(b"\n")[0] + b'\n[0.1, "r", "200x60"]\n[0.2, "o", "' + evil + b'"]\n'
    )
    terminal = start(driver, serving, state={"session": "S-81b", "target": "stg-db-1"})
    terminal.wait_for("? help")
    terminal.type("\tr")
    terminal.wait_for("Space play")
    terminal.wait_for("pause")
    terminal.type("G")
    terminal.wait_for("harmless")
    terminal.type("q")
    terminal.wait_for("(r = replay)")
    terminal.type("\x04")
    assert end(driver, terminal, 1) == 0
    text = terminal.output.decode()
    assert "evil" not in text
    assert "\x1b]" not in text
    assert not re.findall(r"\x1b\[(?:c|6n|[\d;]*t)", text)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_leaves_a_sane_terminal(driver: ZygoteDriver, serving: ServerThread, number: int) -> None:
    terminal = driver.login(serving.server.path, id=8)
    pid = driver.next()["pid"]
    terminal.wait_for("? help")
    os.kill(pid, number)
    assert end(driver, terminal, 8) == 128 + number
    assert SANE in terminal.output.decode()


def test_a_closed_terminal_ends_the_face(driver: ZygoteDriver, serving: ServerThread) -> None:
    terminal = start(driver, serving)
    terminal.wait_for("? help")
    terminal.hang_up()
    assert driver.next() == {"id": 1, "status": 128 + signal.SIGHUP}


def test_a_broker_that_goes_leaves_a_word_on_the_main_screen(
    driver: ZygoteDriver, serving: ServerThread
) -> None:
    terminal = start(driver, serving)
    terminal.wait_for("? help")
    serving.drop()
    assert end(driver, terminal, 1) == 69
    assert "the broker closed the connection" in picture(terminal)[0]


def test_a_killed_child_is_reported_and_the_zygote_lives(driver: ZygoteDriver, serving: ServerThread) -> None:
    terminal = driver.login(serving.server.path, id=5)
    os.kill(driver.next()["pid"], signal.SIGKILL)
    assert end(driver, terminal, 5) == 137
    test_a_login_gets_the_picker_and_opens_a_target(driver, serving)


@pytest.mark.parametrize(("request_", "word"), [
    (b"junk", "not JSON"), (b"[]", "an object"), (b'{"id": 4}', "mode"),
    (b'{"id": 4, "mode": "tui"}', "two file desc"),
])  # fmt: skip
def test_bad_requests_are_refused_and_the_next_is_served(
    driver: ZygoteDriver, serving: ServerThread, request_: bytes, word: str
) -> None:
    driver.send(request_, [])
    reply = driver.next()
    assert word in reply["error"]
    assert reply["id"] == (4 if b"4" in request_ else None)
    test_the_menu_can_be_asked_for(driver, serving)


def test_a_child_has_no_descriptor_of_the_broker_or_of_another_login(
    driver: ZygoteDriver, serving: ServerThread
) -> None:
    """Seen from the other ends: a login's control socket and terminal close when its own child has ended."""
    first, second = start(driver, serving, id=1), start(driver, serving, id=2)
    for terminal in (first, second):
        terminal.wait_for("? help")
    first.type("\x04")
    assert end(driver, first, 1) == 0
    second.type("\x04")
    assert end(driver, second, 2) == 0


def test_only_what_belongs_to_terminal_and_language_is_passed_on() -> None:
    env = {"TERM": "x", "LC_ALL": "C", "BARTIZAN_ASCII": "1", "PATH": "/evil", "TEXTUAL_DRIVER": "evil:E",
           7: "x", "LD_PRELOAD": "x", "LANG": "a\0b", "PYTHONSTARTUP": "x", "NO_COLOR": 1}  # fmt: skip
    assert module.passed(env) == {"TERM": "x", "LC_ALL": "C", "BARTIZAN_ASCII": "1"}


def test_the_zygote_ends_with_its_broker() -> None:
    with zygote() as driver:
        process = driver.process
    assert process.returncode == 0


def test_it_cannot_be_started_by_hand_without_a_socket(capsys: pytest.CaptureFixture[str]) -> None:
    assert module.main([]) == 64
    assert module.main(["3", "x", "y"]) == 64
    assert "usage" in capsys.readouterr().err


def test_rights_are_given_up_before_serving(serving: ServerThread) -> None:
    user, group = (65534, 65534) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    with zygote(user, group) as driver:
        terminal = driver.login(serving.server.path)
        child = driver.next()["pid"]
        terminal.wait_for("? help")
        for pid in (driver.process.pid, child):
            status = Path(f"/proc/{pid}/status").read_text()
            assert re.findall(r"^Uid:\t(.*)$", status, re.M) == ["\t".join([str(user)] * 4)]
            assert re.findall(r"^Gid:\t(.*)$", status, re.M) == ["\t".join([str(group)] * 4)]
            assert "NoNewPrivs:\t1" in status
            if os.geteuid() == 0:
                assert re.findall(r"^Groups:\t(.*)$", status, re.M)[0].strip() == ""
        terminal.type("\x04")
        assert end(driver, terminal, 1) == 0
