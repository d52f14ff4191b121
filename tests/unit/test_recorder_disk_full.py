"""A disk that fills up: the recording says so, what was accepted is in the file, and the end is written."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.cast import Header
from recorder.reader import CastReader, exact_output, read_events
from recorder.writer import RecorderPump, open_recording
from tests.signer import SIGNER

ROOT = Path(__file__).parents[2]
ASCIINEMA = Path(sys.executable).with_name("asciinema")
HEADER = Header(width=80, height=24)


def fill(folder: Path) -> dict[str, object]:
    """Record until the disk is full; what was seen."""
    changed = threading.Event()
    errors: list[Exception] = []

    def on_fail(error: Exception) -> None:
        errors.append(error)
        changed.set()

    live = open_recording(
        folder, "S-1", HEADER, {}, signer=SIGNER, ahead=1 << 17, on_fail=on_fail, on_room=changed.set
    )
    pump = RecorderPump()
    pump.start()
    pump.register(live)
    source = random.Random(5)
    accepted: list[bytes] = []
    t = 0
    while live.failed is None:
        data = source.choice([source.randbytes(700), b"\x1b[1m" * 400, b"plain text\r\n" * 300])
        changed.clear()
        if live.output(t, data):
            accepted.append(data)
        elif live.failed is None:
            assert changed.wait(60)
        t += 1
    refused = not live.output(t, b"x")
    pump.unregister(live)
    pump.stop()
    live.close(t, "disk", exit_status=73)
    cast = folder / "S-1.cast"
    with CastReader(cast) as reader:
        count = sum(1 for _ in reader.events())
    end = list(read_events(folder / "S-1.events"))[-1]
    return {
        "errors": len(errors),
        "refused": refused,
        "exact": exact_output(cast) == b"".join(accepted),
        "some": len(accepted) > 50,
        "events": count > 0,
        "truncated": reader.truncated,
        "end": end.kind,
        "reason": end.fields["reason"],
        "said": bool(end.fields["recorder_error"]),
    }


EXPECTED = {
    "errors": 1,
    "refused": True,
    "exact": True,
    "some": True,
    "events": True,
    "truncated": False,
    "end": "end",
    "reason": "disk",
    "said": True,
}


def _mounted(kind: str, folder: Path, options: str) -> bool:
    command = ["mount", "-t", kind, "-o", options, "none", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of 2 MiB, or None where this user may not mount one."""
    if not _mounted("tmpfs", tmp_path, "size=2m"):
        yield None
        return
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def under_a_size_limit(folder: Path) -> dict[str, object]:
    """The same in a child process whose files may not grow beyond 1 MiB."""
    code = (
        "import json, resource, sys; from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "from tests.unit.test_recorder_disk_full import fill\n"
        "print(json.dumps(fill(Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder], check=False, cwd=ROOT, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads(done.stdout))


def test_a_full_disk_ends_the_recording_visibly(small_disk: Path | None, tmp_path: Path) -> None:
    seen = fill(small_disk) if small_disk else under_a_size_limit(tmp_path)
    assert seen == EXPECTED
    played = subprocess.run(
        [ASCIINEMA, "cat", tmp_path / "S-1.cast"], capture_output=True, check=True, timeout=60
    )
    assert b"plain text" in played.stdout


def test_a_limit_on_file_size_ends_the_recording_visibly(tmp_path: Path) -> None:
    assert under_a_size_limit(tmp_path) == EXPECTED


def test_no_space_at_the_start_refuses_and_leaves_nothing(small_disk: Path | None, tmp_path: Path) -> None:
    if small_disk:
        (tmp_path / "filler").write_bytes(bytes((2 << 20) - 65536))
    with pytest.raises(OSError, match=r"No space left|File too large|Invalid argument"):
        open_recording(tmp_path, "S-1", HEADER, {}, signer=SIGNER, ahead=1 << 20 if small_disk else 1 << 62)
    assert [path.name for path in tmp_path.iterdir() if path.name != "filler"] == []


def test_a_file_system_without_preallocation_holds_a_ballast_file(tmp_path: Path) -> None:
    """ramfs knows no fallocate; a user who may not mount one tests the ordinary way."""
    mounted = _mounted("ramfs", tmp_path, "mode=700")
    try:
        live = open_recording(tmp_path, "S-1", HEADER, {}, signer=SIGNER, ahead=65536)
        ballast = sorted(path.name for path in tmp_path.glob("*.ballast"))
        assert ballast == ([f"S-1.{part}.ballast" for part in ("cast", "chain", "events")] if mounted else [])
        data = b"0123456789\xff" * 1000
        assert live.output(1, data)
        live.close(2, "exit")
        assert exact_output(tmp_path / "S-1.cast") == data
        assert sorted(path.name for path in tmp_path.iterdir()) == ["S-1.cast", "S-1.chain", "S-1.events"]
    finally:
        if mounted:
            subprocess.run(["umount", str(tmp_path)], check=True)
