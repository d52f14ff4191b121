"""The runner performs a core's actions in order: what the recording has not accepted, nobody sees."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broker.adapters.clock import SystemClock
from broker.model.session import SessionState
from broker.relay.client import ClientSide, Terminal, Window
from broker.relay.runner import Runner
from broker.relay.target import TargetProgram
from broker.services.recordings import SessionRecording
from broker.session import events as ev
from broker.session.actions import Close
from broker.session.core import SessionCore, Terms
from broker.session.notices import Voice
from recorder.cast import Header
from recorder.reader import exact_output, read_events
from recorder.writer import LiveRecording, open_recording
from tests.signer import SIGNER
from tests.unit.rows import row

SMALL = 65536
"""The least a recording holds ahead: one chunk of `BIG` fits, the next has to wait for the writer."""
BIG = b"0123456789abcdef" * 3800
PIPE = Terms(Voice(terminal=False), None, None)


class Client(ClientSide):
    """The user's side, keeping what it is told in a list shared with the others."""

    def __init__(self, log: list[tuple[str, object]]) -> None:
        super().__init__()
        self._log = log
        self.reading = True

    def write(self, data: bytes, stderr: bool = False) -> None:
        self._log.append(("shown", data))

    def write_eof(self) -> None:
        self._log.append(("client-eof", None))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Program(TargetProgram):
    """The program on the target."""

    def __init__(self, log: list[tuple[str, object]]) -> None:
        self._log = log
        self.reading = True
        self.closed = False

    def write(self, data: bytes) -> None:
        self._log.append(("typed", data))

    def write_eof(self) -> None:
        self._log.append(("target-eof", None))

    def resize(self, window: Window) -> None:
        self._log.append(("resized", window))

    def signal(self, name: str) -> None:
        self._log.append(("signal", name))

    def send_break(self, msec: int) -> None:
        self._log.append(("break", msec))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True


class Recording(SessionRecording):
    """A real recording that notes what it has accepted."""

    log: list[tuple[str, object]]

    def output(self, t: int, data: bytes, stderr: bool) -> bool:
        accepted = super().output(t, data, stderr)
        if accepted:
            self.log.append(("recorded", data))
        return accepted


class Session:
    """A runner between a client, a program and a real recording, which nobody writes but `flush`."""

    def __init__(self, folder: Path, terms: Terms = PIPE, client: Client | None = None) -> None:
        self.log: list[tuple[str, object]] = []
        self.folder = folder
        self.live: LiveRecording = open_recording(
            folder, "S-1", Header(width=80, height=24), {}, signer=SIGNER, ahead=SMALL, terminal=False
        )
        clock = SystemClock()
        self.recording = Recording(self.live, clock, clock.monotonic())
        self.recording.log = self.log
        self.client = client or Client(self.log)
        self.client._log = self.log
        self.program = Program(self.log)
        self.core = SessionCore(terms)
        self.runner = Runner(self.core, row(state=SessionState.LIVE), self.client, self.recording)

    def start(self) -> Session:
        self.runner.start(self.program)
        return self

    async def flush(self) -> None:
        """What the recorder's thread does; then the loop turns until its calls have arrived."""
        await asyncio.to_thread(self.live.flush)
        await turn()

    async def end(self) -> Close:
        async with asyncio.timeout(30):
            return await self.runner.ended

    @property
    def shown(self) -> bytes:
        return b"".join(data for what, data in self.log if what == "shown" and isinstance(data, bytes))

    def recorded(self) -> bytes:
        """Close the files, and read back the output in them."""
        self.live.close(self.recording.time(), "test")
        return exact_output(self.folder / "S-1.cast")


async def turn() -> None:
    """Let the callbacks that are due run: one turn of the loop for each step they take."""
    for _ in range(3):
        await asyncio.sleep(0)


def words(session: Session) -> list[str]:
    return [what for what, _ in session.log]


# ---------------------------------------------------------------- in order


async def test_output_is_recorded_and_then_shown(tmp_path: Path) -> None:
    session = Session(tmp_path).start()
    session.runner.target_bytes(b"one", False)
    session.runner.client_bytes(b"in")
    session.runner.target_bytes(b"two", True)
    assert session.log == [
        ("recorded", b"one"),
        ("shown", b"one"),
        ("typed", b"in"),
        ("recorded", b"two"),
        ("shown", b"two"),
    ]
    assert session.recorded() == b"onetwo"


async def test_everything_a_client_can_do_reaches_the_program_and_is_kept(tmp_path: Path) -> None:
    session = Session(tmp_path).start()
    session.client.on_resize(Window(100, 30, 800, 600))
    session.client.on_signal("INT")
    session.client.on_break(500)
    session.client.on_refused("env", "PATH")
    session.client.on_eof()
    assert session.log == [
        ("resized", Window(100, 30, 800, 600)),
        ("signal", "INT"),
        ("break", 500),
        ("target-eof", None),
    ]
    session.recorded()
    kinds = [event.kind for event in read_events(tmp_path / "S-1.events")]
    assert kinds == ["start", "signal", "break", "request-refused", "end"]


async def test_what_came_before_the_program_ran_is_not_lost(tmp_path: Path) -> None:
    """lesson 27: stdin, its end and refused requests that came while the target was being reached."""
    session = Session(tmp_path)
    session.client.on_bytes(b"early ")
    session.client.on_bytes(b"input")
    session.client.on_refused("env", "PATH")
    session.client.on_eof()
    session.start()
    assert session.log == [("typed", b"early "), ("typed", b"input"), ("target-eof", None)]
    session.recorded()
    assert [event.kind for event in read_events(tmp_path / "S-1.events")][1] == "request-refused"


async def test_the_end_of_output_is_not_the_end_of_a_lasting_client(tmp_path: Path) -> None:
    session = Session(tmp_path).start()
    session.client.lasting = True
    session.runner.target_eof()
    session.client.lasting = False
    session.runner.target_eof()
    assert words(session) == ["client-eof"]


async def test_an_exit_status_ends_it_and_lets_both_sides_go(tmp_path: Path) -> None:
    session = Session(tmp_path).start()
    session.runner.target_exited(5)
    session.runner.target_bytes(b"last", False)
    session.runner.target_gone("")
    assert await session.end() == Close(5, "exit")
    assert session.program.closed
    assert not session.client.reading
    session.client.on_bytes(b"for the next one")
    assert words(session) == ["recorded", "shown"]


# ---------------------------------------------------------------- waiting for room


def fill(session: Session) -> None:
    """One chunk that fits and one that does not."""
    session.runner.target_bytes(BIG, False)
    session.runner.target_bytes(b"A" + BIG, False)
    assert session.shown == BIG, "the second chunk has to wait, or this tests nothing"


async def test_output_that_is_not_accepted_is_not_shown_and_nothing_overtakes_it(tmp_path: Path) -> None:
    session = Session(tmp_path).start()
    fill(session)
    assert not session.program.reading
    session.runner.target_bytes(b"err", True)
    session.runner.resized(Window(9, 9))
    session.runner.target_eof()
    session.runner.target_exited(0)
    session.runner.target_gone("")
    assert session.shown == BIG
    assert not session.runner.ended.done()
    await session.flush()
    assert await session.end() == Close(0, "exit")
    tail = ["recorded", "shown", "recorded", "shown", "resized", "client-eof"]
    assert words(session) == ["recorded", "shown", *tail]
    assert session.shown == BIG + b"A" + BIG + b"err" == session.recorded()


async def test_both_sides_wait_while_the_recording_has_no_room(tmp_path: Path) -> None:
    """Bounded memory: what the client sends on is left in its window, not gathered behind the held output."""
    session = Session(tmp_path).start()
    fill(session)
    assert not session.client.reading
    assert not session.program.reading
    session.runner.client_bytes(b"on its way already")
    assert "typed" not in words(session)
    await session.flush()
    assert session.log[-1] == ("typed", b"on its way already")
    assert session.client.reading
    assert session.program.reading


async def test_a_client_is_read_on_again_only_when_nothing_stands_against_it(tmp_path: Path) -> None:
    session = Session(tmp_path).start()
    fill(session)
    session.runner.target_full()
    session.runner.client_full()
    await session.flush()
    assert not session.client.reading
    assert not session.program.reading
    session.runner.target_ready()
    assert session.client.reading
    assert not session.program.reading
    session.runner.client_ready()
    assert session.program.reading


async def test_a_target_that_takes_nothing_stops_the_client_from_its_first_byte(tmp_path: Path) -> None:
    """The early input already filled the target: the client is not read on after it."""
    session = Session(tmp_path)
    session.client.on_bytes(b"early")
    session.program.write = lambda data: session.runner.target_full()  # type: ignore[method-assign]
    session.start()
    assert not session.client.reading


@pytest.mark.parametrize("over", [False, True], ids=["running", "program-ended"])
async def test_a_kill_does_not_wait_for_room(tmp_path: Path, over: bool) -> None:
    """Also where the program has ended and only its last output waits: the session must not hang."""
    session = Session(tmp_path).start()
    fill(session)
    if over:
        session.runner.target_exited(0)
        session.runner.target_gone("")
    session.runner.kill("killed", "carol", "enough")
    assert session.runner.ended.done()
    assert await session.end() == Close(137, "killed")
    assert session.program.closed
    notice = b"bartizan: [E-TERMINATED] enough\n"
    assert session.shown == BIG + notice
    await session.flush()
    assert session.shown == BIG + notice, "what was dropped never comes"
    assert session.recorded() == BIG


# ---------------------------------------------------------------- failures


async def test_a_recording_that_fails_ends_the_session_and_nothing_is_shown_after(tmp_path: Path) -> None:
    """Fail closed: 73, the reason for the user, and not one byte more."""
    session = Session(tmp_path).start()
    session.runner.target_bytes(b"kept", False)
    session.live.fail(OSError(28, "No space left on device"))
    session.runner.target_bytes(b"unseen", False)
    assert session.shown == b"kept", "refused by the recording before the loop knows why"
    close = await session.end()
    assert (close.status, close.reason) == (73, "recording")
    assert session.program.closed
    session.runner.target_bytes(b"unseen", False)
    session.runner.client_bytes(b"untyped")
    assert b"[E-RECORDING]" in session.shown
    assert b"unseen" not in session.shown
    assert "typed" not in words(session)
    assert session.recorded() == b"kept"


async def test_a_success_is_not_told_of_a_program_whose_last_output_was_lost(tmp_path: Path) -> None:
    """The program has ended with 0, its last output waits, and then the disk fails."""
    session = Session(tmp_path).start()
    fill(session)
    session.runner.target_exited(0)
    session.runner.target_gone("")
    await asyncio.to_thread(session.live.fail, OSError(28, "No space left on device"))
    close = await session.end()
    assert (close.status, close.reason) == (73, "recording")
    assert b"A" + BIG not in session.shown


async def test_a_recording_that_failed_before_the_session_began_is_noticed(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.live.fail(OSError(5, "Input/output error"))
    runner = Runner(SessionCore(PIPE), row(), session.client, session.recording)
    async with asyncio.timeout(30):
        assert (await runner.ended).status == 73


async def test_a_bug_in_the_core_ends_that_session_with_an_error(tmp_path: Path) -> None:
    """lesson 7: an error in one session's logic is its own end, and nobody else's."""
    session = Session(tmp_path).start()
    session.runner.handle(None)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        await session.end()


async def test_a_bug_found_when_there_is_room_again_is_told_too(tmp_path: Path) -> None:
    session = Session(tmp_path).start()
    fill(session)
    session.client.write = None  # type: ignore[assignment,method-assign]
    await session.flush()
    with pytest.raises(TypeError):
        await session.end()


# ---------------------------------------------------------------- ends


async def test_a_client_that_goes_ends_the_session(tmp_path: Path) -> None:
    session = Session(tmp_path).start()
    session.client.on_gone()
    assert await session.end() == Close(130, "client-gone")
    assert session.program.closed


async def test_a_program_reached_after_the_end_is_let_go_at_once(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.runner.kill("cancelled", "anne", "cancelled while connecting")
    assert await session.end() == Close(130, "cancelled")
    session.start()
    assert session.program.closed


async def test_timers_of_the_core_fire(tmp_path: Path) -> None:
    session = Session(tmp_path, Terms(Voice(terminal=False), 1, None)).start()
    assert (await session.end()).reason == "idle"


async def test_a_timer_set_anew_replaces_the_old_one_and_none_outlives_the_session(tmp_path: Path) -> None:
    hour = 3600 * 1_000_000
    session = Session(tmp_path, Terms(Voice(terminal=False), hour, 2 * hour)).start()
    first = dict(session.runner._timers)
    assert set(first) == {"idle", "warn", "longest"}
    session.runner.handle(ev.TimerFired("idle"))
    assert first["idle"].cancelled()
    again = session.runner._timers["idle"]
    assert not again.cancelled()
    session.runner.abandon()
    session.runner.abandon()
    assert again.cancelled()
    assert first["longest"].cancelled()


async def test_the_banner_is_shown_before_anything_else(tmp_path: Path) -> None:
    terms = Terms(Voice(terminal=True), None, None, banner="web1 as deploy, recorded S-1.")
    session = Session(tmp_path, terms)
    session.client.terminal = Terminal("xterm", Window(80, 24))
    session.start()
    session.runner.target_bytes(b"$ ", False)
    assert session.shown == "● bartizan  web1 as deploy, recorded S-1.\r\n$ ".encode()
