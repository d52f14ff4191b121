"""Who may open a session, what is noted of it, and which sessions are live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.model.access import AccessRequest, Decision, Grant
from broker.model.errors import Unavailable
from broker.model.ids import SessionId
from broker.model.session import SessionState
from broker.model.target import Channel
from broker.services.sessions import Refusal, Wish, unknown
from tests.unit.policies import engine, policy
from tests.unit.rows import NOW, WEB1
from tests.unit.services import Live, Services

SHELL = Wish("web1", "deploy", Channel.SHELL)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = Services(tmp_path)
    yield made
    await made.recordings.stop()


async def decide(services: Services, name: str, wish: Wish) -> Grant | Refusal:
    return await services.sessions.authorize(services.authenticated(name), wish)


# ---------------------------------------------------------------- authorize


async def test_a_grant_carries_what_was_decided(services: Services) -> None:
    wish = replace(SHELL, channel=Channel.EXEC, reason="look", command=b"id")
    grant = await decide(services, "anne", wish)
    assert isinstance(grant, Grant)
    assert (grant.target, grant.account, grant.channel) == (WEB1, "deploy", Channel.EXEC)
    assert (grant.reason, grant.command) == ("look", b"id")
    assert grant.who.principal.name == "anne"
    assert grant.decision.rule.name == "web"


async def test_the_decision_is_noted_with_its_rule_before_it_is_given(services: Services) -> None:
    await decide(services, "anne", replace(SHELL, channel=Channel.EXEC, reason="look", command=b"id \xff"))
    (event,) = services.noted()
    assert (event.code, event.actor, event.subject) == ("session.granted", "anne", "deploy+web1")
    assert event.detail == {
        "channel": "exec",
        "source": "192.0.2.7",
        "command": "id \\xff",
        "given": "look",
        "reason": "granted by the policy web",
        "rule": "web",
        "origin": event.detail["origin"],
    }
    assert str(event.detail["origin"]).startswith("p.yaml:")


async def test_what_rules_note_about_a_command_that_runs_is_noted_with_the_grant(
    services: Services, tmp_path: Path
) -> None:
    rules = "[{name: w, warn: {program: date}}, {name: o, deny: {program: date}, observe: true}]"
    services.reload(engine(tmp_path, policy(targets="{names: web1}", commands=rules)))
    exec_ = replace(SHELL, channel=Channel.EXEC)
    assert isinstance(await decide(services, "anne", replace(exec_, command=b"date")), Grant)
    assert isinstance(await decide(services, "anne", replace(exec_, command=b"ls")), Grant)
    dated, listed = services.noted()
    assert {key: dated.detail.get(key) for key in ("answer", "answered_by", "observed")} == {
        "answer": "warn",
        "answered_by": "w",
        "observed": "o",
    }
    assert not listed.detail.keys() & {"answer", "answered_by", "observed"}


async def test_a_line_is_judged_at_the_moment_it_is_typed(services: Services, tmp_path: Path) -> None:
    """NOW is a Friday; the rule is about Saturdays, the policy was open on Friday only."""
    rules = "[{deny: {program: date}, when: {days: sat}}]"
    services.reload(engine(tmp_path, policy(targets="{names: web1}", when="{days: fri}", commands=rules)))
    grant = await decide(services, "anne", SHELL)
    assert isinstance(grant, Grant)
    judge = services.sessions.line_judge(grant)
    answers = []
    for _ in range(2):
        said = judge(b"date")
        answers.append(said and said.verdict.value)
        services.clock.at += 24 * 3600 * 1_000_000
    assert answers == ["allow", "deny"]


async def test_a_ticket_that_is_missing_is_named(services: Services, tmp_path: Path) -> None:
    asking = "{open: {from: {groups: dba}, ticket: 'INC-[0-9]+'}}"
    services.reload(engine(tmp_path, policy(targets="{names: web1}", approval=asking)))
    refused = await decide(services, "anne", SHELL)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.message) == ("E-REASON", "ops asks for a ticket that fits INC-[0-9]+")


async def test_without_an_account_it_is_the_default_of_the_target(services: Services) -> None:
    grant = await decide(services, "anne", replace(SHELL, account=None))
    assert isinstance(grant, Grant)
    assert grant.account == "deploy"


@pytest.mark.parametrize("channel", [c for c in Channel if c not in (Channel.SHELL, Channel.EXEC)])
async def test_a_channel_that_is_not_granted_is_denied(services: Services, channel: Channel) -> None:
    """lesson 8, lesson 9: the same question for every door, and what is not listed is refused."""
    refused = await decide(services, "anne", replace(SHELL, channel=channel, command=b"scp -t x"))
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.exit_status) == ("E-DENIED", 77)
    assert services.codes() == ["session.refused"]


@pytest.mark.parametrize("account", ["root", "nobody", "deploy+root", ""])
async def test_an_account_that_is_not_granted_is_denied(services: Services, account: str) -> None:
    found = await decide(services, "anne", replace(SHELL, account=account))
    if account == "":
        assert isinstance(found, Grant)
        assert found.account == "deploy"
        return
    assert isinstance(found, Refusal)
    assert found.code == "E-DENIED"
    assert "(rule web, p.yaml:" in found.message


async def test_where_a_reason_is_needed_none_and_an_empty_one_will_not_do(services: Services) -> None:
    wish = Wish("prod1", "deploy", Channel.SHELL)
    for reason in ("", "  ", "..."):
        refused = await decide(services, "anne", replace(wish, reason=reason))
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.exit_status) == ("E-REASON", 64)
        assert "LC_BARTIZAN_REASON" in refused.hint
    assert isinstance(await decide(services, "anne", replace(wish, reason="INC-7")), Grant)


@pytest.mark.parametrize("word", ["nowhere", "vault1"])
async def test_unknown_and_invisible_targets_are_answered_alike(services: Services, word: str) -> None:
    """Unknown and forbidden look the same, but for the name itself: to the user, in every field and door."""
    wishes = [
        Wish(word, None, Channel.SHELL),
        Wish(word, "root", Channel.SHELL, "why"),
        Wish(word, "root", Channel.EXEC, command=b"id"),
        Wish(word, "root", Channel.SFTP),
    ]
    for wish in wishes:
        found = await decide(services, "anne", wish)
        assert found == unknown(word)
        assert isinstance(found, Refusal)
        assert found.exit_status == 68
    assert await services.sessions.nowhere(services.authenticated("anne"), word) == unknown(word)
    assert set(services.codes()) == {"session.refused"}
    assert services.sessions.sees(services.authenticated("anne"), word) is False


async def test_what_one_sees_is_what_a_policy_names_for_one(services: Services) -> None:
    sees = services.sessions.sees
    anne, carol = services.authenticated("anne"), services.authenticated("carol")
    assert [sees(anne, name) for name in ("web1", "prod1", "vault1", "")] == [True, True, False, False]
    assert [sees(carol, name) for name in ("web1", "prod1", "vault1", "")] == [False, False, True, False]


async def test_groups_are_read_anew_and_not_taken_from_the_login(services: Services) -> None:
    """lesson 33: what changed since the login holds for the next session."""
    anne = services.authenticated("anne")
    services.store.set_groups("anne", frozenset())
    assert await services.sessions.authorize(anne, SHELL) == unknown("web1")
    services.store.set_groups("anne", frozenset({"ops"}))
    grant = await services.sessions.authorize(replace(anne, principal=replace(anne.principal)), SHELL)
    assert isinstance(grant, Grant)
    assert grant.who.principal.groups == {"ops"}


async def test_a_locked_or_removed_user_opens_nothing(services: Services) -> None:
    anne = services.authenticated("anne")
    services.store.set_locked("anne", NOW)
    refused = await services.sessions.authorize(anne, SHELL)
    assert refused == Refusal("E-DENIED", "this user is locked", 77)
    stranger = replace(anne, principal=replace(anne.principal, name="(root)", admin=True))
    assert isinstance(await services.sessions.authorize(stranger, SHELL), Refusal)
    assert services.sessions.sees(stranger, "web1") is False
    assert services.codes() == ["session.refused", "session.refused"]


async def test_without_audit_nothing_is_granted_and_nothing_opened(services: Services) -> None:
    """Fail closed: no audit, no grant."""
    grant = await decide(services, "anne", SHELL)
    assert isinstance(grant, Grant)
    services.lose_the_store()
    for wish in (SHELL, Wish("nowhere", None, Channel.SHELL)):
        with pytest.raises(Unavailable):
            await decide(services, "anne", wish)
    with pytest.raises(Unavailable):
        await services.sessions.opened(grant)
    with pytest.raises(Unavailable):
        await services.sessions.nowhere(services.authenticated("anne"), "nowhere")


async def test_a_policy_engine_that_breaks_denies(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lesson 29: a check that fails does not leave the last answer standing."""
    assert isinstance(await decide(services, "anne", SHELL), Grant)

    def broken(request: AccessRequest) -> Decision:
        raise MemoryError

    monkeypatch.setattr(services.policy, "_naming", broken)
    assert isinstance(await decide(services, "anne", SHELL), Refusal)


async def test_free_text_of_a_client_is_bounded_in_the_audit_trail(services: Services) -> None:
    """lesson 20: a reason, a name and a command of any length."""
    await decide(services, "anne", Wish("x" * 9999, "y", Channel.EXEC, "r" * 9999, b"c" * 99999))
    (event,) = services.noted()
    assert len(event.subject) == 300
    assert len(str(event.detail["given"])) == 1000
    assert len(str(event.detail["command"])) == 4096


# ---------------------------------------------------------------- life


async def test_a_session_is_stored_before_it_starts_and_closed_when_it_ends(services: Services) -> None:
    grant = await decide(services, "anne", replace(SHELL, reason="look"))
    assert isinstance(grant, Grant)
    row = await services.sessions.opened(grant)
    assert (row.id, row.user, row.target, row.account) == ("S-1", "anne", "web1", "deploy")
    assert (row.channel, row.reason, row.source) == ("shell", "look", "192.0.2.7")
    live = Live(row)
    services.sessions.register(live)
    assert services.sessions.live() == [row]
    await services.sessions.ended(row, status=3, reason="exit", size=99)
    assert services.sessions.live() == []
    stored = services.store.session(row.id)
    assert stored is not None
    assert (stored.state, stored.exit_status, stored.size) == (SessionState.ENDED, 3, 99)
    assert services.codes() == ["session.granted", "session.opened", "session.ended"]
    assert {event.session for event in services.noted()[1:]} == {"S-1"}


async def test_an_end_that_cannot_be_stored_still_frees_the_place(services: Services) -> None:
    live = services.run("anne")
    services.lose_the_store()
    with pytest.raises(Unavailable):
        await services.sessions.ended(live.row, status=0, reason="exit", size=0)
    assert services.sessions.live() == []


async def test_no_more_sessions_than_may_be(tmp_path: Path) -> None:
    services = Services(tmp_path, most=2)
    for name in ("anne", "ben"):
        assert isinstance(await decide(services, name, SHELL), Grant)
        services.run(name)
    refused = await decide(services, "anne", SHELL)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.exit_status) == ("E-BUSY", 69)
    await services.sessions.ended(services.sessions.live()[0], status=0, reason="exit", size=0)
    assert isinstance(await decide(services, "anne", SHELL), Grant)
    await services.recordings.stop()


async def test_kill_is_noted_first_and_tells_who_and_why(services: Services) -> None:
    live = services.run("anne")
    assert await services.sessions.kill(live.row.id, "carol", "wrong host")
    assert live.killed == [("killed", "carol", 'ended by carol: "wrong host"')]
    (event,) = services.noted()
    assert (event.code, event.actor, event.subject) == ("session.killed", "carol", "anne")
    assert (event.session, event.detail) == (live.row.id, {"text": "wrong host"})
    assert await services.sessions.kill(SessionId("S-ffff"), "carol", "x") is False


async def test_a_kill_that_cannot_be_noted_does_not_happen_in_silence(services: Services) -> None:
    live = services.run("anne")
    services.lose_the_store()
    with pytest.raises(Unavailable):
        await services.sessions.kill(live.row.id, "carol", "wrong host")
    assert live.killed == []


async def test_shutdown_grants_nothing_more_and_tells_everybody(services: Services) -> None:
    lives = [services.run(name) for name in ("anne", "ben")]
    services.sessions.refuse_new("this bastion is being stopped")
    services.sessions.kill_all("shutdown", "this bastion is being stopped")
    refused = await decide(services, "anne", SHELL)
    assert refused == Refusal("E-UNAVAILABLE", "this bastion is being stopped", 69)
    for live in lives:
        assert live.killed == [("shutdown", "bartizan", "this bastion is being stopped")]
