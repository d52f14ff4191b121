"""Lines that wait for a word, in real shells: nothing runs before it, and what it lets run runs once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from recorder.cast import StreamEvent
from recorder.reader import CastReader, read_events
from tests.e2e.gatedshell import SHELLS, GatedShell

Open = Callable[..., Coroutine[Any, Any, GatedShell]]
HOOKED = ["bash", "zsh", "fish"]


@pytest.fixture
async def enter(tmp_path: Path) -> AsyncIterator[Open]:
    """A shell at its first prompt."""
    opened: list[GatedShell] = []

    async def open_shell(shell: str, **options: Any) -> GatedShell:
        session = await GatedShell(tmp_path / "home", shell, **options).start()
        opened.append(session)
        await session.prompt()
        return session

    yield open_shell
    for session in opened:
        await session.close()


async def held(session: GatedShell, line: str) -> None:
    """Type the line, and wait until it waits."""
    session.type(line)
    await session.expect("HELD R-")
    assert session.lines.state == "held"


async def works(session: GatedShell) -> None:
    """The next line is judged and runs."""
    await session.prompt()
    session.type("echo as be'fore'\r")
    await session.expect(r"[\r\n]as before\r")


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_line_runs_when_it_is_approved_and_only_then(shell: str, enter: Open) -> None:
    session = await enter(shell)
    await held(session, "touch 'a b'\r")
    typed = len(session.program.typed)
    await asyncio.sleep(1.2)
    session.type("touch evil\r")
    await asyncio.sleep(0.3)
    assert not (session.home / "a b").exists()
    assert len(session.program.typed) == typed, "nothing goes to the target while a line waits"
    session.desk.decide("approved", "ok")
    await session.until((session.home / "a b").exists, "the file")
    await session.expect(r'APPROVED  by bob .*"ok".  Running.')
    await works(session)
    assert session.desk.asked[0].line == "touch 'a b'"
    assert session.desk.used == [1]
    assert not (session.home / "evil").exists()
    assert session.lines.report.held == 1


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("end", ["denied", "expired", "\x03", "\x04"])
async def test_a_line_that_is_not_approved_is_gone(shell: str, end: str, enter: Open) -> None:
    session = await enter(shell)
    await held(session, "touch a\r")
    session.type(end) if end < " " else session.desk.decide(end)
    await session.expect("Nothing sent")
    await works(session)
    assert not (session.home / "a").exists()
    assert session.desk.used == []
    assert session.desk.ended == ([(1, "cancelled")] if end < " " else [])


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_line_is_lost_with_its_connection(shell: str, enter: Open) -> None:
    session = await enter(shell)
    await held(session, "touch a\r")
    await session.close()
    assert session.program.process.poll() is not None
    assert not (session.home / "a").exists()
    assert session.desk.ended == [(1, "session-ended")]


@pytest.mark.parametrize("shell", SHELLS)
async def test_y_confirms_and_any_other_key_drops(shell: str, enter: Open) -> None:
    session = await enter(shell)
    for key, name in (("y", "d"), ("\r", "e")):
        session.type(f"mkdir {name}\r")
        await session.expect(r"CONFIRM  Press y to run it")
        await asyncio.sleep(0.7)
        session.type(key)
        await session.expect("Running" if key == "y" else "DROPPED")
        await works(session)
        assert (session.home / name).exists() is (key == "y")
        await session.prompt()


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_warning_runs(shell: str, enter: Open) -> None:
    session = await enter(shell)
    session.type("uname\r")
    await session.expect(r"WARNING  uname is not for everybody \(rule warn-uname, lab.yaml:9\)\..*Linux\r")
    await works(session)


@pytest.mark.parametrize("shell", SHELLS)
async def test_lines_typed_together_wait_for_enter(shell: str, enter: Open) -> None:
    session = await enter(shell)
    await held(session, "touch a\recho se'cond'\recho thi'rd'\r")
    await session.expect("Ctrl-C cancels")
    session.desk.decide()
    await session.expect(r"2\s+more lines\s+wait: Enter\s+sends\s+on,\s+Ctrl-C\s+drops\.")
    await session.prompt()
    await asyncio.sleep(0.3)
    assert b"second\r" not in session.user.shown
    session.type("\r")
    await session.expect(r"[\r\n]second\r.*[\r\n]third\r")
    assert (session.home / "a").exists()


@pytest.mark.parametrize("shell", HOOKED)
async def test_a_paste_of_lines_is_one_line_to_approve(shell: str, enter: Open) -> None:
    session = await enter(shell)
    session.type("\x1b[200~touch a\necho do'ne'\x1b[201~")
    await asyncio.sleep(0.2)
    await held(session, "\r")
    assert session.desk.asked[0].line.split("\n") == ["touch a", "echo do'ne'"]
    session.desk.decide()
    await session.expect(r"[\r\n]done\r")
    assert (session.home / "a").exists()


@pytest.mark.parametrize("shell", HOOKED)
async def test_output_meanwhile_comes_after_the_decision(shell: str, enter: Open) -> None:
    session = await enter(shell)
    session.type("sh -c 'sleep 1; echo noi''se; sleep 9' &\r")
    await session.prompt()
    await held(session, "touch a\r")
    await asyncio.sleep(1.5)
    assert b"noise" not in session.user.shown
    session.desk.decide()
    await session.expect("APPROVED.*noise")
    await session.until((session.home / "a").exists, "the file")
    await works(session)


async def test_a_line_of_an_unhooked_reader_that_output_disturbs_is_refused(enter: Open) -> None:
    session = await enter("dash")
    session.type("sh -c 'sleep 1; echo noi''se' &\r")
    await session.prompt()
    await held(session, "touch a\r")
    await asyncio.sleep(1.5)
    session.desk.decide()
    await session.expect("NOT SENT  the line may have changed while it waited")
    await works(session)
    assert not (session.home / "a").exists()
    assert (session.desk.used, session.desk.ended) == ([], [(1, "changed")])


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_new_size_of_the_window_ends_no_wait(shell: str, enter: Open) -> None:
    session = await enter(shell)
    await held(session, "touch a\r")
    session.resize(30, 60)
    await asyncio.sleep(0.5)
    assert session.lines.state == "held"
    session.desk.decide()
    await session.until((session.home / "a").exists, "the file")
    await works(session)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
async def test_a_shell_that_is_interrupted_waits_no_more(shell: str, enter: Open) -> None:
    """Somebody sends it a signal: an approval that comes then runs nothing."""
    session = await enter(shell)
    await held(session, "touch a\r")
    os.kill(session.program.process.pid, signal.SIGINT)
    await session.expect("does not wait for it any more")
    await works(session)
    session.desk.decide()
    await works(session)
    assert not (session.home / "a").exists()
    assert session.desk.ended == [(1, "gone")]


async def test_an_editor_keeps_its_screen(enter: Open) -> None:
    """A row over it, and the window's title; what vim shows is the same before and after."""
    session = await enter("bash")
    session.type("vim -u NONE +':normal iTEXT' notes\r")
    await session.expect("TEXT")
    session.type(":!mkdir d")
    await session.expect("!mkdir d")
    before = session.screen
    session.type("\r")
    await session.expect("CONFIRM  Press y")
    assert session.screen[:-1] == before[:-1]
    assert session.screen[-1].startswith("▲ CONFIRM")
    await asyncio.sleep(0.7)
    session.type("n")
    await session.expect(r"\x1b\[23;2t.*DROPPED.*\x1b\[24;1H\x1b\[K")
    session.type(":!mkdir d")
    await session.expect("!mkdir d")
    await session.until(lambda: session.screen == before, "the screen as before")
    session.type("\r")
    await session.expect("CONFIRM  Press y")
    await asyncio.sleep(0.7)
    session.type("y")
    await session.until((session.home / "d").exists, "the folder")
    session.type("\r")
    await session.expect("TEXT")
    session.type(":q!\r")
    await works(session)


def facts(session: GatedShell) -> list[StreamEvent]:
    return list(read_events(session.home.parent / f"S-{session.shell}.events"))


async def test_the_recording_tells_the_story(enter: Open) -> None:
    session = await enter("bash")
    await held(session, "touch a\r")
    session.desk.decide("approved", "ok")
    await works(session)
    session.live.close(session.live.t, "test")
    kinds = [fact.kind for fact in facts(session)]
    assert [kind for kind in kinds if kind in ("held", "approved")] == ["held", "approved"]
    [approved] = [fact.fields for fact in facts(session) if fact.kind == "approved"]
    assert (approved["request"], approved["by"], approved["comment"]) == ("R-1", "bob", "ok")
    with CastReader(session.home.parent / "S-bash.cast") as reader:
        marks = [event.data for event in reader.events() if event.code == "m"]
    assert marks == ["held: touch a", "approved: touch a"]
