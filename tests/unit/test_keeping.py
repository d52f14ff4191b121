"""Evidence keeps itself: sealed recordings are noted, heads anchored, missing seals complained of."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.model.access import Grant
from broker.model.errors import Unavailable
from broker.model.session import SessionRow, SessionState
from broker.model.target import Channel
from broker.services.anchors import Anchors
from broker.services.evidence import known_of
from broker.services.keeping import Health, Keeping
from broker.services.recordings import Picture, SessionRecording
from broker.services.seals import Sealer
from broker.services.sessions import Wish
from recorder.verify import Condition
from tests.signer import KEYS, SIGNER
from tests.unit.rows import row
from tests.unit.services import Services
from tests.unit.test_recorder_chain import checked


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(tmp_path)


async def opened(services: Services) -> tuple[SessionRow, SessionRecording]:
    grant = await granted(services)
    made = await services.sessions.opened(grant)
    return made, await services.recordings.open(grant, made, Picture("xterm", 80, 24), {})


async def granted(services: Services) -> Grant:
    found = await services.sessions.authorize(
        services.authenticated("anne"), Wish("web1", None, Channel.SHELL)
    )
    assert isinstance(found, Grant)
    return found


async def closed(services: Services) -> SessionRow:
    made, recording = await opened(services)
    recording.output(1, b"seen\r\n", False)
    size = await services.recordings.close(recording, "exit", {"status": 0})
    await services.sessions.ended(made, status=0, reason="exit", size=size)
    return made


def health(services: Services, folder: Path) -> Health:
    return Health(services.store, folder / "recordings", KEYS, services.trail)


async def test_lesson_12_the_shipped_path_signs_and_the_audit_knows_the_last_link(services: Services) -> None:
    """lesson 12: what the service records is verified, with the head that it noted itself."""
    made = await closed(services)
    verdict = await services.recordings.verify(services.store.sessions()[0])
    assert (verdict.condition, verdict.links, verdict.key) == (Condition.COMPLETE, 2, SIGNER.key)
    [sealed] = [event for event in services.noted() if event.code == "recording.sealed"]
    assert (sealed.session, sealed.detail["link"], sealed.detail["head"]) == (made.id, 1, verdict.head)
    assert known_of(services.store)[made.id].heads == {1: verdict.head}


async def test_the_heads_of_live_recordings_are_anchored_when_they_have_grown(services: Services) -> None:
    _, recording = await opened(services)
    await services.recordings.anchor()
    recording.output(1, b"seen\r\n", False)
    recording.live.sync()
    await services.recordings.anchor()
    await services.recordings.anchor()
    anchored = [event for event in services.noted() if event.code == "recording.anchored"]
    assert [event.detail["link"] for event in anchored] == [1]
    assert anchored[0].detail["head"] == recording.live.head.text
    await services.recordings.close(recording, "exit", {})


async def test_a_head_that_the_audit_cannot_keep_is_an_error(services: Services) -> None:
    _, recording = await opened(services)
    services.lose_the_store()
    with pytest.raises(Unavailable):
        await services.recordings.close(recording, "exit", {})


async def test_lesson_12_a_recording_without_a_seal_is_complained_of_once(
    services: Services, tmp_path: Path
) -> None:
    """lesson 12: that signing goes on is looked at, not taken for granted."""
    checking = health(services, tmp_path)
    for _ in range(3):
        await closed(services)
    assert await checking.check() == []
    for name, damage in (("S-2", b""), ("S-3", b'{"n":0}\n')):
        [chain] = (tmp_path / "recordings").rglob(f"{name}.chain")
        chain.write_bytes(damage)
    assert await checking.check() == ["S-3", "S-2"]
    assert await checking.check() == ["S-3", "S-2"]
    assert services.codes().count("evidence.unhealthy") == 1


async def test_what_is_live_or_never_ran_needs_no_seal(services: Services, tmp_path: Path) -> None:
    services.run("anne")
    made = row(user="anne", state=SessionState.ENDED, ended_at=2, end_reason="recording")
    services.store.open_session(made)
    assert await health(services, tmp_path).check() == []


async def test_the_end_of_the_broker_seals_what_happened_last(services: Services, tmp_path: Path) -> None:
    sealer = Sealer(services.store, SIGNER, services.clock)
    anchors = Anchors([], 60, services.store, sealer, services.trail)
    keeping = Keeping(sealer, anchors, services.recordings, health(services, tmp_path), 600)
    keeping.start()
    await services.trail.note("login.accepted", "anne")
    await keeping.stop()
    assert len(services.store.seals()) == 1


async def test_a_crash_leaves_what_salvage_closes_notes_and_verifies(services: Services) -> None:
    """An earlier broker died: its files end where it was killed, its row says live."""
    made, recording = await opened(services)
    recording.output(1, b"seen\r\n", False)
    recording.live.sync()
    recording.output(2, b"not signed\r\n", False)
    recording.live.flush()
    path = services.recordings.path(made, "cast")
    assert checked(path).condition is Condition.LIVE
    for file in (recording.live._cast, recording.live._events):
        file.close()
    assert await services.recordings.salvage(services.store) == 1
    verdict = await services.recordings.verify(services.store.sessions()[0])
    assert (verdict.condition, verdict.unsealed > 0) == (Condition.INTERRUPTED, True)
    [noted] = [event for event in services.noted() if event.code == "recording.interrupted"]
    assert (noted.detail["head"], noted.detail["unsealed"]) == (verdict.head, verdict.unsealed)


async def test_a_session_that_died_before_it_was_recorded_has_nothing_to_verify(services: Services) -> None:
    await services.sessions.opened(await granted(services))
    await services.recordings.salvage(services.store)
    verdict = await services.recordings.verify(services.store.sessions()[0])
    assert (verdict.condition, verdict.good) == (Condition.NONE, True)
