"""A command line against one policy's rules: the strictest answer of all its commands holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from broker.gate import options
from broker.gate.shell import parse
from broker.gate.shell.state import HOME
from broker.gate.sql import Reading, each_statement, read_sql
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
from broker.model import pattern
from broker.model.approval import ApprovalTerms
from broker.model.command import (
    Answer,
    CommandLine,
    CommandRule,
    CommandRules,
    Deed,
    FileRead,
    Judgement,
    SimpleCommand,
    SqlKind,
    SqlText,
    strictest,
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
    return replace(line, commands=commands, opaque=line.opaque or reason)


def judge(rules: CommandRules, line: CommandLine) -> Judgement:
    """The strictest answer of all commands of the line and of what else it could run. Among equals one that
    is certain decides."""
    found = [one for command in line.commands for one in _findings(rules, command, line)]
    if not line.commands:
        found += _findings(_of_the_line(rules), SimpleCommand(""), line)
    if line.opaque is not None:
        reason = f"the command cannot be checked: {line.opaque}"
        asked = rules.approval if rules.opaque is Answer.HOLD else None
        found.append(Judgement(rules.opaque, rules.rule, reason, doubt=True, approval=asked))
    return strictest(found) or Judgement(Answer.ALLOW, rules.rule, "it runs nothing")


def _of_the_line(rules: CommandRules) -> CommandRules:
    """The rules that are about a line as a whole: for one that holds no command."""
    about = tuple(rule for rule in rules.rules if not rule.programs and (rule.regex or rule.dialects))
    return replace(rules, rules=about)


def _findings(rules: CommandRules, command: SimpleCommand, line: CommandLine) -> list[Judgement]:
    """What each rule that fits says of one command, and what the list of allowed commands does."""
    fits = [(fit(rule, command, line), rule) for rule in rules.rules if rule.effect is not Answer.ALLOW]
    fits = [(how, rule) for how, rule in fits if how is not Match.NO]
    found = [_finding(rules, rule, command, how) for how, rule in fits if not rule.observe]
    if rules.sql_read_only:
        found += _sql_denials(rules, command)
    observed = tuple(rule.rule for _, rule in fits if rule.observe)
    return [*found, replace(_permission(rules, command, line), observed=observed)]


def _finding(rules: CommandRules, rule: CommandRule, command: SimpleCommand, how: Match) -> Judgement:
    """Where a rule only perhaps fits, what the policy says of doubt, but never more than the rule itself."""
    if how is Match.YES:
        reason = rule.reason or f"{_name(command)} {_SAYS[rule.effect]}"
        return Judgement(rule.effect, rule.rule, reason, approval=_decides(rules, rule, rule.effect))
    answer = min(rule.effect, rules.opaque, key=lambda one: one.strictness)
    reason = rule.reason or f"{_name(command)} cannot be checked: what it is given is not known"
    return Judgement(answer, rule.rule, reason, doubt=True, approval=_decides(rules, rule, answer))


_SAYS = {
    Answer.WARN: "deserves care here",
    Answer.CONFIRM: "has to be confirmed here",
    Answer.HOLD: "needs approval here",
    Answer.DENY: "is denied here",
}


def _decides(rules: CommandRules, rule: CommandRule, answer: Answer) -> ApprovalTerms | None:
    if answer is not Answer.HOLD:
        return None
    return rule.approval or rules.approval


def _sql_denials(rules: CommandRules, command: SimpleCommand) -> list[Judgement]:
    denials = []
    for sql in command.sql:
        if sql.typed:
            continue
        if sql.text is None or not known(sql.text):
            denials.append(Judgement(Answer.DENY, rules.rule, "the SQL is not on the line", doubt=True))
            continue
        reading = read_sql(sql.dialect, sql.text)
        if not reading.read_only:
            text = f"not read-only: {shown(reading.reason)}"
            denials.append(Judgement(Answer.DENY, rules.rule, text))
    return denials


def _permission(rules: CommandRules, command: SimpleCommand, line: CommandLine) -> Judgement:
    for rule in rules.rules:
        if rule.effect is Answer.ALLOW and _allows(rule, command, line):
            return Judgement(Answer.ALLOW, rule.rule, rule.reason or f"{_name(command)} is allowed here")
    if rules.default is Answer.ALLOW:
        return Judgement(Answer.ALLOW, rules.rule, "no rule is against it")
    if command == replace(SimpleCommand(""), reads=command.reads):
        return Judgement(Answer.ALLOW, rules.rule, "it only reads")
    approval = rules.approval if rules.default is Answer.HOLD else None
    return Judgement(rules.default, rules.rule, _unlisted(command), approval=approval)


def _unlisted(command: SimpleCommand) -> str:
    if command.writes:
        return f"writing to {shown(command.writes[0])} is not allowed here"
    if command.sets and not command.program:
        return f"setting {shown(command.sets[0])} is not allowed here"
    return f"{_name(command)} is not among the commands allowed here"


def _name(command: SimpleCommand) -> str:
    if not command.program and (command.sql or not (command.writes or command.sets)):
        return "this statement" if command.sql else "this line"
    return shown(basename(command.program)) or "a redirection"


def _allows(rule: CommandRule, command: SimpleCommand, line: CommandLine) -> bool:
    """Narrow: the bare name or a path in the system's folders, no file written, nothing started, and of
    several statements each."""
    if command.writes or command.sets or command.does or not _all_sql(rule, command):
        return False
    rest = replace(rule, only=None, sql=frozenset(), tables=())
    if not rule.programs or not command.program:
        return not rule.programs and not command.program and _parts(rest, command, line) is Match.YES
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
    return _parts(rest, command, line) is Match.YES


def _one_of(globs: tuple[str, ...], arg: str) -> bool:
    """For `only`: patterns that the shell expands are allowed where the rule's own pattern covers them."""
    plain = arg.replace(STAR, "*").replace(ONE, "?")
    return any(matches(glob, arg) is Match.YES or matches(glob, plain) is Match.YES for glob in globs)


def fit(rule: CommandRule, command: SimpleCommand, line: CommandLine) -> Match:
    """Whether a rule that does not allow fits: broad, any path to a program of that name."""
    if rule.programs:
        path = resolved(command.program) or command.program
        name = basename(command.program)
        named = max(matches(glob, path if "/" in glob else name) for glob in rule.programs)
        if named is Match.NO:
            return Match.NO
        return min(named, _parts(rule, command, line))
    return _parts(rule, command, line)


def _parts(rule: CommandRule, command: SimpleCommand, line: CommandLine) -> Match:
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
    if rule.dialects:
        checks.append(Match.YES if _in_dialect(rule, command, line) else Match.NO)
    if rule.regex:
        checks.append(_regex(rule.regex, command, line))
    return min(checks, default=Match.YES)


def _in_dialect(rule: CommandRule, command: SimpleCommand, line: CommandLine) -> bool:
    return not rule.dialects.isdisjoint({line.dialect, *(sql.dialect for sql in command.sql)})


def _regex(patterns: tuple[str, ...], command: SimpleCommand, line: CommandLine) -> Match:
    """Found in the text as it came, or in the command as it would be started, single blanks between words.
    What is not known of an argument is not guessed."""
    texts = [" ".join([command.program, *command.args]), *(sql.text or "" for sql in command.sql)]
    if line.text is not None:
        texts.append(line.text)
    if any(pattern.found(one, text) for one in patterns for text in texts):
        return Match.YES
    return Match.PERHAPS if line.text is None else Match.NO


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


def _all_sql(rule: CommandRule, command: SimpleCommand) -> bool:
    """For allow rules: every statement is known, of the kinds and about the tables that the rule lists."""
    if not rule.sql and not rule.tables:
        return True
    return bool(command.sql) and all(_listed(rule, sql) for sql in command.sql)


def _listed(rule: CommandRule, sql: SqlText) -> bool:
    if sql.typed:
        return True
    if sql.text is None or not known(sql.text):
        return False
    if rule.sql and not all(_of_kind(rule.sql, one) for one in each_statement(sql.dialect, sql.text)):
        return False
    reading = read_sql(sql.dialect, sql.text)
    globs = [glob.lower() for glob in rule.tables]
    named = all(_any(globs, [table]) or _any(globs, [table.rpartition(".")[2]]) for table in reading.tables)
    return not rule.tables or (reading.understood and named)


def _of_kind(kinds: frozenset[SqlKind], reading: Reading) -> bool:
    """A statement that passes for a read and is none for certain is of no kind that could be listed."""
    return reading.kinds <= kinds and (reading.read_only or not reading.kinds <= _READING)


_READING = frozenset({SqlKind.SELECT, SqlKind.SESSION, SqlKind.META})
