"""Finding targets: what matches, and what comes first."""

from __future__ import annotations

import pytest

from broker.wire.messages import AccountView, TargetView
from tests.tui.wire_server import account, target
from tui.screens import matching

TARGETS = [
    target("db-prod-42", account("app")),
    target("db-prod-429", account("app")),
    target("db-prod-5", account("app")),
    target("web-1", account("deploy"), account("root", "DENY"), env="stg", note="proxy for db", owner="web"),
    target("kafka-2", account("kafka"), env="lab", owner="data", address="10.9.8.7"),
    target("kafka-10", account("kafka"), env="lab", owner="data", ago=1),
]


def found(query: str, targets: list[TargetView] = TARGETS) -> list[str]:
    return [row.target.name for row in matching.search([matching.row(t) for t in targets], query)]


@pytest.mark.parametrize(("query", "names"), [
    ("", ["kafka-10", "db-prod-5", "db-prod-42", "db-prod-429", "kafka-2", "web-1"]),
    ("kafka", ["kafka-10", "kafka-2"]),
    ("KAFKA", ["kafka-10", "kafka-2"]),
    ("dbprd42", ["db-prod-42", "db-prod-429"]),
    ("prod 42", ["db-prod-42", "db-prod-429"]),
    ("db", ["db-prod-5", "db-prod-42", "db-prod-429", "web-1"]),
    ("db-prod-42", ["db-prod-42", "db-prod-429"]),
    ("10.9.8", ["kafka-2"]),
    ("env:stg", ["web-1"]),
    ("owner:data kafka-2", ["kafka-2"]),
    ("acct:root", ["web-1"]),
    ("account:root", ["web-1"]),
    ("access:deny", ["web-1"]),
    ("prxy", ["web-1"]),
    ("zzz", []),
    ("env:nowhere", []),
    ("(.*", []),
])  # fmt: skip
def test_search(query: str, names: list[str]) -> None:
    assert found(query) == names


def test_letters_in_order_elsewhere_count_only_where_nothing_better_is_found() -> None:
    assert "web-1" in found("prxy")
    assert found("prx", [*TARGETS, target("prx-1")]) == ["prx-1"]


def test_a_match_never_spans_two_fields() -> None:
    assert found("dataowner") == []


@pytest.mark.parametrize(("states", "shown"), [
    (["OK", "OK"], "a0"), (["DENY", "OK"], "a1"), (["DENY", "REASON"], "a1"), (["DENY", "DENY"], "a0"),
])  # fmt: skip
def test_the_account_shown_is_the_first_that_may_be_opened(states: list[str], shown: str) -> None:
    accounts = [AccountView(f"a{n}", state, "", "", "") for n, state in enumerate(states)]
    assert matching.row(target("t", *accounts)).account.name == shown


def test_asking_for_an_account_shows_it() -> None:
    rows = matching.search([matching.row(t) for t in TARGETS], "acct:root")
    assert rows[0].account == account("root", "DENY")


def test_a_target_without_accounts_is_shown_as_denied() -> None:
    bare = TargetView("t", "h", 22, [], {}, "", "shell", None, 0)
    assert matching.row(bare).account == matching.NO_ACCOUNT


def test_hostile_queries_do_not_explode() -> None:
    """A pattern that backtracks would not end within the lifetime of this test."""
    rows = [matching.row(target("a" * 200, note="ab" * 2_000))]
    assert matching.search(rows, "a" * 60 + "z") == []
