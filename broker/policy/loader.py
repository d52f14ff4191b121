"""`policies/*.yaml` → one set of policies, or a refusal that tells every problem of every file."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from broker.config.document import (
    Document,
    Location,
    Problems,
    dotted,
    folder_problem,
    read_document,
    yaml_files,
)
from broker.config.validate import validated
from broker.model.access import Limits, Rule
from broker.model.approval import ApprovalTerms
from broker.model.command import CommandRules
from broker.model.identity import Principal
from broker.policy.approval import (
    NOBODY_ON_CALL,
    ApprovalEntry,
    BreakGlassEntry,
    Roster,
    TermsEntry,
    stranded,
)
from broker.policy.schema import Effect, PolicyEntry, PolicyFile, Reason, SqlMode
from broker.policy.scope import Scope, Which, Who
from broker.policy.window import Window


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """People who may go past the approval of a policy; the terms say who reviews it and how long it lasts."""

    users: frozenset[str]
    groups: frozenset[str]
    terms: ApprovalTerms

    def for_whom(self, principal: Principal) -> bool:
        return principal.name in self.users or not self.groups.isdisjoint(principal.groups)


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy, ready to be asked. `rule.origin` is the `file:line` it was read from."""

    rule: Rule
    effect: Effect
    who: Who
    targets: Which
    accounts: frozenset[str]
    channels: frozenset[str]
    window: Window | None
    reason_required: bool
    limits: Limits
    commands: CommandRules | None
    note: str
    """For people; the reason a user is told where the policy denies."""
    scopes: tuple[Scope, ...] = ()
    """What each of `commands.rules` is bounded to, in the same order."""
    opening: ApprovalTerms | None = None
    """Who agrees before a session is opened."""
    break_glass: BreakGlass | None = None


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies, by file name and place. An empty set denies everything."""

    policies: tuple[Policy, ...] = ()
    on_call: Roster = NOBODY_ON_CALL
    """Asked at each decision."""


def load_policies(path: Path, *, required: bool = False, on_call: Roster | None = None) -> PolicySet:
    """The policies of a folder, or of one file. Raises InvalidConfig: one bad file refuses the whole set,
    since what is left could grant more than all of it. A folder that does not exist is an empty set,
    unless it is `required`. `on_call`: the lists that policies may name; None: any, and nobody is on
    them."""
    problems = Problems()
    policies: list[tuple[Policy, str]] = []
    for file in _files(path, required, problems):
        policies += _read_policies(file, problems, on_call.names if on_call else None)
    _refuse_duplicates(policies, problems)
    problems.refuse_if_any()
    return PolicySet(tuple(policy for policy, _ in policies), on_call or NOBODY_ON_CALL)


def _files(path: Path, required: bool, problems: Problems) -> list[Path]:
    if path.is_file():
        return [path]
    if not required and not path.exists():
        return []
    problem = folder_problem(path)
    if problem:
        problems.add(str(path), problem)
        return []
    return yaml_files(path, problems)


def _read_policies(
    path: Path, problems: Problems, rosters: frozenset[str] | None
) -> list[tuple[Policy, str]]:
    document = read_document(path, problems)
    if document is None:
        return []
    if document.data is None:
        problems.add(str(path), "the file is empty: expected version: 1 and policies:")
        return []
    file = validated(document, PolicyFile, problems)
    if file is None:
        return []
    reader = _Reader(document, file.approvals or {}, rosters, problems)
    return [
        (reader.policy(entry, ("policies", index)), document.where(("policies", index)))
        for index, entry in enumerate(file.policies)
    ]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the entries of one file into policies; what refers to nothing becomes a problem."""

    document: Document
    named: dict[str, TermsEntry]
    rosters: frozenset[str] | None
    problems: Problems

    def policy(self, entry: PolicyEntry, location: Location) -> Policy:
        rule = Rule(entry.name, self.origin(location))
        limits = entry.limits
        approval = entry.approval or ApprovalEntry.model_construct()
        opening = self._terms(approval.open, (*location, "approval", "open"), entry.who)
        lines = self._terms(approval.lines, (*location, "approval", "lines"), entry.who)
        self._refuse_rules(entry, location)
        return Policy(
            rule=rule,
            effect=entry.effect,
            who=entry.who,
            targets=entry.targets,
            accounts=frozenset(entry.accounts),
            channels=frozenset(entry.channels),
            window=entry.when.window() if entry.when else None,
            reason_required=entry.reason is Reason.REQUIRED,
            limits=Limits(limits.idle, limits.max) if limits else Limits(),
            commands=self._commands(entry, rule, location, lines) if entry.has_rules else None,
            note=entry.note or "",
            scopes=tuple(command.scope() for command in entry.commands or ()),
            opening=opening,
            break_glass=self._break_glass(entry.break_glass, (*location, "break_glass")),
        )

    def _commands(
        self, entry: PolicyEntry, rule: Rule, location: Location, lines: ApprovalTerms | None
    ) -> CommandRules:
        rules = []
        for index, command in enumerate(entry.commands or ()):
            at = (*location, "commands", index)
            name = Rule(command.name or f"{rule.name}/{index + 1}", self.origin(at))
            own = self._terms(command.approval, (*at, "approval"), command.who or entry.who)
            rules.append(command.rule(name, own or (lines if command.hold else None)))
        return CommandRules(
            rule=rule,
            rules=tuple(rules),
            default=entry.default_answer,
            opaque=entry.opaque_answer,
            sql_read_only=entry.sql is SqlMode.READ_ONLY,
            approval=lines,
        )

    def _terms(self, ref: str | TermsEntry | None, location: Location, who: Who) -> ApprovalTerms | None:
        """The terms as written or referred to; None where there are none, or a problem is told."""
        if isinstance(ref, str):
            if ref not in self.named:
                near = difflib.get_close_matches(ref, self.named, n=1)
                hint = f", did you mean {near[0]!r}?" if near else ": name it under approvals, in this file"
                self._problem(location, f"no terms are called {ref!r}{hint}")
            ref = self.named.get(ref)
        if ref is None:
            return None
        terms = ref.terms()
        self._check_panels(terms, location)
        for name in stranded(terms, who):
            self._problem(location, f"{name} could never be approved: nobody decides about himself")
        return terms

    def _break_glass(self, entry: BreakGlassEntry | None, location: Location) -> BreakGlass | None:
        if entry is None:
            return None
        terms, review = entry.terms(), (*location, "review")
        self._check_panels(terms, review)
        for name in stranded(terms, Who(users=entry.users) if entry.users else Who(groups=entry.groups)):
            self._problem(review, f"nobody is left to review {name}: nobody reviews himself")
        return BreakGlass(frozenset(entry.users or ()), frozenset(entry.groups or ()), terms)

    def _check_panels(self, terms: ApprovalTerms, location: Location) -> None:
        asked = {name for panel in terms.panels for name in panel.on_call}
        for name in sorted(asked - self.rosters) if self.rosters is not None else ():
            self._problem(
                location, f"there is no on-call list {name!r}: add it to the file that on_call names"
            )

    def _refuse_rules(self, entry: PolicyEntry, location: Location) -> None:
        for index, text in entry.rule_problems():
            self._problem((*location, "commands", index), text)
        key = entry.holds_without_rule()
        if key is not None:
            self._problem((*location, key), "hold: nobody is named who decides: give approval.lines")

    def _problem(self, location: Location, text: str) -> None:
        known = dotted(self.document.known(location))
        self.problems.add(self.document.where(location), f"{known}: {text}")

    def origin(self, location: Location) -> str:
        return f"{self.document.path.name}:{self.document.line(location)}"


def _refuse_duplicates(policies: list[tuple[Policy, str]], problems: Problems) -> None:
    first: dict[str, str] = {}
    for policy, where in policies:
        name = policy.rule.name
        if name in first:
            problems.add(where, f"name: the policy {name} is defined already in {first[name]}")
        first.setdefault(name, policy.rule.origin)
