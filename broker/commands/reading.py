"""What a command line would run, command by command, and what each policy's rules say of it."""

from __future__ import annotations

from broker.gate.rules import judge
from broker.gate.shell import parse
from broker.gate.text import shown
from broker.model.access import AccessRequest
from broker.model.command import CommandLine, CommandRules, SimpleCommand
from broker.policy.engine import Engine, Stage


def reading(engine: Engine, request: AccessRequest) -> dict[str, object]:
    """The commands of the request's line and the judgement of each by each policy that grants it."""
    line = parse(request.command or b"")
    tables = [
        trace.policy.commands
        for trace in engine.trace(request)
        if trace.stage is Stage.FITS and trace.policy.commands is not None
    ]
    return {
        "opaque": line.opaque,
        "commands": [_command(command, tables) for command in line.commands],
    }


def as_lines(read: dict[str, object]) -> list[str]:
    """The same for people."""
    lines = ["would run:"]
    commands = read["commands"]
    assert isinstance(commands, list), "made by reading"
    for command in commands:
        lines.append(f"  {command['text']}")
        lines += [
            f"      {said['verdict']:5} {said['rule']} ({said['origin']}): {said['reason']}"
            for said in command["rules"]
        ]
        lines += [f"      {fact}" for fact in command["facts"]]
    if read["opaque"] is not None:
        lines.append(f"  and perhaps more: {read['opaque']}")
    elif not commands:
        lines.append("  nothing")
    return lines


def _command(command: SimpleCommand, tables: list[CommandRules]) -> dict[str, object]:
    words = [command.program, *command.args] if command.program else []
    text = " ".join(_word(word) for word in words) or (
        "set " + " ".join(map(shown, command.sets)) if command.sets else "(a redirection)"
    )
    facts = [f"does: {deed.value}" for deed in sorted(command.does)]
    facts += [f"writes: {shown(path)}" for path in command.writes]
    facts += [f"reads: {shown(read.path)}{' and below' if read.within else ''}" for read in command.reads]
    judged = [judge(table, CommandLine((command,))) for table in tables]
    rules = [
        {
            "verdict": said.verdict.value,
            "rule": said.rule.name,
            "origin": said.rule.origin,
            "reason": said.reason,
        }
        for said in judged
    ]
    return {"text": text, "facts": facts, "rules": rules}


def _word(word: str) -> str:
    safe = shown(word)
    return f"'{safe}'" if not safe or any(char in safe for char in " '\"\\;&|<>()$`") else safe
