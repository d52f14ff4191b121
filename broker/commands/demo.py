"""`bartizan demo`: the first five minutes, without anything to set up."""

from __future__ import annotations

import sys

import click

from broker.commands.context import Context
from broker.demo import stage


@click.command()
@click.option("--auto", is_flag=True, help="Play it without keys; exit status 0 if all went as expected.")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 100),
    help="With --auto: pause after each step, so that one can read along; higher is faster.",
)
@click.option("--json", "as_json", is_flag=True, help="With --auto: one JSON object per step.")
@click.option("--plain", is_flag=True, help="The plain numbered menu instead of the picker.")
@click.option("--keep", is_flag=True, help="Leave the temporary folder, and go on running until Ctrl-C.")
@click.pass_obj
def demo(context: Context, auto: bool, speed: float | None, as_json: bool, plain: bool, keep: bool) -> None:
    """Try bartizan here and now: a broker, a real shell behind it, two users, in a temporary folder.

    Needs no root, no network and no keys of yours; everything listens on 127.0.0.1 and is removed at the end.

    Example: bartizan demo --auto
    """
    as_json = as_json or context.json
    if not auto and (as_json or speed is not None):
        raise click.UsageError("--json and --speed belong to --auto")
    sys.exit(stage.demo(auto=auto, speed=speed, as_json=as_json, plain=plain, keep=keep))
