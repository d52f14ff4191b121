"""Verifying a bundle where there is no broker: with the file and the published keys alone."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from broker.model.audit import AuditEntry, AuditEvent, LedgerHead, leaf
from broker.model.errors import Invalid
from broker.services.bundle import FOLDER, LEDGER, MANIFEST
from broker.services.evidence import SESSION_CODES, Known, known_sessions, verify_source
from broker.services.ledger import LedgerCheck, LedgerReport, vouched
from recorder.signing import KeyRing
from recorder.verify import Condition, Place, Progress, Verdict

_MEMBER = re.compile(r"recordings/([A-Za-z0-9][A-Za-z0-9._-]{0,99})\.(cast|events|chain)\Z")
_LONGEST_LINE = 1 << 20
_MAX_MANIFEST = 1 << 24


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What was found in a bundle. `made_at` and `host` as it says itself."""

    made_at: str
    host: str
    ledger: LedgerReport
    recordings: list[Verdict]

    @property
    def good(self) -> bool:
        return self.ledger.ok and all(verdict.good for verdict in self.recordings)


class _BadBundle(Exception):
    """The file is a bundle, and something in it is not as it should be."""


@dataclass(frozen=True, slots=True)
class BundleFiles:
    """One recording in a bundle."""

    tar: tarfile.TarFile
    members: dict[str, tarfile.TarInfo]
    id: str

    def open(self, part: str) -> BinaryIO:
        member = self.members.get(f"{FOLDER}/{self.id}.{part}")
        if member is None:
            raise FileNotFoundError(part)
        file = self.tar.extractfile(member)
        assert file is not None, "only plain files are among the members"
        return cast(BinaryIO, file)

    def live(self) -> bool:
        return False


class Bundle:
    """An open bundle."""

    def __init__(self, path: Path) -> None:
        """Raises Invalid if it is none, OSError."""
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115 - closed by `close`
            self.members = self._read_members()
            manifest = self._manifest()
        except (tarfile.TarError, _BadBundle, EOFError) as exc:
            raise Invalid(f"{path} is no bundle of bartizan ({exc})") from None
        self.made_at, self.host = str(manifest.get("made_at", "")), str(manifest.get("host", ""))
        self.named = [str(id) for id in manifest.get("recordings", [])]

    def close(self) -> None:
        self._tar.close()

    def _read_members(self) -> dict[str, tarfile.TarInfo]:
        members: dict[str, tarfile.TarInfo] = {}
        for member in self._tar:
            if not member.isreg() or member.name in members:
                raise _BadBundle(f"{member.name[:80]!a} is twice in it, or no plain file")
            members[member.name] = member
        return members

    def _manifest(self) -> dict[str, Any]:
        member = self.members.get(MANIFEST)
        file = self._tar.extractfile(member) if member is not None else None
        if file is None:
            raise _BadBundle(f"it has no {MANIFEST}")
        try:
            found = json.loads(file.read(_MAX_MANIFEST))
        except ValueError as exc:
            raise _BadBundle(f"{MANIFEST}: {exc}") from None
        if not isinstance(found, dict) or found.get("v") != 1:
            raise _BadBundle(f"{MANIFEST} is of a version that this release does not know")
        return found

    @property
    def ids(self) -> list[str]:
        """The recordings that it names, or holds."""
        held = {match[1] for name in self.members if (match := _MEMBER.match(name))}
        return sorted(held | set(self.named), key=lambda id: (len(id), id))

    @property
    def size(self) -> int:
        """Bytes of casts and event streams: what a check reads."""
        sizes = (m.size for name, m in self.members.items() if name.endswith((".cast", ".events")))
        return sum(sizes)

    def recording(self, id: str) -> BundleFiles:
        return BundleFiles(self._tar, self.members, id)

    def ledger_lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The lines of the ledger with their numbers. Raises _BadBundle."""
        member = self.members.get(LEDGER)
        file = self._tar.extractfile(member) if member is not None else None
        if file is None:
            raise _BadBundle(f"there is no {LEDGER}")
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                raise _BadBundle(f"line {number} of {LEDGER} cannot be read")
            yield number, value


@contextmanager
def opened_bundle(path: Path) -> Iterator[Bundle]:
    """Raises Invalid if it is none, OSError."""
    bundle = Bundle(path)
    try:
        yield bundle
    finally:
        bundle.close()


def check_bundle(bundle: Bundle, trusted: KeyRing, progress: Progress = lambda _: None) -> BundleReport:
    """Check all that is in a bundle. Raises OSError."""
    try:
        events = [entry.event for entry in _entries(bundle) if entry.event.code == "signing.rotated"]
        keys = vouched(trusted, events)
        ledger = _check_ledger(bundle, keys)
        wanted = (entry for entry in _entries(bundle) if entry.event.code in SESSION_CODES)
        known = known_sessions(wanted)
    except _BadBundle as exc:
        keys, known = trusted, {}
        ledger = replace(LedgerCheck(keys).report(), problem=str(exc), where=LEDGER)
    verdicts = [_verdict(bundle, id, known.get(id), keys, progress) for id in bundle.ids]
    return BundleReport(bundle.made_at, bundle.host, ledger, verdicts)


def _verdict(bundle: Bundle, id: str, known: Known | None, keys: KeyRing, progress: Progress) -> Verdict:
    verdict = verify_source(bundle.recording(id), known or Known(), keys, progress)
    if verdict.good and (known is None or not known.final):
        text = "the audit in this bundle says nothing of its end"
        return replace(verdict, condition=Condition.ALTERED, problem=text, place=Place(LEDGER, 0))
    return verdict


def _entries(bundle: Bundle) -> Iterator[AuditEntry]:
    """The events that are told in full. Raises _BadBundle."""
    for number, line in bundle.ledger_lines():
        if "code" in line:
            yield AuditEntry(*_event(number, line), b"")


def _event(number: int, line: dict[str, Any]) -> tuple[int, AuditEvent]:
    texts = [line.get(name) for name in ("code", "actor", "subject", "session")]
    seq, at, detail = line.get("seq"), line.get("at"), line.get("detail")
    if not all(isinstance(text, str) for text in texts) or not isinstance(detail, dict):
        raise _BadBundle(f"line {number} of {LEDGER} is no event")
    if not isinstance(seq, int) or not isinstance(at, int):
        raise _BadBundle(f"line {number} of {LEDGER} is no event")
    code, actor, subject, session = cast(list[str], texts)
    return seq, AuditEvent(code, at, actor, subject, session, detail)


def _check_ledger(bundle: Bundle, keys: KeyRing) -> LedgerReport:
    check = LedgerCheck(keys, whole=False)
    for number, line in bundle.ledger_lines():
        try:
            if "head" in line:
                check.begin(LedgerHead(int(line["head"]["seq"]), bytes.fromhex(line["head"]["sha256"])))
            elif "seal" in line:
                check.seal(str(line["seal"]).encode())
            elif "leaf" in line:
                check.hidden(int(line["seq"]), bytes.fromhex(line["leaf"]))
            else:
                seq, event = _event(number, line)
                check.hidden(seq, leaf(seq, event))
        except (ValueError, TypeError, KeyError):
            raise _BadBundle(f"line {number} of {LEDGER} cannot be read") from None
    return check.report()
