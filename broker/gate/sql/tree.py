"""A second opinion: sqlglot's tree of a statement, for its tables and for writes deep inside."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
DIALECTS = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}
_WRITES = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Into,
    exp.Lock,
)


_EXPLAIN = re.compile(
    r"\A\s*(?:explain|describe|desc|analyze)\s+(?:\([^()]*\)\s*|(?:analyze|verbose|extended)\s+)*(?=\w+\s)",
    re.IGNORECASE,
)
_NO_TABLES = re.compile(
    r"\s*(?:show|set|begin|start|pragma|vacuum|detach|commit|rollback|use|help|reset|end|savepoint|release)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Parsed:
    tables: frozenset[str] = frozenset()
    writes: bool = False
    understood: bool = False


def seen_by_parser(dialect: str, text: str) -> Parsed:
    """What the parser sees; nothing if it does not understand the text. Never raises."""
    if _NO_TABLES.match(text):
        return Parsed(understood=True)
    try:
        trees = sqlglot.parse(
            _EXPLAIN.sub("", text, count=1), read=DIALECTS[dialect], error_level=ErrorLevel.RAISE
        )
        tables: set[str] = set()
        writes, understood = False, True
        for tree in trees:
            if tree is None:
                continue
            if isinstance(tree, exp.Command):
                understood = False
            names = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
            for table in tree.find_all(exp.Table):
                name = ".".join(part.name.lower() for part in table.parts if part.name)
                if name and name not in names:
                    tables.add(name)
            writes = writes or any(True for _ in tree.find_all(*_WRITES))
        return Parsed(frozenset(tables), writes, understood)
    except Exception:  # parser, tokenizer, and whatever else it meets: no opinion
        return Parsed()
