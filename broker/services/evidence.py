"""Whether recordings are what they were: by their own chain, by the audit, and by their row in the store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from broker.model.audit import AuditEntry
from broker.model.session import SessionRow, SessionState
from broker.ports import AuditStore
from recorder.cast import CastError, StreamEvent, decode_stream_event
from recorder.chain import LONGEST_LINK, ChainError, ChainReader, State
from recorder.signing import KeyRing
from recorder.verify import Condition, Files, Place, Progress, Source, Verdict, verify_recording

SESSION_CODES = (
    "session.opened",
    "session.ended",
    "recording.sealed",
    "recording.anchored",
    "recording.interrupted",
)
_FACTS = ("user", "target", "account", "channel", "command", "source", "reason", "started_at")
"""What the store's row and the recording's start event both say."""
_FIRST_LINE = 1 << 20
_PAGE = 5000


@dataclass(slots=True)
class Known:
    """What the audit knows of one session. `heads`: of links, by number; `final`: the recording is closed."""

    opened: bool = False
    heads: dict[int, str] = field(default_factory=dict)
    final: bool = False
    never_ran: bool = False


def known_sessions(entries: Iterable[AuditEntry]) -> dict[str, Known]:
    """By session, from events of `SESSION_CODES`."""
    known: dict[str, Known] = {}
    for entry in entries:
        event = entry.event
        one = known.setdefault(event.session, Known())
        one.opened = one.opened or event.code == "session.opened"
        if event.code == "session.ended":
            one.never_ran = event.detail.get("reason") == "recording"
        elif event.code.startswith("recording."):
            link, head = event.detail.get("link"), event.detail.get("head")
            if isinstance(link, int) and isinstance(head, str) and link >= 0:
                one.heads[link] = head
            one.final = one.final or event.code != "recording.anchored"
            one.never_ran = one.never_ran or link == -1
    return known


def known_of(store: AuditStore, session: str = "") -> dict[str, Known]:
    """What the audit of a store knows, of one session or of all."""
    return known_sessions(_entries(store, session))


def _entries(store: AuditStore, session: str) -> Iterator[AuditEntry]:
    after = 0
    while page := store.entries(after=after, limit=_PAGE, codes=SESSION_CODES, session=session):
        yield from page
        after = page[-1].seq


def recording_folder(root: Path, row: SessionRow) -> Path:
    """The folder of a session's recording: one for each day."""
    return root / time.strftime("%Y/%m/%d", time.gmtime(row.started_at / 1_000_000))


def recording_path(root: Path, row: SessionRow) -> Path:
    """The cast of a session: where it belongs, else where it is (a row may have been tampered with)."""
    expected = recording_folder(root, row) / f"{row.id}.cast"
    if expected.exists():
        return expected
    return next(iter(sorted(root.glob(f"*/*/*/{row.id}.cast"))), expected)


def verify_session(
    root: Path, row: SessionRow, known: Known | None, keys: KeyRing, progress: Progress = lambda _: None
) -> Verdict:
    """One session's recording against all that is known of it. Raises OSError."""
    if known is None or not known.opened:
        place = Place("bartizan.db", 0)
        return Verdict(
            row.id, Condition.ALTERED, "the audit knows no such session: its row was made up", place
        )
    files = Files(recording_path(root, row))
    verdict = verify_source(files, known, keys, progress)
    if not verdict.good or verdict.condition is Condition.NONE:
        return verdict
    problem = _row_problem(row, files, verdict)
    if problem:
        return replace(verdict, condition=Condition.ALTERED, problem=problem, place=Place("bartizan.db", 0))
    return verdict


def verify_source(
    source: Source, known: Known, keys: KeyRing, progress: Progress = lambda _: None
) -> Verdict:
    """A recording, from wherever it comes, against the audit. Raises OSError."""
    verdict = verify_recording(source, keys, progress, known.heads)
    if verdict.condition is Condition.MISSING and known.never_ran and not known.heads:
        return Verdict(source.id, Condition.NONE)
    if verdict.condition is Condition.LIVE and known.final:
        text = "the audit says that it is closed, and yet it has no end"
        return replace(verdict, condition=Condition.TRUNCATED, problem=text)
    return verdict


def _row_problem(row: SessionRow, source: Source, verdict: Verdict) -> str:
    """Where the store's row and the recording differ; empty if they agree."""
    start = _start_of(source)
    if start is None or start.kind != "start":
        return f"{row.id}.events does not begin with the start of a session"
    for name in _FACTS:
        said, stored = start.fields.get(name), getattr(row, name)
        if said != stored:
            return f"the store's row says {name} {stored!r:.80}, the recording {said!r:.80}"
    ended = verdict.condition is Condition.COMPLETE and row.state is not SessionState.LIVE
    if ended and row.size != (size := _size(source)):
        return f"the store's row says {row.size} bytes, the cast has {size}"
    return ""


def _start_of(source: Source) -> StreamEvent | None:
    with source.open("events") as file:
        try:
            return decode_stream_event(file.readline(_FIRST_LINE), 1)
        except CastError:
            return None


def _size(source: Source) -> int:
    with source.open("cast") as file:
        return file.seek(0, 2)


def missing_rows(known: dict[str, Known], rows: Iterable[SessionRow]) -> list[Verdict]:
    """Sessions that the audit has seen and the store has no row of."""
    gone = known.keys() - {row.id for row in rows}
    text = "the audit has seen this session, and the store has no row of it"
    return [
        Verdict(id, Condition.MISSING, text, Place("bartizan.db", 0))
        for id in sorted(gone, key=lambda id: (len(id), id))
        if known[id].opened
    ]


def last_seal_holds(source: Source, keys: KeyRing) -> bool:
    """Whether the chain is signed from its first link to a last one. The files that it covers are not read:
    this is the quick look, for the health check (lesson 12)."""
    reader = ChainReader(keys, source.id)
    try:
        with source.open("chain") as file:
            while line := file.readline(LONGEST_LINK):
                reader.line(line)
    except (OSError, ChainError):
        return False
    return reader.last is not None and reader.last.state is not State.OPEN


def unsealed(root: Path, rows: Iterable[SessionRow], keys: KeyRing) -> list[str]:
    """Ids of the ended sessions among these whose recording has no valid seal."""
    return [
        row.id
        for row in rows
        if row.state is not SessionState.LIVE
        and row.end_reason != "recording"
        and not last_seal_holds(Files(recording_path(root, row)), keys)
    ]
