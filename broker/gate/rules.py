"""A command line against one policy's rules: the strictest answer of all its commands holds."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from broker.gate.shell import parse
from broker.gate.words import shown
from broker.model.access import Verdict
from broker.model.command import CommandLine, CommandRule, CommandRules, Judgement, SimpleCommand

TRUSTED_FOLDERS = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin"})
"""Where a program named in an allow rule may lie when it is called by its path."""


def judge_line(rules: CommandRules, command: bytes) -> Judgement:
    """As `judge`, for the bytes of an exec request. Satisfies `model.command.Judge`."""
    return judge(rules, parse(command))


def judge(rules: CommandRules, line: CommandLine) -> Judgement:
    """DENY if any command is denied or, by default, named by no rule, or if what cannot be read is to be
    denied; else ALLOW. A rule that denies wins over any that allows."""
    judgements = [_judge_command(rules, command) for command in line.commands]
    for judgement in judgements:
        if judgement.verdict is Verdict.DENY:
            return judgement
    if line.opaque is not None and rules.opaque is not Verdict.ALLOW:
        return Judgement(Verdict.DENY, rules.rule, f"the command cannot be checked: {line.opaque}")
    if judgements:
        return judgements[0]
    return Judgement(Verdict.ALLOW, rules.rule, "not checked")


def _judge_command(rules: CommandRules, command: SimpleCommand) -> Judgement:
    for rule in rules.rules:
        if rule.effect is not Verdict.ALLOW and _denies(rule, command):
            reason = rule.reason or f"{_name(command)} is denied here"
            return Judgement(Verdict.DENY, rule.rule, reason)
    for rule in rules.rules:
        if rule.effect is Verdict.ALLOW and _allows(rule, command):
            return Judgement(Verdict.ALLOW, rule.rule, rule.reason or f"{_name(command)} is allowed here")
    if rules.default is Verdict.ALLOW:
        return Judgement(Verdict.ALLOW, rules.rule, "no rule denies it")
    if command.writes:
        return Judgement(
            Verdict.DENY, rules.rule, f"writing to {shown(command.writes[0])} is not allowed here"
        )
    return Judgement(Verdict.DENY, rules.rule, f"{_name(command)} is not among the commands allowed here")


def _name(command: SimpleCommand) -> str:
    return shown(posixpath.basename(command.program) or command.program) or "a redirection"


def _denies(rule: CommandRule, command: SimpleCommand) -> bool:
    """Broad: any path to a program of that name."""
    name = posixpath.basename(command.program)
    path = _normal(command.program)
    named = any(matches(glob, path if "/" in glob else name) for glob in rule.programs)
    return named and _arguments_fit(rule, command)


def _allows(rule: CommandRule, command: SimpleCommand) -> bool:
    """Narrow: the bare name or a path in the system's folders, and no file written."""
    if command.writes or not command.program:
        return False
    name = posixpath.basename(command.program)
    plain = command.program == name or posixpath.dirname(command.program) in TRUSTED_FOLDERS
    named = any(
        matches(glob, command.program) if "/" in glob else plain and matches(glob, name)
        for glob in rule.programs
    )
    return named and _arguments_fit(rule, command)


def _normal(path: str) -> str:
    """Without `.`, `..` and repeated slashes."""
    return re.sub("^//", "/", posixpath.normpath(path)) if path else ""


def _arguments_fit(rule: CommandRule, command: SimpleCommand) -> bool:
    args = command.args
    if rule.effect is Verdict.ALLOW and "--" in args:
        args = args[: args.index("--")]
    if not all(occurs(wanted, args) for wanted in rule.args):
        return False
    return rule.only is None or all(any(matches(glob, arg) for glob in rule.only) for arg in command.args)


def occurs(wanted: str, args: tuple[str, ...]) -> bool:
    """True if `wanted` is among the arguments. Short options match in any spelling: `-rf` is found in
    `-fr`, `-r -f` and `-rvf`. Anything else is compared as a glob, argument by argument."""
    if re.fullmatch(r"-[A-Za-z0-9]+", wanted):
        given = {letter for arg in args if re.match(r"-[^-]", arg) for letter in arg[1:]}
        return set(wanted[1:]) <= given
    return any(matches(wanted, arg) for arg in args)


def matches(glob: str, text: str) -> bool:
    """`*` and `?` as in the shell: neither matches a `/`, and a pattern never matches a `..` part."""
    if ("*" in glob or "?" in glob) and ".." in text.split("/"):
        return False
    return _compiled(glob).match(text) is not None


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    parts = {"*": "[^/]*", "?": "[^/]"}
    pattern = "".join(parts.get(char) or re.escape(char) for char in re.sub(r"\*+", "*", glob))
    return re.compile(rf"{pattern}\Z", re.DOTALL)
