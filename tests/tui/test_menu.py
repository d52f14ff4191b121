"""The plain menu: lines only, each at most 80 characters, no picture."""

from __future__ import annotations

import asyncio
import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from broker.wire.approvals import OpenRequest, WaitRequest
from broker.wire.messages import Failure, OpenTarget
from tests.tui.wire_server import MINE, WireServer, detail, target
from tui import cli, menu
from tui.states import LastSession


async def converse(server: WireServer, typed: str, last: LastSession | None = None) -> tuple[int, str]:
    """Exit status and all that was printed."""
    out = io.StringIO()
    status = await asyncio.to_thread(
        menu.serve, str(server.path), io.StringIO(typed), out, last or LastSession()
    )
    return status, out.getvalue()


def opened(server: WireServer) -> list[OpenTarget]:
    return [ask for ask in server.asked if isinstance(ask, OpenTarget)]


async def test_the_end_of_the_input_leaves_with_the_list_printed(server: WireServer) -> None:
    status, text = await converse(server, "")
    assert status == 0
    assert "1. prod-db-1 as postgres and 2 more, prod, REASON at least 10 characters, orders primary\n" in (
        text.replace("\n    ", " ")
    )
    assert "19. prod-web-13 as deploy, prod, OK, green pool" in text


async def test_no_line_is_long_or_drawn(server: WireServer) -> None:
    server.targets = [*server.targets, target("x" * 90, note="long words " * 20)]
    _, text = await converse(server, "?\nr\nzzz\n99\n1\n\n")
    for line in text.splitlines():
        assert cell_len(line) <= 80, line
        assert line.isprintable()
        assert not set(line) & set("─┌►●")


async def test_a_number_opens(server: WireServer) -> None:
    status, _ = await converse(server, "stg\n1\n")
    assert (status, opened(server)) == (0, [OpenTarget("stg-db-1", "postgres", "")])


async def test_a_number_and_an_account(server: WireServer) -> None:
    await converse(server, "1 ro\n")
    assert opened(server) == [OpenTarget("prod-db-1", "ro", "")]


async def test_an_unknown_account_number_or_filter_is_told(server: WireServer) -> None:
    _, text = await converse(server, "1 nobody\n0\n400\nzzz\n")
    assert "prod-db-1 has no account nobody. It has: postgres, ro, root" in text
    assert "There is no number 400." in text
    assert "No target matches zzz." in text
    assert opened(server) == []


async def test_denied_says_why_and_sends_nothing(server: WireServer) -> None:
    _, text = await converse(server, "prod-db-9\n1\n")
    assert "DENY 22:00-06:00 only, rule nights" in text
    assert opened(server) == []


async def test_what_needs_approval_waits_and_opens_by_itself(server: WireServer) -> None:
    server.answers[OpenTarget] = lambda ask: detail(MINE[0])
    _, text = await converse(server, "kafka\n1\nINC-1 look\n")
    assert "R-4F9 waits for 1 of alice, carol." in text
    assert 'R-4F9 is approved by bob: "fine"' in text
    assert server.asked[-2:] == [WaitRequest("R-4F9"), OpenRequest("R-4F9")]


async def test_what_is_denied_is_said_and_the_menu_goes_on(server: WireServer) -> None:
    server.answers[OpenTarget] = lambda ask: detail(MINE[1])
    status, text = await converse(server, "kafka\n1\nINC-1 look\nq\n")
    assert status == 0
    assert 'R-4E0 is denied by bob: "wrong host"' in text
    assert not any(isinstance(ask, OpenRequest) for ask in server.asked)


async def test_requests_are_listed_with_the_command_to_go_on_with(server: WireServer) -> None:
    _, text = await converse(server, "a\nw\n")
    text = text.replace("\n    ", " ")
    assert "risk HIGH, dan on postgres@prod-db-1, command: DELETE FROM orders" in text
    assert 'Go on with: ssh bastion approve ID -m "why"' in text
    assert "R-4E0 denied" in text
    assert "Go on with: ssh bastion requests show ID" in text


async def test_a_reason_is_asked_and_an_empty_one_gives_up(server: WireServer) -> None:
    await converse(server, "1\n\n")
    assert opened(server) == []
    await converse(server, "1\nINC-4821 orphan rows\n")
    assert opened(server) == [OpenTarget("prod-db-1", "postgres", "INC-4821 orphan rows")]


async def test_a_refusal_stays_in_the_menu(server: WireServer) -> None:
    server.answers[OpenTarget] = lambda ask: Failure(0, "E-UNREACHABLE", "no answer", "Ask dba.")
    _, text = await converse(server, "stg\n1\nr\n")
    assert "E-UNREACHABLE: no answer Ask dba." in text
    assert "S-81b 24 Nov 12:02" in text


async def test_coming_back_is_told_first(server: WireServer) -> None:
    _, text = await converse(server, "", LastSession(session="S-81b", target="stg-db-1", status=3))
    assert text.splitlines()[1] == "Last session: stg-db-1 ended, exit 3, S-81b"


async def test_control_characters_of_others_are_inert(server: WireServer) -> None:
    """lesson 13"""
    server.targets = [target("t\x1b]0;x\x07", note="\u202eabc")]
    _, text = await converse(server, "")
    assert "\x1b" not in text
    assert "⟨U+001B⟩]0;x⟨U+0007⟩" in text


async def test_without_utf8_it_is_ascii(server: WireServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    server.targets = [target("käse", note="◊ 日")]
    _, text = await converse(server, "")
    assert text.isascii()
    assert "1. kase as deploy" in text


async def test_a_refused_user_and_a_missing_broker(server: WireServer, tmp_path: Path) -> None:
    server.welcome = Failure(0, "E-DENIED", "alice is locked", exit_status=77)
    assert await converse(server, "") == (77, "bartizan: [E-DENIED] alice is locked\n")
    status = await asyncio.to_thread(
        menu.serve, str(tmp_path / "nothing"), io.StringIO(), out := io.StringIO(), LastSession()
    )
    assert status == 69
    assert "the menu has ended, no broker at" in out.getvalue()


async def test_as_a_program_on_pipes(server: WireServer) -> None:
    argv = [sys.executable, "-m", "tui", "menu", "--socket", str(server.path)]
    done = await asyncio.to_thread(subprocess.run, argv, input=b"q\n", capture_output=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith(b"bartizan: alice (ops)\n1. prod-db-1 as postgres")


async def test_what_is_piped_in_behind_the_choice_is_left_for_the_session(server: WireServer) -> None:
    """lesson 27: the menu takes its own line and not a byte more."""
    ours, theirs = socket.socketpair()
    ours.sendall(b"stg\n1\necho in the session\n")
    argv = [sys.executable, "-m", "tui", "menu", "--socket", str(server.path)]
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(*argv, stdin=theirs, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0
        assert theirs.recv(100) == b"echo in the session\n"
    assert opened(server) == [OpenTarget("stg-db-1", "postgres", "")]


@pytest.mark.parametrize(("argv", "status", "words"), [
    ([], 64, "--socket PATH is missing"),
    (["menu"], 64, "--socket PATH is missing"),
    (["replay", "/nowhere/x.cast"], 1, "/nowhere/x.cast: No such file"),
])  # fmt: skip
def test_wrong_use_is_told(
    argv: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == status
    assert words in capsys.readouterr().err


def test_the_menu_does_not_load_textual() -> None:
    code = "import sys, tui.menu, tui.cli; sys.exit(int('textual' in sys.modules or 'rich' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
