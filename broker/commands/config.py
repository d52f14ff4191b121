"""`bartizan config check`: is everything that the broker would read usable?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from broker.commands.context import Context
from broker.config import Config, load_config, load_targets
from broker.model.errors import InvalidConfig
from broker.model.target import Target
from broker.policy.loader import PolicySet, load_policies
from broker.policy.oncall import DutyRoster
from broker.policy.scope import target_fits


@click.group()
def config() -> None:
    """Check the configuration."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def check(context: Context, as_json: bool) -> None:
    """Read bartizan.yaml, the targets and the policies, and tell every problem.

    Exit status 78 if there is one.
    """
    settings, targets, policies = load_all(context.config_path)
    notes = remarks(targets, policies)
    if as_json or context.json:
        answer = {
            "v": 1,
            "ok": True,
            "config": str(context.config_path),
            "targets": len(targets),
            "policies": len(policies.policies),
            "notes": notes,
        }
        click.echo(json.dumps(answer))
        return
    click.echo(f"ok  {context.config_path}")
    click.echo(f"ok  {settings.targets}: {len(targets)} targets")
    click.echo(f"ok  {settings.policies}: {len(policies.policies)} policies")
    for note in notes:
        click.echo(f"note: {note}")


def load_all(path: Path) -> tuple[Config, list[Target], PolicySet]:
    """The configuration with its targets and policies. Raises InvalidConfig that tells the problems of
    targets, policies and on-call lists together."""
    settings = load_config(path)
    refusals = []
    targets: list[Target] = []
    policies = PolicySet()
    roster: DutyRoster | None = None
    try:
        targets = load_targets(settings.targets, required=settings.is_set("targets"))
    except InvalidConfig as error:
        refusals.append(error)
    try:
        roster = DutyRoster(settings.on_call, required=settings.is_set("on_call"))
    except InvalidConfig as error:
        refusals.append(error)
    try:
        policies = load_policies(settings.policies, required=settings.is_set("policies"), on_call=roster)
    except InvalidConfig as error:
        refusals.append(error)
    if refusals:
        raise InvalidConfig("\n".join(error.message for error in refusals))
    return settings, targets, policies


def remarks(targets: list[Target], policies: PolicySet) -> list[str]:
    """What is allowed but hardly meant: policies that name no target, targets that no policy names."""
    notes = [
        f"the policy {policy.rule.name} ({policy.rule.origin}) names no target that is configured"
        for policy in policies.policies
        if not any(target_fits(policy.targets, target) for target in targets)
    ]
    notes += [
        f"the target {target.name} ({target.origin}) is named by no policy: nobody can open it"
        for target in targets
        if not any(target_fits(policy.targets, target) for policy in policies.policies)
    ]
    return notes
