"""The demo as people and CI start it, and its embedded target by itself."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from broker.demo.world import UNPRIVILEGED, World
from tests.world.broker import BARTIZAN
from tests.world.process import PATIENCE, clean_env
from tests.world.terminal import Pty
from tests.world.tmux import Tmux

UID = UNPRIVILEGED if os.geteuid() == 0 else os.geteuid()


def run_demo(
    place: Path, *arguments: str, timeout: float = 4 * PATIENCE, **env: str
) -> subprocess.CompletedProcess[str]:
    """`bartizan demo` without a terminal anywhere, its folder below `place`."""
    return subprocess.run(
        [BARTIZAN, "demo", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_env(place, TMPDIR=str(place), **env),
        start_new_session=True,
        timeout=timeout,
        check=False,
    )


def left_behind(place: Path) -> list[str]:
    """Folders of demos below `place`, and processes that name one."""
    found = [str(path) for path in place.glob("bzd-*")]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found += [command] if f"{place}/bzd-" in command else []
    return found


# ---------------------------------------------------------------- played without keys


def test_auto_passes_without_any_terminal(place: Path) -> None:
    done = run_demo(place, "--auto", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["name"] for row in rows if row["ok"]] == [
        "picker", "open", "shell", "blocked", "edited", "exit", "denied", "allowed", "replay", "list",
        "log-out", "asciinema", "secrets",
    ]  # fmt: skip
    assert done.stderr == ""
    assert left_behind(place) == []


def test_auto_passes_with_the_plain_menu_in_ascii(place: Path) -> None:
    done = run_demo(place, "--auto", "--plain", LC_ALL="C")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.isascii()
    assert "a numbered menu lists three targets" in done.stdout
    assert "(exit 77)" in done.stdout
    assert left_behind(place) == []


def test_auto_fails_where_something_expected_is_missing(place: Path) -> None:
    """A client that shows nothing on its terminal: no picker is seen."""
    tools = place / "bin"
    tools.mkdir()
    real = shutil.which("ssh")
    (tools / "ssh").write_text(f'#!/bin/sh\ncase "$*" in *-tt*) exit 0 ;; esac\nexec {real} "$@"\n')
    (tools / "ssh").chmod(0o755)
    done = run_demo(place, "--auto", PATH=f"{tools}{os.pathsep}{clean_env(place)['PATH']}")
    assert done.returncode == 1
    assert "FAIL" in done.stdout
    assert "FAILED at step 1" in done.stdout
    assert left_behind(place) == []


def test_a_demo_that_is_kept_is_private_and_stays(place: Path) -> None:
    done = run_demo(place, "--auto", "--plain", "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    (kept,) = place.glob("bzd-*")
    assert str(kept) in done.stdout
    assert kept.stat().st_mode & 0o066 == 0
    assert (kept / "broker").stat().st_mode & 0o777 == 0o700
    assert (kept / "home").stat().st_mode & 0o777 == 0o700
    assert len(list((kept / "broker/data/recordings").rglob("*.cast"))) == 4
    shutil.rmtree(kept)
    assert left_behind(place) == []


def test_without_a_terminal_it_says_what_to_do(place: Path) -> None:
    done = run_demo(place)
    assert done.returncode == 64
    assert "--auto" in done.stderr
    assert left_behind(place) == []


# ---------------------------------------------------------------- at a terminal


def test_a_person_goes_through_it(place: Path, make_tmux: type[Tmux]) -> None:
    tmux = make_tmux()
    tmux.run([str(BARTIZAN), "demo"], env={"TMPDIR": str(place)})
    tmux.wait_for("Press Enter to begin, q to quit.")
    (folder,) = place.glob("bzd-*")
    assert f"ssh -F {folder}/ssh shop-db@bastion 'rm -rf srv/shop'" in tmux.screen().replace("\n", "")
    tmux.keys("Enter")
    tmux.wait_for(r"lab-1 .* DENY")
    tmux.keys("Enter")
    tmux.wait_for(r"^alice@shop-db:~\$")
    other = subprocess.run(
        ["ssh", "-F", str(folder / "ssh"), "shop-db@bastion", "rm -rf srv/shop"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (other.returncode, other.stdout) == (77, "")
    assert other.stderr.startswith("bartizan: [E-DENIED")
    tmux.type("test -f srv/shop/README && exit 3")
    tmux.keys("Enter")
    tmux.wait_for(r"exit 3, S-3")
    tmux.keys("C-d")
    tmux.wait_for("bartizan init")
    assert tmux.wait_exit() == 0
    assert not tmux.in_alternate_screen()
    assert left_behind(place) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_session_cleans_up(place: Path, number: signal.Signals) -> None:
    with Pty([str(BARTIZAN), "demo"], env=clean_env(place, TMPDIR=str(place))) as pty:
        before = pty.modes()
        pty.expect("to begin")
        pty.send(b"\r")
        pty.expect("lab-1")
        pty.send(b"\r")
        pty.expect(r"alice@shop-db:~\$")
        assert pty.modes() != before
        os.kill(pty.process.pid, number)
        pty.expect(re.escape("\x1b[?1049l\x1b[?2004l\x1b[?25h"))
        pty.read_all()
        assert pty.modes() == before
        assert pty.process.wait(PATIENCE) == 128 + number
    assert left_behind(place) == []


@pytest.mark.parametrize(("keys", "status"), [(b"q\r", 0), (b"\x03", 130), (b"\x04", 0)])
def test_it_can_be_left_before_it_begins(place: Path, keys: bytes, status: int) -> None:
    with Pty([str(BARTIZAN), "demo"], env=clean_env(place, TMPDIR=str(place))) as pty:
        pty.expect("to begin")
        pty.send(keys)
        assert pty.wait() == status
    assert left_behind(place) == []


def test_with_keep_it_runs_on_until_ctrl_c(place: Path) -> None:
    with Pty([str(BARTIZAN), "demo", "--keep", "--plain"], env=clean_env(place, TMPDIR=str(place))) as pty:
        pty.expect("to begin")
        pty.send(b"\r")
        pty.expect("lab-1")
        pty.send(b"q\r")
        config = pty.expect(r"ssh -F (\S+) bastion-bob")[1].decode()
        pty.expect("folder stays")
        listed = subprocess.run(
            ["ssh", "-F", config, "bastion-bob", "ls"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert listed.stdout.split("\t")[:2] == ["lab-1", "dev"]
        pty.send(b"\x03")
        assert pty.wait() == 0
    assert left_behind(place) == [str(Path(config).parent)]


# ---------------------------------------------------------------- the embedded target


@pytest.fixture(scope="module")
def demo_world(world: Path) -> Iterator[World]:
    with World() as made:
        yield made


@pytest_asyncio.fixture
async def target(demo_world: World) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection straight to the target, with the key that else only the broker has."""
    text = (demo_world.private / "targets/shop-db.yaml").read_text()
    found = re.search(r"^port: (\d+)", text, re.MULTILINE)
    assert found is not None
    async with asyncssh.connect(
        "127.0.0.1", int(found[1]), username="alice", client_keys=[demo_world._login_key],
        known_hosts=None, config=None, agent_path=None, password=None,
    ) as conn:  # fmt: skip
        yield conn


def test_a_recording_is_fetched_over_ssh_whole(demo_world: World) -> None:
    """Its chunks come over the one control connection that the verb was given."""
    done = demo_world.run("bastion", "recordings cat S-2")
    assert done.returncode == 0, done.stderr
    (cast,) = demo_world.data.rglob("S-2.cast")
    assert done.stdout == cast.read_text()
    assert "2026.11.3" in done.stdout


async def test_only_the_brokers_key_opens_the_target(target: asyncssh.SSHClientConnection) -> None:
    host, port = target.get_extra_info("peername")[:2]
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    for options in ({"client_keys": [stranger]}, {"client_keys": None, "password": "guess"}):
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(
                host, port, username="alice", known_hosts=None, config=None, agent_path=None, **options
            )


async def test_streams_stay_apart_and_the_status_comes_through(target: asyncssh.SSHClientConnection) -> None:
    done = await target.run("echo out; echo err >&2; pwd; id -u; exit 7", check=False)
    assert str(done.stdout).splitlines()[0] == "out"
    assert str(done.stdout).splitlines()[1].endswith("/home")
    assert str(done.stdout).splitlines()[2] == str(UID)
    assert (done.stderr, done.exit_status) == ("err\n", 7)


async def test_a_program_killed_by_a_signal_says_so(target: asyncssh.SSHClientConnection) -> None:
    done = await target.run("kill -KILL $$", check=False)
    assert done.exit_signal is not None
    assert done.exit_signal[0] == "KILL"


async def test_bytes_in_both_directions_arrive_whole(target: asyncssh.SSHClientConnection) -> None:
    data = os.urandom(4 << 20)
    done = await target.run("tee /dev/stderr", input=data, encoding=None, check=False)
    assert isinstance(done.stdout, bytes)
    assert isinstance(done.stderr, bytes)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    assert done.stderr == done.stdout


async def test_a_signal_of_the_client_reaches_the_program(target: asyncssh.SSHClientConnection) -> None:
    process = await target.create_process(
        "trap 'echo caught; exit 9' USR1; echo ready; while :; do sleep 0.05; done"
    )
    assert await process.stdout.readline() == "ready\n"
    process.send_signal("USR1")
    assert await process.stdout.readline() == "caught\n"
    assert (await process.wait()).exit_status == 9


async def test_a_terminal_has_its_size_and_learns_a_new_one(target: asyncssh.SSHClientConnection) -> None:
    process = await target.create_process(term_type="xterm-256color", term_size=(100, 30))
    await process.stdout.readuntil("alice@shop-db:~$ ")
    process.stdin.write("stty size; tty -s && test -w $(tty) && echo writable\n")
    await asyncio.wait_for(process.stdout.readuntil("30 100"), PATIENCE)
    await asyncio.wait_for(process.stdout.readuntil("writable\r\n"), PATIENCE)
    process.stdin.write("trap 'stty size' WINCH; echo go\n")
    await asyncio.wait_for(process.stdout.readuntil("\rgo\r\n"), PATIENCE)
    process.change_terminal_size(81, 25)
    process.stdin.write("\n")
    await asyncio.wait_for(process.stdout.readuntil("25 81"), PATIENCE)
    process.stdin.write("exit 4\n")
    assert (await asyncio.wait_for(process.wait(), PATIENCE)).exit_status == 4


async def test_ctrl_c_reaches_the_program_on_the_terminal(target: asyncssh.SSHClientConnection) -> None:
    process = await target.create_process(term_type="xterm")
    await process.stdout.readuntil("~$ ")
    process.stdin.write("sh -c 'echo begun; exec sleep 1000'\n")
    await asyncio.wait_for(process.stdout.readuntil("\rbegun\r\n"), PATIENCE)
    process.stdin.write("\x03")
    await asyncio.wait_for(process.stdout.readuntil("~$ "), PATIENCE)
    process.stdin.write("exit\n")
    assert (await asyncio.wait_for(process.wait(), PATIENCE)).exit_status == 130


def test_what_a_session_leaves_running_ends_with_the_demo() -> None:
    """It is found by the session it belongs to, not by a name."""
    with World() as made:
        done = made.run("shop-db@bastion", "nohup sleep 98765 >/dev/null 2>&1 &")
        assert done.returncode == 0, done.stderr
        assert "98765" in _commands()
    assert "98765" not in _commands()


def _commands() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            found += [word.decode(errors="replace") for word in words[1:2] if words[0] == b"sleep"]
    return " ".join(found)
