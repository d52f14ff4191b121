"""`bartizan help`: the same as --help, for those who type it."""

from __future__ import annotations

import click


@click.command("help")
@click.argument("verb", required=False)
@click.pass_context
def show_help(ctx: click.Context, verb: str | None) -> None:
    """Explain all verbs, or one VERB.

    Example: bartizan help recordings
    """
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    if verb is None:
        click.echo(root.get_help())
        return
    _, command, _ = root.command.resolve_command(root, [verb])
    assert command is not None, "a verb that is unknown has been refused"
    click.echo(command.get_help(click.Context(command, info_name=verb, parent=root)))
