"""kill -9 at random moments under load: each recording verifies up to its last link.

`BARTIZAN_KILLS=100` does it a hundred times, and with `-s` tells how much was lost, in seconds.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from recorder.reader import CastReader, exact_output
from recorder.salvage import Outcome, salvage
from recorder.signing import KeyRing, SigningKey
from recorder.verify import Condition, Files, verify_recording

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("BARTIZAN_KILLS", "4"))
SESSIONS = 6
SECOND = 1_000_000

WRITER = r"""
import os, sys, time
from pathlib import Path
from recorder.cast import Header
from recorder.signing import SigningKey
from recorder.writer import RecorderPump, open_recording
folder, key = Path(sys.argv[1]), SigningKey.read(Path(sys.argv[2]).read_bytes())
pump = RecorderPump()
pump.start()
live = []
for n in range(int(sys.argv[3])):
    live.append(open_recording(folder, f"S-{n}", Header(width=80, height=24), {"n": n}, signer=key))
    pump.register(live[-1])
numbers = [0] * len(live)
began = time.monotonic()
shown = os.open(folder / "shown", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
print("ready", flush=True)
while True:
    t = int((time.monotonic() - began) * 1e6)
    for n, recording in enumerate(live):
        number = numbers[n] + 1
        data = (f"{n}.{number} \u00e9".encode() + b"\xff\r\n") * (1 if n % 2 else 200)
        if recording.output(t, data):
            numbers[n] = number
            if number % 50 == 0:
                recording.event(t, "line", text=str(number), verdict="allow")
    os.write(shown, f"{t}\n".encode())
    time.sleep(0.001)
"""
"""Keeps what it writes down in `shown`: the time of the last round, in microseconds of the recordings."""


def killed(folder: Path, key: Path, after: float) -> int:
    """Run the writer and kill it; the time (microseconds of the recording) of what it had shown last."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, folder, key, str(SESSIONS)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(after)
    child.kill()
    child.communicate()
    lines = (folder / "shown").read_bytes().split(b"\n")[:-1]
    return int(lines[-1]) if lines else 0


@pytest.mark.parametrize("round", range(KILLS))
def test_a_killed_recorder_leaves_what_verifies(tmp_path: Path, round: int) -> None:
    signer = SigningKey.generate()
    key = tmp_path / "key"
    key.write_bytes(signer.written())
    folder = tmp_path / "r"
    folder.mkdir()
    after = random.Random(round * 7919).uniform(0.0, 2.5)
    last = killed(folder, key, after)
    keys = KeyRing([signer.public])
    unsigned, lost = [], []
    for cast in folder.glob("*.cast"):
        before = verify_recording(Files(cast), keys)
        assert (before.condition, before.links > 0) == (Condition.TRUNCATED, True), before
        assert "there is no end" in before.problem
        unsigned.append(last - before.good_t)
    found = salvage(folder, signer)
    assert len(found) == SESSIONS
    assert {one.outcome for one in found} == {Outcome.INTERRUPTED}
    for one in found:
        verdict = verify_recording(Files(one.cast), keys)
        assert verdict.condition is Condition.INTERRUPTED, verdict
        assert verdict.unsealed == one.unsealed
        lost.append(last - one.duration)
        check_content(one.cast)
    worst = max(lost) / SECOND, max(unsigned) / SECOND
    print(f"\nkilled after {after:.2f} s: lost {worst[0]:.3f}, signed after the crash {worst[1]:.3f}")


def check_content(cast: Path) -> None:
    """What is left is what was written, without a gap, up to a whole line."""
    with CastReader(cast) as reader:
        times = [event.t for event in reader.events()]
        assert not reader.truncated
    assert times == sorted(times)
    n = int(cast.stem[2:])
    expected = 0
    for line in exact_output(cast).splitlines():
        number = int(line.split()[0].split(b".")[1])
        assert line.startswith(b"%d." % n)
        assert number in (expected, expected + 1)
        expected = number
    for line in cast.with_suffix(".events").read_bytes().splitlines():
        msgspec.json.decode(line)
