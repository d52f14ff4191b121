"""`policies/*.yaml` → one set of policies, or a refusal that tells every problem of every file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from broker.config.document import Document, Location, Problems, folder_problem, read_document, yaml_files
from broker.config.validate import validated
from broker.model.access import Limits, Rule
from broker.model.command import Answer, CommandRule, CommandRules, Deed
from broker.policy.schema import (
    Choice,
    CommandEntry,
    Effect,
    PolicyEntry,
    PolicyFile,
    Reason,
    SqlMode,
    When,
    Which,
    Who,
)
from broker.policy.window import ALL_DAYS, WHOLE_DAY, Window


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


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies, by file name and place. An empty set denies everything."""

    policies: tuple[Policy, ...] = ()


def load_policies(path: Path, *, required: bool = False) -> PolicySet:
    """The policies of a folder, or of one file. Raises InvalidConfig: one bad file refuses the whole set,
    since what is left could grant more than all of it. A folder that does not exist is an empty set,
    unless it is `required`."""
    problems = Problems()
    policies: list[tuple[Policy, str]] = []
    for file in _files(path, required, problems):
        policies += _read_policies(file, problems)
    _refuse_duplicates(policies, problems)
    problems.refuse_if_any()
    return PolicySet(tuple(policy for policy, _ in policies))


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


def _read_policies(path: Path, problems: Problems) -> list[tuple[Policy, str]]:
    document = read_document(path, problems)
    if document is None:
        return []
    if document.data is None:
        problems.add(str(path), "the file is empty: expected version: 1 and policies:")
        return []
    file = validated(document, PolicyFile, problems)
    if file is None:
        return []
    return [
        (_policy(entry, document, ("policies", index)), document.where(("policies", index)))
        for index, entry in enumerate(file.policies)
    ]


def _policy(entry: PolicyEntry, document: Document, location: Location) -> Policy:
    rule = Rule(entry.name, _origin(document, location))
    limits = entry.limits
    return Policy(
        rule=rule,
        effect=entry.effect,
        who=entry.who,
        targets=entry.targets,
        accounts=frozenset(entry.accounts),
        channels=frozenset(entry.channels),
        window=_window(entry.when) if entry.when else None,
        reason_required=entry.reason is Reason.REQUIRED,
        limits=Limits(_seconds(limits.idle), _seconds(limits.max)) if limits else Limits(),
        commands=_commands(entry, rule, document, location) if entry.commands or entry.sql else None,
        note=entry.note or "",
    )


def _seconds(value: float | None) -> int | None:
    return None if value is None else int(value)


def _window(when: When) -> Window:
    return Window(
        zone=when.zone,
        days=ALL_DAYS if when.days is None else when.days,
        hours=(WHOLE_DAY,) if when.hours is None else when.hours,
        until=when.until,
    )


def _commands(entry: PolicyEntry, rule: Rule, document: Document, location: Location) -> CommandRules:
    commands = entry.commands or ()
    allows = any(command.allow for command in commands)
    default = entry.default or (Choice.DENY if allows else Choice.ALLOW)
    return CommandRules(
        rule=rule,
        rules=tuple(
            _command(
                command,
                Rule(
                    command.name or f"{rule.name}/{index + 1}",
                    _origin(document, (*location, "commands", index)),
                ),
            )
            for index, command in enumerate(commands)
        ),
        default=Answer(default.value),
        opaque=Answer((entry.opaque or Choice.DENY).value),
        sql_read_only=entry.sql is SqlMode.READ_ONLY,
    )


def _command(entry: CommandEntry, rule: Rule) -> CommandRule:
    match = entry.deny or entry.allow
    assert match is not None, "the schema asks for one of them"
    return CommandRule(
        effect=Answer.DENY if entry.deny else Answer.ALLOW,
        rule=rule,
        programs=match.program or (),
        args=match.args or (),
        only=match.only,
        options=match.options or (),
        without=match.without or (),
        verb=match.verb or (),
        operands=match.operands or (),
        outside=match.outside or (),
        reads=match.reads or (),
        writes=(entry.deny and entry.deny.writes) or (),
        does=frozenset(Deed(does.value) for does in (entry.deny and entry.deny.does) or ()),
        sql=frozenset(match.sql or ()),
        tables=match.tables or (),
        reason=entry.reason or "",
        observe=bool(entry.observe),
    )


def _origin(document: Document, location: Location) -> str:
    return f"{document.path.name}:{document.line(location)}"


def _refuse_duplicates(policies: list[tuple[Policy, str]], problems: Problems) -> None:
    first: dict[str, str] = {}
    for policy, where in policies:
        name = policy.rule.name
        if name in first:
            problems.add(where, f"name: the policy {name} is defined already in {first[name]}")
        first.setdefault(name, policy.rule.origin)
