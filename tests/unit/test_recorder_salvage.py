"""After a crash: what has no end and no live recorder is closed, once, whatever state it is in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.cast import Header
from recorder.reader import CastReader, read_events
from recorder.salvage import Outcome, salvage
from recorder.writer import open_recording
from tests.signer import SIGNER

HEAD = b'{"version":2,"width":80,"height":24}\n'
START = b'{"t":0,"kind":"start"}\n'
ASCIINEMA = Path(sys.executable).with_name("asciinema")


def put(folder: Path, cast: bytes | None, events: bytes | None, id: str = "S-1") -> None:
    for suffix, content in ((".cast", cast), (".events", events)):
        if content is not None:
            (folder / f"{id}{suffix}").write_bytes(content)


@pytest.mark.parametrize("torn", [b"", b'[9.0, "o", "los', b"\0\0\0\0", b'[9.0, "o"\0\0'])
@pytest.mark.parametrize("torn_event", [b"", b'{"t":5,"kin', b"\0"])
def test_a_torn_recording_is_closed_as_interrupted(tmp_path: Path, torn: bytes, torn_event: bytes) -> None:
    put(tmp_path, HEAD + b'[1.500000, "o", "hi"]\n' + torn, START + b'{"t":2,"kind":"exec"}\n' + torn_event)
    (found,) = salvage(tmp_path, SIGNER)
    assert (found.id, found.outcome, found.duration, found.detail) == (
        "S-1",
        Outcome.INTERRUPTED,
        1_500_000,
        "",
    )
    assert found.size == (tmp_path / "S-1.cast").stat().st_size
    with CastReader(tmp_path / "S-1.cast") as reader:
        assert [event.data for event in reader.events()] == ["hi"]
        assert not reader.truncated
    events = list(read_events(tmp_path / "S-1.events"))
    assert [event.kind for event in events] == ["start", "exec", "end"]
    assert (events[-1].t, events[-1].fields) == (1_500_000, {"reason": "interrupted"})
    played = subprocess.run([ASCIINEMA, "cat", found.cast], capture_output=True, check=True, timeout=60)
    assert played.stdout == b"hi"


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path, HEAD + b"torn", START)
    put(tmp_path, b"", None, "S-2")
    put(tmp_path, b"no line break at all", START, "S-3")
    assert [found.id for found in salvage(tmp_path, SIGNER)] == ["S-1", "S-2", "S-3"]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert salvage(tmp_path, SIGNER) == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("cast", "events", "says"),
    [
        (b"", START, "the cast is empty"),
        (b"\0" * 100, START, "the cast is empty"),
        (b"not a header\n", START, "line 1: not valid JSON"),
        (HEAD + b'[1, "o", "x"]\n', None, "no event stream"),
        (b'{"version":2,', b"", "the cast is empty"),
    ],
)
def test_damage_is_named_and_nothing_raised(
    tmp_path: Path, cast: bytes, events: bytes | None, says: str
) -> None:
    put(tmp_path, cast, events)
    (found,) = salvage(tmp_path, SIGNER)
    assert found.outcome is Outcome.DAMAGED
    assert says in found.detail
    end = list(read_events(tmp_path / "S-1.events"))[-1]
    assert (end.kind, end.fields["reason"]) == ("end", "interrupted")
    assert says in end.fields["damaged"]
    if "cast is empty" in says:
        assert (tmp_path / "S-1.cast").read_bytes() == cast  # what cannot be mended is left as found


def test_a_finished_and_a_live_recording_are_left_alone(tmp_path: Path) -> None:
    header = Header(width=80, height=24)
    done, live = (
        open_recording(tmp_path, id, header, {}, signer=SIGNER, ahead=65536) for id in ("S-done", "S-live")
    )
    done.output(1, b"x")
    done.close(2, "exit")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert salvage(tmp_path, SIGNER) == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    live.close(1, "exit")


def test_lesson_30_a_lock_that_outlived_its_holder_is_no_live_recorder(tmp_path: Path) -> None:
    """lesson 30: the lock is the kernel's, so it dies with the process; no file can claim a live recorder."""
    put(tmp_path, HEAD, START)
    (tmp_path / "S-1.lock").touch()
    assert [found.outcome for found in salvage(tmp_path, SIGNER)] == [Outcome.INTERRUPTED]


def test_folders_below_are_searched_and_links_are_not_followed(tmp_path: Path) -> None:
    day = tmp_path / "2026" / "11"
    day.mkdir(parents=True)
    put(day, HEAD, START)
    outside = tmp_path / "outside"
    outside.write_bytes(HEAD + b"torn")
    (day / "S-2.cast").symlink_to(outside)
    found = {item.id: item for item in salvage(tmp_path, SIGNER)}
    assert found["S-1"].outcome is Outcome.INTERRUPTED
    assert found["S-2"].outcome is Outcome.DAMAGED
    assert "cannot be read" in found["S-2"].detail
    assert outside.read_bytes() == HEAD + b"torn"


def test_space_held_by_the_dead_recorder_is_returned(tmp_path: Path) -> None:
    put(tmp_path, HEAD, START)
    (tmp_path / "S-1.cast.ballast").write_bytes(b"\0" * 10)
    with open(tmp_path / "S-1.cast", "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)  # the size grows here: the same as trailing zeros
    salvage(tmp_path, SIGNER)
    assert (tmp_path / "S-1.cast").read_bytes() == HEAD
    assert not (tmp_path / "S-1.cast.ballast").exists()


def test_only_the_ends_are_read(tmp_path: Path) -> None:
    middle = b'[1, "o", "x"]\n' * 50_000
    put(tmp_path, HEAD + middle + b'[2, "o", "%s"]\n' % (b"y" * 300_000), START)
    (found,) = salvage(tmp_path, SIGNER)
    assert found.duration == 2_000_000


def test_a_directory_that_is_not_there_has_nothing_to_salvage(tmp_path: Path) -> None:
    assert salvage(tmp_path / "gone", SIGNER) == []
