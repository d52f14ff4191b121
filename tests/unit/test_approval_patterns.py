"""Patterns of windows, the risk of a request, and what SQL changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gate.sql.breadth import breadth
from broker.model.access import Rule
from broker.model.approval import ApprovalTerms
from broker.model.requests import Matter, RequestKind, RiskLevel
from broker.model.target import CredentialKind, CredentialRef, Dialect, Target
from broker.policy.risk import Facts, factors, level
from broker.services.approvals.facts import OfficeHours, facts
from broker.services.approvals.patterns import fits, pattern_problem


@pytest.mark.parametrize(
    ("pattern", "line", "fit"),
    [
        ("systemctl restart *", "systemctl restart app", True),
        ("systemctl restart *", "systemctl  restart app", True),
        ("systemctl restart *", "systemctl restart app; id", False),
        ("systemctl restart *", "systemctl restart $(id)", False),
        ("systemctl restart *", "systemctl restart app db", False),
        ("systemctl restart *", "systemctl restart --root=x", False),
        ("systemctl restart *", "systemctl restart", False),
        ("systemctl restart *", "sudo systemctl restart app", False),
        ("systemctl restart *", "systemctl restart app\nid", False),
        ("systemctl restart *", "systemctl restart 'app'", False),
        ("systemctl restart *", "systemctl restart ap\u0440", False),
        ("systemctl restart *", "systemctl restart app\\", False),
        ("cat /var/log/*", "cat /var/log/app.log", True),
        ("cat /var/log/*", "cat /var/log/../../etc/shadow", False),
        ("cat /var/log/*", "cat /var/log/a/b", False),
        ("cat /var/log/*.log", "cat /var/log/..log", False),
        ("rm -?", "rm -r", True),
        ("rm ?", "rm -r", False),
        ("a.b", "axb", False),
    ],
)
def test_a_line_fits_only_as_one_command_of_plain_words(pattern: str, line: str, fit: bool) -> None:
    assert fits(pattern, line.encode()) is fit


@given(st.text(alphabet=";&|<>()`$\\\"'\n\r\t*?[]{}~!#", min_size=1), st.integers(0, 30))
def test_no_line_with_a_sign_that_a_shell_acts_on_fits(signs: str, at: int) -> None:
    line = "systemctl restart app"
    assert (
        not fits("systemctl restart *", (line[:at] + signs + line[at:]).strip(" ").encode())
        or not signs.strip()
    )


@pytest.mark.parametrize("pattern", ["", " ", "* restart", "?? x", "rm 'x'", "a;b", "a\nb", "x" * 501, "é"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    assert pattern_problem(pattern)


def test_a_pattern_is_one() -> None:
    assert pattern_problem("systemctl restart app-?") == ""


# ---------------------------------------------------------------- risk

TARGET = Target("prod-1", "h", 22, ("deploy", "root"), CredentialRef(CredentialKind.CA), tags={"env": "prod"})
MATTER = Matter(RequestKind.SESSION, "alice", "prod-1", "deploy", "exec", Rule("r", ""), ApprovalTerms(()))
WEDNESDAY = int(datetime(2026, 11, 25, 12, 0).timestamp()) * 1_000_000


def found(
    target: Target = TARGET, *, at: int = WEDNESDAY, agent: bool = False, first: bool = False, **fields: Any
) -> Facts:
    return facts(replace(MATTER, **fields), target, at=at, hours=OfficeHours(), agent=agent, first_time=first)


def names(facts: Facts) -> list[str]:
    return [one.name for one in factors(facts)]


def test_every_factor_has_its_weight() -> None:
    everything = Facts(
        env="Production", account="root", agent=True, first_time=True, outside_hours=True, opaque="$X",
        writes_all="DELETE", writes_unbounded="UPDATE", schema=True, hidden=2, mixed_scripts=True,
        lasts_s=5 * 3600, break_glass=True,
    )  # fmt: skip
    assert {one.name: one.weight for one in factors(everything)} == {
        "break-glass": 3, "env-prod": 3, "no-where": 3, "hidden-characters": 3, "mixed-scripts": 3,
        "no-limit": 2, "schema": 2, "outside-hours": 2, "opaque": 2, "root": 2,
        "long": 1, "agent": 1, "first-time": 1,
    }  # fmt: skip
    assert factors(Facts()) == ()


def test_the_level_follows_from_the_sum() -> None:
    assert level(factors(Facts())) is RiskLevel.LOW
    assert level(factors(Facts(outside_hours=True))) is RiskLevel.LOW
    assert level(factors(Facts(env="prod"))) is RiskLevel.MED
    assert level(factors(Facts(env="prod", outside_hours=True))) is RiskLevel.MED
    assert level(factors(Facts(env="prod", outside_hours=True, first_time=True))) is RiskLevel.HIGH


def test_facts_are_read_from_the_command() -> None:
    assert names(found(content=b"uptime")) == ["env-prod"]
    assert names(found(content=b'psql -c "DELETE FROM orders"')) == ["env-prod", "no-where"]
    assert names(found(content=b'psql -c "UPDATE t SET a=1 WHERE b=2"')) == ["env-prod", "no-limit"]
    assert names(found(content=b'psql -c "DROP TABLE t"')) == ["env-prod", "schema"]
    assert "opaque" in names(found(content=b"$CMD x"))
    assert "hidden-characters" in names(found(content="echo a\u202eb".encode()))
    assert "mixed-scripts" in names(found(content="cat p\u0430ypal".encode()))
    assert names(found(account="root", agent=True, first=True)) == ["env-prod", "root", "agent", "first-time"]


def test_lines_of_a_database_client_are_read_as_sql() -> None:
    database = replace(TARGET, dialect=Dialect.POSTGRES, tags={})
    held = {"kind": RequestKind.COMMAND, "content": b"DELETE FROM orders WHERE status='x';"}
    assert names(found(database, **held)) == ["no-limit"]


@pytest.mark.parametrize(
    ("when", "outside"),
    [
        ((25, 7, 0), False),
        ((25, 6, 59), True),
        ((25, 18, 59), False),
        ((25, 19, 0), True),
        ((28, 12, 0), True),
    ],
)
def test_office_hours(when: tuple[int, int, int], outside: bool) -> None:
    day, hour, minute = when
    at = int(datetime(2026, 11, day, hour, minute).timestamp()) * 1_000_000
    assert OfficeHours().outside(at) is outside


def test_breadth_of_statements() -> None:
    assert breadth("postgresql", "DELETE FROM a; UPDATE b SET c=1 WHERE d=2").everything == ("DELETE",)
    assert breadth("postgresql", "DELETE FROM a; UPDATE b SET c=1 WHERE d=2").unbounded == ("UPDATE",)
    assert breadth("mysql", "DELETE FROM a WHERE b=1 LIMIT 5").unbounded == ()
    assert breadth("postgresql", "WITH d AS (DELETE FROM a RETURNING 1) SELECT * FROM d").everything == (
        "DELETE",
    )
    assert breadth("postgresql", "this is ) no sql (").everything == ()
