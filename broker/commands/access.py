"""`bartizan ls` and `bartizan open`: what one may reach, and going there."""

from __future__ import annotations

import json
import os
import sys

import click

from broker.commands.asking import ask, control_socket
from broker.commands.context import Context
from broker.commands.listing import moment, moment_text, show
from broker.wire.attached import attach
from broker.wire.messages import ListTargets, Targets, TargetView


@click.command()
@click.argument("query", nargs=-1)
@click.option("--env", help="Only targets whose tag env is this.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def ls(context: Context, query: tuple[str, ...], env: str | None, as_json: bool) -> None:
    """List the targets you may see, with the state of your access.

    Example: bartizan ls prod --json
    """
    found = ask(context, ListTargets(" ".join(query)), Targets).items
    targets = [target for target in found if env is None or target.tags.get("env") == env]
    if as_json or context.json:
        for target in targets:
            click.echo(json.dumps({"v": 1, **_target_json(target)}))
        return
    show(
        [
            {
                "name": target.name,
                "account": account.name,
                "env": target.tags.get("env", ""),
                "access": account.state,
                "why": account.why,
                "last": moment(target.last_at),
                "note": target.note,
            }
            for target in targets
            for account in target.accounts
        ],
        as_json=False,
    )


def _target_json(target: TargetView) -> dict[str, object]:
    accounts = [
        {"name": a.name, "state": a.state, "why": a.why, "rule": a.rule, "origin": a.origin}
        for a in target.accounts
    ]
    first = accounts[0]
    return {
        "name": target.name,
        "address": target.address,
        "port": target.port,
        "accounts": accounts,
        "access": {"state": first["state"], "why": first["why"]},
        "tags": target.tags,
        "note": target.note,
        "dialect": target.dialect,
        "last_at": moment_text(target.last_at),
        "live": target.live,
    }


@click.command("open", context_settings={"ignore_unknown_options": True})
@click.argument("target")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("-r", "--reason", default="", help="Why; asked for where the policy wants one.")
@click.option("--wait", "wait_for", metavar="DUR", default="", help="Wait for an approval, e.g. 15m.")
@click.option("--break-glass", is_flag=True, help="Without the approval, to be reviewed; loud.")
@click.pass_obj
def open_target(
    context: Context,
    target: str,
    command: tuple[str, ...],
    reason: str,
    wait_for: str,
    break_glass: bool,
) -> None:
    """Open a session on [ACCOUNT+]TARGET, or run one COMMAND there.

    \b
    Example: bartizan open postgres+prod-db-1 -r INC-4821 -- psql -c 'select 1'
             bartizan open --wait 15m prod-web-1 -- systemctl restart app
    """
    if reason:
        os.environ["BARTIZAN_REASON"] = reason
    if wait_for:
        os.environ["BARTIZAN_WAIT"] = wait_for
    if break_glass:
        os.environ["BARTIZAN_BREAK_GLASS"] = "yes"
    words = " ".join(("--", target, *command))
    sys.exit(attach(control_socket(context), words))
