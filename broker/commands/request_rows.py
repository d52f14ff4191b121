"""How verbs show requests: rows of a table, a page of text, or JSON. Texts of requesters came drawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from broker.commands.listing import Row, inert, moment, moment_text, print_object, show
from broker.wire.approvals import Drawn, RequestDetail, RequestView

_TIMES = frozenset(
    {"at", "opened_at", "expires_at", "settled_at", "until", "used_at", "mfa_at", "session_started_at"}
)


def show_requests(views: list[RequestView], *, as_json: bool) -> None:
    """A list, one row each."""
    if as_json:
        for view in views:
            print_object(for_json(view))
        return
    show([_row(view) for view in views], as_json=False)


def _row(view: RequestView) -> Row:
    return {
        "id": view.id,
        "state": view.state,
        "left": left_text(view),
        "risk": view.risk,
        "who": view.user,
        "kind": view.kind,
        "what": view.what,
        "where": f"{view.account}@{view.target}",
        "by": view.settled_by,
    }


def show_detail(detail: RequestDetail, *, as_json: bool) -> None:
    """All of one request."""
    if as_json:
        print_object(for_json(detail))
        return
    for line in page(detail):
        click.echo(line)


def page(detail: RequestDetail) -> Iterator[str]:
    """The lines for people; nothing in them is cut."""
    view = detail.request
    risk = f"{view.risk} ({view.score})"
    yield f"{view.id}  {view.kind.upper()}  {view.state}  {risk}  {left_text(view)}".rstrip()
    yield f"Who     {view.user} ({', '.join(detail.groups)}) from {detail.source}, {detail.credential}"
    tags = " ".join(f"{key}={value}" for key, value in detail.tags.items())
    session = f", {view.session}" if view.session else ""
    yield f"Where   {view.account}@{view.target}  {tags}  {detail.note}{session}".rstrip()
    yield f"Why     {view.reason or '-'}" + (f"  ticket {detail.ticket}" if detail.ticket else "")
    yield from _content(detail.content)
    yield f"Rule    {detail.rule} ({detail.origin}): {detail.why}"
    factors = " · ".join(f"{one.text} +{one.weight}" for one in detail.risk.factors)
    yield f"Risk    {detail.risk.level} ({detail.risk.score})  {factors}".rstrip()
    past = detail.past
    last = f" (last {past.last_id}, {past.last_by})" if past.last_id else ""
    yield f"Past    same rule, same target, 90 d: {past.approved} approved, {past.denied} denied{last}"
    if detail.screen:
        yield "Screen when held"
        yield from (f"  | {row}" for row in detail.screen)
    yield f"Needs   {detail.needs}"
    yield f"If approved: {detail.effect}"
    if detail.why_not and view.state == "pending":
        yield f"You: {detail.why_not}"
    yield f"Digest  {detail.digest}"
    for note in detail.notes:
        yield f"  {_clock(note.at)}  {note.what:<14} {note.by}  {note.text}".rstrip()
    for one in detail.deliveries:
        yield f"  notifier {one.notifier}: {one.state}, {one.tries} tries {inert(one.error)}".rstrip()


def _content(content: Drawn) -> Iterator[str]:
    if not content.bytes:
        return
    hidden = f"{content.hidden} HIDDEN CHARACTERS" if content.hidden else "no hidden characters"
    mixed = f", LETTERS OF {' AND '.join(content.scripts).upper()}" if content.scripts else ""
    yield f"Exact input, {content.bytes} bytes, {hidden}{mixed}, sha256 {content.sha256}"
    yield from (f"  | {row}" for row in content.text.split("\n"))


def left_text(view: RequestView) -> str:
    """How long it still waits, or is in force."""
    at = view.expires_at if view.state == "pending" else view.until if view.state == "approved" else None
    if at is None:
        return ""
    seconds = max(0, int(at / 1_000_000 - datetime.now(UTC).timestamp()))
    return (
        f"{seconds // 3600}h{seconds // 60 % 60:02}m"
        if seconds >= 6000
        else f"{seconds // 60:02}:{seconds % 60:02}"
    )


def _clock(at: int) -> str:
    when = moment(at)
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S") if when else ""


def for_json(view: msgspec.Struct) -> dict[str, object]:
    """The view with times as RFC 3339."""
    built: dict[str, object] = _with_times(msgspec.to_builtins(view))
    built.pop("type", None)
    return built


def _with_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_times(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: moment_text(one) if name in _TIMES and isinstance(one, int) else _with_times(one)
        for name, one in value.items()
    }
