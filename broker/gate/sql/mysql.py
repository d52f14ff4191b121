"""Statements of MySQL and MariaDB (their manuals, "SQL Statements")."""

from __future__ import annotations

from broker.gate.sql.cursor import END, Cursor, Handler, handlers
from broker.gate.sql.lexer import MYSQL, Splitter
from broker.gate.sql.model import Verdict
from broker.gate.sql.queries import functions, query
from broker.gate.sql.standard import LOOSE, ON, admin, explain, harmless_session

_QUOTING = ("ansi", "no_backslash_escapes", "oracle", "mssql", "postgresql", "db2", "maxdb")


def _set(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    words = [token.text.lower() for token in cursor.rest if token.kind == "word"]
    if words[:1] == ["statement"] and "for" in words:
        while cursor.word() != "for":
            cursor.at += 1
        cursor.at += 1
        return cursor.inner(cursor.rest, depth + 1)
    if {"global", "persist", "persist_only"} & set(words):
        return Verdict(False, "admin", "it changes the server's settings")
    if words[:1] == ["password"] or words[:2] == ["default", "role"]:
        return Verdict(False, "dcl", "it changes rights")
    if words[:1] == ["role"]:
        return Verdict(False, "session", "it loosens what the session may do")
    if "transaction" in words[:3] and "write" in words:
        return Verdict(False, "session", "it loosens what the session may do")
    for at, token in enumerate(cursor.rest):
        if token.kind in {"word", "name"} and token.text.lower() in LOOSE | {"transaction_read_only"}:
            value = next((after for after in cursor.rest[at + 1 :] if after.kind != "sign"), END)
            if not (
                token.text.lower() in {"tx_read_only", "transaction_read_only"} and value.text.lower() in ON
            ):
                return Verdict(False, "session", "it loosens what the session may do")
    if any(token.is_word("sql_mode") for token in cursor.rest) and any(
        mode in token.text.lower() for token in cursor.rest for mode in _QUOTING
    ):
        return Verdict(False, "session", "it changes how quotes are read", doubt=True)
    inner = query(MYSQL, cursor.rest)
    return Verdict(inner.read_only, "session" if inner.read_only else inner.kind, inner.reason)


def _reset(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "admin", "it resets something of the server")


def _prepare(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    text = next((token.text for token in cursor.rest if token.kind == "string"), None)
    if text is None:
        return Verdict(False, "admin", "what is prepared is not known", doubt=True)
    pieces = Splitter(MYSQL).feed(text, last=True)
    found = [cursor.inner(piece.tokens, depth + 1) for piece in pieces]
    return next((verdict for verdict in found if not verdict.read_only), Verdict(True, "session"))


def _do(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return query(dialect, cursor.rest)


def _handler(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return functions(dialect, cursor.rest)


def _analyze(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    """MariaDB's ANALYZE of a statement runs it; ANALYZE TABLE stores what it finds."""
    if cursor.word() in {"table", "no_write_to_binlog", "local", "tables"}:
        return Verdict(False, "admin", "it stores statistics")
    if cursor.word() == "format":
        cursor.at += 3
    return cursor.inner(cursor.rest, depth + 1)


def _check(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(cursor.word() in {"table", "tables"}, "select")


def _rename(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "dcl" if cursor.word() == "user" else "ddl", "it renames")


def _help(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(True, "select")


MYSQL_ONLY: dict[str, Handler] = {
    **handlers(
        admin,
        "optimize repair flush purge change stop install uninstall kill shutdown restart binlog "
        "clone cache xa signal resignal import backup",
    ),
    **handlers(harmless_session, "unlock use get"),
    **handlers(explain, "describe desc"),
    "do": _do, "handler": _handler, "analyze": _analyze, "check": _check, "checksum": _check,
    "rename": _rename, "help": _help, "set": _set, "reset": _reset, "prepare": _prepare,
}  # fmt: skip
