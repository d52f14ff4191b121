"""One statement, by its tokens: its kind, and whether it is read-only."""

from __future__ import annotations

from collections.abc import Callable

from broker.gate.sql.functions import effect, harmless, runs_text
from broker.gate.sql.lexer import MYSQL, Splitter, Token
from broker.gate.sql.model import Verdict
from broker.gate.text import names

Tokens = list[Token]
_DEPTH = 12
_END = Token("end", "")
_QUERIES = frozenset({"select", "with", "values", "table"})
_WRITES = frozenset({"insert", "update", "delete", "merge", "replace"})
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
_LOOSE = frozenset(
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
_ON = frozenset({"on", "true", "1", "yes"})


class Cursor:
    """The tokens of a statement, one after the other."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self, ahead: int = 0) -> Token:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else _END

    def word(self, ahead: int = 0) -> str:
        token = self.peek(ahead)
        return token.text if token.kind == "word" else ""

    def skip(self, *words: str) -> bool:
        """Step over the next word if it is one of these."""
        if self.word() in words:
            self.at += 1
            return True
        return False

    def brackets(self) -> Tokens:
        """The tokens inside the brackets that open here; steps behind them."""
        depth, start = 0, self.at + 1
        while self.at < len(self.tokens):
            text = self.peek().text if self.peek().kind == "sign" else ""
            depth += {"(": 1, ")": -1}.get(text, 0)
            self.at += 1
            if depth == 0:
                break
        return self.tokens[start : self.at - 1]

    @property
    def rest(self) -> Tokens:
        return self.tokens[self.at :]


def statement(dialect: str, tokens: Tokens, depth: int = 0) -> Verdict:
    """The verdict on one statement."""
    if depth > _DEPTH:
        return Verdict(False, "admin", "it is nested too deep")
    variable = next((token for token in tokens if token.kind == "variable"), None)
    found = _statement(dialect, tokens, depth)
    if variable is not None and found.read_only:
        return Verdict(False, found.kind, f"the client's variable {variable.text}")
    return found


def _statement(dialect: str, tokens: Tokens, depth: int) -> Verdict:
    cursor = Cursor(tokens)
    while cursor.peek() == Token("sign", "("):
        cursor.at += 1
    word = cursor.word()
    if not word and cursor.peek() is _END:
        return Verdict(True, "select")
    if word in _QUERIES:
        return query(dialect, tokens)
    handler = (_MYSQL if dialect == MYSQL else _POSTGRESQL).get(word) or _BOTH.get(word)
    if handler is None or cursor.at:
        return Verdict(False, "admin", f"{word or 'it'} is not understood")
    cursor.at += 1
    return handler(dialect, cursor, depth)


# ---- queries ----


def query(dialect: str, tokens: Tokens) -> Verdict:
    """SELECT, WITH, VALUES, TABLE with everything inside."""
    write = _write_inside(dialect, tokens)
    if write is not None:
        return write
    for at, token in enumerate(tokens):
        following = tokens[at + 1] if at + 1 < len(tokens) else _END
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
    following = tokens[at + 1] if at + 1 < len(tokens) else _END
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
        if token.kind != "word" or token.text not in _WRITES:
            continue
        before = tokens[at - 1] if at else _END
        following = tokens[at + 1] if at + 1 < len(tokens) else _END
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
        before = tokens[at - 1] if at else _END
        if token.kind == "word" and name in _BEFORE_BRACKET:
            continue
        if at in defined or before.is_word("as", "index", "key"):
            continue
        if before == Token("sign", ".") and not (
            at > 1 and tokens[at - 2].text in {"pg_catalog", "information_schema"}
        ):
            return Verdict(False, "select", f"the function {name} is not the server's own")
        if runs_text(name):
            inner = tokens[at + 2] if at + 2 < len(tokens) else _END
            if inner.kind != "string" or not _text_reads(dialect, inner.text):
                return Verdict(False, "select", f"the function {name} runs what it is given")
            continue
        if not harmless(dialect, name):
            return Verdict(False, effect(name), f"the function {name} may change something")
    return Verdict(True, kind)


def _text_reads(dialect: str, text: str) -> bool:
    pieces = Splitter(dialect).feed(text, last=True)
    return all(
        piece.doubt is None
        and piece.command is None
        and statement(dialect, piece.tokens, _DEPTH - 1).read_only
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


# ---- statements of both ----


def _dml(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "dml", "it changes data")


def _admin(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "admin", "it is the server's business")


def _dcl(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "dcl", "it changes rights")


def _ddl(dialect: str, cursor: Cursor, depth: int) -> Verdict:
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


def _explain(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    runs = False
    if dialect != MYSQL and cursor.peek() == Token("sign", "(") and cursor.word(1) not in _QUERIES:
        runs = _explain_options(cursor.brackets())
    else:
        while cursor.word() in {"analyze", "analyse", "verbose", "extended", "partitions", "format"}:
            if cursor.word() == "format":
                cursor.at += 2 if cursor.peek(1).text == "=" else 1
            runs = runs or cursor.word() in {"analyze", "analyse"}
            cursor.at += 1
    if dialect == MYSQL and cursor.word() == "for":
        return Verdict(True, "select")
    if dialect == MYSQL and cursor.word() not in _QUERIES | _WRITES and cursor.peek() != Token("sign", "("):
        return Verdict(not runs, "select", "it is not understood" if runs else "")
    inner = statement(dialect, cursor.rest, depth + 1)
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
            value = options[at + 1] if at + 1 < len(options) else _END
            runs = value.text.lower() not in {"off", "false", "0", "no", "f", "n"} or value.kind == "sign"
    return runs


def _set(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if dialect == MYSQL:
        return _mysql_set(cursor, depth)
    cursor.skip("session", "local")
    words = [token.text.lower() for token in cursor.rest if token.kind != "sign"]
    name = words[0] if words else ""
    if name in {"role", "authorization"} or "write" in words:
        return Verdict(False, "session", "it loosens what the session may do")
    if name in {"default_transaction_read_only", "transaction_read_only"} and words[-1] in _ON:
        return Verdict(True, "session")
    if name in _LOOSE or any(name.startswith(loose) for loose in ("default_transaction_read",)):
        return Verdict(False, "session", "it loosens what the session may do")
    return Verdict(True, "session")


def _reset(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if dialect == MYSQL:
        return Verdict(False, "admin", "it resets something of the server")
    if cursor.word() in _LOOSE | {"all", "session"}:
        return Verdict(False, "session", "it loosens what the session may do")
    return Verdict(True, "session")


def _prepare(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if cursor.word() == "transaction":
        return Verdict(False, "admin", "it prepares a transaction")
    if dialect == MYSQL:
        text = next((token.text for token in cursor.rest if token.kind == "string"), None)
        if text is None:
            return Verdict(False, "admin", "what is prepared is not known")
        pieces = Splitter(dialect).feed(text, last=True)
        found = [statement(dialect, piece.tokens, depth + 1) for piece in pieces]
        return next((verdict for verdict in found if not verdict.read_only), Verdict(True, "session"))
    cursor.at += 1
    if cursor.peek() == Token("sign", "("):
        cursor.brackets()
    cursor.skip("as")
    inner = statement(dialect, cursor.rest, depth + 1)
    return Verdict(inner.read_only, inner.kind, inner.reason)


# ---- PostgreSQL ----


def _copy(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    cursor.skip("binary")
    inner = Verdict(True, "select")
    if cursor.peek() == Token("sign", "("):
        inner = statement(dialect, cursor.brackets(), depth + 1)
    while cursor.peek() is not _END and cursor.word() not in {"from", "to"}:
        cursor.at += 1
    into = cursor.word() == "from"
    cursor.at += 1
    if cursor.word() not in {"stdin", "stdout"}:
        return Verdict(False, "admin", "it reads or writes a file or program of the server")
    if into:
        return Verdict(False, "dml", "it changes data")
    return inner


def _declare(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    while cursor.peek() is not _END and cursor.word() != "for":
        cursor.at += 1
    cursor.at += 1
    inner = statement(dialect, cursor.rest, depth + 1)
    return Verdict(inner.read_only, "session" if inner.read_only else inner.kind, inner.reason)


def _notify(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "session", "it acts on other sessions")


def _harmless_session(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(True, "session")


def _discard(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if cursor.word() in {"plans", "sequences"}:
        return Verdict(True, "session")
    return Verdict(False, "session", "it loosens what the session may do")


# ---- MySQL ----


def _mysql_set(cursor: Cursor, depth: int) -> Verdict:
    words = [token.text.lower() for token in cursor.rest if token.kind == "word"]
    if words[:1] == ["statement"] and "for" in words:
        while cursor.word() != "for":
            cursor.at += 1
        cursor.at += 1
        return statement(MYSQL, cursor.rest, depth + 1)
    if {"global", "persist", "persist_only"} & set(words):
        return Verdict(False, "admin", "it changes the server's settings")
    if words[:1] == ["password"] or words[:2] == ["default", "role"]:
        return Verdict(False, "dcl", "it changes rights")
    if words[:1] == ["role"]:
        return Verdict(False, "session", "it loosens what the session may do")
    if "transaction" in words[:3] and "write" in words:
        return Verdict(False, "session", "it loosens what the session may do")
    for at, token in enumerate(cursor.rest):
        if token.kind in {"word", "name"} and token.text.lower() in _LOOSE | {"transaction_read_only"}:
            value = next((after for after in cursor.rest[at + 1 :] if after.kind != "sign"), _END)
            if not (
                token.text.lower() in {"tx_read_only", "transaction_read_only"} and value.text.lower() in _ON
            ):
                return Verdict(False, "session", "it loosens what the session may do")
    inner = query(MYSQL, cursor.rest)
    return Verdict(inner.read_only, "session" if inner.read_only else inner.kind, inner.reason)


def _do_mysql(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return query(dialect, cursor.rest)


def _handler(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return functions(dialect, cursor.rest)


def _analyze_mysql(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    """MariaDB's ANALYZE of a statement runs it; ANALYZE TABLE stores what it finds."""
    if cursor.word() in {"table", "no_write_to_binlog", "local", "tables"}:
        return Verdict(False, "admin", "it stores statistics")
    if cursor.word() == "format":
        cursor.at += 3
    return statement(dialect, cursor.rest, depth + 1)


def _check(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(cursor.word() in {"table", "tables"}, "select")


def _load(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if dialect == MYSQL and cursor.word() in {"data", "xml"}:
        return Verdict(False, "dml", "it changes data")
    return Verdict(False, "admin", "it loads something into the server")


def _rename(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(False, "dcl" if cursor.word() == "user" else "ddl", "it renames")


def _help(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    return Verdict(True, "select")


Handler = Callable[[str, Cursor, int], Verdict]


def _all(handler: Handler, words: str) -> dict[str, Handler]:
    return dict.fromkeys(words.split(), handler)


_BOTH: dict[str, Handler] = {
    **_all(_dml, "insert update delete replace merge truncate"),
    **_all(_dcl, "grant revoke"),
    **_all(_ddl, "create alter drop"),
    **_all(_session, "begin commit end rollback abort savepoint release"),
    **_all(_admin, "call execute lock"),
    **_all(_harmless_session, "deallocate"),
    "start": _start,
    "show": _show,
    "explain": _explain,
    "set": _set,
    "reset": _reset,
    "prepare": _prepare,
    "load": _load,
}
_POSTGRESQL: dict[str, Handler] = {
    **_all(_ddl, "comment reindex cluster refresh import security"),
    **_all(_dcl, "reassign"),
    **_all(_admin, "vacuum analyze analyse checkpoint do repack wait"),
    **_all(_harmless_session, "close fetch move unlisten"),
    **_all(_notify, "notify listen"),
    "copy": _copy, "declare": _declare, "discard": _discard,
}  # fmt: skip
_MYSQL: dict[str, Handler] = {
    **_all(
        _admin,
        "optimize repair flush purge change stop install uninstall kill shutdown restart binlog "
        "clone cache xa signal resignal import backup",
    ),
    **_all(_harmless_session, "unlock use get"),
    **_all(_explain, "describe desc"),
    "do": _do_mysql,
    "handler": _handler,
    "analyze": _analyze_mysql,
    "check": _check,
    "checksum": _check,
    "rename": _rename,
    "help": _help,
}
