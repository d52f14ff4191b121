"""The runner and the desk: a held line is asked about once, and nothing outlives its session."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.model.approval import ApprovalTerms, Panel
from broker.model.errors import Unavailable
from broker.model.session import LineReport, SessionRow, SessionState
from broker.relay.holds import HoldDesk, Settle
from broker.relay.runner import Runner
from broker.session import events as ev
from broker.session.actions import (
    Action,
    Audit,
    CancelApproval,
    OpenApproval,
    PauseClient,
    RecordMarker,
    SendTarget,
    UseApproval,
)
from broker.session.core import SessionCore, Terms
from broker.session.notices import Voice
from tests.unit.rows import row
from tests.unit.test_runner import Session, turn

ASK = OpenApproval(1, "rm x", "r", "p.yaml:7", "because", ApprovalTerms((Panel(1, frozenset({"bob"})),)))


class Scripted:
    """A gate that answers each input with the actions written for it."""

    state, holds, report = "held", True, LineReport("hook", "held")

    def __init__(self, **script: list[Action]) -> None:
        self._script = script
        self.heard: list[ev.ApprovalOpened | ev.ApprovalSettled] = []

    def start(self, t: int) -> list[Action]:
        return []

    def client(self, data: bytes, t: int) -> list[Action]:
        return self._script.get(data.decode(), [])

    def target(self, data: bytes, stderr: bool, t: int) -> list[Action]:
        return []

    def eof(self, t: int) -> list[Action]:
        return []

    def opened(self, event: ev.ApprovalOpened, t: int) -> list[Action]:
        self.heard.append(event)
        return []

    def settled(self, event: ev.ApprovalSettled, t: int) -> list[Action]:
        self.heard.append(event)
        return self._script.get(event.outcome, [])

    def ended(self, why: str) -> list[Action]:
        return [CancelApproval(1, why)]

    def resized(self, cols: int, rows: int) -> None:
        pass

    def wake(self, t: int) -> list[Action]:
        return []

    def status(self, status: int) -> int:
        return status


class Desk:
    """Keeps what it is told. `at_once`: the outcome that it gives within `open`."""

    def __init__(self, at_once: str = "", broken: bool = False) -> None:
        self.at_once, self.broken = at_once, broken
        self.told: list[tuple[str, object]] = []
        self.settle: Settle = lambda event: None

    def open(self, row: SessionRow, ask: OpenApproval, settle: Settle) -> None:
        self.told.append(("open", (row.id, ask)))
        self.settle = settle
        if self.at_once:
            settle(ev.ApprovalSettled(ask.number, self.at_once, "bob"))

    def cancel(self, row: SessionRow, number: int, why: str) -> None:
        self.told.append(("cancel", (number, why)))

    def use(self, row: SessionRow, number: int) -> None:
        self.told.append(("use", number))
        if self.broken:
            raise Unavailable("the store is gone")


class Held(Session):
    """As `Session`, with a gate and a desk."""

    def __init__(self, folder: Path, lines: Scripted, desk: HoldDesk | None) -> None:
        super().__init__(folder)
        self.noted: list[tuple[str, dict[str, object]]] = []
        core = SessionCore(Terms(Voice(terminal=True), None, None, lines=lines))
        self.core = core
        self.runner = Runner(
            core,
            row(state=SessionState.LIVE),
            self.client,
            self.recording,
            desk,
            lambda code, fields: self.noted.append((code, fields)),
        )

    @property
    def typed(self) -> list[object]:
        return [data for what, data in self.log if what == "typed"]


SCRIPT: dict[str, list[Action]] = {
    "ask": [ASK, SendTarget(b"first")],
    "approved": [UseApproval(1), SendTarget(b"rm x\r")],
    "cancel": [CancelApproval(1, "cancelled")],
}


async def test_a_decision_within_the_question_waits_for_its_turn(tmp_path: Path) -> None:
    desk = Desk("approved")
    session = Held(tmp_path, Scripted(**SCRIPT), desk).start()
    session.client.on_bytes(b"ask")
    assert session.typed == [b"first"]
    await turn()
    assert session.typed == [b"first", b"rm x\r"]
    assert [what for what, _ in desk.told] == ["open", "use"]


async def test_without_a_desk_nothing_can_be_approved(tmp_path: Path) -> None:
    lines = Scripted(**SCRIPT)
    session = Held(tmp_path, lines, None).start()
    session.client.on_bytes(b"ask")
    await turn()
    assert lines.heard == [ev.ApprovalSettled(1, "failed", comment="nobody can approve here")]


async def test_a_request_that_cannot_be_used_sends_nothing_and_ends_the_session(tmp_path: Path) -> None:
    session = Held(tmp_path, Scripted(**SCRIPT), Desk("approved", broken=True)).start()
    session.client.on_bytes(b"ask")
    with pytest.raises(Unavailable):
        await session.end()
    assert session.typed == [b"first"]


async def test_what_waits_is_cancelled_once_with_the_session(tmp_path: Path) -> None:
    desk = Desk()
    session = Held(tmp_path, Scripted(**SCRIPT), desk).start()
    session.client.on_bytes(b"ask")
    session.runner.kill("killed", "bob", "x")
    session.runner.abandon()
    assert desk.told[1:] == [("cancel", (1, "killed"))]


async def test_a_session_that_breaks_leaves_no_request_behind(tmp_path: Path) -> None:
    desk = Desk()
    session = Held(tmp_path, Scripted(**SCRIPT), desk).start()
    session.client.on_bytes(b"ask")
    session.runner.abandon()
    session.runner.abandon()
    assert desk.told[1:] == [("cancel", (1, "session-ended"))]


@pytest.mark.parametrize("outcome", ["denied", "expired", "failed"])
async def test_what_was_decided_is_not_cancelled(tmp_path: Path, outcome: str) -> None:
    desk = Desk(outcome)
    session = Held(tmp_path, Scripted(**SCRIPT), desk).start()
    session.client.on_bytes(b"ask")
    await turn()
    session.runner.abandon()
    assert [what for what, _ in desk.told] == ["open"]


async def test_a_line_that_was_never_asked_about_is_not_cancelled(tmp_path: Path) -> None:
    desk = Desk()
    session = Held(tmp_path, Scripted(**SCRIPT), desk).start()
    session.client.on_bytes(b"cancel")
    session.runner.abandon()
    assert desk.told == []


async def test_marks_remarks_and_pauses_are_performed(tmp_path: Path) -> None:
    actions: list[Action] = [RecordMarker("held"), Audit("line.warned", {"text": "x"}), PauseClient(True)]
    session = Held(tmp_path, Scripted(go=actions, on=[PauseClient(False)]), None).start()
    session.client.on_bytes(b"go")
    assert not session.client.reading
    session.client.on_bytes(b"on")
    assert session.client.reading
    assert session.noted == [("line.warned", {"text": "x"})]
    session.live.close(session.recording.time(), "test")
    assert '"m", "held"' in (tmp_path / "S-1.cast").read_text()
