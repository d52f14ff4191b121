"""Statements of PostgreSQL (its manual, part VI)."""

from __future__ import annotations

from broker.gate.sql.cursor import END, Cursor, Handler, handlers
from broker.gate.sql.lexer import Token
from broker.gate.sql.model import Verdict
from broker.gate.sql.standard import LOOSE, ON, admin, dcl, ddl, harmless_session

_QUOTING = frozenset({"standard_conforming_strings", "backslash_quote"})


def _set(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    cursor.skip("session", "local")
    words = [token.text.lower() for token in cursor.rest if token.kind != "sign"]
    name = words[0] if words else ""
    if name in {"role", "authorization"} or "write" in words:
        return Verdict(False, "session", "it loosens what the session may do")
    if name in {"default_transaction_read_only", "transaction_read_only"} and words[-1] in ON:
        return Verdict(True, "session")
    if name in LOOSE or name.startswith("default_transaction_read"):
        return Verdict(False, "session", "it loosens what the session may do")
    if name in _QUOTING:
        return Verdict(False, "session", "it changes how quotes are read", doubt=True)
    return Verdict(True, "session")


def _reset(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if cursor.word() in LOOSE | {"all", "session"}:
        return Verdict(False, "session", "it loosens what the session may do")
    return Verdict(True, "session")


def _prepare(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if cursor.word() == "transaction":
        return Verdict(False, "admin", "it prepares a transaction")
    cursor.at += 1
    if cursor.peek() == Token("sign", "("):
        cursor.brackets()
    cursor.skip("as")
    inner = cursor.inner(cursor.rest, depth + 1)
    return Verdict(inner.read_only, inner.kind, inner.reason, doubt=inner.doubt)


def _do(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "admin", "a block of statements", doubt=True)


def _copy(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    cursor.skip("binary")
    inner = Verdict(True, "select")
    if cursor.peek() == Token("sign", "("):
        inner = cursor.inner(cursor.brackets(), depth + 1)
    while cursor.peek() is not END and cursor.word() not in {"from", "to"}:
        cursor.at += 1
    into = cursor.word() == "from"
    cursor.at += 1
    if cursor.word() not in {"stdin", "stdout"}:
        return Verdict(False, "admin", "it reads or writes a file or program of the server")
    if into:
        return Verdict(False, "dml", "it changes data")
    return inner


def _declare(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    while cursor.peek() is not END and cursor.word() != "for":
        cursor.at += 1
    cursor.at += 1
    inner = cursor.inner(cursor.rest, depth + 1)
    return Verdict(inner.read_only, "session" if inner.read_only else inner.kind, inner.reason)


def _notify(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "session", "it acts on other sessions")


def _discard(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if cursor.word() in {"plans", "sequences"}:
        return Verdict(True, "session")
    return Verdict(False, "session", "it loosens what the session may do")


POSTGRESQL_ONLY: dict[str, Handler] = {
    **handlers(ddl, "comment reindex cluster refresh import security"),
    **handlers(dcl, "reassign"),
    **handlers(admin, "vacuum analyze analyse checkpoint repack wait"),
    **handlers(harmless_session, "close fetch move unlisten"),
    **handlers(_notify, "notify listen"),
    "copy": _copy, "declare": _declare, "discard": _discard, "do": _do, "prepare": _prepare, "reset": _reset,
    "set": _set,
}  # fmt: skip
