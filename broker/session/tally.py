"""What is kept of judged lines besides the recording: counts for the lists, and notes for the audit."""

from __future__ import annotations

from broker.gate.lines.doings import Fact
from broker.model.session import LineReport
from broker.session.actions import Action, Audit, RecordEvent

_COUNTED = {
    "allow": "allowed", "warn": "allowed", "confirm": "held", "hold": "held", "deny": "denied",
    "doubt": "denied",
}  # fmt: skip
_AUDITED = {"deny": "line.refused", "doubt": "line.refused", "warn": "line.warned"}
_ALSO = {"observed": "line.observed", "gate-doubt-passed": "line.doubt-passed"}


class Tally:
    """Of one session."""

    def __init__(self) -> None:
        self._counts = {"allowed": 0, "held": 0, "denied": 0}
        self._last: dict[str, str] = {}

    def keep(self, fact: Fact) -> list[Action]:
        """Record what the gate noted; what an auditor looks for goes to the audit too."""
        actions: list[Action] = [RecordEvent(fact.kind, fact.fields)]
        code = _ALSO.get(fact.kind)
        if fact.kind == "line":
            fields = {
                name: str(fact.fields.get(name) or "") for name in ("text", "source", "verdict", "rule")
            }
            self._last = fields
            self._counts[_COUNTED[fields["verdict"]]] += 1
            code = _AUDITED.get(fields["verdict"])
        if code is not None:
            actions.append(Audit(code, {**fact.fields, "text": str(fact.fields.get("text") or "")[:1000]}))
        return actions

    def report(self, mode: str, state: str, request: str) -> LineReport:
        """For the lists."""
        last = self._last
        return LineReport(
            mode=mode,
            state=state,
            request=request,
            last=last.get("text", "")[:200],
            source=last.get("source", ""),
            verdict=last.get("verdict", ""),
            rule=last.get("rule", ""),
            **self._counts,
        )
