"""The decision: pure, total, and independent of the order of the policies.

A request is granted when some policy allows it and none denies it. Where several policies grant the
same request, the strictest of each of their conditions holds: a reason if one asks for it, the lowest
limits, everyone's approval, of a command the strictest answer. Doubt and failures are denials (lesson 29).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from broker.model.access import NO_RULE, AccessRequest, Decision, Limits, Rule, Verdict
from broker.model.approval import ApprovalTerms, merged
from broker.model.command import Answer, CommandLine, Judge, Judgement, strictest
from broker.model.identity import Kind, Principal
from broker.model.target import Channel, Dialect, Mode, Target
from broker.policy.approval import in_force
from broker.policy.lines import judged_by, unread
from broker.policy.loader import Policy, PolicySet
from broker.policy.schema import Effect
from broker.policy.scope import target_fits, who_fits


class Stage(IntEnum):
    """The first part of a policy that a request does not fit; `FITS`: all of it does."""

    WHO = 0
    TARGET = 1
    ACCOUNT = 2
    CHANNEL = 3
    TIME = 4
    FITS = 5


@dataclass(frozen=True, slots=True)
class Trace:
    """How far a request got in one policy, and what stopped it."""

    policy: Policy
    stage: Stage
    why: str = ""


NOT_NAMED = Decision(Verdict.DENY, NO_RULE, "no policy names this target for you", visible=False)


class Engine:
    """Answers access requests from one set of policies. Satisfies `ports.PolicyEngine`."""

    def __init__(self, policies: PolicySet, judge: Judge) -> None:
        self._policies = policies.policies
        self._judge = judge
        self._on_call = policies.on_call

    def decide(self, request: AccessRequest) -> Decision:
        """Never raises: what cannot be evaluated is denied, and the target not shown."""
        try:
            return self._answer(self._naming(request.principal, request.target), request, judged=True)
        except Exception as error:
            return _failed(error)

    def access(
        self, principal: Principal, target: Target, account: str, at: int, reason: str = ""
    ) -> dict[Channel, Decision]:
        """What each channel would answer, for lists. Exec: whether any command could be run at all. Never
        raises."""
        try:
            naming = self._naming(principal, target)
            asked = AccessRequest(principal, target, account, Channel.SHELL, at, reason)
            return {
                channel: self._answer(naming, replace(asked, channel=channel), judged=False)
                for channel in Channel
            }
        except Exception as error:
            return {channel: _failed(error) for channel in Channel}

    def trace(self, request: AccessRequest) -> tuple[Trace, ...]:
        """How each policy takes the request, for explanations."""
        return tuple(_trace(policy, request) for policy in self._policies)

    def judge_line(self, request: AccessRequest, line: bytes | CommandLine) -> Judgement | None:
        """A line typed in a session that `request` opened, by the rules of every policy that grants it;
        None where none of them has rules for command lines. Never raises."""
        try:
            granting = self._granting(request)
            if not granting:
                return Judgement(Answer.DENY, NO_RULE, "no policy grants this session any more")
            return self._judged(granting, request, line)
        except Exception as error:
            return Judgement(Answer.DENY, NO_RULE, _failed(error).reason)

    def judge_doubt(self, request: AccessRequest, reason: str) -> Judgement:
        """What to do about a line that could not be read: HOLD where every policy with rules that grants
        the session lets somebody decide on what it cannot know, else DENY. Never raises."""
        try:
            said = [unread(p, p.commands, reason) for p in self._granting(request) if p.commands is not None]
            answer = strictest(said)
            if answer is None:
                return Judgement(Answer.DENY, NO_RULE, reason, doubt=True)
            return self._in_force(answer, request)
        except Exception as error:
            return Judgement(Answer.DENY, NO_RULE, _failed(error).reason, doubt=True)

    def _granting(self, request: AccessRequest) -> list[Policy]:
        traces = [_within(policy, request) for policy in self._naming(request.principal, request.target)]
        return [
            trace.policy
            for trace in traces
            if trace.policy.effect is Effect.ALLOW and trace.stage is Stage.FITS
        ]

    def _naming(self, principal: Principal, target: Target) -> list[Policy]:
        return [
            policy
            for policy in self._policies
            if who_fits(policy.who, principal) and target_fits(policy.targets, target)
        ]

    def _answer(self, naming: list[Policy], request: AccessRequest, *, judged: bool) -> Decision:
        traces = [_within(policy, request) for policy in naming]
        allowing = [trace for trace in traces if trace.policy.effect is Effect.ALLOW]
        if not allowing:
            return NOT_NAMED
        for trace in traces:
            if trace.policy.effect is Effect.DENY and trace.stage is Stage.FITS:
                text = trace.policy.note or f"the policy {trace.policy.rule.name} denies it"
                return Decision(Verdict.DENY, trace.policy.rule, text)
        granting = [trace.policy for trace in allowing if trace.stage is Stage.FITS]
        if not granting:
            nearest = max(allowing, key=lambda trace: trace.stage)
            return Decision(Verdict.DENY, nearest.policy.rule, nearest.why)
        if request.channel is Channel.SHELL and request.target.mode is Mode.EXEC_ONLY:
            return Decision(Verdict.DENY, Rule("mode: exec-only", request.target.origin), _no_shell(request))
        if request.channel is Channel.SHELL and not request.target.gateable:
            blind = next((policy for policy in granting if policy.commands is not None), None)
            if blind is not None:
                return Decision(Verdict.DENY, blind.rule, _blind(blind, request.target))
        said = self._judged_exec(granting, request) if judged else None
        if said is not None and said.verdict is Answer.DENY:
            return Decision(Verdict.DENY, said.rule, said.reason, judgement=said)
        return self._granted(granting, request, said)

    def _judged_exec(self, granting: list[Policy], request: AccessRequest) -> Judgement | None:
        """What all rules say of the command of an exec; None: there are none, or it is no exec."""
        if request.channel is not Channel.EXEC:
            return None
        if request.command is None:
            ruled = [policy.rule for policy in granting if policy.commands is not None]
            text = "there is no command line to judge"
            return Judgement(Answer.DENY, ruled[0], text) if ruled else None
        return self._judged(granting, request, request.command)

    def _judged(
        self, granting: list[Policy], request: AccessRequest, line: bytes | CommandLine
    ) -> Judgement | None:
        said = [
            judged_by(policy, policy.commands, request, line, self._judge)
            for policy in granting
            if policy.commands is not None
        ]
        answer = strictest(said)
        return self._in_force(answer, request) if answer is not None else None

    def _in_force(self, answer: Judgement, request: AccessRequest) -> Judgement:
        """A held line with those who can decide now; where there are none it is denied."""
        if answer.verdict is not Answer.HOLD:
            return answer
        terms = answer.approval and in_force(answer.approval, request.target, self._on_call)
        unmet = terms.unmet(request.principal.name) if terms else "nobody is named who could approve"
        if unmet is not None:
            return replace(answer, verdict=Answer.DENY, reason=f"{answer.reason}: {unmet}", approval=None)
        return replace(answer, approval=terms)

    def _granted(self, granting: list[Policy], request: AccessRequest, said: Judgement | None) -> Decision:
        """What is granted, under the strictest of all conditions: a reason first, then the approvals."""
        rule: Rule = granting[0].rule
        text = f"granted by the policy {rule.name}"
        plain = Decision(Verdict.ALLOW, rule, text, limits=_limits(granting), judgement=said)
        asking = next((policy for policy in granting if policy.reason_required), None)
        if asking is not None and not has_reason(request.reason):
            text = f"the policy {asking.rule.name} asks for a reason"
            return replace(plain, verdict=Verdict.NEED_REASON, rule=asking.rule, reason=text)
        opening = [policy for policy in granting if policy.opening is not None]
        if said is not None and said.verdict is Answer.HOLD:
            return self._held(plain, request, opening, said)
        if not opening:
            return plain
        rule = opening[0].rule
        text = f"the policy {rule.name} asks for approval"
        glass = self._break_glass(opening, request)
        return self._approved(replace(plain, rule=rule, reason=text), request, _terms_of(opening), glass)

    def _held(
        self, plain: Decision, request: AccessRequest, opening: list[Policy], said: Judgement
    ) -> Decision:
        """The command of an exec that waits for somebody, who decides on the opening in the same go."""
        assert said.approval is not None, "a held line without anybody who decides is denied"
        wanted = [*_terms_of(opening), said.approval]
        return self._approved(replace(plain, rule=said.rule, reason=said.reason), request, wanted)

    def _approved(
        self,
        plain: Decision,
        request: AccessRequest,
        wanted: list[ApprovalTerms],
        glass: ApprovalTerms | None = None,
    ) -> Decision:
        """NEED_APPROVAL under all terms together; NEED_REASON or DENY where it cannot come to that. Where
        nobody could approve, who may go past the approval is not denied: that is what it is for."""
        name = plain.rule.name
        terms = merged(wanted)
        if terms is None:
            return replace(plain, verdict=Verdict.DENY, reason=f"{name} and others ask for different tickets")
        terms = in_force(terms, request.target, self._on_call)
        unmet = terms.unmet(request.principal.name)
        reason = plain.reason if unmet is None else f"{plain.reason}: {unmet}"
        if unmet is not None and glass is None:
            return replace(plain, verdict=Verdict.DENY, reason=reason)
        lacking = terms.lacks(request.reason)
        if lacking is not None:
            text = f"{name} asks for {lacking}"
            return replace(plain, verdict=Verdict.NEED_REASON, reason=text, approval=terms)
        return replace(plain, verdict=Verdict.NEED_APPROVAL, reason=reason, approval=terms, break_glass=glass)

    def _break_glass(self, opening: list[Policy], request: AccessRequest) -> ApprovalTerms | None:
        """Who reviews it if the principal goes past the approval of each of these policies; None: may not."""
        principal = request.principal
        glasses = [policy.break_glass for policy in opening]
        if principal.kind is not Kind.HUMAN or not all(
            glass and glass.for_whom(principal) for glass in glasses
        ):
            return None
        terms = merged([glass.terms for glass in glasses if glass is not None])
        terms = terms and in_force(terms, request.target, self._on_call)
        return terms if terms is not None and terms.unmet(principal.name) is None else None


def _terms_of(opening: list[Policy]) -> list[ApprovalTerms]:
    return [policy.opening for policy in opening if policy.opening is not None]


def _trace(policy: Policy, request: AccessRequest) -> Trace:
    if not who_fits(policy.who, request.principal):
        return Trace(policy, Stage.WHO, f"does not name {request.principal.name}")
    if not target_fits(policy.targets, request.target):
        return Trace(policy, Stage.TARGET, f"does not name {request.target.name}")
    return _within(policy, request)


def _within(policy: Policy, request: AccessRequest) -> Trace:
    """As `_trace`, for a policy that names the principal and the target."""
    known = request.account in request.target.accounts
    if not known or policy.accounts.isdisjoint({request.account, "*"}):
        return Trace(policy, Stage.ACCOUNT, f"account {_shown(request.account)} is not granted")
    if policy.channels.isdisjoint({request.channel.value, "*"}):
        text = f"channel {request.channel.value} is not granted as {request.account}"
        return Trace(policy, Stage.CHANNEL, text)
    closed = policy.window.closed(request.at) if policy.window else None
    if closed is not None:
        return Trace(policy, Stage.TIME, closed)
    return Trace(policy, Stage.FITS)


def _limits(granting: list[Policy]) -> Limits:
    return Limits(
        idle_s=min((p.limits.idle_s for p in granting if p.limits.idle_s is not None), default=None),
        max_s=min((p.limits.max_s for p in granting if p.limits.max_s is not None), default=None),
    )


def _blind(policy: Policy, target: Target) -> str:
    why = "gate is off" if target.dialect is not Dialect.NONE else f"dialect is {target.dialect.value}"
    return f"the policy {policy.rule.name} has rules for command lines, and none are read here ({why})"


def _no_shell(request: AccessRequest) -> str:
    name, account = request.target.name, _shown(request.account)
    return f"{name} gives no shell, only single commands: ssh {account}+{name}@BASTION 'uptime'"


def _shown(text: str) -> str:
    """A name from a client, short and inert (lesson 13)."""
    return repr(text[:64])[1:-1]


def has_reason(text: str) -> bool:
    """True for a text that says something: at least one letter or digit."""
    return any(character.isalnum() for character in text)


def _failed(error: Exception) -> Decision:
    text = f"the policy could not be evaluated ({type(error).__name__})"
    return Decision(Verdict.DENY, NO_RULE, text, visible=False)
