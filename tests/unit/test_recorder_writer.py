"""Writing: bytes in = bytes out, time never goes back, nothing is accepted that is not in the file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.cast import Event, Header, StreamEvent
from recorder.reader import CastReader, exact_output, read_events
from recorder.salvage import Outcome, salvage
from recorder.writer import LiveRecording, RecorderPump, open_recording
from tests.signer import SIGNER

ROOT = Path(__file__).parents[2]
HEADER = Header(width=80, height=24, timestamp=1_700_000_000, title="test")
ASCIINEMA = Path(sys.executable).with_name("asciinema")


def opened(folder: Path, id: str = "S-1", **options: Any) -> LiveRecording:
    return open_recording(folder, id, HEADER, {"user": "anna"}, signer=SIGNER, ahead=65536, **options)


def events_of(folder: Path, id: str = "S-1") -> list[Event]:
    with CastReader(folder / f"{id}.cast") as reader:
        return list(reader.events())


def stream_of(folder: Path, id: str = "S-1") -> list[StreamEvent]:
    return list(read_events(folder / f"{id}.events"))


def asciinema_cat(cast: Path) -> bytes:
    """What the reference reader prints; fails if it cannot read the file."""
    return subprocess.run([ASCIINEMA, "cat", cast], capture_output=True, check=True, timeout=60).stdout


CHUNK = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(
        [
            b"\xe4",
            b"\xb8",
            b"\x96",
            b"\xf0\x9f",
            b"\xed\xa0\x80",
            b"\xc2",
            b"\x85",
            b"\x1b[31m",
            b"\r\n",
            "\u2028\u0085".encode(),
            b'"\\',
            b"\xef\xbf\xbd",
        ]
    ),
)
STEP = st.tuples(st.integers(-1000, 10**7), st.sampled_from(["out", "out", "err", "resize", "flush"]), CHUNK)


@settings(max_examples=120, deadline=None)
@given(st.lists(STEP, max_size=40), st.booleans())
def test_lesson_45_bytes_in_are_bytes_out_and_time_never_goes_back(
    steps: list[tuple[int, str, bytes]], terminal: bool
) -> None:
    """lesson 45: any chunking of any bytes comes back exactly; resizes are there; time only goes forward."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        live = opened(folder, terminal=terminal)
        sent: dict[str, bytes] = {"out": b"", "err": b""}
        sizes: list[str] = []
        t = 0
        for step, kind, data in steps:
            t += step
            if kind == "flush":
                live.flush()
            elif kind == "resize":
                sizes.append(f"{len(data) + 1}x{len(sizes) + 1}")
                assert live.resize(t, len(data) + 1, len(sizes))
            else:
                sent[kind] += data
                assert (live.output if kind == "out" else live.stderr)(t, data)
        closed = live.close(t, "exit", exit_status=0)
        cast = folder / "S-1.cast"
        assert exact_output(cast, "stdout") == sent["out"]
        assert exact_output(cast, "stderr") == sent["err"]
        events = events_of(folder)
        assert [event.data for event in events if event.code == "r"] == sizes
        for times in ([event.t for event in events], [event.t for event in stream_of(folder)]):
            assert times == sorted(times)
        for line in (*cast.read_bytes().splitlines(), *(folder / "S-1.events").read_bytes().splitlines()):
            msgspec.json.decode(line)
        assert cast.stat().st_size == closed.cast_size


def test_the_reference_reader_reads_invalid_bytes_and_unicode_line_breaks(tmp_path: Path) -> None:
    live = opened(tmp_path)
    live.output(5, b"caf\xc3")
    live.output(6, b"\xa9 \xff\xfe \xe2\x80\xa8 \xc2\x85 \x1b[1m\x00")
    live.output(7, b"\xe4\xb8")
    live.close(8, "exit")
    assert (
        exact_output(tmp_path / "S-1.cast")
        == b"caf\xc3\xa9 \xff\xfe \xe2\x80\xa8 \xc2\x85 \x1b[1m\x00\xe4\xb8"
    )
    assert asciinema_cat(tmp_path / "S-1.cast").decode() == "café �� \u2028 \u0085 \x1b[1m\0�"


def test_binary_data_of_a_program_without_a_terminal_is_named_in_the_cast_and_kept_beside(
    tmp_path: Path,
) -> None:
    live = opened(tmp_path, terminal=False)
    live.output(5, b"text first\n")
    live.flush()
    live.output(6, b"\x7fELF\0\xff\xfe")
    live.output(7, b"\xe4\0")
    live.flush()
    live.output(8, b"text last\n")
    live.close(9, "exit")
    cast = tmp_path / "S-1.cast"
    assert exact_output(cast) == b"text first\n\x7fELF\0\xff\xfe\xe4\0text last\n"
    assert asciinema_cat(cast).decode() == "text first\n[9 bytes of binary data]\r\ntext last\n"


def test_header_and_start_are_in_the_files_before_it_returns(tmp_path: Path) -> None:
    live = opened(tmp_path)
    assert (tmp_path / "S-1.cast").read_bytes().startswith(b'{"version":2,"width":80,"height":24')
    assert stream_of(tmp_path) == [StreamEvent(0, "start", {"user": "anna"})]
    for name in ("S-1.cast", "S-1.events"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    with open(tmp_path / "S-1.cast", "rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    live.close(1, "exit")
    with open(tmp_path / "S-1.cast", "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("id", ["../x", "a/b", "", ".", "..", ".hidden", "a\0b", "a" * 300, "a\n", "ä", "-x"])
def test_lesson_31_hostile_names_are_refused(tmp_path: Path, id: str) -> None:
    """lesson 31: only a plain server-made name becomes a file."""
    with pytest.raises(ValueError, match="not usable as the name"):
        opened(tmp_path, id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", ["S-1.cast", "S-1.events"])
@pytest.mark.parametrize("link", [True, False])
def test_lesson_31_nothing_that_exists_is_opened(tmp_path: Path, taken: str, link: bool) -> None:
    """lesson 31: O_EXCL and no following of links; a refused opening leaves nothing behind."""
    target = tmp_path / "precious"
    target.write_text("keep")
    if link:
        (tmp_path / taken).symlink_to(target)
    else:
        (tmp_path / taken).write_text("keep")
    with pytest.raises(FileExistsError):
        opened(tmp_path)
    assert target.read_text() == "keep"
    assert {path.name for path in tmp_path.iterdir()} == {"precious", taken}


def test_opening_in_a_missing_directory_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "gone")


def test_output_of_one_batch_is_one_event_with_the_first_time(tmp_path: Path) -> None:
    live = opened(tmp_path)
    for t, data in ((10, b"a"), (20, b"b"), (15, b"c")):
        live.output(t, data)
    live.marker(16, "here")
    live.output(30, b"d")
    live.flush()
    live.output(40, b"e")
    live.close(41, "exit")
    assert [event[:3] for event in events_of(tmp_path)] == [
        (10, "o", "abc"),
        (20, "m", "here"),
        (30, "o", "d"),
        (40, "o", "e"),
    ]


def test_stderr_is_marked_beside_the_cast(tmp_path: Path) -> None:
    live = opened(tmp_path)
    live.output(1, b"out")
    live.stderr(2, b"err")
    live.close(3, "exit")
    notes = [event for event in stream_of(tmp_path) if event.kind == "stderr"]
    assert [note.fields["line"] for note in notes] == [3]
    assert exact_output(tmp_path / "S-1.cast", "stderr") == b"err"


def test_the_end_event_tells_how_it_ended(tmp_path: Path) -> None:
    live = opened(tmp_path)
    live.output(1, b"out")
    live.event(2, "exec", command="ls", env={"A": "1"})
    for part in (b"in", b"put"):
        live.digest("stdin", part)
    live.close(9, "exit", exit_status=3)
    end = stream_of(tmp_path)[-1]
    assert (end.t, end.kind) == (9, "end")
    assert end.fields["reason"] == "exit"
    assert end.fields["exit_status"] == 3
    assert end.fields["digests"] == {"stdin": {"sha256": hashlib.sha256(b"input").hexdigest(), "bytes": 5}}
    assert end.fields["totals"]["stdout"] == 3
    assert [event.kind for event in stream_of(tmp_path)] == ["start", "exec", "end"]


def test_beyond_the_limit_only_the_digest_is_kept(tmp_path: Path) -> None:
    live = opened(tmp_path, keep_bytes=10)
    data = bytes(range(65, 91))
    live.output(1, data[:8])
    live.output(2, data[8:20])
    live.output(3, data[20:])
    live.stderr(4, b"late")
    live.close(5, "exit")
    assert exact_output(tmp_path / "S-1.cast") == data[:10]
    assert [event.data for event in events_of(tmp_path) if event.code == "m"] == [
        "[content beyond 10 bytes is not kept, only its digest]"
    ]
    end = stream_of(tmp_path)[-1].fields
    assert end["digests"]["stdout"] == {"sha256": hashlib.sha256(data[10:]).hexdigest(), "bytes": 16}
    assert end["digests"]["stderr"]["bytes"] == 4
    assert end["totals"]["stdout"] == 26
    assert [event.kind for event in stream_of(tmp_path)] == ["start", "unkept", "end"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.binary(max_size=3).map(lambda data: data * 100)), max_size=30
    ),
    st.booleans(),
)
def test_what_is_accepted_never_takes_more_than_the_space_held_for_it(
    chunks: list[bytes], terminal: bool
) -> None:
    """The reckoning of `room` is an upper bound: what was held is never overrun by what was written."""
    with tempfile.TemporaryDirectory() as name:
        live = opened(Path(name), terminal=terminal)
        start = (live._cast.written, live._events.written)
        for t, data in enumerate(chunks):
            if len(data) <= live.room:
                assert live.output(t, data)
        costs = (live._ledger.cast.pending, live._ledger.events.pending)
        live.flush()
        assert live._cast.written - start[0] <= costs[0]
        assert live._events.written - start[1] <= costs[1]
        assert live.pending_bytes == 0
        live.close(99, "exit")


def test_a_chunk_larger_than_the_held_space_is_accepted_after_a_flush(tmp_path: Path) -> None:
    calls: list[str] = []
    live = opened(tmp_path, on_room=lambda: calls.append("room"))
    big = bytes(range(256)) * 4096
    assert not live.output(1, big)
    assert calls == []
    live.flush()
    assert calls == ["room"]
    assert live.output(2, big)
    live.close(3, "exit")
    assert exact_output(tmp_path / "S-1.cast") == big


def test_space_that_was_not_needed_is_returned(tmp_path: Path) -> None:
    live = opened(tmp_path)
    held = (tmp_path / "S-1.cast").stat().st_blocks * 512
    live.output(1, b"x")
    live.close(2, "exit")
    assert held >= 65536
    assert (tmp_path / "S-1.cast").stat().st_blocks * 512 <= 8192


def test_nothing_is_accepted_after_close(tmp_path: Path) -> None:
    live = opened(tmp_path)
    live.close(1, "exit")
    assert not live.output(2, b"x")
    assert not live.event(2, "x")
    assert live.room == 0


def test_the_pump_writes_all_and_a_failing_one_takes_no_other_with_it(tmp_path: Path) -> None:
    failed = threading.Event()
    errors: list[Exception] = []

    def on_fail(error: Exception) -> None:
        errors.append(error)
        failed.set()

    pump = RecorderPump(sync_every=0.01)
    pump.start()
    good, bad = opened(tmp_path, "S-good"), opened(tmp_path, "S-bad", on_fail=on_fail)
    for live in (good, bad):
        pump.register(live)
    os.close(bad._cast.fd)
    bad._cast.fd = os.open(tmp_path / "S-bad.cast", os.O_RDONLY)  # any write fails from here on
    bad.output(1, b"lost")
    good.output(1, b"kept")
    assert failed.wait(30)
    good.output(2, b" too")
    assert not bad.output(2, b"more")
    pump.stop()
    assert exact_output(tmp_path / "S-good.cast") == b"kept too"
    assert [type(error) for error in errors] == [OSError]
    assert bad.failed is errors[0]
    assert not good.unsynced
    good.close(3, "exit")


def test_the_pump_contains_a_bug_in_a_callback(tmp_path: Path) -> None:
    def broken(_: Exception) -> None:
        raise RuntimeError("bug")

    pump = RecorderPump()
    pump.start()
    bad, good = opened(tmp_path, "S-bad", on_fail=broken), opened(tmp_path, "S-good")
    pump.register(bad)
    pump.register(good)
    os.close(bad._events.fd)
    bad._events.fd = os.open(tmp_path / "S-bad.events", os.O_RDONLY)
    bad.event(1, "lost")
    good.output(1, b"x")
    pump.stop()
    assert bad.failed is not None
    good.close(2, "exit")
    assert exact_output(tmp_path / "S-good.cast") == b"x"


KILLED = """
import sys
from pathlib import Path
from recorder.signing import SigningKey
from recorder.writer import RecorderPump, open_recording
from recorder.cast import Header
signer = SigningKey.generate()
live = open_recording(Path(sys.argv[1]), "S-1", Header(width=80, height=24), {}, signer=signer)
pump = RecorderPump()
pump.start()
pump.register(live)
def say(number):
    while not live.output(number * 1000, b"line %d \\xff\\r\\n" % number):
        live.flush()
for number in range(2000):
    say(number)
live.sync()
print("synced", flush=True)
for number in range(2000, 4000):
    say(number)
print("pending", flush=True)
sys.stdin.read()
"""


def test_lesson_45_a_killed_recorder_loses_at_most_the_last_flush(tmp_path: Path) -> None:
    """lesson 45: what was synced is there after SIGKILL, salvage closes it, the reference reader plays it."""
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert child.stdout is not None
    assert [child.stdout.readline().strip() for _ in range(2)] == ["synced", "pending"]
    assert salvage(tmp_path, SIGNER) == []  # its lock is held
    child.kill()
    child.communicate()
    everything = b"".join(b"line %d \xff\r\n" % number for number in range(4000))
    synced = everything.index(b"line 2000 ")
    (found,) = salvage(tmp_path, SIGNER)
    assert found.outcome is Outcome.INTERRUPTED
    shown = exact_output(tmp_path / "S-1.cast")
    assert len(shown) >= synced
    assert everything.startswith(shown)
    assert stream_of(tmp_path)[-1].fields["reason"] == "interrupted"
    assert asciinema_cat(tmp_path / "S-1.cast").startswith(b"line 0 ")
