"""Requests from their opening to their end: who may do what, once, and until when."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.sqlite import SqliteStore
from broker.model.approval import ApprovalTerms, ClockStart, Panel
from broker.model.errors import Unavailable
from broker.model.requests import ApprovalRequest, RequestKind, RequestState, RiskLevel
from broker.services.approvals.refusing import RequestRefused
from tests.unit.approving import DBA, SECOND, TERMS, Room

STATE = RequestState


@pytest.fixture
async def room() -> Room:
    return Room()


async def refused(work: Awaitable[Any]) -> tuple[str, str, int]:
    """Code, message and exit status of what must be refused."""
    with pytest.raises(RequestRefused) as told:
        await work
    return told.value.code, told.value.message, told.value.exit_status


# ---------------------------------------------------------------- deciding


async def test_one_of_the_panel_approves(room: Room) -> None:
    request = await room.ask()
    approved = await room.approve(request, "bob", comment="fine")
    assert (approved.state, approved.settled_by, approved.comment) == (STATE.APPROVED, "bob", "fine")
    assert room.codes(request.id) == ["opened", "voted", "approved"]
    assert {event.detail["digest"] for event in room.audit(request.id)} == {request.matter.digest}
    assert [(change.what, change.by) for change in room.changes] == [
        ("asked", "alice"), ("voted", "bob"), ("approved", "bob"),
    ]  # fmt: skip


async def test_a_denial_settles_it_and_needs_a_comment(room: Room) -> None:
    request = await room.ask(terms=ApprovalTerms((Panel(2, groups=frozenset({"dba"})),)))
    await room.approve(request, "carol")
    assert (await refused(room.deny(request, "bob", "  ")))[0] == "E-USAGE"
    denied = await room.deny(request, "bob", "no backup")
    assert (denied.state, denied.settled_by) == (STATE.DENIED, "bob")
    assert (await refused(room.approve(request, "erin")))[1].endswith("it is denied already")


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("alice", "your own"),
        ("ali", "your own"),
        ("robot", "agents do not decide"),
        ("dan", ""),
        ("eve", ""),
        ("nobody", ""),
    ],
)
async def test_lesson_17_and_19_who_never_decides(room: Room, who: str, why: str) -> None:
    """lesson 17: not the requester, under no account of his. lesson 19: no agent."""
    request = await room.ask()
    code, text, _ = await refused(room.approve(request, who))
    if why:
        assert (code, why in text) == ("E-DENIED", True), text
    else:
        assert (code, text) == ("E-UNKNOWN", f"no request {request.id!r} here for you")
    assert room.state(request) is STATE.PENDING
    assert room.store.votes(request.id) == []


async def test_lesson_17_an_agent_s_owner_does_not_decide_for_it(room: Room) -> None:
    """lesson 17: also as the owner of what asks."""
    request = await room.ask(user="ci")
    assert "your own" in (await refused(room.approve(request, "bob")))[1]
    assert "your own" in (await refused(room.approve(request, "bob-adm")))[1]
    assert (await room.approve(request, "carol")).state is STATE.APPROVED


async def test_n_of_m_are_distinct_persons(room: Room) -> None:
    request = await room.ask(terms=ApprovalTerms((Panel(2, groups=frozenset({"dba"})),)))
    assert (await room.approve(request, "bob")).state is STATE.PENDING
    assert "already" in (await refused(room.approve(request, "bob")))[1]
    assert (await room.approve(request, "bob-adm")).state is STATE.PENDING
    approved = await room.approve(request, "carol")
    assert (approved.state, approved.settled_by) == (STATE.APPROVED, "bob, bob-adm, carol")


async def test_every_panel_has_to_agree_and_one_person_may_sit_in_two(room: Room) -> None:
    panels = (DBA, Panel(1, users=frozenset({"dan", "bob"})))
    first = await room.ask(terms=ApprovalTerms(panels))
    assert (await room.approve(first, "carol")).state is STATE.PENDING
    assert (await room.approve(first, "dan")).state is STATE.APPROVED
    second = await room.ask(terms=ApprovalTerms(panels))
    assert (await room.approve(second, "bob")).state is STATE.APPROVED


async def test_lesson_3_no_panel_and_nobody_needed_is_no_agreement(room: Room) -> None:
    """lesson 3: empty is not enough, it is nothing."""
    nobody = await room.ask(terms=ApprovalTerms(()))
    assert (await refused(room.approve(nobody, "bob")))[0] == "E-UNKNOWN"
    free = await room.ask(terms=ApprovalTerms((Panel(0, groups=frozenset({"dba"})),)), content=b"x")
    assert (await room.approve(free, "bob")).state is STATE.PENDING


async def test_who_lost_the_role_or_was_locked_meanwhile_counts_no_longer(room: Room) -> None:
    """lesson 17: votes are counted by who their voters are when it is decided."""
    terms = ApprovalTerms((Panel(2, groups=frozenset({"dba"})),))
    for lose in (
        lambda: room.store.set_groups("bob", frozenset()),
        lambda: room.store.set_locked("bob", 1),
    ):
        request = await room.ask(terms=terms, content=str(lose).encode())
        await room.approve(request, "bob")
        lose()
        assert (await room.approve(request, "carol")).state is STATE.PENDING
        assert (await room.approve(request, "erin")).state is STATE.APPROVED
        room.store.set_groups("bob", frozenset({"dba"}))
    assert "locked" in (await refused(room.approve(await room.ask(content=b"y"), "bob")))[1]


async def test_somebody_who_becomes_the_requester_counts_no_longer(room: Room) -> None:
    """lesson 17: the link between accounts may become known between two votes."""
    request = await room.ask(terms=ApprovalTerms((Panel(2, groups=frozenset({"dba"})),)))
    await room.approve(request, "bob")
    room.store.set_person("bob", "alice")
    assert (await room.approve(request, "carol")).state is STATE.PENDING


async def test_lesson_34_the_decision_is_on_what_was_shown(room: Room) -> None:
    """lesson 34: another digest is another matter."""
    request, other = await room.ask(), await room.ask(content=b"reboot")
    assert request.matter.digest != other.matter.digest
    assert (
        "not what was shown" in (await refused(room.approve(request, "bob", digest=other.matter.digest)))[1]
    )
    assert (await refused(room.approve(request, "bob", digest="")))[0] == "E-DENIED"


@pytest.mark.parametrize(
    "changed",
    [
        {"content": b"uptime "},
        {"target": "prod-2"},
        {"account": "root"},
        {"channel": "shell"},
        {"session": "S-1"},
        {"user": "dan"},
        {"reason": "x"},
        {"lasts_s": 5},
        {"expires_at": 1},
        {"kind": RequestKind.WINDOW},
        {"terms": ApprovalTerms((Panel(2, groups=frozenset({"dba"})),))},
    ],
)
async def test_lesson_34_the_digest_covers_everything(room: Room, changed: dict[str, Any]) -> None:
    """lesson 34"""
    assert room.matter(**changed).digest != room.matter().digest


async def test_high_risk_wants_the_name_of_the_target(room: Room) -> None:
    request = await room.ask(level=RiskLevel.HIGH)
    for confirm in ("", "prod-2", "PROD-1", "prod-1 "):
        assert (await refused(room.approve(request, "bob", confirm=confirm)))[2] == 64
    assert (await room.approve(request, "bob", confirm="prod-1")).state is STATE.APPROVED
    other = await room.ask(level=RiskLevel.HIGH, content=b"x")
    assert (await room.deny(other, "bob")).state is STATE.DENIED, "a denial needs no name"


async def test_a_second_factor_that_is_asked_for_has_to_be_known_and_fresh(room: Room) -> None:
    request = await room.ask(terms=replace(TERMS, mfa_age_s=600))
    assert "none is known" in (await refused(room.approve(request, "bob")))[1]
    room.mfa["bob"] = room.clock.at - 601 * SECOND
    assert "yours is older" in (await refused(room.approve(request, "bob")))[1]
    room.mfa["bob"] = room.clock.at - 600 * SECOND
    assert (await room.approve(request, "bob")).state is STATE.APPROVED


# ---------------------------------------------------------------- time


async def test_lesson_21_what_is_overdue_is_neither_shown_nor_decided_in_its_old_state(room: Room) -> None:
    """lesson 21: before anything has written the new state down."""
    request = await room.ask()
    room.clock.at += 900 * SECOND
    assert room.state(request) is STATE.EXPIRED
    assert "expired already" in (await refused(room.approve(request, "bob")))[1]
    assert room.lookup.pick("inbox", "bob") == []
    assert room.store.request(request.id).state is STATE.PENDING


async def test_what_time_settles_is_written_down(room: Room) -> None:
    waiting, granted, unused = await room.ask(), await room.ask(content=b"a"), await room.ask(content=b"b")
    await room.approve(granted, "bob")
    await room.approve(unused, "bob")
    room.approvals.use_now(granted.id, "S-1")
    timing = asyncio.get_running_loop().create_task(room.approvals.keep_time())
    room.clock.at += 3600 * SECOND
    await until(room, waiting, STATE.EXPIRED)
    await until(room, unused, STATE.UNUSED)
    assert room.store.request(granted.id).state is STATE.USED
    assert room.codes(waiting.id)[-1] == "expired"
    timing.cancel()


async def until(room: Room, request: ApprovalRequest, state: RequestState) -> None:
    room.board.tell(room.changes[-1])
    async with asyncio.timeout(30):
        while room.store.request(request.id).state is not state:
            await asyncio.sleep(0.01)


async def test_the_clock_of_a_grant_starts_at_approval_or_at_first_use(room: Room) -> None:
    at_once = await room.ask(channel="shell", content=b"", lasts_s=600)
    approved = await room.approve(at_once, "bob", for_s=60)
    assert approved.until == room.clock.at + 60 * SECOND
    assert room.approvals.remaining_s(approved) == 60
    lazy = replace(TERMS, starts=ClockStart.FIRST_USE)
    later = await room.ask(channel="shell", content=b"", lasts_s=600, terms=lazy, target="x")
    approved = await room.approve(later, "bob", for_s=300)
    assert (approved.until, room.approvals.remaining_s(approved)) == (None, 300)
    room.clock.at += 7200 * SECOND
    used = room.approvals.use_now(later.id, "S-1")
    assert used.until == room.clock.at + 300 * SECOND
    room.clock.at += 300 * SECOND
    with pytest.raises(RequestRefused, match="used"):
        room.approvals.use_now(later.id, "S-2")


async def test_the_shortest_time_that_somebody_gave_counts(room: Room) -> None:
    two = ApprovalTerms((Panel(2, groups=frozenset({"dba"})),))
    request = await room.ask(channel="shell", content=b"", lasts_s=600, terms=two)
    await room.approve(request, "bob", for_s=30)
    approved = await room.approve(request, "carol", for_s=6000)
    assert approved.until == room.clock.at + 30 * SECOND
    once = await room.ask()
    assert "used once" in (await refused(room.approve(once, "bob", for_s=5)))[1]


# ---------------------------------------------------------------- using and taking back


async def test_an_approval_for_one_command_is_used_once(room: Room) -> None:
    request = await room.ask()
    with pytest.raises(RequestRefused):
        room.approvals.use_now(request.id, "S-1")
    await room.approve(request, "bob")
    room.approvals.use_now(request.id, "S-1")
    with pytest.raises(RequestRefused, match="cannot be used any more"):
        room.approvals.use_now(request.id, "S-2")
    assert room.codes(request.id).count("used") == 1


async def test_cancelling_is_the_requester_s_and_withdrawing_the_decider_s(room: Room) -> None:
    request = await room.ask(lasts_s=600, content=b"", channel="shell")
    assert (await refused(room.approvals.cancel(request.id, "bob")))[0] == "E-UNKNOWN"
    assert (
        "only who approved it"
        in (await refused(room.approvals.withdraw(request.id, "carol", "x", admin=False)))[1]
    )
    await room.approve(request, "bob")
    assert (await refused(room.approvals.withdraw(request.id, "eve", "x", admin=False)))[0] == "E-UNKNOWN"
    withdrawn = await room.approvals.withdraw(request.id, "bob", "wrong host", admin=False)
    assert (withdrawn.state, withdrawn.comment) == (STATE.WITHDRAWN, "wrong host")
    with pytest.raises(RequestRefused):
        room.approvals.use_now(request.id, "S-1")
    assert (await refused(room.approvals.cancel(request.id, "alice")))[0] == "E-GONE"


async def test_a_vote_taken_back_does_not_count(room: Room) -> None:
    request = await room.ask(terms=ApprovalTerms((Panel(2, groups=frozenset({"dba"})),)))
    await room.approve(request, "bob")
    still = await room.approvals.withdraw(request.id, "bob", "hm", admin=False)
    assert still.state is STATE.PENDING
    assert (await room.approve(request, "carol")).state is STATE.PENDING
    assert (await room.approve(request, "bob")).state is STATE.APPROVED


async def test_an_admin_withdraws_but_does_not_decide(room: Room) -> None:
    request = await room.ask()
    assert "decided by" in (await refused(room.approve(request, "root-admin")))[1]
    done = await room.approvals.withdraw(request.id, "root-admin", "no", admin=True)
    assert done.state is STATE.WITHDRAWN


async def test_a_review_stays_open_until_it_was_decided(room: Room) -> None:
    review = await room.ask(kind=RequestKind.REVIEW, expires_at=None)
    room.clock.at += 10**9 * SECOND
    assert room.state(review) is STATE.PENDING
    for work in (
        room.approvals.cancel(review.id, "alice"),
        room.approvals.withdraw(review.id, "root-admin", "x", admin=True),
    ):
        assert "until it was decided" in (await refused(work))[1]
    assert "your own" in (await refused(room.approve(review, "ali")))[1]
    assert (await room.deny(review, "bob", "there was no emergency")).state is STATE.DENIED


# ---------------------------------------------------------------- floods, texts, ids


async def test_lesson_20_texts_are_bounded_and_printable(room: Room) -> None:
    """lesson 20, and 13 for what would act on a terminal."""
    request = await room.ask()
    for comment in ("x" * 501, "a\x1b[2J", "a\u202eb"):
        assert (await refused(room.approve(request, "bob", comment=comment)))[2] == 64
        assert (await refused(room.approvals.say(request.id, "bob", comment)))[2] == 64
        assert (await refused(room.approvals.withdraw(request.id, "bob", comment, admin=True)))[2] == 64
    await room.approvals.say(request.id, "bob", "x" * 500)
    assert [note.what for note in room.store.notes(request.id)] == ["asked", "said"]


async def test_a_requester_cannot_flood(room: Room) -> None:
    room = Room(most_open=3, most_per_hour=5)
    for number in range(3):
        await room.ask(content=b"%d" % number)
    code, text, status = await refused(room.ask(content=b"4"))
    assert (code, status) == ("E-BUSY", 75), text
    assert (await room.ask(content=b"1")).id == "R-2", "the same again is the same request"
    for row in room.store.requests():
        await room.approvals.cancel(row.id, "alice")
    await room.ask(content=b"5")
    await room.ask(content=b"6")
    assert "within the hour" in (await refused(room.ask(content=b"7")))[1]
    room.clock.at += 3601 * SECOND
    await room.ask(content=b"8")
    await room.ask(content=b"9", user="dan")


async def test_reminders_are_bounded(room: Room) -> None:
    request = await room.ask()
    assert (await refused(room.approvals.remind(request.id, "alice")))[0] == "E-BUSY"
    room.clock.at += 60 * SECOND
    await room.approvals.remind(request.id, "alice")
    assert (await refused(room.approvals.remind(request.id, "alice")))[0] == "E-BUSY"
    assert (await refused(room.approvals.remind(request.id, "bob")))[0] == "E-UNKNOWN"


async def test_unknown_and_invisible_ids_answer_the_same(room: Room) -> None:
    request = await room.ask()
    for work in (
        lambda id: room.approvals.cancel(id, "eve"),
        lambda id: room.approvals.say(id, "eve", "hi"),
        lambda id: room.approvals.remind(id, "eve"),
        lambda id: room.approvals.withdraw(id, "eve", "x", admin=False),
        lambda id: room.approve(replace(request, id=id), "eve"),
    ):
        seen, unseen = await refused(work(request.id)), await refused(work("R-FF"))
        assert seen == (unseen[0], unseen[1].replace("R-FF", request.id), unseen[2])
    for name in ("eve", "dan"):
        with pytest.raises(RequestRefused, match="no request"):
            room.lookup.find(request.id, name)
    assert room.lookup.find(request.id.lower(), "bob").id == request.id


async def test_an_id_may_be_any_unique_visible_prefix(room: Room) -> None:
    for number in range(17):
        await room.ask(content=b"%d" % number, user="dan" if number == 16 else "alice")
    assert room.lookup.find("r-1", "alice").id == "R-1"
    assert room.lookup.find("11", "dan").id == "R-11"
    with pytest.raises(RequestRefused, match="no request"):
        room.lookup.find("R-11", "alice")
    with pytest.raises(RequestRefused, match="no request"):
        room.lookup.find("R-1F; rm", "alice")


# ---------------------------------------------------------------- the store fails, the broker restarts


async def test_what_cannot_be_kept_does_not_happen(room: Room) -> None:
    request = await room.ask()
    changes = len(room.changes)
    room.store.fail_with = Unavailable("the disk is full")
    with pytest.raises(Unavailable):
        await room.approve(request, "bob")
    with pytest.raises(Unavailable):
        await room.ask(content=b"x")
    assert (room.state(request), len(room.changes)) == (STATE.PENDING, changes)


async def test_after_a_restart_held_lines_are_denied_and_sessions_keep_waiting(room: Room) -> None:
    line = await room.ask(kind=RequestKind.COMMAND, session="S-1")
    ready = await room.ask(kind=RequestKind.COMMAND, session="S-1", content=b"b")
    session = await room.ask()
    await room.approve(ready, "bob")
    assert room.approvals.recover() == 2
    assert (room.state(line), room.state(ready), room.state(session)) == (
        STATE.DENIED, STATE.UNUSED, STATE.PENDING,
    )  # fmt: skip
    assert room.approvals.get(line.id).settled_by == "bartizan"


async def test_waiting_ends_with_the_decision_or_its_time(room: Room) -> None:
    request = await room.ask()
    assert (await room.approvals.wait(request, 0.01)).pending
    waiting = asyncio.get_running_loop().create_task(room.approvals.wait(request, 30))
    await asyncio.sleep(0)
    await room.deny(request, "bob")
    assert (await waiting).state is STATE.DENIED


# ---------------------------------------------------------------- lesson 16


@pytest.mark.parametrize("kind", ["fake", "sqlite"])
async def test_lesson_16_approve_deny_expire_and_cancel_at_once(kind: str, tmp_path: Path) -> None:
    """lesson 16: 1,000 times on each store: one outcome, one audit row of it, and nothing runs that was not
    approved first."""
    store = SqliteStore(tmp_path / "data" / "bartizan.db") if kind == "sqlite" else None
    room, dice = Room(store, most_open=10**6, most_per_hour=10**6), random.Random(16)
    counted: Counter[str] = Counter()
    for number in range(1000):
        room.clock.at += 3601 * SECOND
        request = await room.ask(kind=RequestKind.COMMAND, content=b"%d" % number, session=f"S-{number:x}")
        ways = [
            room.approve(request, "bob"),
            room.deny(request, "carol"),
            room.approvals.cancel(request.id, "alice"),
            room.approvals.withdraw(request.id, "root-admin", "x", admin=True),
            use(room, request),
        ]
        dice.shuffle(ways)
        if dice.random() < 0.2:
            room.clock.at = request.matter.expires_at or 0
        await asyncio.gather(*ways, return_exceptions=True)
        room.approvals._ledger.change_now(lambda step: step.settle_overdue())
        codes = [code for code in room.codes(request.id) if code in OUTCOMES]
        after = codes[1:] if codes[0] == "approved" else []
        assert codes == [codes[0], *after], codes
        assert len(after) <= 1, codes
        assert set(after) <= AFTERWARDS, codes
        assert codes[0] not in ("used", "ended"), codes
        counted[room.state(request).value] += 1
    assert len(counted) >= 4, f"the race always ends the same way: {counted}"
    room.store.close()


OUTCOMES = {"approved", "denied", "expired", "cancelled", "withdrawn", "used", "ended"}
AFTERWARDS = {"used", "ended", "withdrawn"}
"""What may come after an approval."""


async def use(room: Room, request: ApprovalRequest) -> None:
    await room.approvals.use(request.id, request.matter.session)
