"""Lines typed into real programs of a real session: psql, mariadb, sqlite3, Python, and back in the shell."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.world.accounts import Account, Accounts
from tests.world.broker import Broker
from tests.world.databases import MariaDB, PostgreSQL
from tests.world.keys import KeyPair
from tests.world.sshd import Sshd
from tests.world.terminal import Pty

pytestmark = pytest.mark.root

POLICY = """\
version: 1
policies:
  - name: lab
    who: {users: [alice]}
    targets: {names: "*"}
    accounts: ["*"]
    channels: [shell, exec]
    commands:
      - name: no-touch
        deny: {program: touch}
        reason: touch is not for this host
      - name: no-ddl
        deny: {sql: [ddl]}
        reason: tables stay as they are
"""
REFUSED = r"(?:BLOCKED|NOT SENT)[^\r\n]*"


@pytest.fixture
def account(accounts: Accounts) -> Account:
    return accounts.add("readers", shell="/bin/bash")


@pytest.fixture
def gated(broker: Broker, sshd: Sshd, account: Account, user_key: KeyPair, target_key: KeyPair) -> Broker:
    """A broker with two rules and a target with one account."""
    broker.target("lab", sshd, accounts=[account.name])
    broker.policy("lab", POLICY)
    broker.cli("users", "add", "alice", "--key", str(user_key.path) + ".pub")
    broker.cli("secrets", "add", "lab", "--kind", "private-key", "--file", str(target_key.path))
    return broker.start()


@pytest.fixture
def enter(gated: Broker, user_key: KeyPair) -> Iterator[Callable[..., Pty]]:
    opened: list[Pty] = []

    def open_session(*command: str) -> Pty:
        terminal = gated.client("lab", user_key).pty(*command)
        opened.append(terminal)
        return terminal

    yield open_session
    for terminal in opened:
        terminal.close()


def type_line(terminal: Pty, line: str, answer: str) -> None:
    """Type a line and wait for what comes of it."""
    terminal.send(line.encode() + b"\r")
    terminal.expect(answer)


def refused(terminal: Pty, line: str, why: str = "") -> None:
    type_line(terminal, line, REFUSED + why)


def leave(terminal: Pty, account: Account) -> None:
    """Back at the shell: its next line is a shell's line."""
    terminal.expect(r"target\$ ")
    type_line(terminal, "select-is-no-command; echo ba''ck", r"[\r\n]back\r")
    terminal.expect(r"target\$ ")
    type_line(terminal, "touch left-file", r"BLOCKED  touch is not for this host \(rule no-touch[^)]*\)")
    terminal.send(b"exit\r")
    terminal.wait()
    assert not (account.home / "left-file").exists()


def test_psql_in_a_session_that_began_in_bash(
    enter: Callable[..., Pty], account: Account, postgresql: PostgreSQL
) -> None:
    terminal = enter()
    terminal.expect(r"target\$ ")
    type_line(terminal, f"export PAGER=cat; {postgresql.command}", r"shop=# ")
    type_line(terminal, "SELECT 'n=' || count(*) FROM orders;", r"n=1\r")
    terminal.expect(r"shop=# ")
    refused(terminal, "DROP TABLE orders;", r"tables stay as they are")
    terminal.expect(r"shop=# ")
    type_line(terminal, "SELECT 'joined' || '-' ||", r"shop-# ")
    type_line(terminal, "name FROM orders;", r"joined-ok\r")
    terminal.expect(r"shop=# ")
    type_line(terminal, "DROP TABLE", r"shop-# ")
    refused(terminal, "orders;", r"tables stay as they are")
    terminal.send(b"\x03")
    terminal.expect(r"shop=# ")
    refused(terminal, "\\! touch psql-file", r"touch is not for this host")
    terminal.expect(r"shop=# ")
    type_line(terminal, "\\! echo sh''ell", r"[\r\n]shell\r")
    terminal.expect(r"shop=# ")
    terminal.send(b"\\q\r")
    leave(terminal, account)
    assert postgresql.run("SELECT count(*) FROM orders") == "1"
    assert not (account.home / "psql-file").exists()


def test_a_blocked_statement_can_be_edited_and_run(enter: Callable[..., Pty], postgresql: PostgreSQL) -> None:
    terminal = enter()
    terminal.expect(r"target\$ ")
    type_line(terminal, f"export PAGER=cat; {postgresql.command}", r"shop=# ")
    refused(terminal, "DROP TABLE orders;")
    terminal.expect(r"shop=# ")
    terminal.send(b"\x1b[A")
    terminal.expect(r"DROP TABLE orders;")
    terminal.send(b"\x01" + b"\x1b[3~" * len("DROP TABLE") + b"TABLE\r")
    terminal.expect(r"\(1 row\)")
    terminal.expect(r"shop=# ")
    terminal.send(b"\\q\r")
    terminal.expect(r"target\$ ")


@pytest.mark.parametrize("dialect", ["postgres", "shell"])
def test_a_target_that_is_psql(
    dialect: str,
    gated: Broker,
    enter: Callable[..., Pty],
    sshd: Sshd,
    account: Account,
    postgresql: PostgreSQL,
) -> None:
    gated.target("lab", sshd, accounts=[account.name], start=postgresql.command, dialect=dialect)
    gated.restart()
    terminal = enter()
    terminal.expect(r"shop=# ")
    type_line(terminal, "SELECT 'n=' || count(*) FROM orders;", r"n=1 *\r")
    terminal.send(b"q")
    terminal.expect(r"shop=# ")
    terminal.send(b"\x15")
    refused(terminal, "DROP TABLE orders;", r"tables stay as they are")
    terminal.expect(r"shop=# ")
    refused(terminal, "\\! touch psql-file", r"touch is not for this host")
    terminal.expect(r"shop=# ")
    terminal.send(b"\\q\r")
    assert terminal.wait() == 0
    assert postgresql.run("SELECT count(*) FROM orders") == "1"
    assert not (account.home / "psql-file").exists()


def test_mariadb(enter: Callable[..., Pty], account: Account, mariadb: MariaDB) -> None:
    terminal = enter()
    terminal.expect(r"target\$ ")
    type_line(terminal, mariadb.command, r"\[shop\]> ")
    type_line(terminal, "SELECT concat('n=', count(*)) FROM orders;", r"n=1 ")
    terminal.expect(r"\[shop\]> ")
    refused(terminal, "DROP TABLE orders;", r"tables stay as they are")
    terminal.expect(r"\[shop\]> ")
    type_line(terminal, "SELECT concat('joined-',", r"-> ")
    type_line(terminal, "name) FROM orders;", r"joined-ok ")
    terminal.expect(r"\[shop\]> ")
    for line in ("system touch my-file", "\\! touch my-file"):
        refused(terminal, line, r"touch is not for this host")
        terminal.expect(r"\[shop\]> ")
    type_line(terminal, "system echo sh''ell", r"[\r\n]shell\r")
    terminal.expect(r"\[shop\]> ")
    terminal.send(b"exit\r")
    leave(terminal, account)
    assert mariadb.run("SELECT count(*) FROM orders") == "1"
    assert not (account.home / "my-file").exists()


def test_sqlite3(enter: Callable[..., Pty], account: Account) -> None:
    terminal = enter()
    terminal.expect(r"target\$ ")
    type_line(terminal, "sqlite3 -batch shop.db 'INSERT INTO t VALUES (1)'; sqlite3 shop.db", r"sqlite> ")
    type_line(terminal, "SELECT 'n=' || 40 + 2, 'x' || 'y';", r"xy\r")
    terminal.expect(r"sqlite> ")
    refused(terminal, "CREATE TABLE t (x);", r"tables stay as they are")
    terminal.expect(r"sqlite> ")
    refused(terminal, ".shell touch lite-file", r"touch is not for this host")
    terminal.expect(r"sqlite> ")
    type_line(terminal, ".system echo sh''ell", r"[\r\n]shell\r")
    terminal.expect(r"sqlite> ")
    terminal.send(b".quit\r")
    leave(terminal, account)
    assert not (account.home / "lite-file").exists()


def test_python(enter: Callable[..., Pty], account: Account) -> None:
    """The interpreter of the system: the one on this PATH may be a wrapper of the tests."""
    python = shutil.which("python3", path="/usr/bin")
    terminal = enter()
    terminal.expect(r"target\$ ")
    type_line(terminal, f"{python} -q", r">>> ")
    type_line(terminal, "import os, json", r">>> ")
    type_line(terminal, "print('n=%d' % (40 + 2))", r"[\r\n]n=42\r")
    terminal.expect(r">>> ")
    refused(terminal, "os.system('touch py-file')", r"touch is not for this host")
    terminal.expect(r">>> ")
    refused(terminal, "getattr(os, 'sys' + 'tem')('touch py-file')", r"can run anything")
    terminal.expect(r">>> ")
    type_line(terminal, "for i in range(2):", r"\.\.\. ")
    type_line(terminal, "    print('i=%d' % i)", r"\.\.\. ")
    type_line(terminal, "", r"i=0\r\ni=1\r")
    terminal.expect(r">>> ")
    terminal.send(b"exit()\r")
    leave(terminal, account)
    assert not (account.home / "py-file").exists()


def test_sql_from_a_stream_is_judged_before_it_is_passed_on(
    gated: Broker, user_key: KeyPair, postgresql: PostgreSQL
) -> None:
    client = gated.client("lab", user_key)
    done = client.run(
        postgresql.command + " -At", input=b"SELECT 'one';\nDROP\nTABLE orders;\nSELECT 'two';\n"
    )
    assert done.stdout.split() == [b"one"]
    assert b"[E-DENIED] tables stay as they are (rule no-ddl, lab.yaml:" in done.stderr
    assert done.returncode == 77
    assert postgresql.run("SELECT count(*) FROM orders") == "1"


def test_aliases_and_functions_that_were_typed_count_later(
    enter: Callable[..., Pty], account: Account
) -> None:
    terminal = enter()
    terminal.expect(r"target\$ ")
    for line in ("alias t=touch", "f() { $1 fun-file; }", "x=touch"):
        terminal.send(line.encode() + b"\r")
        terminal.expect(r"target\$ ")
    for line in ("t alias-file", "f touch", "$x var-file"):
        refused(terminal, line, r"touch is not for this host")
        terminal.expect(r"target\$ ")
    type_line(terminal, "for i in a b", r"> ")
    type_line(terminal, 'do echo "it=$i"', r"> ")
    type_line(terminal, "done", r"it=a\r\nit=b\r")
    terminal.expect(r"target\$ ")
    terminal.send(b"exit\r")
    assert terminal.wait() == 0
    made: set[Path] = {path for path in account.home.iterdir() if path.name.endswith("-file")}
    assert made == set()
