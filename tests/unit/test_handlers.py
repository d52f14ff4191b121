"""The answers of the control socket: what is whose, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.control.handlers import CHUNK, Asker, AskRefused
from broker.control.permits import Role, permitted
from broker.model.access import Grant
from broker.model.errors import BartizanError, Unavailable
from broker.model.session import LineReport, SessionState
from broker.wire.messages import (
    Ask,
    Body,
    Chunk,
    Done,
    GateView,
    KillSession,
    ListRecordings,
    ListSessions,
    ListTargets,
    Opening,
    OpenTarget,
    ReadRecording,
    Sessions,
    ShowSession,
    Targets,
)
from tests.unit.services import Live, Services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = Services(tmp_path)
    yield made
    await made.recordings.stop()


async def ask(services: Services, name: str, question: Ask) -> Body:
    return await services.handlers.answer(services.asker(name), question)


async def refused(services: Services, name: str, question: Ask) -> tuple[str, str, int]:
    """Code, message and exit status of an answer that must be a failure."""
    with pytest.raises(BartizanError) as told:
        await ask(services, name, question)
    return told.value.code, told.value.message, told.value.exit_status


def recorded(services: Services, name: str, data: bytes = b"cast", part: str = "cast") -> Live:
    """A session of that user with a file of that content."""
    live = services.run(name)
    path = services.recordings.path(live.row, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return live


async def listed(services: Services, name: str, question: Ask) -> list[Any]:
    body = await ask(services, name, question)
    assert isinstance(body, Sessions | Targets)
    return list(body.items)


# ---------------------------------------------------------------- targets


async def test_targets_are_those_that_exist_for_the_asker(services: Services) -> None:
    assert [t.name for t in await listed(services, "anne", ListTargets())] == ["web1", "prod1"]
    assert [t.name for t in await listed(services, "carol", ListTargets())] == ["vault1"]


async def test_each_account_says_what_would_be_answered_now(services: Services) -> None:
    """lesson 21: state shown = state enforced."""
    web, prod = await listed(services, "anne", ListTargets())
    assert [(a.name, a.state, a.rule) for a in web.accounts] == [
        ("deploy", "OK", "web"),
        ("root", "DENY", "web"),
    ]
    assert web.accounts[0].why == ""
    assert web.accounts[1].why == "account root is not granted"
    assert [(a.name, a.state) for a in prod.accounts] == [("deploy", "REASON")]
    for target, accounts in ((web, web.accounts), (prod, prod.accounts)):
        for account in accounts:
            question = OpenTarget(target.name, account.name)
            asker = Asker(services.authenticated("anne"), False, lambda grant: None)
            try:
                await services.handlers.answer(asker, question)
                state = "OK"
            except AskRefused as exc:
                state = {"E-DENIED": "DENY", "E-REASON": "REASON"}[exc.code]
            assert state == account.state


@pytest.mark.parametrize(
    ("query", "found"),
    [("", ["web1", "prod1"]), ("WEB", ["web1"]), ("prod 1", ["prod1"]), ("web prod", []), ("vault", [])],
)
async def test_a_query_finds_by_every_word_and_nothing_hidden(
    services: Services, query: str, found: list[str]
) -> None:
    assert [t.name for t in await listed(services, "anne", ListTargets(query))] == found


async def test_a_target_tells_of_ones_own_sessions_there_only(services: Services) -> None:
    """lesson 15: not even by a count."""
    services.run("ben", started_at=5)
    web, _ = await listed(services, "anne", ListTargets())
    assert (web.live, web.last_at) == (0, None)
    services.run("anne", started_at=7)
    services.run("anne", started_at=9)
    web, _ = await listed(services, "anne", ListTargets())
    assert (web.live, web.last_at) == (2, 9)


# ---------------------------------------------------------------- sessions and recordings


async def test_other_peoples_sessions_are_not_listed(services: Services) -> None:
    """lesson 15"""
    mine, other = services.run("anne"), services.run("ben")
    for question in (ListSessions(), ListRecordings(), ListRecordings("ben"), ListRecordings(other.row.id)):
        assert {view.user for view in await listed(services, "anne", question)} <= {"anne"}
    assert [v.id for v in await listed(services, "anne", ListSessions())] == [mine.row.id]
    both = [other.row.id, mine.row.id]
    assert [v.id for v in await listed(services, "carol", ListSessions())] == both, "newest first"
    assert [v.id for v in await listed(services, "carol", ListRecordings())] == both


async def test_a_session_is_shown_with_how_its_lines_are_judged(services: Services) -> None:
    live = services.run("anne")
    live.lines = LineReport("hook", "held", "R-4", "rm x", "hook", "hold", "ops", 3, 1, 0)
    for question in (ShowSession(live.row.id), ListSessions()):
        [view] = await listed(services, "anne", question)
        assert view.lines == GateView("hook", "held", "R-4", "rm x", "hook", "hold", "ops", 3, 1, 0)
    await services.sessions.ended(live.row, status=0, reason="exit", size=0)
    [view] = await listed(services, "anne", ShowSession(live.row.id))
    assert (view.state, view.exit_status, view.lines) == ("ended", 0, None)


async def test_somebody_elses_session_is_not_shown(services: Services) -> None:
    """lesson 15: the same answer as for an id that was never given."""
    other = services.run("ben")
    found = await refused(services, "anne", ShowSession(other.row.id))
    unknown = await refused(services, "anne", ShowSession("S-ffff"))
    assert found == (unknown[0], unknown[1].replace("S-ffff", other.row.id), unknown[2])
    assert [view.id for view in await listed(services, "carol", ShowSession(other.row.id))] == [other.row.id]


@pytest.mark.parametrize("part", ["cast", "events", "../../x", ""])
@pytest.mark.parametrize("offset", [0, 1, -1, 2**63])
async def test_other_peoples_recordings_do_not_exist(services: Services, part: str, offset: int) -> None:
    """lesson 15: the same answer, word for word, as for an id that was never given, before anything else."""
    other = recorded(services, "ben")
    never = "S-ffff"
    found = await refused(services, "anne", ReadRecording(other.row.id, part, offset))
    unknown = await refused(services, "anne", ReadRecording(never, part, offset))
    assert found == (unknown[0], unknown[1].replace(never, other.row.id), unknown[2])
    assert found[0] == "E-UNKNOWN"
    assert services.codes() == []


@pytest.mark.parametrize(
    "id", ["", "S-", "../S-1", "S-1/../../etc/passwd", "S-1\0", "s-1", "S-G", "S-" + "1" * 17, "S-1\n"]
)
async def test_an_id_that_is_none_reaches_neither_store_nor_disk(
    services: Services, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lesson 31, lesson 36"""
    recorded(services, "carol")
    monkeypatch.setattr(services.store, "session", lambda id: pytest.fail("the store was asked"))
    assert (await refused(services, "carol", ReadRecording(id)))[0] == "E-UNKNOWN"
    assert (await refused(services, "carol", KillSession(id, "why")))[0] == "E-UNKNOWN"


async def test_a_recording_is_read_in_parts_and_the_first_is_noted(services: Services) -> None:
    content = bytes(range(256)) * 1500
    live = recorded(services, "anne", content)
    got = b""
    while True:
        body = await ask(services, "anne", ReadRecording(live.row.id, offset=len(got)))
        assert isinstance(body, Chunk)
        assert (body.offset, body.size) == (len(got), len(content))
        assert len(body.data) <= CHUNK
        got += body.data
        if not body.data:
            break
    assert got == content
    (event,) = services.noted()
    assert (event.code, event.actor, event.subject) == ("recording.read", "anne", "anne")
    assert (event.session, event.detail) == (live.row.id, {"part": "cast"})


async def test_an_admin_who_reads_is_noted_too(services: Services) -> None:
    live = recorded(services, "anne", b"x", "events")
    assert await ask(services, "carol", ReadRecording(live.row.id, "events")) == Chunk(b"x", 0, 1)
    assert [(e.actor, e.subject) for e in services.noted()] == [("carol", "anne")]


async def test_without_audit_nothing_is_read(services: Services) -> None:
    live = recorded(services, "anne")
    services.lose_the_store()
    with pytest.raises(Unavailable):
        await ask(services, "carol", ReadRecording(live.row.id))


@pytest.mark.parametrize("part", ["", "CAST", "cast/", "../cast", "key", "cast\0"])
async def test_only_the_two_parts_are_read(services: Services, part: str) -> None:
    """lesson 31"""
    live = recorded(services, "anne")
    assert (await refused(services, "anne", ReadRecording(live.row.id, part)))[0] == "E-USAGE"


async def test_offsets(services: Services) -> None:
    live = recorded(services, "anne", b"cast")
    assert (await refused(services, "anne", ReadRecording(live.row.id, "cast", -1)))[0] == "E-USAGE"
    for offset, data in ((3, b"t"), (4, b""), (5, b""), (2**64 - 1, b"")):
        assert await ask(services, "anne", ReadRecording(live.row.id, "cast", offset)) == Chunk(
            data, offset, 4
        )


async def test_a_recording_whose_file_is_gone_says_so(services: Services) -> None:
    live = services.run("anne")
    code, message, _ = await refused(services, "anne", ReadRecording(live.row.id))
    assert code == "E-UNAVAILABLE"
    assert message == f"{live.row.id}.cast: No such file or directory"


async def test_lists_of_recordings_are_bounded_and_searched_by_every_word(services: Services) -> None:
    for number in range(12):
        services.run("anne", command=f"job {number}")
    newest = [view.command for view in await listed(services, "anne", ListRecordings(limit=3))]
    assert newest == ["job 11", "job 10", "job 9"]
    for limit in (0, -5):
        assert len(await listed(services, "anne", ListRecordings(limit=limit))) == 1
    assert len(await listed(services, "anne", ListRecordings(limit=2**62))) == 12
    found = await listed(services, "anne", ListRecordings("JOB 11 web1"))
    assert [view.command for view in found] == ["job 11"]
    assert len(await listed(services, "anne", ListRecordings("job", limit=5))) == 5


async def test_a_view_tells_what_the_store_knows(services: Services) -> None:
    live = services.run("anne", command="id", reason="INC-7", size=9)
    services.store.close_session(
        live.row.id, state=SessionState.ENDED, at=99, exit_status=3, end_reason="exit", size=11
    )
    (view,) = await listed(services, "anne", ListRecordings())
    assert (view.state, view.exit_status, view.end_reason, view.size) == ("ended", 3, "exit", 11)
    assert (view.command, view.reason, view.ended_at) == ("id", "INC-7", 99)


# ---------------------------------------------------------------- kill


@pytest.mark.parametrize("role", list(Role))
def test_kill_needs_an_admin(role: Role) -> None:
    assert not permitted(role, False, KillSession)


async def test_kill_ends_a_session_with_the_words_of_the_admin(services: Services) -> None:
    live = services.run("anne")
    body = await ask(services, "carol", KillSession(live.row.id, "wrong \x1b[2J host"))
    assert body == Done(f"{live.row.id} ended")
    assert live.killed == [("killed", "carol", 'ended by carol: "wrong \x1b[2J host"')]
    assert services.codes() == ["session.killed"]


@pytest.mark.parametrize("reason", ["", "   ", "\t\n"])
async def test_kill_needs_a_reason(services: Services, reason: str) -> None:
    live = services.run("anne")
    assert (await refused(services, "carol", KillSession(live.row.id, reason)))[0] == "E-USAGE"
    assert live.killed == []
    assert services.codes() == []


async def test_somebody_elses_session_cannot_even_be_tried_to_kill(services: Services) -> None:
    """lesson 15: behind the table of permits the handler itself knows no session of others."""
    live = services.run("ben")
    assert (await refused(services, "anne", KillSession(live.row.id, "why")))[0] == "E-UNKNOWN"
    assert live.killed == []


async def test_a_session_that_is_over_is_not_killed(services: Services) -> None:
    live = services.run("anne")
    await services.sessions.ended(live.row, status=0, reason="exit", size=0)
    assert (await refused(services, "carol", KillSession(live.row.id, "why")))[0] == "E-GONE"
    assert live.killed == []
    assert services.codes() == ["session.ended"]


async def test_a_reason_is_bounded(services: Services) -> None:
    """lesson 20"""
    live = services.run("anne")
    await ask(services, "carol", KillSession(live.row.id, "x" * 100_000))
    assert live.killed == [("killed", "carol", f'ended by carol: "{"x" * 500}"')]


# ---------------------------------------------------------------- opening


async def test_open_gives_the_grant_to_the_login_and_only_a_name_to_the_picker(services: Services) -> None:
    grants: list[Grant] = []
    asker = Asker(services.authenticated("anne"), False, grants.append)
    body = await services.handlers.answer(asker, OpenTarget("prod1", "", "INC-7"))
    assert body == Opening("prod1", "deploy")
    (grant,) = grants
    assert (grant.target.name, grant.account, grant.reason) == ("prod1", "deploy", "INC-7")
    assert services.codes() == ["session.granted"]


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (OpenTarget("web1", "root"), "E-DENIED"),
        (OpenTarget("vault1", "root"), "E-UNKNOWN"),
        (OpenTarget("nowhere"), "E-UNKNOWN"),
        (OpenTarget("prod1"), "E-REASON"),
        (OpenTarget("../web1"), "E-UNKNOWN"),
    ],
)
async def test_what_is_refused_opens_nothing(services: Services, question: OpenTarget, code: str) -> None:
    grants: list[Grant] = []
    asker = Asker(services.authenticated("anne"), False, grants.append)
    with pytest.raises(AskRefused) as told:
        await services.handlers.answer(asker, question)
    assert told.value.code == code
    assert grants == []
    assert services.codes() == ["session.refused"]


async def test_a_connection_that_opens_nothing_does_not_even_ask_the_policy(services: Services) -> None:
    assert (await refused(services, "anne", OpenTarget("web1")))[0] == "E-USAGE"
    assert services.codes() == []
