"""SQL: split as the clients do, read-only only where that is certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gate.sql import MYSQL, POSTGRESQL, Splitter, read_sql
from broker.model.command import SqlKind


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (POSTGRESQL, "select 1"),
        (POSTGRESQL, "with a as (select 1) select * from a"),
        (POSTGRESQL, "select $x$; drop table t; $x$"),
        (POSTGRESQL, "explain delete from t"),
        (POSTGRESQL, "copy t to stdout"),
        (POSTGRESQL, "begin; select 1; commit"),
        (POSTGRESQL, "\\d t"),
        (POSTGRESQL, "select 1 \\gx"),
        (MYSQL, "select 'a\\'; drop table t'"),
        (MYSQL, "show tables; # drop table t"),
        (MYSQL, "set names utf8mb4"),
        (MYSQL, "select insert('a', 1, 1, 'b')"),
        (MYSQL, "delimiter //\nselect 1; select 2//"),
    ],
)
def test_what_only_reads(dialect: str, text: str) -> None:
    reading = read_sql(dialect, text)
    assert reading.read_only, reading.reason


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (POSTGRESQL, "with a as (delete from t returning *) select * from a"),
        (POSTGRESQL, "explain (verbose, analyze) delete from t"),
        (POSTGRESQL, "select 1; delete from t"),
        (POSTGRESQL, "select f_write()"),
        (POSTGRESQL, "select public.lower('x')"),
        (POSTGRESQL, "select * from t for no key update"),
        (POSTGRESQL, "select 1 into t"),
        (POSTGRESQL, "do $$ begin end $$"),
        (POSTGRESQL, "copy t to program 'id'"),
        (POSTGRESQL, "select 1 \\g |id"),
        (POSTGRESQL, "\\! id"),
        (POSTGRESQL, "\\copy t to program 'id'"),
        (POSTGRESQL, "\\set x `id`"),
        (POSTGRESQL, "select :x"),
        (POSTGRESQL, "set default_transaction_read_only = off"),
        (POSTGRESQL, "select set_config('transaction_read_only', 'off', false)"),
        (POSTGRESQL, "select 'a"),
        (POSTGRESQL, "nonsense"),
        (MYSQL, "select 1 /*! into outfile '/x' */"),
        (MYSQL, "/*!50000 drop table t */"),
        (MYSQL, "select 1\\G delete from t"),
        (MYSQL, "system id"),
        (MYSQL, "select 1;\nsource x"),
        (MYSQL, "\\! id"),
        (MYSQL, "delimiter //\ndelete from t//"),
        (MYSQL, "set global x = 1"),
        (MYSQL, "call p()"),
        (MYSQL, "select get_lock('a', 1)"),
        ("oracle", "select 1"),
    ],
)
def test_what_may_write(dialect: str, text: str) -> None:
    reading = read_sql(dialect, text)
    assert not reading.read_only
    assert reading.reason


def test_kinds_and_tables() -> None:
    reading = read_sql(POSTGRESQL, "select * from a.b join c on true; drop table d; grant select on e to f")
    assert reading.kinds == {SqlKind.SELECT, SqlKind.DDL, SqlKind.DCL}
    assert reading.tables >= {"a.b", "c", "d"}


def test_statements_over_several_lines() -> None:
    splitter = Splitter(POSTGRESQL)
    assert splitter.feed("select 1,\n") == []
    assert splitter.pending
    pieces = splitter.feed("'a;\n")
    assert pieces == []
    pieces = splitter.feed("b'; select 2; sel")
    assert [piece.ended for piece in pieces] == [True, True]
    assert splitter.pending.strip() == "sel"


def test_nesting_and_length_have_an_end() -> None:
    assert not read_sql(POSTGRESQL, "select " + "(" * 20_000).read_only
    assert not read_sql(POSTGRESQL, "select 1" + " " * 70_000).read_only
    assert not read_sql(POSTGRESQL, "explain " * 200 + "select 1").read_only


@given(st.sampled_from([POSTGRESQL, MYSQL]), st.text(max_size=200))
def test_total_on_any_text(dialect: str, text: str) -> None:
    reading = read_sql(dialect, text)
    assert reading.read_only or reading.reason


FRAGMENTS = [
    "select 1",
    "delete from t",
    ";",
    "'",
    '"',
    "$$",
    "/*",
    "*/",
    "--",
    "\n",
    "\\g",
    "\\;",
    "(",
    ")",
    " ",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(" ".join))
def test_a_statement_behind_another_is_never_lost(text: str) -> None:
    """Where the text before is a whole on its own, a write behind it makes the whole a write."""
    before = read_sql(POSTGRESQL, text)
    if before.read_only:
        assert not read_sql(POSTGRESQL, text + "\n;\ndelete from t").read_only
