"""`bartizan audit`: what happened, whether the log of it is whole, and the keys that prove it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker.commands.admin import actor, now
from broker.commands.listing import Row, done, moment, moment_text, print_object, show, tell
from broker.commands.verifying import (
    KEYS,
    EvidenceContext,
    in_words,
    new_file,
    note_export,
    point,
    progress_bar,
    published,
    trusted_keys,
    verdict_json,
    verify_bundles,
    verify_rows,
)
from broker.model import exits
from broker.model.audit import AuditEntry, audit_id
from broker.model.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from broker.services.ledger import LedgerReport
    from recorder.verify import Verdict


@click.group()
def audit() -> None:
    """What happened on this bastion, and the proof that nobody has changed the log of it.

    Example: bartizan audit verify --from 2026-11-01 || page-security
    """


@audit.command("ls")
@click.argument("query", nargs=-1)
@click.option("--since", help="From then on: 7d, 2026-11-01.")
@click.option("--limit", default=500, show_default=True, help="At most this many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
@click.pass_obj
def list_events(
    context: EvidenceContext, query: tuple[str, ...], since: str | None, limit: int, as_json: bool
) -> None:
    """List events, oldest first; every word of QUERY must occur (code, people, session, detail).

    \b
    Examples:
      bartizan audit ls session.refused --since 1d
      bartizan audit ls S-81c
    """
    from broker.services.ledger_reading import entries_of

    after = point(since) if since else 0
    words = [word.lower() for word in query]
    found: list[AuditEntry] = []
    for entry in entries_of(context.open_store()):
        if entry.event.at >= after and all(word in _text(entry) for word in words):
            found.append(entry)
    show([_row(entry) for entry in found[-limit:]], as_json=as_json or context.json)


@audit.command()
@click.argument("bundle", nargs=-1, type=click.Path(path_type=Path))
@click.option("--from", "since", help="Only what happened from then on: 7d, 2026-11-01.")
@click.option("--recordings/--no-recordings", default=True, help="Check every recording's bytes too.")
@KEYS
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def verify(
    context: EvidenceContext,
    bundle: tuple[Path, ...],
    since: str | None,
    recordings: bool,
    keys: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Check the log, its seals, the anchors outside and the recordings; exit 2 if anything does not hold.

    Names the first thing that is wrong, and what still holds. BUNDLE: exported files to check instead, with
    --keys, where there is no broker.

    Example: bartizan audit verify --from 2026-11-01
    """
    as_json = as_json or context.json
    if bundle:
        verify_bundles(bundle, keys, as_json)
        return
    checked = _checked(context, since, keys, recordings)
    if as_json:
        print_object(checked.as_json())
    else:
        for fields in checked.lines(recordings):
            tell(*fields)
    if not checked.good:
        sys.exit(exits.TAMPERED)


@dataclass(frozen=True, slots=True)
class _Checked:
    """The outcome for all that was looked at."""

    ledger: LedgerReport
    places: dict[str, int]
    anchor_faults: list[str]
    verdicts: list[Verdict]

    @property
    def bad(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if not verdict.good]

    @property
    def good(self) -> bool:
        return self.ledger.ok and not self.anchor_faults and not self.bad

    def as_json(self) -> dict[str, object]:
        ledger, seal = self.ledger, self.ledger.last_seal
        return {
            "ok": self.good,
            "events": ledger.events,
            "seals": ledger.seals,
            "head": ledger.head.sha256.hex(),
            "problem": ledger.problem,
            "where": ledger.where,
            "good": audit_id(ledger.good) if ledger.good else None,
            "unsealed": ledger.unsealed,
            "sealed_at": moment_text(seal.at) if seal else None,
            "key": seal.key if seal else None,
            "anchors": {"newest": self.places, "problems": self.anchor_faults},
            "recordings": {"checked": len(self.verdicts), "bad": [verdict_json(one) for one in self.bad]},
        }

    def lines(self, recordings: bool) -> Iterator[tuple[str, ...]]:
        """For people: the verdict on each part first."""
        yield from self._of_ledger()
        for fault in self.anchor_faults:
            yield "BAD", "anchors", fault
        for place, number in self.places.items():
            if not any(place.partition(":")[2] in fault for fault in self.anchor_faults):
                yield "OK", "anchors", f"{place}: newest seal {number}"
        for verdict in self.bad:
            yield "BAD", verdict.id, verdict.condition.value, in_words(verdict)
        if recordings:
            held = len(self.verdicts) - len(self.bad)
            yield "BAD" if self.bad else "OK", "recordings", f"{held} of {len(self.verdicts)} hold"

    def _of_ledger(self) -> Iterator[tuple[str, ...]]:
        ledger = self.ledger
        if ledger.problem:
            upto = f"good up to {audit_id(ledger.good)}" if ledger.good else "nothing before it is proved"
            yield "BAD", "audit", f"{ledger.problem}; {upto}"
            return
        late = f"; {ledger.unsealed} not sealed yet" if ledger.unsealed else ""
        yield "OK", "audit", f"{ledger.events} events under {ledger.seals} seals{late}"
        if (seal := ledger.last_seal) is not None:
            when = moment_text(seal.at)
            yield "OK", f"seal {seal.n}", f"head {seal.head.hex()[:12]}, made {when} by {seal.key}"


def _checked(
    context: EvidenceContext, since: str | None, keys: tuple[Path, ...], recordings: bool
) -> _Checked:
    from broker.services.ledger_reading import anchor_problems, checked_ledger, keys_of

    store = context.open_store()
    after = point(since) if since else 0
    trusted = trusted_keys(context, keys)
    first = _first_seq(context, after) if since else 0
    with progress_bar(store.head().seq - first, "events") as progress:
        ledger = checked_ledger(store, trusted, progress, first)
    places, faults = anchor_problems(store)
    verdicts: list[Verdict] = []
    if recordings:
        rows = [row for row in store.sessions(limit=10_000_000)[::-1] if row.started_at >= after]
        verdicts = verify_rows(context, rows, keys_of(store, trusted), every=since is None)
    return _Checked(ledger, places, faults, verdicts)


@audit.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--from", "since", help="Only what happened from then on: 7d, 2026-11-01.")
@click.pass_obj
def export(context: EvidenceContext, output: Path, since: str | None) -> None:
    """Write the log, with its seals and the public keys, as one file that verifies anywhere.

    Recordings go with `bartizan recordings bundle`.

    Example: bartizan audit export --from 30d -o audit.tar
    """
    from broker.services.bundle import whole_ledger, write_bundle

    store = context.open_store()
    first = _first_seq(context, point(since)) if since else 0
    note_export(context, "audit.exported", since or "all", output)
    keys = published(context, store)
    with new_file(output) as file:
        write_bundle(file, whole_ledger(store, first), [], keys, socket.gethostname())
    done(f"wrote {output}: verify it with the published keys", {"file": str(output)}, as_json=context.json)


def _first_seq(context: EvidenceContext, at: int) -> int:
    """The number of the last event before that moment."""
    from broker.services.ledger_reading import entries_of

    last = 0
    for entry in entries_of(context.open_store()):
        if entry.event.at >= at:
            break
        last = entry.seq
    return last


@audit.command()
@click.option("--last", default=20, show_default=True, help="How many of the newest recordings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def health(context: EvidenceContext, last: int, as_json: bool) -> None:
    """Check quickly that what is recorded now is signed: for monitoring; exit 2 if it is not.

    Looks at the chains of the newest recordings that have ended, and at the newest seal of the audit.

    Example: bartizan audit health || page-someone
    """
    from broker.services.evidence import unsealed
    from broker.services.ledger_reading import keys_of, late_events

    store = context.open_store()
    keys = keys_of(store, trusted_keys(context, ()))
    bad = unsealed(context.settings().recordings, store.sessions(limit=last), keys)
    late = late_events(store, keys, now())
    good = not bad and not late
    if as_json or context.json:
        print_object({"ok": good, "unsigned": bad, "audit": late})
    elif good:
        tell("OK", "the newest recordings and the audit are signed")
    else:
        for id in bad:
            tell("BAD", id, "its chain has no valid end")
        if late:
            tell("BAD", "audit", late)
    if not good:
        sys.exit(exits.TAMPERED)


@audit.group("key", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per key.")
@click.pass_context
def key(ctx: click.Context, as_json: bool) -> None:
    """Print the public keys that recordings and the audit are signed with, the one in force first.

    Keep the output where this bastion cannot write: whoever verifies elsewhere needs it.

    Example: bartizan audit key > published.pub
    """
    if ctx.invoked_subcommand is not None:
        return
    context: EvidenceContext = ctx.obj
    host = socket.gethostname()
    for public in published(context, context.open_store()):
        if as_json or context.json:
            print_object({"key": public.line, "fingerprint": public.fingerprint, "host": host})
        else:
            click.echo(f"{public.line} bartizan@{host}")


@key.command("new")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def new_key(context: EvidenceContext, file: Path) -> None:
    """Make a signing key in the new FILE, for a bastion that has lost its own.

    No other key vouches for it: keep the old public key for what the old one has signed. To change a key
    that is still there, use rotate.

    Example: bartizan audit key new /etc/bartizan/signing-2.key
    """
    from broker.adapters.signing_key import make_signing_key

    made = make_signing_key(file)
    message = f"made {file} ({made.key}); name it under signing.key in bartizan.yaml and restart the broker"
    done(message, {"file": str(file), "fingerprint": made.key}, as_json=context.json)


@key.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def rotate(context: EvidenceContext, file: Path) -> None:
    """Make the next signing key in the new FILE; the key in force and the new one vouch for each other.

    Then name FILE under signing.key in bartizan.yaml and restart the broker.

    Example: bartizan audit key rotate /etc/bartizan/signing-2.key
    """
    from broker.adapters.clock import SystemClock
    from broker.adapters.signing_key import make_signing_key
    from broker.services.seals import Sealer, rotation

    store, before = context.open_store(), context.signing_key()
    made = make_signing_key(file)
    try:
        store.append(rotation(before, made, now(), actor()))
        Sealer(store, before, SystemClock()).seal()
    except (Invalid, Unavailable):
        file.unlink()
        raise
    message = f"made {file} ({made.key}); name it under signing.key in bartizan.yaml and restart the broker"
    done(message, {"file": str(file), "fingerprint": made.key, "before": before.key}, as_json=context.json)


def _text(entry: AuditEntry) -> str:
    event = entry.event
    detail = json.dumps(event.detail, ensure_ascii=False)
    return f"{entry.id} {event.code} {event.actor} {event.subject} {event.session} {detail}".lower()


def _row(entry: AuditEntry) -> Row:
    event = entry.event
    return {
        "id": entry.id,
        "at": moment(event.at),
        "code": event.code,
        "actor": event.actor,
        "subject": event.subject,
        "session": event.session,
        "detail": json.dumps(event.detail, ensure_ascii=False),
    }
