"""Requests, inbox, decision and wait screens, used against a served control socket."""

from __future__ import annotations

import pytest

from broker.wire.approvals import (
    AccessTerms,
    CancelRequest,
    Counters,
    DecideRequest,
    Drawn,
    OpenRequest,
    RequestDetail,
    SayRequest,
    ShowRequest,
    ShowTerms,
    WithdrawRequest,
)
from broker.wire.messages import Failure, OpenTarget
from tests.tui.conftest import Picker, open_picker
from tests.tui.wire_server import INBOX, MINE, WireServer, detail
from tui.widgets.lines import exact

HELD, MEDIUM, LOW, LOW_TOO = INBOX
WAITING, DENIED = MINE


def decisions(server: WireServer) -> list[DecideRequest]:
    return [ask for ask in server.asked if isinstance(ask, DecideRequest)]


async def open_inbox(picker: Picker) -> None:
    await picker.press("tab", "3")
    await picker.until_shown("R-4F7")


async def open_decision(picker: Picker, down: int = 0) -> None:
    await open_inbox(picker)
    await picker.press(*["down"] * down, "enter")
    await picker.until_shown("Needs")


# ---------------------------------------------------------------- everywhere


async def test_counters_and_bell_follow_what_is_pushed(
    server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.counters = Counters(1, 2)
    async with open_picker(server) as picker:
        rung: list[bool] = []
        monkeypatch.setattr(picker.app, "bell", lambda: rung.append(True))
        await picker.until_shown("► 1 waiting   ▲ 2 to decide")
        assert "3 Approvals 2" in picker.screen()[1]
        server.counters = Counters(0, 3)
        server.push("R-4F9", "approved", "approved", bell=False)
        await picker.until_shown("▲ 3 to decide")
        assert "waiting" not in picker.screen()[0]
        assert rung == []
        server.push("R-500", "asked", "pending")
        await picker.until(lambda: rung == [True])


# ---------------------------------------------------------------- inbox


async def test_the_inbox_shows_what_is_to_be_decided_with_its_risk(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_inbox(picker)
        rows = [line for line in picker.screen() if "R-4F" in line]
        assert len(rows) == len(INBOX) + 1  # and the fact row
        assert "04:31" in rows[0]
        assert "HIGH ▲▲▲" in rows[0]
        assert "CMD DELETE" in rows[0]
        await picker.press("f")
        await picker.until_shown("Nothing was decided yet")
        server.settle("R-4F7", "approved")
        await picker.press("f", "f")
        await picker.until(lambda: picker.line("count") == "3 ")


async def test_only_low_risk_is_approved_together_each_by_its_own_digest(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_inbox(picker)
        await picker.press("space")
        await picker.until_shown("R-4F2 is HIGH: look at it")
        await picker.press("a")
        await picker.until_shown("Mark requests of LOW risk")
        await picker.press("down", "down", "space", "down", "space", "a")
        await picker.until_shown("Approve R-4F7, R-4F8")
        await picker.type("ok")
        await picker.press("enter")
        await picker.until_shown("Approved: R-4F7, R-4F8.")
        assert decisions(server) == [
            DecideRequest("R-4F7", True, "digest-R-4F7", "ok"),
            DecideRequest("R-4F8", True, "digest-R-4F8", "ok"),
        ]


async def test_a_request_whose_risk_rose_since_it_was_marked_is_not_approved_unread(
    server: WireServer,
) -> None:
    async with open_picker(server) as picker:
        await open_inbox(picker)
        await picker.press("down", "down", "space")
        await picker.until_shown("1 marked")
        server.settle("R-4F7", "pending", risk="HIGH", score=9)
        await picker.press("a")
        await picker.until_shown("Approve R-4F7")
        await picker.type("ok")
        await picker.press("enter")
        await picker.until_shown("None was approved.")
        assert decisions(server) == []


# ---------------------------------------------------------------- decision


async def test_the_decision_screen_tells_all_that_decides(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_decision(picker)
        text = "\n".join(picker.screen())
        for words in (
            "R-4F2  HELD COMMAND", "expires 04:31", "HIGH ▲▲▲ (8)", "dan (ops) from 10.1.4.7", "MFA 12m ago",
            "postgres@prod-db-1, PROD", "S-81c", "INC-4821", "Exact input, 36 bytes, no hidden characters",
            "DELETE FROM orders WHERE status='x';", "prod-destructive (prod.yaml:41)", "PROD +3",
            "2 approved, 1 denied (last R-3A0, bob)", "1 of alice, carol", "runs once",
        ):  # fmt: skip
            assert words in text, words
        assert ShowRequest("R-4F2", False) in server.asked


async def test_high_risk_needs_the_targets_name_typed(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_decision(picker)
        await picker.press("a")
        await picker.until_shown("Type prod-db-1 to approve:")
        await picker.press("enter")
        await picker.until_shown("That is not prod-db-1")
        await picker.type("prod-db-1")
        await picker.press("enter")
        await picker.type("backup exists")
        await picker.press("enter")
        await picker.until_shown("R-4F2 approved.")
        assert decisions(server) == [
            DecideRequest("R-4F2", True, "digest-R-4F2", "backup exists", "prod-db-1")
        ]


async def test_no_key_approves_at_once_and_escape_decides_nothing(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_decision(picker, 2)
        await picker.press("a")
        await picker.until_shown("Comment (may be empty):")
        await picker.press("escape")
        await picker.until_shown("Needs")
        assert decisions(server) == []


async def test_a_denial_needs_a_comment(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_decision(picker)
        await picker.press("d")
        await picker.until_shown("Deny R-4F2")
        await picker.press("enter")
        await picker.until_shown("Type a comment first")
        await picker.type("no backup")
        await picker.press("enter")
        await picker.until_shown("R-4F2 denied.")
        assert decisions(server) == [DecideRequest("R-4F2", False, "digest-R-4F2", "no backup")]


async def test_a_long_input_is_shown_whole_and_has_to_be_read_to_its_end(server: WireServer) -> None:
    """Nothing is cut, and the blind approval of what stands below the window is not possible."""
    text = "".join(chr(33 + n % 90) for n in range(4_000))
    server.answers[ShowRequest] = lambda ask: detail(HELD, content=Drawn(text, 0, [], 4_000, "a" * 64))
    async with open_picker(server) as picker:
        await open_decision_long(picker)
        await picker.press("end", "a")
        await picker.until_shown("Read the exact input to its end first")
        await picker.press("home")
        seen = picker.screen()[1:-4]
        while "Needs" not in "\n".join(seen[-18:]):
            await picker.press("pagedown")
            seen += picker.screen()[1:-4]
        shown = "\n".join(seen)
        for line in exact(text, 78):
            assert line in shown
        await picker.press("a")
        await picker.until_shown("Type prod-db-1 to approve:")


async def open_decision_long(picker: Picker) -> None:
    await open_inbox(picker)
    await picker.press("enter")
    await picker.until_shown("4000 bytes")


async def test_lesson_13_what_cannot_be_seen_is_drawn_and_counted(server: WireServer) -> None:
    """lesson 13: neither requester nor target puts an escape sequence on the approver's terminal."""
    drawn = Drawn("rm ⟨U+202E⟩gpj.exe", 1, ["Latin", "Cyrillic"], 12, "b" * 64)
    evil = "\x1b]52;c;ZXZpbA==\x07\u202eok\x9b31m"
    server.answers[ShowRequest] = lambda ask: detail(
        HELD, content=drawn, source=evil, screen=[evil], rule=evil
    )
    async with open_picker(server) as picker:
        await open_inbox(picker)
        await picker.press("enter")
        await picker.until_shown("1 hidden characters, mixed scripts: Latin, Cyrillic")
        text = "\n".join(picker.screen())
        assert "rm ⟨U+202E⟩gpj.exe" in text
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\x9b"}


async def test_a_request_that_ends_while_it_is_looked_at_cannot_be_decided(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_decision(picker)
        server.settle("R-4F2", "withdrawn")
        server.push("R-4F2", "withdrawn", "withdrawn", bell=False)
        await picker.until_shown("WITHDRAWN")
        await picker.press("a")
        await picker.until_shown("R-4F2 is withdrawn: there is nothing to decide.")
        assert ShowRequest("R-4F2", True) in server.asked


async def test_one_s_own_request_cannot_be_decided_and_says_why(server: WireServer) -> None:
    server.answers[ShowRequest] = lambda ask: detail(
        HELD, may_decide=False, why_not="you asked for it yourself"
    )
    async with open_picker(server) as picker:
        await open_decision(picker)
        await picker.press("a")
        await picker.until_shown("Not yours to decide: you asked for it yourself.")


async def test_what_is_still_needed_is_said_where_more_than_one_has_to_agree(server: WireServer) -> None:
    server.answers[DecideRequest] = lambda ask: detail(LOW, needs="1 more of carol, erin")
    async with open_picker(server) as picker:
        await open_decision(picker, 2)
        await picker.press("a", "enter")
        await picker.until_shown("Your approval counts. Still needed: 1 more of carol, erin.")


async def test_a_shorter_time_than_the_policy_gives(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_decision(picker, 1)
        await picker.press("t")
        await picker.until_shown("For how long, at most 30 m")
        await picker.type("2h")
        await picker.press("enter")
        await picker.until_shown("A time such as 15m")
        await picker.press("ctrl+u", "1", "5", "m", "enter", "enter")
        await picker.until_shown("R-4F5 approved.")
        assert decisions(server) == [DecideRequest("R-4F5", True, "digest-R-4F5", for_s=900)]


async def test_talk_and_withdrawal(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_decision(picker)
        await picker.press("m")
        await picker.until_shown("About R-4F2")
        await picker.type("backup taken?")
        await picker.press("enter")
        await picker.until(lambda: SayRequest("R-4F2", "backup taken?") in server.asked)
        await picker.press("w")
        await picker.until_shown("Take back your approval of R-4F2")
        await picker.type("wrong")
        await picker.press("enter")
        await picker.until_shown("R-4F2 is withdrawn.")
        assert WithdrawRequest("R-4F2", "wrong") in server.asked


async def test_the_same_on_the_command_line(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await open_decision(picker)
        await picker.press("exclamation_mark")
        await picker.until_shown('ssh bastion approve R-4F2 --confirm prod-db-1 -m "..."')


# ---------------------------------------------------------------- asking and waiting


async def test_opening_what_needs_approval_asks_waits_and_goes_on_by_itself(server: WireServer) -> None:
    server.answers[OpenTarget] = lambda ask: detail(WAITING)
    async with open_picker(server) as picker:
        await picker.type("kafka")
        await picker.until(lambda: picker.line("count").startswith("1 of"))
        await picker.press("enter")
        await picker.until_shown("Needs approval: 1 of bob, carol, a ticket like INC-[0-9]+")
        assert ShowTerms("kafka-1", "kafka") in server.asked
        await picker.type("INC-4821")
        await picker.press("enter")
        await picker.until_shown("waiting 01:00, expires in 13:48")
        server.settle("R-4F9", "approved")
        server.push("R-4F9", "approved", "approved")
        await picker.until(lambda: not picker.app.is_running)
        assert OpenRequest("R-4F9") in server.asked


async def test_a_request_that_waits_already_is_joined_not_made_again(server: WireServer) -> None:
    server.answers[ShowTerms] = lambda ask: AccessTerms("WAIT", "", "", "", False, request="R-4F9")
    async with open_picker(server) as picker:
        await picker.type("kafka")
        await picker.until(lambda: picker.line("count").startswith("1 of"))
        await picker.press("enter")
        await picker.until_shown("waiting 01:00")
        assert not any(isinstance(ask, OpenTarget) for ask in server.asked)


async def test_a_denial_is_told_with_its_comment_and_opens_nothing(server: WireServer) -> None:
    server.answers[ShowTerms] = lambda ask: AccessTerms("WAIT", "", "", "", False, request="R-4F9")
    async with open_picker(server) as picker:
        await picker.type("kafka")
        await picker.until(lambda: picker.line("count").startswith("1 of"))
        await picker.press("enter")
        await picker.until_shown("waiting 01:00")
        server.settle("R-4F9", "denied", settled_by="bob", comment="not today")
        server.push("R-4F9", "denied", "denied")
        await picker.until_shown('denied by bob: "not today"')
        await picker.press("enter")
        await picker.until_shown("R-4F9 is denied; a session opens once it is approved.")
        assert picker.app.is_running


async def test_leaving_does_not_cancel_and_cancelling_does(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.press("tab", "2")
        await picker.until_shown("R-4F9")
        await picker.press("enter")
        await picker.until_shown("waiting 01:00")
        await picker.press("q")
        await picker.until_shown("2 Requests")
        assert not any(isinstance(ask, CancelRequest) for ask in server.asked)
        await picker.press("c")
        await picker.until_shown("R-4F9 is cancelled.")
        assert CancelRequest("R-4F9") in server.asked


async def test_a_failure_is_told_and_the_screen_stays(server: WireServer) -> None:
    server.answers[DecideRequest] = lambda ask: Failure(0, "E-STALE", "it changed", "look again")
    async with open_picker(server) as picker:
        await open_decision(picker, 2)
        await picker.press("a", "enter")
        await picker.until_shown("E-STALE: it changed look again")
        await picker.until_shown("Needs")


def test_every_character_of_an_exact_text_is_kept() -> None:
    text = "a  b\n\n漢字かな" + "x" * 50 + "e\u0301 end  "
    lines = exact(text, 10)
    assert "".join(lines) == text.replace("\n", "")


def test_what_is_shown_of_a_request_is_the_broker_s_word() -> None:
    assert isinstance(detail(HELD), RequestDetail)
