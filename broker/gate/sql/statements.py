"""One statement, by its tokens: its kind, and whether it is read-only."""

from __future__ import annotations

from broker.gate.sql.cursor import END, QUERIES, Cursor, Handler, Tokens
from broker.gate.sql.lexer import MYSQL, POSTGRESQL, SQLITE, Token
from broker.gate.sql.model import Verdict
from broker.gate.sql.mysql import MYSQL_ONLY
from broker.gate.sql.postgresql import POSTGRESQL_ONLY
from broker.gate.sql.queries import query
from broker.gate.sql.sqlite import SQLITE_ONLY
from broker.gate.sql.standard import STANDARD

DEPTH = 12
"""How deep statements may stand in others."""
_HANDLERS: dict[str, dict[str, Handler]] = {
    MYSQL: STANDARD | MYSQL_ONLY,
    POSTGRESQL: STANDARD | POSTGRESQL_ONLY,
    SQLITE: STANDARD | SQLITE_ONLY,
}


def statement(dialect: str, tokens: Tokens, depth: int = 0) -> Verdict:
    """The verdict on one statement."""
    if depth > DEPTH:
        return Verdict(False, "admin", "it is nested too deep", doubt=True)
    found = _statement(dialect, tokens, depth)
    variable = next((token.text for token in tokens if token.kind == "variable"), None)
    if variable is None:
        return found
    pasted = not variable.startswith((":'", ':"', ":{"))
    if found.read_only:
        return Verdict(False, found.kind, f"the client's variable {variable}", doubt=pasted)
    return Verdict(False, found.kind, found.reason, doubt=found.doubt or pasted)


def begins(dialect: str, tokens: Tokens) -> bool:
    """True if the tokens begin as a statement of the dialect does."""
    word = next((token.text for token in tokens if token.kind != "sign"), "")
    return word in QUERIES or word in _HANDLERS[dialect]


def _statement(dialect: str, tokens: Tokens, depth: int) -> Verdict:
    cursor = Cursor(tokens, lambda inner, deep: statement(dialect, inner, deep))
    while cursor.peek() == Token("sign", "("):
        cursor.at += 1
    word = cursor.word()
    if not word and cursor.peek() is END:
        return Verdict(True, "select")
    if word in QUERIES:
        return query(dialect, tokens)
    handler = _HANDLERS[dialect].get(word)
    if handler is None or cursor.at:
        return Verdict(False, "admin", f"{word or 'it'} is not understood", doubt=True)
    cursor.at += 1
    return handler(dialect, cursor, depth)
