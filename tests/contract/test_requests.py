"""The contract of `RequestStore`, run on the in-memory fake and on SQLite."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from broker.adapters.sqlite import SqliteStore
from broker.model.access import Rule
from broker.model.approval import ApprovalTerms, ClockStart, Panel
from broker.model.audit import AuditEvent
from broker.model.errors import Invalid
from broker.model.ids import RequestId, request_id
from broker.model.requests import (
    ApprovalRequest,
    Matter,
    Note,
    RequestKind,
    RequestState,
    RiskFactor,
    RiskLevel,
    Setting,
    Vote,
)
from broker.ports import RequestStore
from tests.fakes.store import FakeStore

Store = SqliteStore | FakeStore
PENDING, APPROVED, USED = RequestState.PENDING, RequestState.APPROVED, RequestState.USED

TERMS = ApprovalTerms(
    (Panel(2, frozenset({"bob", "carol"}), frozenset({"dba"}), owner=True), Panel(1, frozenset({"dan"}))),
    within_s=900,
    lasts_s=1800,
    starts=ClockStart.FIRST_USE,
    reason=True,
    ticket="INC-[0-9]+",
    mfa_age_s=60,
    notify=("hook",),
)
MATTER = Matter(
    kind=RequestKind.COMMAND,
    user="alice",
    target="prod-db-1",
    account="postgres",
    channel="shell",
    rule=Rule("prod-destructive", "prod.yaml:41"),
    terms=TERMS,
    content=b"DELETE \xff\x00\xe2\x80\xae;",
    session="S-81c",
    reason="INC-4821",
    expires_at=900,
)
SETTING = Setting(
    groups=("ops",),
    source="10.1.4.7",
    credential="SHA256:x",
    mfa_at=7,
    tags={"env": "prod"},
    factors=(RiskFactor("env-prod", 3, "PROD"),),
    level=RiskLevel.HIGH,
    screen=("orders=#", "◊◊◊"),
)
REQUEST = ApprovalRequest(RequestId("R-0"), MATTER, SETTING, opened_at=10)


@pytest.fixture(params=["fake", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = FakeStore() if request.param == "fake" else SqliteStore(tmp_path / "data" / "bartizan.db")
    yield opened
    opened.close()


def typed(store: Store) -> RequestStore:
    """Says to the type checker that both implement the port."""
    return store


def get(store: Store, id: RequestId) -> ApprovalRequest:
    found = store.request(id)
    assert found is not None
    return found


def settle(store: Store, id: RequestId, after: RequestState = APPROVED, by: str = "bob") -> bool:
    return store.settle_request(id, PENDING, after, at=20, by=by, comment="ok", until=50, use_by=30)


def test_a_request_comes_back_as_it_was_opened(store: Store) -> None:
    first, second = store.open_request(REQUEST), store.open_request(replace(REQUEST, id=RequestId("../x")))
    assert (first, second) == ("R-1", "R-2")
    assert get(store, first) == replace(REQUEST, id=first)
    assert get(store, first).matter.digest == MATTER.digest


@pytest.mark.parametrize("id", ["", "R-0", "R-1F", "r-1", "S-1", "R-" + "F" * 16, "R-" + "1" * 40, "R-1; --"])
def test_a_text_that_is_no_request_finds_none(store: Store, id: str) -> None:
    store.open_request(REQUEST)
    assert store.request(RequestId(id)) is None
    assert not settle(store, RequestId(id))
    assert (store.votes(RequestId(id)), store.notes(RequestId(id))) == ([], [])
    with pytest.raises(Invalid, match="no request"):
        store.add_vote(RequestId(id), Vote("bob", 1, True))
    with pytest.raises(Invalid, match="no request"):
        store.add_note(RequestId(id), Note(1, "said", "bob"))


def test_requests_are_found_by_what_they_are_about(store: Store) -> None:
    a = store.open_request(REQUEST)
    b = store.open_request(replace(REQUEST, matter=replace(MATTER, user="dan", session=""), opened_at=30))
    c = store.open_request(
        replace(
            REQUEST,
            matter=replace(MATTER, target="web1", rule=Rule("r", "")),
        )
    )
    settle(store, c)
    assert [row.id for row in store.requests()] == [c, b, a]
    assert [row.id for row in store.requests(user="dan")] == [b]
    assert [row.id for row in store.requests(target="web1", rule="r")] == [c]
    assert [row.id for row in store.requests(states=frozenset({PENDING}))] == [b, a]
    assert [row.id for row in store.requests(states=frozenset())] == []
    assert [row.id for row in store.requests(session="S-81c", user="alice")] == [c, a]
    assert [row.id for row in store.requests(since=30)] == [b]
    assert [row.id for row in store.requests(limit=1)] == [c]


def test_a_request_is_settled_once(store: Store) -> None:
    id = store.open_request(REQUEST)
    assert settle(store, id)
    assert not settle(store, id, RequestState.DENIED, "carol")
    found = get(store, id)
    assert (found.state, found.settled_at, found.settled_by, found.comment) == (APPROVED, 20, "bob", "ok")
    assert (found.until, found.use_by) == (50, 30)


def test_what_is_used_once_is_used_once(store: Store) -> None:
    id = store.open_request(REQUEST)
    assert not store.use_request(id, at=21, session="S-1"), "it is not approved"
    settle(store, id)
    assert store.use_request(id, at=21, session="S-1")
    assert not store.use_request(id, at=22, session="S-2")
    found = get(store, id)
    assert (found.state, found.used_at, found.used_session) == (USED, 21, "S-1")


def test_a_grant_is_used_while_it_lasts_and_its_clock_starts_once(store: Store) -> None:
    id = store.open_request(replace(REQUEST, matter=replace(MATTER, lasts_s=60)))
    assert store.settle_request(id, PENDING, APPROVED, at=20, by="bob", use_by=90)
    assert get(store, id).until is None
    assert store.use_request(id, at=21, session="S-1", until=81)
    assert store.use_request(id, at=40, session="S-2", until=100)
    found = get(store, id)
    assert (found.state, found.used_at, found.used_session, found.until) == (APPROVED, 21, "S-1", 81)
    assert store.end_request(id, USED)
    assert not store.end_request(id, RequestState.UNUSED)
    assert (get(store, id).state, get(store, id).settled_by) == (USED, "bob")


def test_a_voter_has_one_vote_and_may_take_it_back(store: Store) -> None:
    id = store.open_request(REQUEST)
    store.add_vote(id, Vote("bob", 1, True, "ok", 60))
    with pytest.raises(Invalid, match="bob has said"):
        store.add_vote(id, Vote("bob", 2, False))
    store.add_vote(id, Vote("carol", 3, True))
    assert store.withdraw_vote(id, "bob", 5)
    assert not store.withdraw_vote(id, "bob", 6)
    store.add_vote(id, Vote("bob", 7, False, "no"))
    assert store.votes(id) == [
        Vote("bob", 1, True, "ok", 60, withdrawn_at=5), Vote("carol", 3, True), Vote("bob", 7, False, "no"),
    ]  # fmt: skip


def test_notes_stay_in_order(store: Store) -> None:
    id = store.open_request(REQUEST)
    notes = [Note(2, "asked", "alice"), Note(1, "said", "bob", "why?\u202e"), Note(3, "expired")]
    for note in notes:
        store.add_note(id, note)
    assert store.notes(id) == notes


def test_a_person_is_kept_with_the_account(store: Store) -> None:
    from broker.model.identity import Kind, User

    store.add_user(User("bob-adm", Kind.HUMAN, frozenset(), admin=True, created_at=1, person="bob"))
    store.add_user(User("bob", Kind.HUMAN, frozenset(), admin=False, created_at=1))
    assert [user.human for user in store.users()] == ["bob", "bob"]
    store.set_person("bob-adm", None)
    assert [user.human for user in store.users()] == ["bob", "bob-adm"]
    with pytest.raises(Invalid, match="no user"):
        store.set_person("zoe", "bob")


# ---------------------------------------------------------------- one outcome, lesson 16

WAYS = (RequestState.APPROVED, RequestState.DENIED, RequestState.EXPIRED, RequestState.CANCELLED)


def settle_audited(store: Store, id: RequestId, after: RequestState) -> bool:
    def work() -> bool:
        won = store.settle_request(id, PENDING, after, at=20, by=after.value)
        if won:
            store.append(AuditEvent(f"request.{after.value}", 20, after.value, id))
        return won

    return store.together(work)


def test_lesson_16_of_four_that_settle_at_once_one_wins(store: Store) -> None:
    """lesson 16: approve, deny, expire and cancel fired together 1,000 times."""
    rounds = 1000
    ids = [store.open_request(REQUEST) for _ in range(rounds)]
    barrier = threading.Barrier(len(WAYS))

    def run(after: RequestState) -> list[bool]:
        won = []
        for id in ids:
            barrier.wait()
            won.append(settle_audited(store, id, after))
        return won

    with ThreadPoolExecutor(len(WAYS)) as pool:
        outcomes = list(pool.map(run, WAYS))
    assert [sum(won) for won in zip(*outcomes, strict=True)] == [1] * rounds
    rows = {event.subject: event.code for event in store.events(limit=10 * rounds)}
    assert len(store.events(limit=10 * rounds)) == rounds
    assert rows == {id: f"request.{get(store, id).state.value}" for id in ids}


_OTHER = """
import sys
from pathlib import Path
from broker.adapters.sqlite import SqliteStore
from broker.model.requests import RequestState
from tests.contract.test_requests import settle_audited
store = SqliteStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
won = sum(settle_audited(store, row.id, RequestState(sys.argv[2])) for row in store.requests(limit=10_000))
print(won, flush=True)
store.close()
"""


def test_lesson_16_of_two_processes_that_settle_at_once_one_wins(tmp_path: Path) -> None:
    """lesson 16: a broker and another program on the same file."""
    path = tmp_path / "data" / "bartizan.db"
    store = SqliteStore(path)
    rounds = 250
    store.together(lambda: [store.open_request(REQUEST) for _ in range(rounds)])
    others = [
        subprocess.Popen(
            [sys.executable, "-c", _OTHER, str(path), way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for way in ("approved", "denied")
    ]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    won = [other.communicate("go\n")[0] for other in others]
    assert sum(map(int, won)) == rounds
    states = Counter(row.state for row in store.requests(limit=rounds * 2))
    codes = Counter(event.code for event in store.events(limit=rounds * 2))
    assert {f"request.{state.value}": count for state, count in states.items()} == codes
    assert request_id(1) == "R-1"
    store.close()
