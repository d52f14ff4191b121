"""How verbs answer: JSON Lines for programs that ask for them, a table on a terminal, else TSV.

Every text is made inert: a name that holds an escape sequence is shown, never obeyed (lesson 13).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from broker.model.names import is_printable

Value = str | int | bool | datetime | Sequence[str] | None
Row = Mapping[str, Value]


def moment(at: int | None) -> datetime | None:
    """Microseconds since the epoch as a time that `show` knows how to print."""
    return None if at is None else datetime.fromtimestamp(at / 1_000_000, UTC)


def moment_text(at: int | None) -> str | None:
    """Microseconds since the epoch as RFC 3339 in UTC, for JSON."""
    when = moment(at)
    return None if when is None else when.isoformat().replace("+00:00", "Z")


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows of the same columns. TSV has no header and is never cut; times in it are UTC."""
    if as_json:
        for row in rows:
            print_object(row)
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in rows:
            click.echo("\t".join(_plain(value) for value in row.values()))


def show_facts(facts: Row) -> None:
    """Print the facts of one thing, a row for each: its name and its value, aligned on a terminal."""
    people = sys.stdout.isatty()
    longest = max(map(len, facts), default=0)
    for name, value in facts.items():
        text = _for_people(value) if people else _plain(value)
        label = name.replace("_", " ")
        click.echo(f"{label:<{longest}}  {text}" if people else f"{label}\t{text}")


def done(message: str, fields: Mapping[str, object], *, as_json: bool) -> None:
    """Tell that a change was made: a sentence, or one object."""
    if as_json:
        print_object(fields)
    else:
        click.echo(inert(message))


def print_object(fields: Mapping[str, object]) -> None:
    """One JSON object on a line of its own, with the version of its shape."""
    values = {name: _for_json(value) for name, value in fields.items()}
    click.echo(json.dumps({"v": 1, **values}))


def inert(text: str) -> str:
    """The text with everything that a terminal would act on, or not show, written as an escape."""
    return "".join(c if is_printable(c) else c.encode("unicode_escape").decode() for c in text)


def tell(*fields: str) -> None:
    """One line of fields, made inert."""
    click.echo("\t".join(map(inert, fields)))


def _print_table(rows: Sequence[Row]) -> None:
    if not rows:
        return
    heads = [name.replace("_", " ").upper() for name in rows[0]]
    lines = [heads, *([_for_people(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def _for_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value


def _plain(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(timespec="seconds").replace("+00:00", "Z")
        case str() | int():
            return inert(str(value))
        case _:
            return inert(",".join(value))


def _for_people(value: Value) -> str:
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return _plain(value) or "-"
