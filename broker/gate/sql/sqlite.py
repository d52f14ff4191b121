"""Statements of SQLite (https://sqlite.org/lang.html)."""

from __future__ import annotations

from broker.gate.sql.cursor import END, Cursor, Handler, handlers
from broker.gate.sql.model import Verdict
from broker.gate.sql.standard import admin, ddl, explain
from broker.gate.text import names

_LOOKING = names(
    """application_id cell_size_check collation_list compile_options data_version database_list encoding
    foreign_key_check foreign_key_list foreign_keys freelist_count function_list index_info index_list
    index_xinfo integrity_check journal_mode locking_mode max_page_count mmap_size module_list page_count
    page_size pragma_list query_only quick_check recursive_triggers schema_version stats synchronous
    table_info table_list table_xinfo temp_store threads user_version wal_autocheckpoint cache_size
    busy_timeout auto_vacuum automatic_index case_sensitive_like"""
)
_NAMED = names(
    """foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check quick_check
    table_info table_list table_xinfo"""
)
"""They take the name of what is looked at; with another pragma a value is set."""


def _pragma(dialect: str, cursor: Cursor, depth: int) -> Verdict:
    if cursor.peek(1).text == ".":
        cursor.at += 2
    name = cursor.word()
    cursor.at += 1
    if name == "query_only" and [token.text for token in cursor.rest[1:2]] in (["1"], ["on"], ["true"]):
        return Verdict(True, "session")
    if name in _LOOKING and (cursor.peek() is END or name in _NAMED):
        return Verdict(True, "session")
    return Verdict(False, "admin", f"it sets {name or 'something'}")


SQLITE_ONLY: dict[str, Handler] = {
    **handlers(admin, "attach detach vacuum analyze"),
    **handlers(ddl, "reindex"),
    "explain": explain,
    "pragma": _pragma,
}
