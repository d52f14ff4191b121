"""How much of a table a statement changes: all of it, or what a condition leaves."""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from broker.gate.sql.tree import DIALECTS


@dataclass(frozen=True, slots=True)
class Breadth:
    """Names of statements (`DELETE`, `UPDATE`) without a WHERE, and of those with a WHERE and no LIMIT."""

    everything: tuple[str, ...] = ()
    unbounded: tuple[str, ...] = ()


def breadth(dialect: str, text: str) -> Breadth:
    """Of all statements in the text; nothing where it is not understood. Never raises."""
    try:
        trees = sqlglot.parse(text, read=DIALECTS[dialect], error_level=ErrorLevel.RAISE)
        changing = [node for tree in trees if tree for node in tree.find_all(exp.Delete, exp.Update)]
    except Exception:  # parser, tokenizer, and whatever else it meets: no opinion
        return Breadth()
    everything = [node.key.upper() for node in changing if not node.args.get("where")]
    unbounded = [
        node.key.upper() for node in changing if node.args.get("where") and not node.args.get("limit")
    ]
    return Breadth(tuple(everything), tuple(unbounded))
