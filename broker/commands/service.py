"""`bartizan serve` and `init`: running a broker, and the first steps to one."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click
import structlog

from broker import app
from broker.adapters.master_key import generate_master_key
from broker.commands.context import Context
from broker.config import load_config
from broker.model.errors import Invalid

_FIRST_CONFIG = """\
# The broker's configuration; every key is explained in docs/configuration.md.
listen: {{address: 0.0.0.0, port: 2222}}
data: {data}
control: {{socket: {socket}}}
vault:
  master_key: {{file: {key}}}
"""


@click.command()
@click.pass_obj
def serve(context: Context) -> None:
    """Run the broker until it is told to stop (SIGTERM). SIGHUP reads targets and policies again.

    Example: bartizan --config /etc/bartizan/bartizan.yaml serve
    """
    settings = load_config(context.config_path)
    set_up_logging(settings.log.format.value, settings.log.level.value)
    asyncio.run(app.serve(context.config_path))


def set_up_logging(form: str, level: str) -> None:
    """Structured lines on stderr, for journald or a person."""
    number = logging.getLevelNamesMapping()[level.upper()]
    as_json = form == "json"
    render = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(repr_native_str=True)
    )
    # Without the values of variables: among them are opened credentials.
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    exceptions = (
        structlog.processors.ExceptionRenderer(frames) if as_json else structlog.processors.format_exc_info
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            exceptions,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a first configuration in FOLDER: bartizan.yaml, a master key, targets/ and policies/.

    Nothing that exists is overwritten.

    Example: bartizan init /etc/bartizan
    """
    folder = folder.absolute()
    config = folder / "bartizan.yaml"
    if config.exists():
        raise Invalid(f"{config} exists; nothing was changed")
    for part in ("targets", "policies"):
        (folder / part).mkdir(mode=0o755, parents=True, exist_ok=True)
    key = folder / "master.key"
    generate_master_key(key)
    system = folder == Path("/etc/bartizan")
    data = Path("/var/lib/bartizan") if system else folder / "data"
    socket = Path("/run/bartizan/control.sock") if system else folder / "control.sock"
    config.write_text(_FIRST_CONFIG.format(data=data, socket=socket, key=key))
    click.echo(f"made {config}, its master key, targets/ and policies/")
    click.echo("next: describe a target and a policy (docs/first-target.md), then")
    click.echo(f"  bartizan --config {config} users add YOU --admin --key ~/.ssh/id_ed25519.pub")
    click.echo(f"  bartizan --config {config} serve")
