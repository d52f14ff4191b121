"""`bartizan policy replay`: what changed policies would have done to what was recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn, Protocol

import click

from broker.commands.admin import AdminStore, change, now
from broker.commands.config import load_all
from broker.commands.listing import moment, print_object, show
from broker.config.units import duration
from broker.gate.rules import judge_line
from broker.model.access import AccessRequest
from broker.model.session import SessionRow
from broker.model.target import Channel, Target
from broker.policy.engine import Engine
from broker.policy.loader import PolicySet, load_policies
from broker.policy.replay import Difference, Past, PastLine, Replay, Tally
from broker.ports import SessionStore, UserStore
from broker.services.evidence import recording_path
from recorder.cast import CastError, StreamEvent
from recorder.reader import events_path, read_events

ALL = 1 << 40
"""Sessions at most: every one there is."""
KEPT = 4096
"""Characters of a line that a recording keeps: what is longer cannot be judged again."""


class ReplayStore(AdminStore, SessionStore, Protocol):
    """Users, sessions and the audit."""


class ReplayContext(Protocol):
    """click's `ctx.obj` for this verb."""

    config_path: Path
    json: bool

    def open_store(self) -> ReplayStore: ...


class Since(click.ParamType[int]):
    """Microseconds since the epoch, from `7d` (back from now) or `2026-11-01`."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        try:
            if text[-1:].isdecimal():
                day = date.fromisoformat(text)
                return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
            return now() - int(duration(text) * 1_000_000)
        except ValueError:
            self._refuse(text, param, ctx)

    def _refuse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
        self.fail(f"expected a time span such as 7d or a day such as 2026-11-01, got {text!r}", param, ctx)


@click.command()
@click.option(
    "--against",
    required=True,
    type=click.Path(path_type=Path),
    help="A file, whose policies take the place of those with the same name, or a folder in place of all.",
)
@click.option("--since", type=Since(), default=None, help="Only sessions from then on: 7d, or 2026-11-01.")
@click.option("--user", help="Only sessions of this user.")
@click.option(
    "--target", "pattern", default="*", help="Only sessions on targets of this name; * and ? allowed."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line; the last is the summary.")
@click.pass_obj
def replay(
    context: ReplayContext, against: Path, since: int | None, user: str | None, pattern: str, as_json: bool
) -> None:
    """Show what changed policies would have answered differently to what was recorded.

    Sessions opened, single commands and each judged line are asked about again, at the moment they happened,
    with the groups that users have now and the targets as configured now. What those in force answer just
    the same is no difference. Exit status 1 if anything differs.

    \b
    Examples:
      bartizan policy replay --against prod.yaml
      bartizan policy replay --against new-policies/ --since 30d --target 'prod-*' --json
    """
    settings, targets, policies = load_all(context.config_path)
    changed = taking_the_place(policies, against)
    store = context.open_store()
    rows = [row for row in reversed(store.sessions(user=user, limit=ALL)) if _wanted(row, since, pattern)]
    change(store, lambda: None, "policy.replayed", str(against), sessions=len(rows))
    asking = Replay(Engine(policies, judge_line), Engine(changed, judge_line))
    past = Archive(settings.recordings, store, {target.name: target for target in targets}, asking.tally)
    found: list[Difference] = []
    with click.progressbar(
        rows, label="sessions", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as advancing:
        for row in advancing:
            session = past.session(row)
            found += asking.differences(session) if session is not None else ()
    _tell(found, asking.tally, as_json=as_json or context.json)
    if found:
        sys.exit(1)


def taking_the_place(policies: PolicySet, path: Path) -> PolicySet:
    """The policies with those of a file in the place of their namesakes, or those of a folder instead.

    Raises:
        InvalidConfig: they cannot be used.
    """
    new = load_policies(path, required=True, on_call=policies.on_call)
    if path.is_dir():
        return new
    named = {policy.rule.name for policy in new.policies}
    kept = tuple(policy for policy in policies.policies if policy.rule.name not in named)
    return PolicySet((*kept, *new.policies), policies.on_call)


def _wanted(row: SessionRow, since: int | None, pattern: str) -> bool:
    return (since is None or row.started_at >= since) and fnmatchcase(row.target, pattern)


class Archive:
    """Recorded sessions as requests that can be asked about again; what cannot is counted."""

    def __init__(self, folder: Path, users: UserStore, targets: Mapping[str, Target], tally: Tally) -> None:
        self._folder = folder
        self._users = users
        self._targets = targets
        self._tally = tally

    def session(self, row: SessionRow) -> Past | None:
        """None where its user, its target or its recording is gone."""
        user, target = self._users.user(row.user), self._targets.get(row.target)
        if user is None or target is None:
            self._tally.skipped[f"sessions of {'users' if user is None else 'targets'} that are gone"] += 1
            return None
        try:
            events = list(read_events(events_path(recording_path(self._folder, row))))
        except (OSError, CastError):
            self._tally.skipped["sessions whose recording cannot be read"] += 1
            return None
        command = row.command.encode() if row.channel == Channel.EXEC else None
        request = AccessRequest(
            user.principal(), target, row.account, Channel(row.channel), row.started_at, row.reason, command
        )
        return Past(row.id, request, _answer(events), _lines(events, row.started_at))


def _answer(events: list[StreamEvent]) -> str:
    """A recorded session was opened; what rules said of the command of an exec is noted with it."""
    noted = next((event.fields.get("verdict") for event in events if event.kind == "command"), None)
    return noted if isinstance(noted, str) else "allow"


def _lines(events: list[StreamEvent], began: int) -> Iterator[PastLine]:
    for event in events:
        if event.kind == "line":
            text, answer = str(event.fields.get("text", "")), str(event.fields.get("verdict", ""))
            yield PastLine(began + event.t, text, answer, _skipped(event, text, answer))


def _skipped(event: StreamEvent, text: str, answer: str) -> str:
    if event.fields.get("secret"):
        return "lines typed without echo, which are not kept"
    if answer == "doubt":
        return "lines that could not be read"
    return "lines longer than what is kept of them" if len(text) >= KEPT else ""


def _tell(found: list[Difference], tally: Tally, *, as_json: bool) -> None:
    show([_row(one) for one in found], as_json=as_json)
    if as_json:
        print_object(
            {"kind": "summary", "asked": tally.asked, "differ": tally.differ, "skipped": tally.skipped}
        )
        return
    kinds = (("line", "lines"), ("command", "commands"), ("session", "sessions"))
    counts = [f"{tally.differ[kind]} of {tally.asked[kind]} {plural}" for kind, plural in kinds]
    click.echo(f"{counts[0]}, {counts[1]} and {counts[2]} would be answered differently", err=True)
    for why, count in sorted(tally.skipped.items()):
        click.echo(f"not asked about: {count} {why}", err=True)


def _row(one: Difference) -> dict[str, str | datetime | None]:
    request = one.request
    return {
        "session": one.session,
        "at": moment(one.at),
        "user": request.principal.name,
        "target": f"{request.account}+{request.target.name}",
        "kind": one.kind,
        "old": one.old,
        "new": one.new,
        "rule": one.rule.name,
        "origin": one.rule.origin,
        "text": one.text,
        "reason": one.reason,
    }
