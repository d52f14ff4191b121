"""Interactive sessions through the broker, as a person at a terminal would have them."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import rawclient
from tests.e2e.bastion import Bastion, wait_until
from tests.e2e.splice import Splice
from tests.world.client import SshClient
from tests.world.homes import PROMPT
from tests.world.process import HOST, clean_env
from tests.world.terminal import Pty
from tests.world.tmux import Tmux

MakeTmux = Callable[..., Tmux]

READ_KEYS = """
import os, sys, tty
tty.setraw(0)
os.write(1, b"ready\\r\\n")
got = b""
while not got.endswith(b"\\xff\\xfe"):
    got += os.read(0, 65536)
os.write(1, got.hex().encode() + b"\\r\\n")
"""


@pytest.fixture
def shell(bastion: Bastion) -> Iterator[Pty]:
    """Alice in bash on `web`, at its prompt."""
    with bastion.ssh("web").pty() as terminal:
        terminal.expect(PROMPT)
        yield terminal


def test_shell_with_banner_and_exit_status(bastion: Bastion, shell: Pty) -> None:
    shell.send(b"echo one two | tr a-z A-Z\r")
    shell.expect(r"ONE TWO\r\n")
    shell.send(b"exit 9\r")
    assert shell.wait() == 9
    last = bastion.last()
    assert f"{last.row['account']}".encode() in shell.seen
    assert f"recorded S-{last.row['number']:x}".encode() in shell.seen.splitlines()[0]
    assert (last.row["channel"], last.row["exit_status"], last.row["end_reason"]) == ("shell", 9, "exit")


def test_terminal_of_the_client_is_that_of_the_target(bastion: Bastion) -> None:
    with bastion.ssh("web").pty(size=(31, 97), term="screen-256color") as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"stty size; echo $TERM; tty >/dev/null && echo a-tty\r")
        terminal.expect(r"31 97\r\nscreen-256color\r\na-tty\r\n")
        terminal.send(b"exit\r")
        assert terminal.wait() == 0
    header = bastion.last().header
    assert (header.width, header.height, header.env["TERM"]) == (97, 31, "screen-256color")


def test_resize_reaches_target_and_recording(bastion: Bastion, shell: Pty) -> None:
    """A recording knows each size of the terminal (lesson 45)."""
    shell.send(b"trap 'stty size' WINCH; echo waiting\r")
    shell.expect(r"\rwaiting\r\n")
    shell.expect(PROMPT)
    shell.resize(40, 132)
    shell.send(b"\r")  # bash runs a trap once its line is read
    shell.expect(r"40 132\r\n")
    shell.send(b"exit\r")
    assert shell.wait() == 0
    assert [event.data for event in bastion.last().events if event.code == "r"] == ["132x40"]


async def test_resize_while_the_target_is_reached_is_not_lost(
    make_bastion: Callable[..., Bastion],
) -> None:
    """The window changes between the login and the first byte of the target (lesson 27)."""
    made = make_bastion()
    with socket.create_server((HOST, 0)) as gate:
        made.target("slow", port=gate.getsockname()[1])
        made.allow("all", targets=["*"], channels=["shell"])
        made.start()
        async with rawclient.connect(made, "slow") as conn:
            chan, session = await rawclient.shell(conn, size=(80, 24))
            taken, _ = await asyncio.to_thread(gate.accept)
            chan.change_terminal_size(120, 50)
            await rawclient.settled(conn)
            with Splice(taken, made.sshd.port):
                await session.until(rb"target\$ ")
                chan.write(b"stty size; exit\n")
                await session.until(rb"50 120\r\n")
                await session.gone
    assert (made.last().header.width, made.last().header.height) == (80, 24)
    assert [event.data for event in made.last().events if event.code == "r"] == ["120x50"]


def test_ctrl_c_interrupts_the_program_only(shell: Pty) -> None:
    shell.send(b"echo go; cat\r")
    shell.expect(r"\rgo\r\n")
    shell.send(b"echoed\r")
    shell.expect(r"echoed\r\nechoed\r\n")
    shell.send(b"\x03")
    shell.expect(PROMPT)
    shell.send(b"echo status $?\r")
    shell.expect(r"\rstatus 130\r\n")
    shell.send(b"exit\r")
    assert shell.wait() == 0


def test_every_byte_that_is_typed_arrives(bastion: Bastion, shell: Pty) -> None:
    """8 bit clean from the keys to the program."""
    (bastion.sshd.home / "keys.py").write_text(READ_KEYS)
    typed = bytes(range(256)) * 2 + b"\xff\xfe"
    shell.send(f"{sys.executable} keys.py\r".encode())
    shell.expect(r"\rready\r\n")
    shell.send(typed)
    assert bytes.fromhex(shell.expect(rb"([0-9a-f]{1028})\r\n")[1].decode()) == typed


def test_what_is_typed_is_not_in_the_recording(bastion: Bastion, shell: Pty) -> None:
    """No typed input is kept, so neither is a password at a prompt without echo."""
    shell.send(b"read -rsp 'secret? ' x; echo; echo length ${#x}\r")
    shell.expect(r"\rsecret\? ")
    shell.send(b"hunter2-quite-long\r")
    shell.expect(r"length 18\r\n")
    shell.send(b"exit\r")
    assert shell.wait() == 0
    last = bastion.last()
    assert b"length 18" in last.output()
    for path in (last.cast, last.cast.with_suffix(".events")):
        assert b"hunter2" not in path.read_bytes()


def test_vim_writes_a_file(bastion: Bastion, make_tmux: MakeTmux) -> None:
    tmux = _tmux(bastion.ssh("web"), make_tmux)
    name = bastion.sshd.home / "written"
    name.unlink(missing_ok=True)
    _type(tmux, "vim -u NONE written")
    tmux.wait_for("~")
    tmux.wait_for("written")
    tmux.type("ihello from vim")
    tmux.wait_for("^hello from vim")
    tmux.keys("Escape")
    _type(tmux, ":wq")
    tmux.wait_for(r"^target\$$")
    assert name.read_text() == "hello from vim\n"
    _type(tmux, "exit")
    assert tmux.wait_exit() == 0


@pytest.mark.parametrize(
    ("command", "shows", "leave"),
    [("top -d 0.5", "load average", "q"), ("less /etc/services", "tcp", "q"), ("man ls | less", "LS", "q")],
    ids=["top", "less", "pipe-to-less"],
)
def test_full_screen_programs_run_and_quit(
    bastion: Bastion, make_tmux: MakeTmux, command: str, shows: str, leave: str
) -> None:
    tmux = _tmux(bastion.ssh("web"), make_tmux)
    _type(tmux, command)
    tmux.wait_for(shows)
    tmux.keys(leave)
    tmux.wait_for(r"^target\$$")  # what is typed before would be flushed by the program as it leaves
    _type(tmux, "echo back: $((6*7))")
    tmux.wait_for("^back: 42")
    assert not tmux.in_alternate_screen()
    _type(tmux, "exit 4")
    assert tmux.wait_exit() == 4


def _tmux(client: SshClient, make_tmux: MakeTmux) -> Tmux:
    tmux = make_tmux()
    tmux.run(client.argv(options=("-tt", "-e", "none")), env=clean_env(client.home, TERM="tmux-256color"))
    tmux.wait_for(PROMPT)
    return tmux


def _type(tmux: Tmux, line: str) -> None:
    tmux.type(line)
    tmux.keys("Enter")


# ---------------------------------------------------------------- questions before a session


def test_reason_is_asked_on_a_terminal(bastion: Bastion) -> None:
    with bastion.ssh("guarded").pty() as terminal:
        terminal.expect("Reason to open guarded: ")
        terminal.send("tickét 12\x7f1\r".encode())
        terminal.expect(PROMPT)
        terminal.send(b"exit\r")
        assert terminal.wait() == 0
    assert bastion.last().row["reason"] == "tickét 11"


def test_typing_ahead_of_the_reason_goes_to_the_session(bastion: Bastion) -> None:
    """Nothing that was typed behind the answer is lost (lesson 27)."""
    with bastion.ssh("guarded").pty() as terminal:
        terminal.expect("Reason to open guarded: ")
        terminal.send(b"because\recho typed $((40+2)) ahead\rexit 3\r")
        terminal.expect("typed 42 ahead")
        assert terminal.wait() == 3


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["ctrl-c", "ctrl-d"])
def test_reason_may_be_declined(bastion: Bastion, key: bytes) -> None:
    before = len(bastion.sessions())
    with bastion.ssh("guarded").pty() as terminal:
        terminal.expect("Reason to open guarded: ")
        terminal.send(key)
        assert terminal.wait() == 130
    assert len(bastion.sessions()) == before


def test_empty_reason_is_no_reason(bastion: Bastion) -> None:
    with bastion.ssh("guarded").pty() as terminal:
        terminal.expect("Reason to open guarded: ")
        terminal.send(b" \r")
        assert terminal.wait() == 64
        assert b"a reason is needed" in terminal.seen


# ---------------------------------------------------------------- ends


def test_client_that_disappears_ends_the_session(bastion: Bastion) -> None:
    """The program on the target is hung up on, and the recording closed."""
    mark = bastion.mark()
    with bastion.ssh("web").pty() as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"echo pid=$$.\r")
        shell = Path("/proc") / terminal.expect(r"pid=(\d+)\.")[1].decode()
        terminal.process.kill()
    ended = bastion.audited(mark, "session.ended")
    assert ended["detail"]["reason"] == "client-gone"
    wait_until(lambda: not shell.exists(), "the end of the shell on the target")


def test_ctrl_c_while_connecting_cancels(make_bastion: Callable[..., Bastion]) -> None:
    made = make_bastion()
    with socket.create_server((HOST, 0)) as silent:
        made.target("silent", port=silent.getsockname()[1])
        made.allow("all", targets=["*"], channels=["shell"])
        made.start()
        with made.ssh("silent").pty() as terminal:
            taken, _ = silent.accept()
            terminal.send(b"\x03")
            assert terminal.wait() == 130
            assert taken.recv(100).startswith(b"SSH-2.0-")
            taken.close()
        assert made.last().row["end_reason"] == "cancelled"


def test_target_that_is_down_is_said_and_recorded(make_bastion: Callable[..., Bastion]) -> None:
    made = make_bastion()
    with socket.create_server((HOST, 0)) as once:
        port = once.getsockname()[1]
    made.target("down", port=port)
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    done = made.ssh("down").run("true")
    assert (done.returncode, done.stdout) == (69, b"")
    assert re.match(rb"bartizan: \[E-UNAVAILABLE\] down: cannot connect to .*refused", done.stderr)
    assert made.last().row["exit_status"] == 69


def test_killed_target_ends_the_session_with_words(
    make_bastion: Callable[..., Bastion], make_sshd: Callable[..., object], place: Path
) -> None:
    made = make_bastion()
    sshd = make_sshd("gone")
    made.target("web", sshd)  # type: ignore[arg-type]
    made.allow("all", targets=["*"], channels=["shell"])
    made.start()
    with made.ssh("web").pty() as terminal:
        terminal.expect(PROMPT)
        sshd.stop()  # type: ignore[attr-defined]
        terminal.expect("the connection to the target was lost")
        assert terminal.wait() == 69
