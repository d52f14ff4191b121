"""What is kept of sessions: each played by asciinema, after crashes and on full disks too (lesson 45)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder.cast import Event
from recorder.reader import exact_output
from tests.e2e.bastion import Bastion, wait_until
from tests.world.homes import PROMPT
from tests.world.process import PATIENCE
from tests.world.sshd import Sshd

MakeBastion = Callable[..., Bastion]
MakeSshd = Callable[..., Sshd]


def test_shell_recording_shows_what_was_seen(bastion: Bastion) -> None:
    with bastion.ssh("web").pty(size=(30, 100)) as terminal:
        terminal.expect(PROMPT)
        terminal.send("echo grün € done; exit 2\r".encode())
        assert terminal.wait() == 2
        seen = bytes(terminal.seen)
    last = bastion.last()
    row, header = last.row, last.header
    number = f"S-{row['number']:x}"
    assert (header.version, header.width, header.height, header.command) == (2, 100, 30, None)
    assert header.title == f"{bastion.sshd.user}@web"
    assert header.extra["bartizan"] == {
        "session": number,
        "user": "alice",
        "target": "web",
        "account": bastion.sshd.user,
    }
    assert header.timestamp == row["started_at"] // 1_000_000
    banner, rest = seen.split(b"\r\n", 1)
    assert b"bartizan" in banner
    assert last.output() == rest
    assert last.asciinema() == rest
    notice, end = last.fact("notice"), last.fact("end")
    assert notice["text"] == banner.decode()
    assert (end["reason"], end["status"], end["signal"]) == ("exit", 2, "")
    assert row["size"] == last.cast.stat().st_size
    assert _in_order(last.events)


def test_exec_recording_names_command_and_credential(bastion: Bastion) -> None:
    options = ("-o", "SetEnv=LC_TIME=C", "-o", "SendEnv=LANG")
    assert bastion.ssh("web").run("printf out; printf err >&2", options=options).returncode == 0
    last = bastion.last()
    assert last.header.command == "printf out; printf err >&2"
    assert sorted(last.asciinema().decode()) == sorted("outerr")
    start = last.fact("start")
    assert start["credential"] == bastion.alice.fingerprint
    assert start["source"] == "127.0.0.1"
    assert (start["rule"], start["origin"].partition(":")[0]) == ("exec", "exec.yaml")
    assert start["env"] == {"LANG": "C.UTF-8", "LC_TIME": "C"}


def test_files_are_for_the_broker_alone(bastion: Bastion) -> None:
    bastion.ssh("web").run("true")
    cast = bastion.last().cast
    assert re.fullmatch(r"S-[0-9a-f]+\.cast", cast.name)
    for path in (cast, cast.with_suffix(".events")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (cast.parent, cast.parent.parent, cast.parent.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_time_of_events_never_goes_back(bastion: Bastion) -> None:
    code = "for i in 1 2 3 4 5 6 7 8; do echo $i; echo $i >&2; sleep 0.03; done"
    bastion.ssh("web").run(code)
    events = bastion.last().events
    assert len(events) >= 8
    assert _in_order(events)
    assert 200_000 < events[-1].t - events[0].t < 60_000_000


def _in_order(events: list[Event]) -> bool:
    times = [event.t for event in events]
    return times == sorted(times) and times[0] >= 0


def test_recordings_are_listed_and_read_through_the_broker(bastion: Bastion) -> None:
    bastion.ssh("web").run("echo for-the-list")
    last = bastion.last()
    number = f"S-{last.row['number']:x}"
    listed = bastion.broker.cli("recordings", "ls", "for-the-list", "--json").stdout
    rows = [json.loads(line) for line in listed.splitlines()]
    assert [row["id"] for row in rows] == [number]
    assert (rows[0]["v"], rows[0]["state"], rows[0]["exit_status"]) == (1, "ended", 0)
    over_ssh = bastion.ssh().run(f"recordings cat {number}")
    assert over_ssh.stdout == last.cast.read_bytes()


def test_live_recording_is_on_the_disk_within_the_second(bastion: Bastion) -> None:
    with bastion.ssh("web").pty() as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"echo shown-$((1+1))\r")
        terminal.expect(r"shown-2\r\n")
        wait_until(lambda: b"shown-2" in bastion.last(live=True).cast.read_bytes(), "the line on disk", 2)
        listed = bastion.broker.cli("sessions", "ls", "--json").stdout
        assert json.loads(listed.splitlines()[0])["target"] == "web"
        terminal.send(b"exit\r")
        terminal.wait()


# ---------------------------------------------------------------- crashes


def test_broker_killed_in_mid_session(make_bastion: MakeBastion, make_sshd: MakeSshd) -> None:
    """After kill -9: listed as interrupted, plays, and holds what was seen up to the last second."""
    made = _simple(make_bastion, sshd=make_sshd("t"))
    with made.ssh("web").pty() as shell, made.ssh("web").pty() as other:
        shell.expect(PROMPT)
        other.expect(PROMPT)
        assert made.ssh("web").run("echo whole").returncode == 0
        shell.send(b"echo before-the-crash-$((40+2))\r")
        shell.expect(r"before-the-crash-42\r\n")
        wait_until(lambda: any(b"crash-42" in s.cast.read_bytes() for s in made.sessions()), "the flush", 2)
        other.send(b"printf 'half a line \\303'; kill -9 %d\r" % made.broker.pid)
        shell.wait()
        other.wait()
    made.broker.child.wait()
    made.broker.start()
    listed = made.broker.cli("recordings", "ls", "--json").stdout
    rows = {row["id"]: row for row in map(json.loads, listed.splitlines())}
    assert [rows[f"S-{n}"]["state"] for n in (1, 2, 3)] == ["interrupted", "interrupted", "ended"]
    assert all(rows[f"S-{n}"]["ended_at"] for n in (1, 2))
    assert "interrupted" in made.broker.log
    interrupted = {s.row["number"]: s for s in made.sessions()}
    text = b"".join(interrupted[n].asciinema() for n in (1, 2))
    assert b"before-the-crash-42" in text
    assert interrupted[1].facts[-1].kind == interrupted[2].facts[-1].kind == "end"
    done = made.ssh("web").run("echo again")
    assert (done.returncode, done.stdout) == (0, b"again\n")
    assert made.last().row["number"] == 4


def test_orderly_stop_tells_the_users_and_seals(make_bastion: MakeBastion) -> None:
    made = _simple(make_bastion)
    with made.ssh("web").pty() as shell:
        shell.expect(PROMPT)
        assert made.broker.stop() == 0
        shell.expect("this bastion is being stopped")
        assert shell.wait() == 137
    [session] = made.sessions()
    assert (session.row["state"], session.row["end_reason"]) == ("ended", "shutdown")
    assert session.fact("end")["reason"] == "shutdown"
    assert b"target" in session.asciinema()


# ---------------------------------------------------------------- nothing runs unrecorded


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    mount = place / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "none", mount], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)


FLOOD = """
import os
n = 0
while True:
    n += 1
    os.write(1, b"%019d\\n" % n * 50)
"""
"""Prints numbered lines for ever."""


@pytest.mark.root
def test_full_disk_ends_the_session(make_bastion: MakeBastion, small_disk: Path) -> None:
    """All that was shown is in the recording, the user is told why, and what he typed next does not run."""
    made = _simple(make_bastion, recording={"dir": str(small_disk)})
    marker = made.sshd.home / "after-the-disk-was-full"
    marker.unlink(missing_ok=True)
    (made.sshd.home / "flood.py").write_text(FLOOD)
    with made.ssh("web").pty() as shell:
        shell.expect(PROMPT)
        shell.send(f"stty -opost; {sys.executable} flood.py\rtouch {marker}\r".encode())
        assert shell.wait(2 * PATIENCE) == 73
        seen = bytes(shell.seen)
    text = "the recording cannot be written"
    assert text.encode() in seen
    [cast] = small_disk.rglob("S-1.cast")
    shown = seen.split(b"\r\n", 1)[1].partition("\r\n■".encode())[0]
    session = made.last()
    recorded = exact_output(cast)
    assert len(shown) > 1_000_000
    assert recorded.startswith(shown), "all that was shown is recorded"
    assert (session.row["exit_status"], session.row["end_reason"]) == (73, "recording")
    assert not marker.exists()
    assert made.broker.child.alive


@pytest.mark.root
def test_full_disk_ends_a_command(make_bastion: MakeBastion, small_disk: Path) -> None:
    """What is kept of it does not fit: one line on stderr, and all that was shown is recorded."""
    made = _simple(make_bastion, recording={"dir": str(small_disk)})
    done = made.ssh("web").run("yes 0123456789012345678", timeout=2 * PATIENCE)
    assert done.returncode == 73
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("bartizan: [E-RECORDING] the recording cannot be written")
    [cast] = small_disk.rglob("S-1.cast")
    assert len(done.stdout) > 1_000_000
    assert exact_output(cast).startswith(done.stdout)


@pytest.mark.root
def test_disk_full_from_the_start(make_bastion: MakeBastion, small_disk: Path, make_sshd: MakeSshd) -> None:
    """Not even a byte is free: nothing is dialled."""
    sshd = make_sshd("t")
    made = _simple(make_bastion, sshd=sshd, recording={"dir": str(small_disk)})
    with contextlib.suppress(OSError), (small_disk / "fill").open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    _refused_undialled(made, sshd)


def test_recordings_folder_that_cannot_be_written(make_bastion: MakeBastion, make_sshd: MakeSshd) -> None:
    """A plain file stands where the folder belongs (even root cannot write below it): nothing is dialled."""
    sshd = make_sshd("t")
    made = _simple(make_bastion, sshd=sshd, start=False)
    (made.broker.data / "recordings").write_text("")
    made.start()
    _refused_undialled(made, sshd)


def _refused_undialled(made: Bastion, sshd: Sshd) -> None:
    done = made.ssh("web").run("true")
    assert (done.returncode, done.stdout) == (73, b"")
    assert done.stderr.startswith(b"bartizan: [E-RECORDING] the recording cannot be opened")
    with made.ssh("web").pty() as shell:
        assert shell.wait() == 73
        assert b"the recording cannot be opened" in shell.seen
    assert "Connection from" not in sshd.log
    assert {s.row["end_reason"] for s in made.sessions()} == {"recording"}


def test_file_that_is_already_there_is_not_touched(make_bastion: MakeBastion, place: Path) -> None:
    """Lesson 31: recordings are made with O_EXCL and follow no link."""
    made = _simple(make_bastion)
    made.ssh("web").run("true")
    folder = made.last().cast.parent
    victim = place / "victim"
    victim.write_text("precious")
    (folder / "S-2.cast").symlink_to(victim)
    done = made.ssh("web").run("true")
    assert done.returncode == 73
    assert victim.read_text() == "precious"
    assert made.ssh("web").run("true").returncode == 0


def _simple(make: MakeBastion, *, sshd: Sshd | None = None, start: bool = True, **config: Any) -> Bastion:
    made = make(**config)
    made.target("web", sshd)
    made.allow("all", targets=["*"], channels=["shell", "exec"])
    return made.start() if start else made


def test_umask_of_the_broker_does_not_matter(make_bastion: MakeBastion) -> None:
    before = os.umask(0)
    try:
        made = _simple(make_bastion)
        made.ssh("web").run("true")
    finally:
        os.umask(before)
    for path in made.broker.data.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
