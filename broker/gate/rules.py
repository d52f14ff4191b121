"""A command line against one policy's rules: the strictest answer of all its commands holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from broker.gate import options
from broker.gate.shell import parse
from broker.gate.shell.state import HOME
from broker.gate.sql import read_sql
from broker.gate.text import (
    ANY,
    ONE,
    STAR,
    UNKNOWN,
    WORDS,
    Match,
    basename,
    known,
    matches,
    open_ended,
    overlap,
    resolved,
    shown,
)
from broker.model.access import Rule
from broker.model.command import (
    Answer,
    CommandLine,
    CommandRule,
    CommandRules,
    Deed,
    FileRead,
    Judgement,
    SimpleCommand,
    SqlText,
)

TRUSTED_FOLDERS = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin"})
"""Where a program named in an allow rule may lie when it is called by its path."""
_HOMES = frozenset({"/", "/home", "/root", HOME})
"""Folders below which home folders lie."""


def judge_line(rules: CommandRules, line: bytes | CommandLine, *, gated: bool = True) -> Judgement:
    """As `judge`, also for the bytes of an exec request. Satisfies `model.command.Judge`."""
    read = parse(line) if isinstance(line, bytes) else line
    return judge(rules, read if gated else _unseen(read))


def _unseen(line: CommandLine) -> CommandLine:
    """The line where nobody judges what is typed into the programs that it starts."""
    listening = next((command for command in line.commands if command.listens), None)
    if listening is None:
        return line
    commands = tuple(
        replace(command, sql=tuple(replace(sql, typed=False) for sql in command.sql))
        for command in line.commands
    )
    reason = f"what is typed into {_name(listening)} is not judged here"
    return CommandLine(commands, line.opaque or reason, line.incomplete)


def judge(rules: CommandRules, line: CommandLine) -> Judgement:
    """DENY if any command is denied or, by default, named by no rule, or if what cannot be known is to be
    denied; else ALLOW. A rule that denies wins over any that allows, certainty over doubt."""
    judgements = [_judge_command(rules, command) for command in line.commands]
    if line.opaque is not None:
        reason = f"the command cannot be checked: {line.opaque}"
        judgements.append(_doubtful(rules, rules.rule, reason))
    observed = tuple(dict.fromkeys(rule for judgement in judgements for rule in judgement.observed))
    denials = [judgement for judgement in judgements if judgement.verdict is Answer.DENY]
    certain = [judgement for judgement in denials if not judgement.doubt]
    chosen = next(iter(certain or denials or judgements), None)
    if chosen is None:
        return Judgement(Answer.ALLOW, rules.rule, "it runs nothing")
    return replace(chosen, observed=observed)


def _doubtful(rules: CommandRules, rule: Rule, reason: str) -> Judgement:
    if rules.opaque is Answer.ALLOW:
        return Judgement(Answer.ALLOW, rules.rule, "not checked")
    return Judgement(Answer.DENY, rule, reason, doubt=True)


def _judge_command(rules: CommandRules, command: SimpleCommand) -> Judgement:
    denying = [rule for rule in rules.rules if rule.effect is not Answer.ALLOW]
    fits = [(fit(rule, command), rule) for rule in denying]
    observed = tuple(rule.rule for how, rule in fits if rule.observe and how is not Match.NO)
    judgement = _first_denial(rules, command, [(how, rule) for how, rule in fits if not rule.observe])
    if judgement is None:
        judgement = _permission(rules, command)
    return replace(judgement, observed=observed)


def _first_denial(
    rules: CommandRules, command: SimpleCommand, fits: list[tuple[Match, CommandRule]]
) -> Judgement | None:
    for how, rule in fits:
        if how is Match.YES:
            return Judgement(Answer.DENY, rule.rule, rule.reason or f"{_name(command)} is denied here")
    for how, rule in fits:
        if how is Match.PERHAPS and rules.opaque is not Answer.ALLOW:
            reason = f"{_name(command)} cannot be checked: what it is given is not known"
            return Judgement(Answer.DENY, rule.rule, rule.reason or reason, doubt=True)
    if rules.sql_read_only:
        return _sql_denial(rules, command)
    return None


def _sql_denial(rules: CommandRules, command: SimpleCommand) -> Judgement | None:
    for sql in command.sql:
        if sql.typed:
            continue
        if sql.text is None or not known(sql.text):
            return Judgement(Answer.DENY, rules.rule, "the SQL is not on the line", doubt=True)
        reading = read_sql(sql.dialect, sql.text)
        if not reading.read_only:
            return Judgement(Answer.DENY, rules.rule, f"not read-only: {shown(reading.reason)}")
    return None


def _permission(rules: CommandRules, command: SimpleCommand) -> Judgement:
    for rule in rules.rules:
        if rule.effect is Answer.ALLOW and _allows(rule, command):
            return Judgement(Answer.ALLOW, rule.rule, rule.reason or f"{_name(command)} is allowed here")
    if rules.default is Answer.ALLOW:
        return Judgement(Answer.ALLOW, rules.rule, "no rule denies it")
    if not command.program and not command.writes and not command.sets and not command.does:
        return Judgement(Answer.ALLOW, rules.rule, "it only reads")
    if command.writes:
        return Judgement(
            Answer.DENY, rules.rule, f"writing to {shown(command.writes[0])} is not allowed here"
        )
    if command.sets and not command.program:
        return Judgement(Answer.DENY, rules.rule, f"setting {shown(command.sets[0])} is not allowed here")
    return Judgement(Answer.DENY, rules.rule, f"{_name(command)} is not among the commands allowed here")


def _name(command: SimpleCommand) -> str:
    return shown(basename(command.program)) or "a redirection"


def _allows(rule: CommandRule, command: SimpleCommand) -> bool:
    """Narrow: the bare name or a path in the system's folders, no file written, nothing started."""
    if command.writes or command.sets or command.does or not command.program:
        return False
    name = basename(command.program)
    folder = command.program[: -len(name)].rstrip("/")
    plain = command.program == name or folder in TRUSTED_FOLDERS
    named = any(
        matches(glob, command.program) is Match.YES
        if "/" in glob
        else plain and matches(glob, name) is Match.YES
        for glob in rule.programs
    )
    if not named:
        return False
    if rule.verb and not all(_any(rule.verb, [verb]) is Match.YES for verb in _verbs(command)):
        return False
    if rule.args and "--" in command.args:
        command = replace(command, args=command.args[: command.args.index("--")])
    if rule.only is not None and not all(_one_of(rule.only, arg) for arg in command.args):
        return False
    return _parts(replace(rule, only=None), command) is Match.YES


def _one_of(globs: tuple[str, ...], arg: str) -> bool:
    """For `only`: patterns that the shell expands are allowed where the rule's own pattern covers them."""
    plain = arg.replace(STAR, "*").replace(ONE, "?")
    return any(matches(glob, arg) is Match.YES or matches(glob, plain) is Match.YES for glob in globs)


def fit(rule: CommandRule, command: SimpleCommand) -> Match:
    """Whether a rule that denies fits: broad, any path to a program of that name."""
    if rule.programs:
        path = resolved(command.program) or command.program
        name = basename(command.program)
        named = max(matches(glob, path if "/" in glob else name) for glob in rule.programs)
        if named is Match.NO:
            return Match.NO
        return min(named, _parts(rule, command))
    return _parts(rule, command)


def _parts(rule: CommandRule, command: SimpleCommand) -> Match:
    checks: list[Match] = [occurs(wanted, command.args) for wanted in rule.args]
    checks += [options.given(option, command.args) for option in rule.options]
    checks += [_not(options.given(option, command.args)) for option in rule.without]
    if rule.only is not None:
        checks += [_any(rule.only, [arg]) for arg in command.args]
    if rule.verb:
        perhaps = options.perhaps_verbs(basename(command.program), command.args)
        checks.append(max(_any(rule.verb, _verbs(command)), min(_any(rule.verb, perhaps), Match.PERHAPS)))
    if rule.operands:
        checks.append(_any(rule.operands, options.operands(command.args)))
    if rule.outside:
        checks.append(_some_outside(rule.outside, options.operands(command.args)))
    if rule.reads:
        checks.append(max((_reads(rule.reads, read) for read in command.reads), default=Match.NO))
    if rule.writes:
        checks.append(_any(rule.writes, [resolved(path) for path in command.writes]))
    if rule.does:
        checks.append(_does(rule.does, command))
    if rule.sql or rule.tables:
        checks.append(max((_sql(rule, sql) for sql in command.sql), default=Match.NO))
    return min(checks, default=Match.YES)


def _does(wanted: frozenset[Deed], command: SimpleCommand) -> Match:
    if wanted & command.does:
        return Match.YES
    unsure = Deed.SEND in wanted and Deed.MAYBE_SEND in command.does
    return Match.PERHAPS if unsure else Match.NO


def _verbs(command: SimpleCommand) -> list[str]:
    return options.verbs(basename(command.program), command.args)


def _not(match: Match) -> Match:
    return Match(Match.YES - match)


def _any(globs: Iterable[str], texts: Iterable[str]) -> Match:
    texts = list(texts)
    return max((matches(glob, text) for glob in globs for text in texts), default=Match.NO)


def occurs(wanted: str, args: tuple[str, ...]) -> Match:
    """Whether `wanted` is among the arguments. Short options match in any spelling: `-rf` is found in
    `-fr`, `-r -f` and `-rvf`. Anything else is compared as a glob, argument by argument."""
    if re.fullmatch(r"-[A-Za-z0-9]+", wanted):
        return min(options.given(f"-{letter}", args) for letter in wanted[1:])
    return _any([wanted], args)


def _some_outside(globs: tuple[str, ...], operands: list[str]) -> Match:
    return max((_outside(globs, operand) for operand in operands), default=Match.NO)


def _outside(globs: tuple[str, ...], operand: str) -> Match:
    path = resolved(operand)
    if not path.startswith("/") and not open_ended(path[:1]):
        return Match.YES
    if WORDS in operand or ANY in operand:
        inside = max(matches(glob, path) for glob in globs)
        return Match.YES if inside is Match.NO and WORDS not in operand else Match.PERHAPS
    signs_as_text = "".join("x" if char in UNKNOWN else char for char in path)
    return _not(max(matches(glob, signs_as_text) for glob in globs))


def _reads(globs: tuple[str, ...], read: FileRead) -> Match:
    return max(_below(glob, read.path) if read.within else _file(glob, read.path) for glob in globs)


def _file(glob: str, path: str) -> Match:
    how = matches(glob, path)
    if how is Match.PERHAPS and not open_ended(path):
        return Match.YES if _shell_pattern(glob, path) else Match.NO
    return how


def _shell_pattern(glob: str, path: str) -> bool:
    """Whether a pattern of the line matches what the rule names: `*` does not begin with a dot."""
    if path.count("/") != glob.count("/") and "**" not in glob:
        return False
    return not (re.search(rf"/[{STAR}{ONE}]", path) and "/." in glob and "/." not in path)


def _below(glob: str, folder: str) -> Match:
    """Whether a file that the rule names lies in the folder or is it."""
    direct = _file(glob, folder)
    if direct is not Match.NO:
        return direct
    folder = folder.rstrip("/")
    if glob.startswith("**/"):
        first = glob[3:].split("/")[0]
        home = (folder or "/") in _HOMES or re.fullmatch(r"/home/[^/]+", folder) is not None
        if folder.endswith(f"/{first}") or home:
            return Match.YES
        return Match.PERHAPS if folder.endswith((ANY, WORDS)) else Match.NO
    if glob.startswith(f"{folder}/"):
        return Match.YES
    if known(folder):
        return Match.NO
    prefix = glob.split("*")[0]
    parts = prefix.split("/")
    hit = any(overlap(folder, "/".join(parts[:count])) for count in range(2, len(parts) + 1))
    return Match.PERHAPS if hit else Match.NO


def _sql(rule: CommandRule, sql: SqlText) -> Match:
    if sql.typed:
        return Match.NO
    if sql.text is None or not known(sql.text):
        return Match.PERHAPS
    reading = read_sql(sql.dialect, sql.text)
    checks = []
    if rule.sql:
        other = Match.NO if reading.doubt is None else Match.PERHAPS
        checks.append(Match.YES if rule.sql & reading.kinds else other)
    if rule.tables:
        names = [name for table in reading.tables for name in (table, table.rpartition(".")[2])]
        found = _any([glob.lower() for glob in rule.tables], names)
        checks.append(found if found or reading.understood else Match.PERHAPS)
    return min(checks)
