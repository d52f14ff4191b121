"""A second reader: tree-sitter's grammar of bash. A command that only it sees puts our reading in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_LANGUAGE = Language(tree_sitter_bash.language())
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-")


def unseen(text: str, seen: Iterable[str]) -> str | None:
    """The name of a command that this reader sees in the text and `seen` lacks; None if there is none.

    Only plainly written names count, and a text that the grammar does not fit says nothing: it is known to
    fail on valid lines."""
    root = Parser(_LANGUAGE).parse(text.encode("utf-8")).root_node
    if root.has_error:
        return None
    ours = Counter(seen)
    for name in _names(root):
        if set(name) <= _PLAIN and not ours[name]:
            return name
    return None


def _names(root: Node) -> Iterator[str]:
    """Names of commands in the tree, without those in the bodies of functions, which perhaps never run."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type == "function_definition":
            continue
        if node.type == "command_name" and node.text is not None:
            yield node.text.decode("utf-8", "replace")
        waiting += node.children
