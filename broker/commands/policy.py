"""`bartizan policy check`, `explain` and `test`: what the policies say, without a running broker."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.commands.config import load_all
from broker.commands.context import Context
from broker.commands.reading import as_lines, reading
from broker.commands.replay import replay
from broker.config import load_config
from broker.gate.rules import judge_line
from broker.model import exits
from broker.model.access import AccessRequest
from broker.model.errors import Invalid
from broker.model.identity import Kind, Principal
from broker.model.target import Channel, Target
from broker.policy.cases import Outcome, run_cases
from broker.policy.engine import Engine
from broker.policy.explain import as_json, as_text, explain
from broker.policy.loader import load_policies
from broker.policy.oncall import DutyRoster


class Unknown(Invalid):
    """A user or target that does not exist."""

    code = "E-UNKNOWN"
    exit_status = exits.UNKNOWN_TARGET


@click.group()
def policy() -> None:
    """Check, explain and try out the policies."""


policy.add_command(replay)


@policy.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--json", "json_out", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def check(context: Context, path: Path | None, json_out: bool) -> None:
    """Read the policies of PATH (a file or a folder; default: those of the configuration).

    Exit status 78 and every problem, if there is one. Of PATH it is not known which on-call lists there are.

    Example: bartizan policy check new-policies/prod.yaml
    """
    if path is not None:
        place, roster = path, None
    else:
        settings = load_config(context.config_path)
        place = settings.policies
        roster = DutyRoster(settings.on_call, required=settings.is_set("on_call"))
    policies = load_policies(place, required=True, on_call=roster).policies
    if json_out or context.json:
        names = [{"name": p.rule.name, "origin": p.rule.origin} for p in policies]
        click.echo(json.dumps({"v": 1, "ok": True, "path": str(place), "policies": names}))
        return
    click.echo(f"ok  {place}: {len(policies)} policies")


@policy.command(name="explain", context_settings={"ignore_unknown_options": True})
@click.argument("user")
@click.argument("target")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--account", help="Account on the target; default: its first.")
@click.option("--channel", type=click.Choice([c.value for c in Channel]), help="Default: shell, or exec.")
@click.option("--groups", help="Groups of the user, comma separated, instead of the stored ones.")
@click.option("--agent", is_flag=True, help="With --groups: the user is an agent.")
@click.option("--reason", default="", help="The reason the user would give.")
@click.option("--at", type=click.DateTime(["%Y-%m-%d %H:%M"]), help="A moment in UTC instead of now.")
@click.option("--json", "json_out", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def explain_command(
    context: Context,
    user: str,
    target: str,
    command: tuple[str, ...],
    account: str | None,
    channel: str | None,
    groups: str | None,
    agent: bool,
    reason: str,
    at: datetime | None,
    json_out: bool,
) -> None:
    """Say what would be decided if USER opened TARGET, or ran COMMAND on it, and why.

    Told are the rule with file and line, who would be asked to approve, and of COMMAND each program that it
    would run. With --channel shell it is a line typed in a session.

    \b
    Examples:
      bartizan policy explain alice web-1
      bartizan policy explain alice web-1 'sudo systemctl restart app'
      bartizan policy explain alice web-1 --channel shell --at '2026-11-27 15:00' 'rm -r /srv/x'
    """
    _, targets, policies = load_all(context.config_path)
    chosen = _target(target, targets)
    request = AccessRequest(
        principal=_principal(context, user, groups, agent=agent),
        target=chosen,
        account=account or chosen.accounts[0],
        channel=Channel(channel) if channel else Channel.EXEC if command else Channel.SHELL,
        at=time.time_ns() // 1000 if at is None else int(at.replace(tzinfo=UTC).timestamp()) * 1_000_000,
        reason=reason,
        command=" ".join(command).encode("utf-8", "surrogateescape") if command else None,
    )
    engine = Engine(policies, judge_line)
    explanation = explain(engine, request)
    read = reading(engine, request) if request.command is not None else None
    if json_out or context.json:
        click.echo(json.dumps(as_json(explanation) | ({"line": read} if read is not None else {})))
        return
    click.echo(as_text(explanation))
    if read is not None:
        click.echo("\n".join(as_lines(read)))


@policy.command(name="test")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "json_out", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def test_command(context: Context, path: Path, json_out: bool) -> None:
    """Ask the policies that PATH names, and compare with the answers it expects.

    Exit status 1 if one differs. The cases are described in docs/policies.md.

    Example: bartizan policy test cases/production-shell.yaml
    """
    outcomes = run_cases(path, judge_line)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if json_out or context.json:
        click.echo(json.dumps({"v": 1, "ok": not failed, "cases": [_outcome(one) for one in outcomes]}))
    else:
        for one in failed:
            by = f" by {one.rule.name} ({one.reason})"
            click.echo(f"{one.where}: {one.asked!r}: expected {one.expected}, got {one.got}{by}")
        right = len(outcomes) - len(failed)
        word = "failed" if failed else "ok"
        click.echo(f"{word}  {path}: {right} of {len(outcomes)} as expected")
    if failed:
        raise SystemExit(1)


def _outcome(one: Outcome) -> dict[str, object]:
    return {
        "where": one.where,
        "asked": one.asked,
        "expected": one.expected,
        "got": one.got,
        "rule": {"name": one.rule.name, "origin": one.rule.origin},
        "reason": one.reason,
        "ok": one.passed,
    }


def _target(name: str, targets: list[Target]) -> Target:
    for target in targets:
        if target.name == name:
            return target
    raise Unknown(f"no target is called {name!r}", hint="bartizan config check reads the targets again")


def _principal(context: Context, name: str, groups: str | None, *, agent: bool) -> Principal:
    if groups is not None:
        given = frozenset(group.strip() for group in groups.split(",") if group.strip())
        return Principal(name, Kind.AGENT if agent else Kind.HUMAN, given)
    user = context.find_user(name) if context.find_user else None
    if user is None:
        hint = "give --groups a,b to explain for a user who is not stored"
        raise Unknown(f"no user is called {name!r}", hint=hint)
    return user.principal()
