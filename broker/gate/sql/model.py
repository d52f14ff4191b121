"""What is found out about SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broker.model.command import SqlKind

_ORDER = list(SqlKind)


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one statement or command. `trusted`: it is read-only although it names a write (EXPLAIN)."""

    read_only: bool
    kind: str
    reason: str = ""
    trusted: bool = False
    doubt: bool = False
    """More could run than the text shows."""


@dataclass(frozen=True, slots=True)
class Reading:
    """About a whole input."""

    read_only: bool
    kinds: frozenset[SqlKind] = frozenset({SqlKind.SELECT})
    tables: frozenset[str] = frozenset()
    """Names in lower case, with their schema where it is written."""
    reason: str = ""
    understood: bool = True
    """False: `tables` may lack some."""
    doubt: str | None = None
    """Why more could run than the text shows; None: nothing else can."""

    @property
    def kind(self) -> SqlKind:
        """The most dangerous one."""
        return max(self.kinds, key=_ORDER.index)


def combined(verdicts: Iterable[Verdict], tables: frozenset[str], understood: bool) -> Reading:
    """Read-only only if each of them is."""
    verdicts = list(verdicts)
    bad = next((verdict for verdict in verdicts if not verdict.read_only), None)
    kinds = frozenset(SqlKind(verdict.kind) for verdict in verdicts) or frozenset({SqlKind.SELECT})
    if bad is None:
        return Reading(True, kinds, tables, understood=understood)
    doubt = next((verdict.reason for verdict in verdicts if verdict.doubt), None)
    return Reading(False, kinds, tables, bad.reason or f"a statement of kind {bad.kind}", understood, doubt)
