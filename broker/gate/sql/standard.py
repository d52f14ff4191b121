"""Statements that the servers have in common."""

from __future__ import annotations

from broker.gate.sql.cursor import END, QUERIES, WRITES, Cursor, Handler, Tokens, handlers
from broker.gate.sql.lexer import MYSQL, SQLITE, Token
from broker.gate.sql.model import Verdict
from broker.gate.sql.queries import functions

LOOSE = frozenset(
    {
        "default_transaction_read_only",
        "transaction_read_only",
        "session_replication_role",
        "row_security",
        "role",
        "session_authorization",
        "allow_system_table_mods",
        "session_preload_libraries",
        "local_preload_libraries",
        "dynamic_library_path",
        "lo_compat_privileges",
        "zero_damaged_pages",
        "ignore_checksum_failure",
        "tx_read_only",
        "sql_log_bin",
        "sql_log_off",
        "pseudo_slave_mode",
        "pseudo_thread_id",
        "password",
        "gtid_next",
        "log_statement",
        "temp_file_limit",
        "event_triggers",
    }
)
"""Settings that loosen what protects the server or the data."""
ON = frozenset({"on", "true", "1", "yes"})


def dml(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "dml", "it changes data")


def admin(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "admin", "it is the server's business")


def dcl(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "dcl", "it changes rights")


def ddl(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    words = {token.text for token in cursor.rest if token.kind == "word"}
    first = cursor.word()
    while first in {
        "or",
        "replace",
        "if",
        "not",
        "exists",
        "global",
        "local",
        "temporary",
        "temp",
        "definer",
        "unique",
    } and cursor.at < len(cursor.tokens):
        cursor.at += 1
        first = cursor.word()
    if first in {"role", "user", "group", "default", "owned"} or (
        first and "owner" in words and "to" in words
    ):
        return Verdict(False, "dcl", "it changes roles or rights")
    if first in {"system", "subscription", "instance"} or "soname" in words:
        return Verdict(False, "admin", "it changes the server")
    return Verdict(False, "ddl", "it changes the schema")


def _session(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    words = [token.text for token in cursor.rest if token.kind == "word"]
    if "prepared" in words:
        return Verdict(False, "admin", "it ends a prepared transaction")
    if "write" in words:
        return Verdict(False, "session", "it asks for writing")
    if words[:1] == ["not"]:
        return Verdict(False, "admin", "a block of statements")
    return Verdict(True, "session")


def _start(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if cursor.word() == "transaction":
        return _session(dialect, cursor, depth)
    return Verdict(False, "admin", "it starts something on the server")


def _show(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return functions(dialect, cursor.rest)


def explain(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    runs = False
    if dialect == SQLITE and cursor.skip("query"):
        cursor.skip("plan")
    if dialect != MYSQL and cursor.peek() == Token("sign", "(") and cursor.word(1) not in QUERIES:
        runs = _explain_options(cursor.brackets())
    else:
        while cursor.word() in {"analyze", "analyse", "verbose", "extended", "partitions", "format"}:
            if cursor.word() == "format":
                cursor.at += 2 if cursor.peek(1).text == "=" else 1
            runs = runs or cursor.word() in {"analyze", "analyse"}
            cursor.at += 1
    if dialect == MYSQL and cursor.word() == "for":
        return Verdict(True, "select")
    if dialect == MYSQL and cursor.word() not in QUERIES | WRITES and cursor.peek() != Token("sign", "("):
        return Verdict(not runs, "select", "it is not understood" if runs else "")
    inner = cursor.inner(cursor.rest, depth + 1)
    if runs:
        return inner
    if cursor.word() == "explain" or (
        inner.kind == "admin" and cursor.word() not in {"execute", "declare", "create", "refresh", "call"}
    ):
        return Verdict(False, "select", "it is not understood")
    return Verdict(True, "select", trusted=True)


def _explain_options(options: Tokens) -> bool:
    runs = False
    for at, token in enumerate(options):
        if token.is_word("analyze", "analyse"):
            value = options[at + 1] if at + 1 < len(options) else END
            runs = value.text.lower() not in {"off", "false", "0", "no", "f", "n"} or value.kind == "sign"
    return runs


def _load(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if dialect == MYSQL and cursor.word() in {"data", "xml"}:
        return Verdict(False, "dml", "it changes data")
    return Verdict(False, "admin", "it loads something into the server")


def harmless_session(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    """It concerns the own session alone."""
    return Verdict(True, "session")


STANDARD: dict[str, Handler] = {
    **handlers(dml, "insert update delete replace merge truncate"),
    **handlers(dcl, "grant revoke"),
    **handlers(ddl, "create alter drop"),
    **handlers(_session, "begin commit end rollback abort savepoint release"),
    **handlers(admin, "call execute lock"),
    **handlers(harmless_session, "deallocate"),
    "start": _start,
    "show": _show,
    "explain": explain,
    "load": _load,
}
