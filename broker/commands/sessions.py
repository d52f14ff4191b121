"""`bartizan sessions` and `bartizan recordings`: what is going on, and what went on."""

from __future__ import annotations

import os
import sys

import click
from msgspec import to_builtins

from broker.commands.asking import INHERITED, ask, control_socket, converse
from broker.commands.context import Context
from broker.commands.listing import Row, moment, print_object, show, show_facts
from broker.commands.verifying import bundle, verify
from broker.model.errors import Invalid
from broker.model.ids import is_session_id
from broker.wire.attached import attach
from broker.wire.client import WireClient
from broker.wire.messages import (
    Chunk,
    Done,
    KillSession,
    ListRecordings,
    ListSessions,
    ReadRecording,
    Sessions,
    SessionView,
    ShowSession,
)


@click.group()
def sessions() -> None:
    """The sessions that are live now."""


@sessions.command("ls")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def list_sessions(context: Context, as_json: bool) -> None:
    """List live sessions: your own, all of them for an admin.

    Example: bartizan sessions ls
    """
    found = ask(context, ListSessions(), Sessions).items
    show([_row(view) for view in found], as_json=as_json or context.json)


@sessions.command("show")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show_session(context: Context, id: str, as_json: bool) -> None:
    """Show the session ID: who, where, since when, and how its command lines are judged.

    \b
    Example: bartizan sessions show S-81c
             bartizan sessions show S-81c --json | jq .lines.state
    """
    [view] = ask(context, ShowSession(id), Sessions).items
    lines = None if view.lines is None else to_builtins(view.lines)
    if as_json or context.json:
        print_object({**_row(view), "lines": lines})
        return
    facts = {**_row(view), **{f"lines: {name}": value for name, value in (lines or _UNJUDGED).items()}}
    show_facts({name: value for name, value in facts.items() if value not in ("", None)})


@sessions.command()
@click.argument("id")
@click.option("-m", "--message", required=True, help="The reason; the user is shown it.")
@click.pass_obj
def kill(context: Context, id: str, message: str) -> None:
    """End the live session ID at once (admins).

    Example: bartizan sessions kill S-81c -m 'wrong host'
    """
    click.echo(ask(context, KillSession(id, message), Done).message)


@click.group()
def recordings() -> None:
    """The recordings you may read."""


@recordings.command("ls")
@click.argument("query", nargs=-1)
@click.option("--limit", default=500, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def list_recordings(context: Context, query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List recordings, newest first; every word of QUERY must occur (id, user, target, command, state).

    Example: bartizan recordings ls alice prod-db-1
    """
    found = ask(context, ListRecordings(" ".join(query), limit), Sessions).items
    show([_row(view) for view in found], as_json=as_json or context.json)


@recordings.command()
@click.argument("id")
@click.option("--events", is_flag=True, help="The event stream instead of the cast.")
@click.pass_obj
def cat(context: Context, id: str, events: bool) -> None:
    """Write the recording ID to standard output, as the asciicast file it is.

    Example: bartizan recordings cat S-81c > S-81c.cast
    """
    part = "events" if events else "cast"

    async def copy(client: WireClient) -> None:
        offset = 0
        while True:
            chunk = await client.ask(ReadRecording(id, part, offset))
            assert isinstance(chunk, Chunk)
            if not chunk.data:
                return
            sys.stdout.buffer.write(chunk.data)
            offset += len(chunk.data)

    converse(context, copy)


@recordings.command()
@click.argument("what")
@click.pass_obj
def play(context: Context, what: str) -> None:
    """Play WHAT: the id of a recording, or an asciicast file (version 1, 2 or 3), which needs no broker.

    \b
    Example: bartizan recordings play S-81c
             bartizan recordings play S-81c.cast
    """
    if is_session_id(what):
        sys.exit(attach(control_socket(context), f"recordings play {what}"))
    if os.environ.get(INHERITED):
        raise Invalid(f"{what!r} is no id of a recording", hint="bartizan recordings ls")
    if not os.path.isfile(what):
        raise Invalid(f"{what!r} is neither an id nor a file", hint="bartizan recordings ls lists the ids")
    os.execv(sys.executable, [sys.executable, "-m", "tui", "replay", what])  # noqa: S606


recordings.add_command(verify)
recordings.add_command(bundle)
_UNJUDGED = {"mode": "off"}


def _row(view: SessionView) -> Row:
    return {
        "id": view.id,
        "started_at": moment(view.started_at),
        "ended_at": moment(view.ended_at),
        "user": view.user,
        "target": view.target,
        "account": view.account,
        "channel": view.channel,
        "state": view.state,
        "exit_status": view.exit_status,
        "end_reason": view.end_reason,
        "source": view.source,
        "reason": view.reason,
        "command": view.command,
        "size": view.size,
    }
