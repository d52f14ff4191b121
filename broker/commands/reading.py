"""What a command line would run, command by command, and what each policy's rules say of it."""

from __future__ import annotations

from dataclasses import replace

from broker.gate.rules import judge
from broker.gate.shell import parse
from broker.gate.text import shown
from broker.model.access import AccessRequest, Rule
from broker.model.command import CommandLine, CommandRules, Judgement, SimpleCommand
from broker.model.target import Channel
from broker.policy.engine import Engine, Stage
from broker.policy.explain import terms_as_json
from broker.policy.lines import in_scope
from broker.policy.schema import Effect


def reading(engine: Engine, request: AccessRequest) -> dict[str, object]:
    """The answer to the request's line, its commands, and the judgement of each by each policy that grants
    it; `answer` is None where no rules are about it."""
    line = parse(request.command or b"")
    tables = [
        in_scope(trace.policy, trace.policy.commands, request)
        for trace in engine.trace(request)
        if trace.stage is Stage.FITS
        and trace.policy.effect is Effect.ALLOW
        and trace.policy.commands is not None
    ]
    said = answer(engine, request)
    return {
        "answer": None if said is None else _said(said),
        "opaque": line.opaque,
        "commands": [_command(command, line, tables) for command in line.commands],
    }


def answer(engine: Engine, request: AccessRequest) -> Judgement | None:
    """What all rules say of the line: as an exec, or typed in a shell. None: no rules are about it."""
    if request.channel is Channel.EXEC:
        return engine.decide(request).judgement
    return engine.judge_line(request, request.command or b"")


def as_lines(read: dict[str, object]) -> list[str]:
    """The same for people."""
    lines = []
    said = read["answer"]
    if isinstance(said, dict):
        lines += [f"line:     {said['verdict'].upper()} by {_place(said)}: {said['reason']}"]
        if said["approval"] is not None:
            lines.append(f"  decides {said['approval']['text']}")
        lines += [f"  observed by {_place(rule)}: runs all the same" for rule in said["observed"]]
    lines.append("would run:")
    commands = read["commands"]
    assert isinstance(commands, list), "made by reading"
    for command in commands:
        lines.append(f"  {command['text']}")
        lines += [f"      {said['verdict']:7} {_place(said)}: {said['reason']}" for said in command["rules"]]
        lines += [f"      {fact}" for fact in command["facts"]]
    if read["opaque"] is not None:
        lines.append(f"  and perhaps more: {read['opaque']}")
    elif not commands:
        lines.append("  nothing")
    return lines


def _place(said: dict[str, object]) -> str:
    return f"{said['rule']} ({said['origin']})" if said["origin"] else str(said["rule"])


def _said(said: Judgement) -> dict[str, object]:
    return {
        "verdict": said.verdict.value,
        **_rule(said.rule),
        "reason": said.reason,
        "doubt": said.doubt,
        "approval": None if said.approval is None else terms_as_json(said.approval),
        "observed": [_rule(rule) for rule in said.observed],
    }


def _rule(rule: Rule) -> dict[str, object]:
    return {"rule": rule.name, "origin": rule.origin}


def _command(command: SimpleCommand, line: CommandLine, tables: list[CommandRules]) -> dict[str, object]:
    words = [command.program, *command.args] if command.program else []
    text = " ".join(_word(word) for word in words) or (
        "set " + " ".join(map(shown, command.sets)) if command.sets else "(a redirection)"
    )
    facts = [f"does: {deed.value}" for deed in sorted(command.does)]
    facts += [f"writes: {shown(path)}" for path in command.writes]
    facts += [f"reads: {shown(read.path)}{' and below' if read.within else ''}" for read in command.reads]
    alone = replace(line, commands=(command,), opaque=None)
    return {"text": text, "facts": facts, "rules": [_said(judge(table, alone)) for table in tables]}


def _word(word: str) -> str:
    safe = shown(word)
    return f"'{safe}'" if not safe or any(char in safe for char in " '\"\\;&|<>()$`") else safe
