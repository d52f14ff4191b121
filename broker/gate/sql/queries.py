"""Queries, and the functions that are called in any statement."""

from __future__ import annotations

from broker.gate.sql.cursor import END, WRITES, Cursor, Tokens
from broker.gate.sql.functions import effect, harmless, runs_more, runs_text
from broker.gate.sql.lexer import MYSQL, Splitter, Token
from broker.gate.sql.model import Verdict
from broker.gate.text import names

_BEFORE_BRACKET = names(
    """select from where and or not in as on using join inner left right full outer cross natural lateral
    union except intersect all distinct any some exists case when then else end between like ilike
    similar is null values table with recursive materialized order group by having limit offset fetch
    first next only partition over filter within window rows range groups return returning set into
    array row cube rollup sets grouping numeric decimal dec varchar character char bit varying float
    time timestamp timestamptz interval double precision integer int bigint smallint tinyint binary
    varbinary text blob enum date datetime year signed unsigned nchar national explain analyze analyse
    verbose buffers format costs div mod xor regexp rlike escape collate at zone for of share update
    nowait skip locked key use force ignore index tablesample bernoulli system repeatable against match
    columns path nested ordinality straight_join high_priority sql_no_cache sql_cache
    sql_calc_found_rows do sounds uescape begin extract separator percent ties wait to option declare
    cursor"""
)
"""Words that may stand before a bracket and are no function there."""


def query(dialect: str, tokens: Tokens) -> Verdict:
    """SELECT, WITH, VALUES, TABLE with everything inside."""
    write = _write_inside(dialect, tokens)
    if write is not None:
        return write
    for at, token in enumerate(tokens):
        following = tokens[at + 1] if at + 1 < len(tokens) else END
        if token.is_word("into") and not _in_call(tokens, at, "position"):
            return _into(dialect, tokens, at)
        if token.is_word("for") and following.is_word("update", "share", "no", "key"):
            return Verdict(False, "select", "it locks rows")
        if token.is_word("lock") and following.is_word("in"):
            return Verdict(False, "select", "it locks rows")
        if token.is_word("next") and following.is_word("value"):
            return Verdict(False, "dml", "it advances a sequence")
    return functions(dialect, tokens)


def _in_call(tokens: Tokens, at: int, name: str) -> bool:
    return any(tokens[back].is_word(name) for back in range(max(0, at - 3), at))


def _into(dialect: str, tokens: Tokens, at: int) -> Verdict:
    if dialect != MYSQL:
        return Verdict(False, "ddl", "SELECT INTO makes a table")
    following = tokens[at + 1] if at + 1 < len(tokens) else END
    if following.is_word("outfile", "dumpfile"):
        return Verdict(False, "admin", "it writes a file of the server")
    if following == Token("sign", "@"):
        return functions(dialect, tokens)
    return Verdict(False, "select", "what INTO sets is not known")


def _write_inside(dialect: str, tokens: Tokens) -> Verdict | None:
    """A write in a common table expression, or behind them."""
    depth = 0
    with_at = tokens[0].is_word("with") if tokens else False
    for at, token in enumerate(tokens):
        if token.kind == "sign":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind != "word" or token.text not in WRITES:
            continue
        before = tokens[at - 1] if at else END
        following = tokens[at + 1] if at + 1 < len(tokens) else END
        opens = before == Token("sign", "(") and following != Token("sign", "(")
        main = with_at and depth == 0 and before == Token("sign", ")")
        if opens or main:
            return Verdict(False, "dml", f"it holds {token.text.upper()}")
    return None


def functions(dialect: str, tokens: Tokens, kind: str = "select") -> Verdict:
    """Whether every function that is called is one of the server's own that change nothing."""
    defined = _defined(tokens)
    for at, token in enumerate(tokens[:-1]):
        if tokens[at + 1] != Token("sign", "(") or token.kind not in {"word", "name"}:
            continue
        name = token.text
        before = tokens[at - 1] if at else END
        if token.kind == "word" and name in _BEFORE_BRACKET:
            continue
        if at in defined or before.is_word("as", "index", "key"):
            continue
        if before == Token("sign", ".") and not (
            at > 1 and tokens[at - 2].text in {"pg_catalog", "information_schema"}
        ):
            return Verdict(False, "select", f"the function {name} is not the server's own")
        if runs_text(name):
            inner = tokens[at + 2] if at + 2 < len(tokens) else END
            if inner.kind != "string" or not _text_reads(dialect, inner.text):
                return Verdict(False, "select", f"the function {name} runs what it is given", doubt=True)
            continue
        if not harmless(dialect, name):
            reason = f"the function {name} may change something"
            return Verdict(False, effect(name), reason, doubt=runs_more(name))
    return Verdict(True, kind)


def _text_reads(dialect: str, text: str) -> bool:
    from broker.gate.sql.statements import DEPTH, statement  # it reads queries with this module

    pieces = Splitter(dialect).feed(text, last=True)
    return all(
        piece.doubt is None
        and piece.command is None
        and statement(dialect, piece.tokens, DEPTH - 1).read_only
        for piece in pieces
    )


def _defined(tokens: Tokens) -> set[int]:
    """Places of names that a WITH defines, or of aliases, with a list of columns in brackets."""
    found: set[int] = set()
    for at in range(1, len(tokens) - 1):
        if tokens[at + 1] != Token("sign", "("):
            continue
        before = tokens[at - 1]
        if before.is_word("with", "recursive", "as") or before == Token("sign", ","):
            cursor = Cursor(tokens)
            cursor.at = at + 1
            cursor.brackets()
            if before.is_word("as") or (
                cursor.word() == "as" and cursor.peek(1).text in {"(", "materialized", "not"}
            ):
                found.add(at)
    return found
