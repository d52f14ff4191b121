"""Sessions that rest on approvals: what a grant covers, and what ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.control.handlers import Asker
from broker.model.access import Grant
from broker.model.errors import BartizanError, Unavailable
from broker.model.requests import ApprovalRequest, RequestKind, RequestState
from broker.model.session import SessionRow
from broker.model.target import Channel, CredentialKind, CredentialRef, Target
from broker.services.approvals.asking import Need
from broker.services.approvals.holding import HeldLines
from broker.services.approvals.saying import Decided
from broker.services.catalog import Loaded
from broker.services.sessions import Refusal, Wish
from broker.session.actions import OpenApproval
from broker.session.events import ApprovalOpened, ApprovalSettled
from broker.wire import approvals as wire
from broker.wire.messages import Opening, OpenTarget
from tests.unit.approving import TERMS
from tests.unit.policies import engine, policy
from tests.unit.rows import user
from tests.unit.services import Live, Services

DB = Target("db1", "10.0.0.9", 22, ("deploy", "root"), CredentialRef(CredentialKind.CA))
POLICY = policy(
    name="db",
    who="{groups: [ops]}",
    targets="{names: [db1]}",
    accounts="[deploy, root]",
    approval="{open: {from: {groups: [dba]}, lasts: 10m}}",
    break_glass="{users: [anne], lasts: 5m, review: {from: {groups: [dba]}, within: 1d}}",
)
SHELL = Wish("db1", "deploy", Channel.SHELL)
EXEC = Wish("db1", "deploy", Channel.EXEC, "", b"uptime")


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = Services(tmp_path)
    rules = engine(tmp_path, POLICY)
    made.catalog._load = lambda: Loaded({"db1": DB}, rules)
    made.catalog.reload()
    made.store.add_user(user("bob", "dba"))
    made.store.add_user(user("both", "dba", "ops"))
    yield made
    await made.recordings.stop()


async def need(services: Services, wish: Wish, name: str = "anne") -> Need:
    found = await services.sessions.authorize(services.authenticated(name), wish)
    assert isinstance(found, Need), found
    return found


async def granted(services: Services, wish: Wish, name: str = "anne") -> Grant:
    found = await services.sessions.authorize(services.authenticated(name), wish)
    assert isinstance(found, Grant), found
    return found


async def approved(services: Services, wish: Wish, name: str = "anne") -> ApprovalRequest:
    request = await services.asking.ask(await need(services, wish, name))
    return await services.approvals.decide(request.id, "bob", Decided(True, request.matter.digest))


# ---------------------------------------------------------------- what a grant covers


async def test_a_session_opens_only_once_it_was_approved_and_ends_with_the_grant(services: Services) -> None:
    await need(services, SHELL)
    request = await approved(services, SHELL)
    grant = await granted(services, SHELL)
    assert (grant.approval, grant.decision.limits.max_s) == (request.id, 600)
    assert f"approved by bob ({request.id})" in grant.decision.reason
    services.clock.at += 590 * 1_000_000
    assert (await granted(services, SHELL)).decision.limits.max_s == 10
    services.clock.at += 10 * 1_000_000
    await need(services, SHELL)


@pytest.mark.parametrize(
    "other",
    [replace(SHELL, account="root"), EXEC],
    ids=["account", "door"],
)
async def test_lesson_34_a_grant_for_a_shell_covers_no_other_door(services: Services, other: Wish) -> None:
    """lesson 34"""
    await approved(services, SHELL)
    await need(services, other)
    await need(services, SHELL, "ben")


async def test_lesson_34_a_command_is_covered_byte_for_byte_and_once(services: Services) -> None:
    """lesson 34: also where two try to use it at the same time."""
    await approved(services, EXEC)
    for other in (b"uptime ", b"Uptime", b"uptime;id", b""):
        await need(
            services, replace(EXEC, command=other or None, channel=Channel.EXEC if other else Channel.SHELL)
        )
    first, second = await granted(services, EXEC), await granted(services, EXEC)
    row = await services.sessions.opened(first)
    with pytest.raises(BartizanError, match="cannot be used any more"):
        await services.sessions.opened(second)
    await need(services, EXEC)
    assert services.approvals.get(first.approval).used_session == row.id
    assert [e.code for e in services.noted() if e.subject == first.approval][-1] == "request.used"


async def test_a_denial_meanwhile_wins_over_the_approval(services: Services, tmp_path: Path) -> None:
    await approved(services, SHELL)
    shut = policy(
        name="shut", who="{everyone: true}", targets="{names: [db1]}", effect="deny", accounts='["*"]',
        channels='["*"]',
    )  # fmt: skip
    (tmp_path / "two").mkdir()
    rules = engine(tmp_path / "two", POLICY, shut)
    services.catalog._load = lambda: Loaded({"db1": DB}, rules)
    services.catalog.reload()
    refused = await services.sessions.authorize(services.authenticated("anne"), SHELL)
    assert isinstance(refused, Refusal)
    assert refused.code == "E-DENIED"


# ---------------------------------------------------------------- what ends with it


async def test_lesson_17_revoking_a_grant_ends_what_rests_on_it_at_once(services: Services) -> None:
    """lesson 17: in the same turn of the loop, also a session that is not registered yet."""
    request = await approved(services, SHELL)
    row = await services.sessions.opened(await granted(services, SHELL))
    late = await services.sessions.opened(await granted(services, SHELL))
    live = Live(row)
    services.sessions.register(live)
    await services.approvals.withdraw(request.id, "bob", "wrong host", admin=False)
    assert [killed[:2] for killed in live.killed] == [("revoked", "bob")]
    starting = Live(late)
    services.sessions.register(starting)
    assert [killed[:2] for killed in starting.killed] == [("revoked", "bob")]
    await need(services, SHELL)
    with pytest.raises(BartizanError):
        await services.sessions.opened(replace(await granted_before(services, request), approval=request.id))


async def granted_before(services: Services, request: ApprovalRequest) -> Grant:
    """A grant that was given before the request was taken back."""
    again = await approved(services, SHELL)
    return await granted(services, SHELL) if again.id != request.id else pytest.fail("a new request")


async def test_the_end_of_a_session_is_told_with_the_request(services: Services) -> None:
    request = await approved(services, EXEC)
    row = await services.sessions.opened(await granted(services, EXEC))
    await services.sessions.ended(row, status=3, reason="exit", size=1)
    assert services.store.notes(request.id)[-1].text == f"{row.id} ended (exit), exit 3"


# ---------------------------------------------------------------- break-glass


async def test_break_glass_is_loud_bounded_and_reviewed(services: Services) -> None:
    wish = replace(SHELL, break_glass=True)
    silent = await services.sessions.authorize(services.authenticated("anne"), wish)
    assert isinstance(silent, Refusal)
    assert silent.code == "E-REASON"
    await need(services, wish, "ben")
    grant = await granted(services, replace(wish, reason="the site is down"))
    assert (grant.approval, grant.decision.limits.max_s) == ("", 300)
    row = await services.sessions.opened(grant)
    assert "session.break-glass" in services.codes()
    [review] = services.store.requests()
    assert (review.matter.kind, review.matter.session, review.matter.expires_at) == (
        RequestKind.REVIEW, row.id, None,
    )  # fmt: skip
    assert "break-glass" in [factor.name for factor in review.setting.factors]
    assert services.lookup.counters("bob") == (0, 1)


async def test_without_a_review_that_can_be_kept_no_glass_is_broken(services: Services) -> None:
    grant = await granted(services, replace(SHELL, break_glass=True, reason="down"))
    before = services.asking.ask_review

    async def lost(*_: object) -> ApprovalRequest:
        raise Unavailable("the disk is full")

    services.asking.ask_review = lost  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await services.sessions.opened(grant)
    services.asking.ask_review = before  # type: ignore[method-assign]
    assert services.sessions.live() == []


# ---------------------------------------------------------------- the control socket


async def test_lesson_17_the_wire_takes_no_decision_on_one_s_own(services: Services) -> None:
    """lesson 17: the message itself, whatever a client shows."""
    asked = await ask(services, "both", wire.AskApproval("db1", "deploy", "work"))
    assert isinstance(asked, wire.RequestDetail)
    assert (asked.may_decide, asked.why_not) == (False, "you cannot decide your own requests")
    with pytest.raises(BartizanError, match="your own"):
        await ask(services, "both", wire.DecideRequest(asked.request.id, True, asked.digest))
    done = await ask(services, "bob", wire.DecideRequest(asked.request.id, True, asked.digest))
    assert isinstance(done, wire.RequestDetail)
    assert done.request.state == "approved"


async def ask(services: Services, name: str, question: wire.ApprovalAsk) -> object:
    return await services.handlers.answer(services.asker(name), question)


async def test_a_picker_opens_what_was_approved_and_nothing_else(services: Services) -> None:
    grants: list[Grant] = []
    asker = Asker(services.authenticated("anne"), False, grants.append)
    waiting = await services.handlers.answer(asker, OpenTarget("db1", "deploy", "work"))
    assert isinstance(waiting, wire.RequestDetail)
    with pytest.raises(BartizanError, match="pending"):
        await services.handlers.answer(asker, wire.OpenRequest(waiting.request.id))
    await services.approvals.decide(waiting.request.id, "bob", Decided(True, waiting.digest))
    assert await services.handlers.answer(asker, wire.OpenRequest(waiting.request.id)) == Opening(
        "db1", "deploy"
    )
    assert [grant.approval for grant in grants] == [waiting.request.id]
    other = Asker(services.authenticated("bob"), False, grants.append)
    with pytest.raises(BartizanError, match="not your own"):
        await services.handlers.answer(other, wire.OpenRequest(waiting.request.id))


async def test_the_terms_are_told_before_anything_is_asked(services: Services) -> None:
    terms = await ask(services, "anne", wire.ShowTerms("db1"))
    assert isinstance(terms, wire.AccessTerms)
    assert (terms.state, terms.needs, terms.lasts_s, terms.request) == ("WAIT", "1 of group dba", 600, "")
    request = await approved(services, SHELL)
    terms = await ask(services, "anne", wire.ShowTerms("db1", "deploy"))
    assert isinstance(terms, wire.AccessTerms)
    assert (terms.request, terms.until) == (request.id, request.until)
    with pytest.raises(BartizanError, match="no target"):
        await ask(services, "bob", wire.ShowTerms("db1"))


async def test_changes_are_pushed_to_whom_they_concern(services: Services) -> None:
    pushed: dict[str, list[wire.RequestChanged]] = {"anne": [], "bob": [], "ben": []}
    tasks = []
    for name, got in pushed.items():

        async def push(message: wire.RequestChanged, got: list[wire.RequestChanged] = got) -> None:
            got.append(message)

        _, run = services.handlers.requests.subscribe(services.authenticated(name), push)
        tasks.append(asyncio.get_running_loop().create_task(run()))
    request = await services.asking.ask(await need(services, SHELL))
    await heard(pushed, 1)
    await services.approvals.decide(request.id, "bob", Decided(True, request.matter.digest))
    await heard(pushed, 3)
    asked = pushed["bob"][0]
    assert (asked.what, asked.bell, asked.counters) == ("asked", True, wire.Counters(0, 1))
    last = pushed["anne"][-1]
    assert (last.id, last.what, last.state, last.bell) == (request.id, "approved", "approved", True)
    assert pushed["ben"] == []
    for task in tasks:
        task.cancel()


async def heard(pushed: dict[str, list[wire.RequestChanged]], count: int) -> None:
    async with asyncio.timeout(30):
        while len(pushed["anne"]) < count or len(pushed["bob"]) < count:
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------- the desk of held lines


class Held:
    """One session at the desk, and what it is told."""

    def __init__(self, services: Services, row: SessionRow) -> None:
        self.services, self.row = services, row
        self.told: list[ApprovalOpened | ApprovalSettled] = []
        self.desk = HeldLines(
            services.approvals, services.asking, services.sessions.grant_of, services.clock, services.tasks
        )

    def open(self, number: int = 1, line: str = "touch x") -> None:
        ask = OpenApproval(number, line, "hold", "p.yaml:3", "careful", TERMS, ("$ touch x\x1b[2J",))
        self.desk.open(self.row, ask, self.told.append)

    async def opened(self, number: int = 1, line: str = "touch x") -> ApprovalRequest:
        self.open(number, line)
        await self.until(lambda: any(isinstance(e, ApprovalOpened) and e.number == number for e in self.told))
        [id] = [e.id for e in self.told if isinstance(e, ApprovalOpened) and e.number == number]
        return self.services.lookup.find(id, "anne")

    async def until(self, holds: object) -> None:
        async with asyncio.timeout(30):
            while not holds():  # type: ignore[operator]
                await asyncio.sleep(0.005)

    def settled(self) -> list[tuple[int, str, str]]:
        return [(e.number, e.outcome, e.by) for e in self.told if isinstance(e, ApprovalSettled)]


@pytest.fixture
async def held(services: Services) -> Held:
    await approved(services, SHELL)
    return Held(services, await services.sessions.opened(await granted(services, SHELL)))


async def say(services: Services, request: ApprovalRequest, approve: bool) -> None:
    said = Decided(approve, request.matter.digest, "so")
    await services.approvals.decide(request.id, "bob", said)


async def test_an_approved_line_is_used_once(held: Held, services: Services) -> None:
    request = await held.opened()
    assert (request.matter.content, request.setting.screen) == (b"touch x", ("$ touch x⟨U+001B⟩[2J",))
    with pytest.raises(BartizanError, match="not approved"):
        held.desk.use(held.row, 1)
    request = await held.opened(2)
    await say(services, request, True)
    await held.until(held.settled)
    assert held.settled() == [(2, "approved", "bob")]
    held.desk.use(held.row, 2)
    assert services.approvals.get(request.id).state is RequestState.USED
    with pytest.raises(BartizanError):
        held.desk.use(held.row, 2)


async def test_an_approval_that_was_taken_back_before_the_line_was_sent_stops_it(
    held: Held, services: Services
) -> None:
    """lesson 17: the last look is at the store."""
    request = await held.opened()
    await say(services, request, True)
    await held.until(held.settled)
    await services.approvals.withdraw(request.id, "bob", "stop", admin=False)
    with pytest.raises(BartizanError, match="cannot be used"):
        held.desk.use(held.row, 1)


async def test_a_line_that_was_cancelled_is_not_run_whatever_is_decided(
    held: Held, services: Services
) -> None:
    request = await held.opened()
    held.desk.cancel(held.row, 1, "cancelled")
    await held.until(lambda: not services.approvals.get(request.id).pending)
    assert services.approvals.get(request.id).state is RequestState.CANCELLED
    with pytest.raises(BartizanError):
        held.desk.use(held.row, 1)
    held.open(3)
    held.desk.cancel(held.row, 3, "cancelled")
    await held.until(lambda: len(services.store.requests()) == 3)
    await held.until(lambda: not services.store.requests()[0].pending)
    assert held.settled() == []


@pytest.mark.parametrize("approve", [True, False])
async def test_a_decision_in_the_moment_of_the_question_is_not_lost(
    held: Held, services: Services, approve: bool
) -> None:
    """It may come between the row on the disk and the answer to the session."""
    stop = services.approvals.board.listen(
        lambda change: (
            services.tasks.spawn(say(services, change.request, approve), "quick") and None
            if change.what == "asked"
            else None
        )
    )
    held.open()
    await held.until(held.settled)
    stop()
    assert [type(event).__name__ for event in held.told] == ["ApprovalOpened", "ApprovalSettled"]
    assert held.settled() == [(1, "approved" if approve else "denied", "bob")]


async def test_what_cannot_be_asked_fails(held: Held, services: Services) -> None:
    services.lose_the_store()
    held.open()
    await held.until(held.settled)
    assert held.settled() == [(1, "failed", "")]
