"""The facts about a request that its risk is computed from."""

from __future__ import annotations

import time
from dataclasses import dataclass

from broker.gate.shell import parse
from broker.gate.sql import MYSQL, POSTGRESQL, read_sql
from broker.gate.sql.breadth import breadth
from broker.model.command import SqlKind
from broker.model.display import drawn
from broker.model.requests import Matter, RequestKind
from broker.model.target import Dialect, Target
from broker.policy.risk import Facts

_DIALECT = {Dialect.POSTGRES: POSTGRESQL, Dialect.MYSQL: MYSQL}
_SCHEMA = frozenset({SqlKind.DDL, SqlKind.DCL, SqlKind.ADMIN})


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """Minutes since midnight, `start` included, `end` not; Monday to Friday, in the broker's time zone."""

    start: int = 7 * 60
    end: int = 19 * 60

    def outside(self, at: int) -> bool:
        """`at`: microseconds since the epoch."""
        local = time.localtime(at / 1_000_000)
        minutes = local.tm_hour * 60 + local.tm_min
        return local.tm_wday >= 5 or not self.start <= minutes < self.end


def facts(
    matter: Matter, target: Target, *, at: int, hours: OfficeHours, agent: bool, first_time: bool
) -> Facts:
    """What is known now. `matter.content` is read as the target's dialect, a pattern not at all."""
    shown = drawn(matter.content)
    opaque, sql = _reading(matter, target)
    broad = [breadth(dialect, text) for dialect, text in sql]
    kinds = {kind for dialect, text in sql for kind in read_sql(dialect, text).kinds}
    everything = sorted({name for one in broad for name in one.everything})
    unbounded = sorted({name for one in broad for name in one.unbounded})
    return Facts(
        env=target.tags.get("env", ""),
        account=matter.account,
        agent=agent,
        first_time=first_time,
        outside_hours=hours.outside(at),
        opaque=opaque,
        writes_all=", ".join(everything),
        writes_unbounded="" if everything else ", ".join(unbounded),
        schema=not _SCHEMA.isdisjoint(kinds),
        hidden=shown.hidden,
        mixed_scripts=bool(shown.scripts),
        lasts_s=matter.lasts_s,
        break_glass=matter.kind is RequestKind.REVIEW,
    )


def _reading(matter: Matter, target: Target) -> tuple[str, list[tuple[str, str]]]:
    """Why it cannot be read for certain, and the SQL in it with its dialect."""
    if not matter.content or matter.kind in (RequestKind.WINDOW, RequestKind.REVIEW):
        return "", []
    if target.dialect in _DIALECT and matter.kind is RequestKind.COMMAND:
        return "", [(_DIALECT[target.dialect], matter.content.decode("utf-8", "replace"))]
    line = parse(matter.content)
    sql = [(one.dialect, one.text) for command in line.commands for one in command.sql if one.text]
    return line.opaque or "", sql
