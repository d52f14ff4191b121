"""From the broker's model to what travels on the wire."""

from __future__ import annotations

from dataclasses import asdict

from broker.model.access import Decision, Verdict
from broker.model.session import LineReport, SessionRow
from broker.model.target import Target
from broker.wire.messages import AccountView, GateView, SessionView, TargetView, Verified
from recorder import verify

STATE = {
    Verdict.ALLOW: "OK",
    Verdict.NEED_REASON: "REASON",
    Verdict.NEED_APPROVAL: "WAIT",
    Verdict.DENY: "DENY",
}


def account_view(name: str, decision: Decision) -> AccountView:
    """`why` only where something stands in the way: that it is granted, the rule says already."""
    why = "" if decision.allowed else decision.reason
    return AccountView(name, STATE[decision.verdict], why, decision.rule.name, decision.rule.origin)


def target_view(target: Target, accounts: list[AccountView], last_at: int | None, live: int) -> TargetView:
    return TargetView(
        name=target.name,
        address=target.address,
        port=target.port,
        accounts=accounts,
        tags=dict(target.tags),
        note=target.note,
        dialect=target.dialect.value,
        last_at=last_at,
        live=live,
    )


def session_view(row: SessionRow, report: LineReport | None = None) -> SessionView:
    """`report`: of a live session whose lines are judged."""
    return SessionView(
        id=row.id,
        user=row.user,
        target=row.target,
        account=row.account,
        channel=row.channel,
        command=row.command,
        source=row.source,
        reason=row.reason,
        started_at=row.started_at,
        ended_at=row.ended_at,
        state=row.state.value,
        exit_status=row.exit_status,
        end_reason=row.end_reason,
        size=row.size,
        lines=None if report is None else GateView(**asdict(report)),
    )


def verified_view(verdict: verify.Verdict) -> Verified:
    place = verdict.place or verify.Place("", 0)
    return Verified(
        id=verdict.id,
        condition=verdict.condition.value,
        good=verdict.good,
        problem=verdict.problem,
        file=place.file,
        byte=place.byte,
        line=place.line,
        t=place.t,
        links=verdict.links,
        good_t=verdict.good_t,
        unsealed=verdict.unsealed,
        head=verdict.head,
        key=verdict.key,
    )


def matches(query: str, *texts: str) -> bool:
    """Whether every word of the query occurs in one of the texts, whatever its case."""
    haystack = "\n".join(texts).lower()
    return all(word in haystack for word in query.lower().split())
