"""`bartizan completion`: make the shell complete verbs, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = click.Choice(["bash", "zsh", "fish"])


@click.command()
@click.argument("shell", type=_SHELLS)
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL; read it from your shell's start-up file.

    \b
    Example: bartizan completion bash > /etc/bash_completion.d/bartizan
             bartizan completion fish > ~/.config/fish/completions/bartizan.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "the choice lists click's own shells"
    script = kind(ctx.find_root().command, {}, "bartizan", "_BARTIZAN_COMPLETE")
    if shell == "bash":
        # click's own way asks the bash at hand for its version; the one that reads this may be another.
        click.echo(script.source_template % script.source_vars())
    else:
        click.echo(script.source())
