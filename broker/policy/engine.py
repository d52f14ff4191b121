"""The decision: pure, total, and independent of the order of the policies.

A request is granted when some policy allows it and none denies it. Where several policies grant the
same request, the strictest of each of their conditions holds: a reason if one asks for it, the lowest
limits, and a command that every one of them lets through. Doubt and failures are denials (lesson 29).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from fnmatch import fnmatchcase

from broker.model.access import NO_RULE, AccessRequest, Decision, Limits, Rule, Verdict
from broker.model.command import Answer, Judge, Judgement
from broker.model.identity import Kind, Principal
from broker.model.target import Channel, Dialect, Mode, Target
from broker.policy.loader import Policy, PolicySet
from broker.policy.schema import Effect, Which, Who


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

    def decide(self, request: AccessRequest) -> Decision:
        """Never raises: what cannot be evaluated is denied, and the target not shown."""
        try:
            return self._answer(self._naming(request.principal, request.target), request, judged=True)
        except Exception as error:
            return _failed(error)

    def access(self, principal: Principal, target: Target, account: str, at: int) -> dict[Channel, Decision]:
        """What each channel would answer, for lists. Exec: whether any command could be run at all;
        NEED_REASON where a reason is asked for. Never raises."""
        try:
            naming = self._naming(principal, target)
            asked = AccessRequest(principal, target, account, Channel.SHELL, at)
            return {
                channel: self._answer(naming, replace(asked, channel=channel), judged=False)
                for channel in Channel
            }
        except Exception as error:
            return {channel: _failed(error) for channel in Channel}

    def trace(self, request: AccessRequest) -> tuple[Trace, ...]:
        """How each policy takes the request, for explanations."""
        return tuple(_trace(policy, request) for policy in self._policies)

    def judge_line(self, request: AccessRequest, line: bytes) -> Judgement | None:
        """A line typed in a session that `request` opened, by the rules of every policy that grants it;
        None where none of them has rules for command lines. Never raises."""
        try:
            traces = [_trace(policy, request) for policy in self._naming(request.principal, request.target)]
            granting = [
                trace.policy
                for trace in traces
                if trace.policy.effect is Effect.ALLOW and trace.stage is Stage.FITS
            ]
            if not granting:
                return Judgement(Answer.DENY, NO_RULE, "no policy grants this session any more")
            ruled = [policy for policy in granting if policy.commands is not None]
            if not ruled:
                return None
            denial = self._refused_command(ruled, line)
            return denial or Judgement(Answer.ALLOW, ruled[0].rule, "no rule denies it")
        except Exception as error:
            decision = _failed(error)
            return Judgement(Answer.DENY, decision.rule, decision.reason)

    def judge_doubt(self, request: AccessRequest, reason: str) -> Judgement:
        """What to do about a line that could not be read. Never raises."""
        return Judgement(Answer.DENY, NO_RULE, reason, doubt=True)

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
        if judged and request.channel is Channel.EXEC:
            denial = self._refused_command(granting, request.command)
            if denial is not None:
                return Decision(Verdict.DENY, denial.rule, denial.reason)
        return _granted(granting, request)

    def _refused_command(self, granting: Iterable[Policy], command: bytes | None) -> Judgement | None:
        for policy in granting:
            if policy.commands is None:
                continue
            if command is None:
                return Judgement(Answer.DENY, policy.rule, "there is no command line to judge")
            try:
                judgement = self._judge(policy.commands, command)
            except Exception as error:
                text = f"the command could not be judged ({type(error).__name__})"
                return Judgement(Answer.DENY, policy.rule, text)
            if judgement.verdict is not Answer.ALLOW:
                return judgement
        return None


def who_fits(who: Who, principal: Principal) -> bool:
    """True if the entry names the principal: people by `users`, machine identities by `agents`."""
    if who.everyone:
        return True
    names = who.agents if principal.kind is Kind.AGENT else who.users
    return principal.name in (names or ()) or not principal.groups.isdisjoint(who.groups or ())


def target_fits(which: Which, target: Target) -> bool:
    """True if the target fits every criterion given."""
    if which.names is None and which.tags is None:
        return False
    if which.names is not None and not any(fnmatchcase(target.name, glob) for glob in which.names):
        return False
    return all(
        any(fnmatchcase(target.tags[key], glob) for glob in globs) if key in target.tags else False
        for key, globs in (which.tags or {}).items()
    )


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


def _granted(granting: list[Policy], request: AccessRequest) -> Decision:
    limits = Limits(
        idle_s=min((p.limits.idle_s for p in granting if p.limits.idle_s is not None), default=None),
        max_s=min((p.limits.max_s for p in granting if p.limits.max_s is not None), default=None),
    )
    asking = next((policy for policy in granting if policy.reason_required), None)
    if asking is not None and not has_reason(request.reason):
        text = f"the policy {asking.rule.name} asks for a reason"
        return Decision(Verdict.NEED_REASON, asking.rule, text, limits=limits)
    rule: Rule = granting[0].rule
    return Decision(Verdict.ALLOW, rule, f"granted by the policy {rule.name}", limits=limits)


def _blind(policy: Policy, target: Target) -> str:
    why = f"dialect is {target.dialect.value}" if target.dialect is not Dialect.SHELL else "gate is off"
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
