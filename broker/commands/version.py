"""`bartizan version`."""

from __future__ import annotations

from importlib.metadata import version as installed

import click

VERSION = installed("bartizan")


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"bartizan {VERSION}")
