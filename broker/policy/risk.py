"""How risky something is that somebody is asked to approve: factors with weights, and a level from their sum.

`docs/approvals.md` lists them. It advises those who decide, and says how much they have to type; it never
decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.model.requests import RiskFactor, RiskLevel

MED, HIGH = 3, 6
"""The least score of each level."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a request when it is opened."""

    env: str = ""
    """The target's tag `env`."""
    account: str = ""
    agent: bool = False
    first_time: bool = False
    """The user had no session on this target before."""
    outside_hours: bool = False
    opaque: str = ""
    """Why the command cannot be read for certain."""
    writes_all: str = ""
    """A statement that changes every row of a table: `DELETE`."""
    writes_unbounded: str = ""
    """One with a WHERE and no LIMIT."""
    schema: bool = False
    """SQL that changes tables, rights or the server."""
    hidden: int = 0
    """Characters that cannot be seen, or mislead."""
    mixed_scripts: bool = False
    lasts_s: int | None = None
    break_glass: bool = False


LONG_S = 4 * 3600
"""A grant beyond this is long."""


def factors(facts: Facts) -> tuple[RiskFactor, ...]:
    """Those that hold, the heaviest first."""
    table = [
        (facts.break_glass, "break-glass", 3, "done without an approval"),
        (facts.env.lower().startswith("prod"), "env-prod", 3, facts.env.upper()),
        (bool(facts.writes_all), "no-where", 3, f"{facts.writes_all} without WHERE"),
        (facts.hidden > 0, "hidden-characters", 3, f"{facts.hidden} hidden characters"),
        (facts.mixed_scripts, "mixed-scripts", 3, "letters that imitate others"),
        (bool(facts.writes_unbounded), "no-limit", 2, f"{facts.writes_unbounded} without LIMIT"),
        (facts.schema, "schema", 2, "changes tables, rights or the server"),
        (facts.outside_hours, "outside-hours", 2, "outside working hours"),
        (bool(facts.opaque), "opaque", 2, "cannot be read for certain"),
        (facts.account in ("root", "Administrator"), "root", 2, f"as {facts.account}"),
        ((facts.lasts_s or 0) > LONG_S, "long", 1, f"for {(facts.lasts_s or 0) // 3600} h"),
        (facts.agent, "agent", 1, "asked by an agent"),
        (facts.first_time, "first-time", 1, "first time on this target"),
    ]
    return tuple(RiskFactor(name, weight, text) for holds, name, weight, text in table if holds)


def level(found: tuple[RiskFactor, ...]) -> RiskLevel:
    """From the sum of the weights."""
    score = sum(factor.weight for factor in found)
    return RiskLevel.HIGH if score >= HIGH else RiskLevel.MED if score >= MED else RiskLevel.LOW
