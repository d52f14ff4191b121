"""The language of `policies/*.yaml`, version 1.

Everything that grants has to be said: no list may be empty, no key may lack its value, `"*"` and
`everyone: true` have to be written out. What a policy cannot mean is refused when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, StrictInt, model_validator

from broker.config.units import Name, Text, filled
from broker.config.validate import Section
from broker.model.command import Answer
from broker.model.target import Channel
from broker.policy.approval import ApprovalEntry, BreakGlassEntry, TermsEntry
from broker.policy.commands import CommandEntry, idle
from broker.policy.scope import AccountNames, ChannelNames, Seconds, When, Which, Who

JUDGED = frozenset({Channel.EXEC, Channel.SHELL})
"""Channels on which command lines are judged."""


class Effect(StrEnum):
    """A policy that denies wins over all that allow."""

    ALLOW = "allow"
    DENY = "deny"


class SqlMode(StrEnum):
    """For `sql` of a policy."""

    READ_ONLY = "read-only"


class Reason(StrEnum):
    """Whether a session needs a reason."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Default(StrEnum):
    """For a command that no allow rule names."""

    ALLOW = "allow"
    CONFIRM = "confirm"
    HOLD = "hold"
    DENY = "deny"


def _version(value: int) -> int:
    if value != 1:
        raise ValueError(f"expected 1, got {value}")
    return value


_FILLED = BeforeValidator(filled)


class LimitsEntry(Section):
    idle: Seconds | None = None
    max: Seconds | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("limits nothing: give idle or max")
        return self


class PolicyEntry(Section):
    """One policy as written."""

    name: Name
    note: Text | None = None
    effect: Effect = Effect.ALLOW
    who: Who
    targets: Which
    accounts: AccountNames
    channels: ChannelNames
    when: When | None = None
    reason: Reason = Reason.OPTIONAL
    limits: LimitsEntry | None = None
    approval: ApprovalEntry | None = None
    break_glass: BreakGlassEntry | None = None
    commands: Annotated[tuple[CommandEntry, ...], _FILLED] | None = None
    sql: SqlMode | None = None
    opaque: Answer | None = None
    default: Default | None = None

    @model_validator(mode="after")
    def _meaningful(self) -> Self:
        if self.effect is Effect.DENY:
            extra = self.model_fields_set - {"name", "note", "effect", "who", "targets"}
            extra -= {"accounts", "channels", "when"}
            if extra:
                raise ValueError(f"a policy with effect: deny has no {', '.join(sorted(extra))}")
        elif "*" in self.channels:
            raise ValueError('channels: "*" is for effect: deny only, name the channels that are granted')
        if self.break_glass is not None and not (self.approval and self.approval.open):
            raise ValueError("break_glass goes past approval.open, and there is none")
        if self.has_rules:
            self._check_commands(self.commands or ())
            return self
        if self.opaque or self.default:
            raise ValueError("opaque and default belong to commands, and there are none")
        if self.approval is not None and self.approval.lines is not None:
            raise ValueError(
                "approval.lines decides on lines that are held, and there are no commands; "
                "for opening a session write approval.open"
            )
        return self

    @property
    def has_rules(self) -> bool:
        """True if the policy says something about command lines."""
        return self.commands is not None or self.sql is not None

    @property
    def default_answer(self) -> Answer:
        """Without the key: an allow rule makes it a list of what is allowed."""
        if self.default is not None:
            return Answer(self.default.value)
        return Answer.DENY if any(entry.allow for entry in self.commands or ()) else Answer.ALLOW

    @property
    def opaque_answer(self) -> Answer:
        """Without the key: whoever decides on held lines is asked, and where nobody does, deny."""
        if self.opaque is not None:
            return self.opaque
        return Answer.HOLD if self.approval is not None and self.approval.lines is not None else Answer.DENY

    def _check_commands(self, commands: tuple[CommandEntry, ...]) -> None:
        beyond = sorted(set(self.channels) - JUDGED)
        if beyond:
            raise ValueError(
                f"commands are judged on exec and shell only: put {', '.join(beyond)} in a policy of its own"
            )
        default, opaque = self.default_answer, self.opaque_answer
        if default is Answer.ALLOW and any(entry.allow for entry in commands):
            raise ValueError("allow rules have no effect with default: allow")
        if opaque.strictness < default.strictness and opaque is not Answer.HOLD:
            raise ValueError(
                f"opaque: {opaque} would let through what default: {default} does not: make it {default}"
            )
        problem = idle(commands, default)
        if problem is not None:
            raise ValueError(problem)

    def rule_problems(self) -> Iterator[tuple[int, str]]:
        """What is wrong with single rules, beside the policy they stand in: their place and a sentence."""
        by_policy = self.approval is not None and self.approval.lines is not None
        for index, entry in enumerate(self.commands or ()):
            channels = set(entry.channels or self.channels)
            if entry.hold is not None and entry.approval is None and not by_policy:
                yield index, "hold: nobody is named who decides: give approval here, or approval.lines"
            if not channels <= set(self.channels):
                beyond = ", ".join(sorted(channels - set(self.channels)))
                yield index, f"channels: the policy does not grant {beyond}: the rule would never hold"
            elif entry.confirm is not None and channels == {Channel.EXEC}:
                yield index, "confirm: nobody can be asked on exec: use hold, deny or warn"
            accounts = set(entry.accounts or self.accounts)
            if "*" not in accounts | set(self.accounts) and accounts.isdisjoint(self.accounts):
                yield index, f"accounts: the policy does not grant {', '.join(sorted(accounts))}"

    def holds_without_rule(self) -> str | None:
        """The key by which lines would be held although nobody is named who decides."""
        if not self.has_rules or (self.approval is not None and self.approval.lines is not None):
            return None
        if self.default is Default.HOLD:
            return "default"
        return "opaque" if self.opaque is Answer.HOLD else None


class PolicyFile(Section):
    """A file of policies. `approvals`: terms that its policies refer to by name."""

    version: Annotated[StrictInt, AfterValidator(_version)]
    approvals: Annotated[dict[Name, TermsEntry], _FILLED] | None = None
    policies: Annotated[tuple[PolicyEntry, ...], _FILLED]
