"""Why a request is decided as it is: the decision, and what each policy made of it."""

from __future__ import annotations

from dataclasses import dataclass

from broker.model.access import AccessRequest, Decision, Rule
from broker.model.approval import ApprovalTerms
from broker.policy.engine import Engine


@dataclass(frozen=True, slots=True)
class Step:
    """One policy: `stopped_at` is `who`, `target`, `account`, `channel`, `time`, or `fits`."""

    rule: Rule
    effect: str
    stopped_at: str
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with the way to it, in the order of the policies."""

    request: AccessRequest
    decision: Decision
    steps: tuple[Step, ...]


def explain(engine: Engine, request: AccessRequest) -> Explanation:
    """The same decision that the broker would take, and each policy's part in it."""
    steps = tuple(
        Step(trace.policy.rule, trace.policy.effect.value, trace.stage.name.lower(), trace.why)
        for trace in engine.trace(request)
    )
    return Explanation(request, engine.decide(request), steps)


def as_text(explanation: Explanation) -> str:
    """For people: the answer first, then the policies that name the principal, then the rest as a count."""
    request, decision = explanation.request, explanation.decision
    place = f" ({decision.rule.origin})" if decision.rule.origin else ""
    lines = [
        f"{decision.verdict.value.upper()}  {request.principal.name} -> "
        f"{request.account}+{request.target.name}  {request.channel.value}",
        f"  rule    {decision.rule.name}{place}",
        f"  reason  {decision.reason}",
    ]
    if not decision.visible:
        lines.append("  shown   no: to this user the target does not exist")
    if decision.approval is not None:
        lines.append(f"  decides {terms_as_text(decision.approval)}")
    if decision.break_glass is not None:
        lines.append(f"  or      breaks the glass; reviewed by {terms_as_text(decision.break_glass)}")
    limits = [("idle", decision.limits.idle_s), ("max", decision.limits.max_s)]
    bounds = [f"{name} {seconds} s" for name, seconds in limits if seconds is not None]
    if decision.allowed and bounds:
        lines.append(f"  limits  {', '.join(bounds)}")
    lines += ["policies:", *_step_lines(explanation.steps)]
    return "\n".join(lines)


def terms_as_text(terms: ApprovalTerms) -> str:
    """`1 of group dba, within 15 min, lasts 30 min from first-use, reason`."""
    parts = [terms.text]
    if terms.within_s is not None:
        parts.append(f"within {_span(terms.within_s)}")
    if terms.lasts_s is not None:
        parts.append(f"lasts {_span(terms.lasts_s)} from {terms.starts.value}")
    if terms.ticket is not None:
        parts.append(f"ticket {terms.ticket}")
    elif terms.reason:
        parts.append("reason")
    if terms.mfa_age_s is not None:
        parts.append(f"second factor within {_span(terms.mfa_age_s)}")
    return ", ".join(parts)


def _span(seconds: int) -> str:
    """The largest unit that gives a whole number."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def terms_as_json(terms: ApprovalTerms) -> dict[str, object]:
    """Who decides, under which conditions; times in seconds."""
    return {
        "text": terms.text,
        "panels": [
            {
                "needed": panel.needed,
                "users": sorted(panel.users),
                "groups": sorted(panel.groups),
                "owner": panel.owned_by if panel.owner else None,
                "on_call": sorted(panel.on_call),
            }
            for panel in terms.panels
        ],
        "within_s": terms.within_s,
        "lasts_s": terms.lasts_s,
        "starts": terms.starts.value,
        "reason": terms.reason,
        "ticket": terms.ticket,
        "mfa_age_s": terms.mfa_age_s,
        "notify": list(terms.notify),
    }


def _step_lines(steps: tuple[Step, ...]) -> list[str]:
    near = [step for step in steps if step.stopped_at not in {"who", "target"}]
    lines = [
        f"  {step.effect:5} {step.rule.name} ({step.rule.origin}): {step.why or 'fits the request'}"
        for step in near
    ]
    if len(steps) > len(near):
        lines.append(f"  {len(steps) - len(near)} more do not name this user and target")
    return lines or ["  none"]


def as_json(explanation: Explanation) -> dict[str, object]:
    """The same as a structure for `--json`."""
    request, decision = explanation.request, explanation.decision
    return {
        "v": 1,
        "user": request.principal.name,
        "target": request.target.name,
        "account": request.account,
        "channel": request.channel.value,
        "verdict": decision.verdict.value,
        "rule": {"name": decision.rule.name, "origin": decision.rule.origin},
        "reason": decision.reason,
        "visible": decision.visible,
        "approval": None if decision.approval is None else terms_as_json(decision.approval),
        "break_glass": None if decision.break_glass is None else terms_as_json(decision.break_glass),
        "limits": {"idle_s": decision.limits.idle_s, "max_s": decision.limits.max_s},
        "policies": [
            {
                "name": step.rule.name,
                "origin": step.rule.origin,
                "effect": step.effect,
                "stopped_at": step.stopped_at,
                "why": step.why,
            }
            for step in explanation.steps
        ],
    }
