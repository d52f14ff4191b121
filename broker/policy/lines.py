"""What the rules of one policy say of a command line, where they are about the request at all."""

from __future__ import annotations

from dataclasses import replace

from broker.model.access import AccessRequest
from broker.model.command import Answer, CommandLine, CommandRules, Judge, Judgement
from broker.model.target import Channel
from broker.policy.loader import Policy
from broker.policy.scope import EVERYWHERE


def judged_by(
    policy: Policy, rules: CommandRules, request: AccessRequest, line: bytes | CommandLine, judge: Judge
) -> Judgement:
    """The policy's answer; `rules` are its own. A failure is a denial (lesson 29)."""
    try:
        said = judge(in_scope(policy, rules, request), line)
    except Exception as error:
        text = f"the command could not be judged ({type(error).__name__})"
        return Judgement(Answer.DENY, policy.rule, text)
    if said.verdict is Answer.CONFIRM and request.channel is Channel.EXEC:
        return _unconfirmed(rules, said)
    return said


def in_scope(policy: Policy, rules: CommandRules, request: AccessRequest) -> CommandRules:
    """The rules without those that are about other requests."""
    if all(scope == EVERYWHERE for scope in policy.scopes):
        return rules
    pairs = zip(policy.scopes, rules.rules, strict=True)
    return replace(rules, rules=tuple(rule for scope, rule in pairs if scope.covers(request)))


def _unconfirmed(rules: CommandRules, said: Judgement) -> Judgement:
    """On exec there is nobody to ask again: who decides on held lines is asked instead, else it is denied."""
    if rules.approval is not None:
        return replace(said, verdict=Answer.HOLD, approval=rules.approval)
    text = f"{said.reason} (a shell would ask you to confirm it; a single command cannot)"
    return replace(said, verdict=Answer.DENY, reason=text)


def unread(policy: Policy, rules: CommandRules, reason: str) -> Judgement:
    """What one policy says of a line that could not be read. It is not even known what is opaque about it,
    so no policy lets it through: somebody decides, or nobody runs it."""
    if rules.approval is None or rules.opaque is Answer.DENY:
        return Judgement(Answer.DENY, policy.rule, reason, doubt=True)
    return Judgement(Answer.HOLD, policy.rule, reason, doubt=True, approval=rules.approval)
