"""`recordings verify` and `recordings bundle`: proof that recordings are what they were, here or there."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import click

from broker.commands.admin import actor, now
from broker.commands.asking import INHERITED, ask
from broker.commands.context import Context
from broker.commands.listing import done, print_object, tell
from broker.model import exits
from broker.model.errors import BartizanError, Invalid, Unavailable
from broker.model.ids import is_session_id
from broker.wire.messages import Verified, VerifyRecording

if TYPE_CHECKING:
    from broker.adapters.sqlite import SqliteStore
    from broker.config import Config
    from broker.model.session import SessionRow
    from broker.services.bundle_check import BundleReport
    from recorder.signing import KeyRing, SigningKey
    from recorder.verify import Verdict

KEYS = click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Published public keys to trust (what `bartizan audit key` printed); default: the configured key's.",
)


class EvidenceContext(Protocol):
    """click's `ctx.obj` for these verbs."""

    config_path: Path
    json: bool

    def open_store(self) -> SqliteStore: ...

    def settings(self) -> Config: ...

    def signing_key(self) -> SigningKey: ...


@click.command()
@click.argument("what", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every recording there is.")
@click.option("--since", help="Every recording that began since then: 7d, 2026-11-01.")
@KEYS
@click.option("--json", "as_json", is_flag=True, help="One JSON object per recording.")
@click.pass_obj
def verify(
    context: EvidenceContext,
    what: tuple[str, ...],
    everything: bool,
    since: str | None,
    keys: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Check recordings against their signatures, the audit and the store; exit 2 if one does not hold.

    WHAT: ids of recordings, or bundles, which need no broker and no configuration, but --keys.

    \b
    Examples:
      bartizan recordings verify S-81c
      bartizan recordings verify --since 7d
      bartizan recordings verify evidence.tar --keys published.pub
    """
    as_json = as_json or context.json
    if bool(what) + everything + (since is not None) != 1:
        raise Invalid("say which: ids or bundles, or --all, or --since", hint="recordings verify --help")
    if os.environ.get(INHERITED):
        verdicts = _asked(context, what, keys, everything or since is not None)
    elif what and not any(is_session_id(one) for one in what):
        verify_bundles([Path(one) for one in what], keys, as_json)
        return
    else:
        verdicts = _verified_here(context, what, since, keys)
    show_verdicts(verdicts, as_json)
    if not all(verdict.good for verdict in verdicts):
        sys.exit(exits.TAMPERED)


@click.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.pass_obj
def bundle(context: EvidenceContext, ids: tuple[str, ...], output: Path) -> None:
    """Write recordings, with the part of the audit that proves them, as one file that verifies anywhere.

    Of events that are not about these recordings the bundle has the hashes alone.

    Example: bartizan recordings bundle S-81c -o S-81c.tar
    """
    from broker.services.bundle import excerpts, write_bundle
    from broker.services.evidence import recording_path

    store = context.open_store()
    rows = [_row(store, id) for id in ids]
    root = context.settings().recordings
    casts = [recording_path(root, row) for row in rows]
    for row, cast in zip(rows, casts, strict=True):
        if row.ended_at is None:
            raise Invalid(
                f"{row.id} is live: only what has its end can be proved", hint="try when it is over"
            )
        if not cast.exists():
            raise Unavailable(f"{row.id} has no recording: {cast} is not there")
    wanted = {entry.seq for row in rows for entry in store.entries(session=row.id, limit=100_000)}
    wanted |= {entry.seq for entry in store.entries(codes=["signing.rotated"], limit=100_000)}
    note_export(context, "recording.exported", ",".join(row.id for row in rows)[:300], output)
    keys = published(context, store)
    total = sum(cast.with_suffix(f".{part}").stat().st_size for cast in casts for part in _PARTS)
    with new_file(output) as file, progress_bar(total, "writing") as progress:
        write_bundle(file, excerpts(store, wanted), casts, keys, socket.gethostname(), progress)
    done(f"wrote {output}: verify it with the published keys", {"file": str(output)}, as_json=context.json)


_PARTS = ("cast", "events", "chain")


# ---------------------------------------------------------------- here, with the store


def trusted_keys(context: EvidenceContext, files: Sequence[Path]) -> KeyRing:
    """The keys to begin with: from files, else the configured one. Raises Invalid, Unavailable."""
    from recorder.signing import KeyRing

    if files:
        return keys_from(files)
    try:
        return KeyRing([context.signing_key().public])
    except BartizanError as exc:
        hint = "--keys FILE names published keys to trust instead"
        raise Unavailable(exc.message, hint=hint) from None


def keys_from(files: Sequence[Path]) -> KeyRing:
    """Published keys. Raises Invalid."""
    from recorder.signing import BadKey, KeyRing, read_public_keys

    ring = KeyRing()
    for path in files:
        try:
            for key in read_public_keys(path.read_text()):
                ring.add(key)
        except (BadKey, UnicodeDecodeError) as exc:
            raise Invalid(str(exc), where=str(path)) from None
    return ring


def published(context: EvidenceContext, store: SqliteStore) -> KeyRing:
    """The key in force and those before it that it vouches for."""
    from broker.services.ledger_reading import keys_of

    return keys_of(store, trusted_keys(context, ()))


def verify_rows(
    context: EvidenceContext, rows: Sequence[SessionRow], keys: KeyRing, *, every: bool
) -> list[Verdict]:
    """Check these rows' recordings. `every`: they are all there are, so one that is gone is missed."""
    from broker.services.evidence import known_of, missing_rows, verify_session

    store, root = context.open_store(), context.settings().recordings
    known = known_of(store, rows[0].id if len(rows) == 1 and not every else "")
    with progress_bar(sum(row.size for row in rows), "verifying") as progress:
        verdicts = [verify_session(root, row, known.get(row.id), keys, progress) for row in rows]
    return verdicts + (missing_rows(known, rows) if every else [])


def _verified_here(
    context: EvidenceContext, ids: Sequence[str], since: str | None, files: Sequence[Path]
) -> list[Verdict]:
    store = context.open_store()
    from broker.services.ledger_reading import keys_of

    keys = keys_of(store, trusted_keys(context, files))
    if ids:
        return verify_rows(context, [_row(store, id) for id in ids], keys, every=False)
    rows = store.sessions(limit=10_000_000)[::-1]
    if since is None:
        return verify_rows(context, rows, keys, every=True)
    after = point(since)
    return verify_rows(context, [row for row in rows if row.started_at >= after], keys, every=False)


def _row(store: SqliteStore, id: str) -> SessionRow:
    from broker.model.ids import SessionId

    row = store.session(SessionId(id)) if is_session_id(id) else None
    if row is None:
        raise Invalid(f"there is no recording {id[:80]!a}", hint="bartizan recordings ls lists the ids")
    return row


def point(text: str) -> int:
    """A moment that somebody has written, in microseconds since the epoch. Raises Invalid."""
    from recorder.when import moment

    try:
        return moment(text, now())
    except ValueError as exc:
        raise Invalid(str(exc)) from None


# ---------------------------------------------------------------- elsewhere


def _asked(context: EvidenceContext, ids: Sequence[str], keys: Sequence[Path], others: bool) -> list[Verdict]:
    """Over ssh the broker itself looks, and only at what this user may read."""
    from recorder.verify import Condition, Place, Verdict

    if others or keys:
        raise Invalid("over ssh, name the ids of recordings and nothing else")
    verdicts = []
    for id in ids:
        found = ask(Context(context.config_path), VerifyRecording(id), Verified)
        place = Place(found.file, found.byte, found.line, found.t) if found.file else None
        verdicts.append(
            Verdict(
                found.id, Condition(found.condition), found.problem, place, found.links, found.good_t,
                0, found.unsealed, found.head, found.key,
            )
        )  # fmt: skip
    return verdicts


def verify_bundles(paths: Sequence[Path], files: Sequence[Path], as_json: bool) -> None:
    """Check bundles, tell, and exit 2 if one of them does not hold. Raises Invalid."""
    from broker.services.bundle_check import check_bundle, opened_bundle

    if not files:
        hint = "--keys FILE: what `bartizan audit key` printed there, received another way than the bundle"
        raise Invalid("a bundle proves nothing without the published keys", hint=hint)
    reports = []
    for path in paths:
        if not path.is_file():
            raise Invalid(f"{str(path)[:200]!a} is neither an id nor a file", hint="bartizan recordings ls")
        with opened_bundle(path) as opened, progress_bar(opened.size, "verifying") as progress:
            reports.append((path, check_bundle(opened, keys_from(files), progress)))
    for path, report in reports:
        _show_bundle(path, report, as_json)
    if not all(report.good for _, report in reports):
        sys.exit(exits.TAMPERED)


def _show_bundle(path: Path, report: BundleReport, as_json: bool) -> None:
    ledger = report.ledger
    if as_json:
        print_object(
            {
                "bundle": str(path),
                "ok": report.good,
                "made_at": report.made_at,
                "host": report.host,
                "audit": {"ok": ledger.ok, "problem": ledger.problem, "where": ledger.where},
                "recordings": [verdict_json(verdict) for verdict in report.recordings],
            }
        )
        return
    word = "OK" if ledger.ok else "BAD"
    said = ledger.problem or f"{ledger.events} events under {ledger.seals} seals"
    tell(word, str(path), "audit", said)
    show_verdicts(report.recordings, as_json=False)


# ---------------------------------------------------------------- telling


def show_verdicts(verdicts: Sequence[Verdict], as_json: bool) -> None:
    """One line for each; on a terminal a summary follows."""
    for verdict in verdicts:
        if as_json:
            print_object(verdict_json(verdict))
        else:
            word = "OK" if verdict.good else "BAD"
            tell(word, verdict.id, verdict.condition.value, in_words(verdict))
    if not as_json and len(verdicts) > 1:
        good = sum(verdict.good for verdict in verdicts)
        click.echo(f"{good} of {len(verdicts)} recordings hold", err=True)


def in_words(verdict: Verdict) -> str:
    """What was found, and what is still good."""
    from recorder.when import clock

    if verdict.good:
        said = {
            "complete": f"{verdict.links} links, {clock(verdict.good_t)}, head {verdict.head[:12]}",
            "interrupted": f"{verdict.links} links, {clock(verdict.good_t)}; "
            f"{verdict.unsealed} bytes were signed only after the crash",
            "live": f"good up to {clock(verdict.good_t)}; {verdict.unsealed} bytes are not signed yet",
            "none": "nothing was recorded, and nothing was run",
        }
        return said[verdict.condition.value]
    where = ""
    if (place := verdict.place) is not None and place.file != "bartizan.db":
        when = "" if place.t is None else f", {clock(place.t)}"
        where = f" ({place.file}, byte {place.byte}{when})"
    if not verdict.links:
        return f"{verdict.problem}{where}"
    return f"{verdict.problem}{where}; good up to {clock(verdict.good_t)} ({verdict.links} links)"


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """A verdict for programs. Times in microseconds of the recording."""
    place = verdict.place
    return {
        "recording": verdict.id,
        "ok": verdict.good,
        "state": verdict.condition.value,
        "problem": verdict.problem,
        "file": place.file if place else None,
        "byte": place.byte if place else None,
        "line": (place.line or None) if place else None,
        "t": place.t if place else None,
        "good": {"links": verdict.links, "t": verdict.good_t},
        "unsealed": verdict.unsealed,
        "head": verdict.head,
        "key": verdict.key,
    }


def note_export(context: EvidenceContext, code: str, subject: str, output: Path) -> None:
    """What is taken out is audited before it is, and sealed so that the bundle can prove itself."""
    from broker.adapters.clock import SystemClock
    from broker.model.audit import AuditEvent
    from broker.services.seals import Sealer

    store = context.open_store()
    store.append(AuditEvent(code, now(), actor(), subject, "", {"file": str(output)[:300]}))
    Sealer(store, context.signing_key(), SystemClock()).seal()


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that did not exist; it is not left behind half written. Raises Invalid, Unavailable."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Invalid(f"{path} exists; it was not touched", hint="choose another name") from None
    except OSError as exc:
        raise Unavailable(f"{path} cannot be written: {exc.strerror}") from None
    with os.fdopen(fd, "wb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise


@contextmanager
def progress_bar(total: int, label: str) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, for what takes longer than half a second; the argument of the call is bytes."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    began = time.monotonic()
    with click.progressbar(length=max(total, 1), label=label, file=sys.stderr) as bar:
        waiting = 0

        def step(count: int) -> None:
            nonlocal waiting
            waiting += count
            if time.monotonic() - began > 0.5:
                bar.update(waiting)
                waiting = 0

        yield step
