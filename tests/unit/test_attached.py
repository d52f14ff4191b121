"""`bartizan-shell` and `bartizan open` at their end of the socket: a terminal or pipes, and a broker."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pytest

from broker.shell import requested
from broker.wire.attached import SANE
from broker.wire.codec import READ_SIZE, Decoder, encode
from broker.wire.messages import (
    VERSION,
    Attach,
    Exit,
    Failure,
    FromClient,
    Hello,
    Input,
    InputEnd,
    Message,
    Output,
    Welcome,
    WindowSize,
)
from tests.world.process import PATIENCE, clean_env
from tests.world.terminal import Pty

SHELL = str(Path(sys.executable).with_name("bartizan-shell"))
WELCOME = Welcome(VERSION, "anne", ["ops"], False, "9.9", False)


class Broker:
    """The broker's end, played by the test."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "s"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(PATIENCE)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.peer: socket.socket | None = None
        self._decoder = Decoder.from_client()
        self._came: list[FromClient] = []

    def accept(self) -> Attach:
        """Take the login up to its `Attach`."""
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(PATIENCE)
        assert self.next() == Hello(VERSION, "shell")
        self.send(WELCOME)
        attach = self.next()
        assert isinstance(attach, Attach)
        return attach

    def next(self) -> FromClient:
        assert self.peer is not None
        while not self._came:
            data = self.peer.recv(READ_SIZE)
            assert data, "the client left"
            self._came = self._decoder.feed(data)
        return self._came.pop(0)

    def send(self, *messages: Message) -> None:
        assert self.peer is not None
        self.peer.sendall(b"".join(map(encode, messages)))

    def close(self) -> None:
        if self.peer is not None:
            self.peer.close()
        self.listener.close()


@pytest.fixture
def broker(place: Path) -> Iterator[Broker]:
    made = Broker(place)
    yield made
    made.close()


def environment(broker: Broker, **extra: str) -> dict[str, str]:
    return clean_env(broker.path.parent, BARTIZAN_SOCKET=str(broker.path), **extra)


@pytest.fixture
def piped(broker: Broker) -> Iterator[Any]:
    """Call it with arguments for a login on pipes."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *args: str, stdout: int | IO[bytes] = subprocess.PIPE, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        argv = [SHELL, *args]
        child = subprocess.Popen(
            argv, stdin=pipe, stdout=stdout, stderr=pipe, env=environment(broker, **(env or {}))
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


# ---------------------------------------------------------------- what sshd asks for


@pytest.mark.parametrize(
    ("args", "original", "command"),
    [
        ([], None, None),
        (["-l"], None, None),
        ([], "web1 id", "web1 id"),
        (["-l"], "web1 id", "web1 id"),
        (["-c", "web1 id"], None, "web1 id"),
        (["-c", "web1  'a b' \udcff"], None, "web1  'a b' \udcff"),
        (["-c", "bartizan-shell"], None, None),
        (["-c", "/usr/bin/bartizan-shell"], "web1 id", "web1 id"),
        (["-c", ""], None, ""),
        (["-c", "   "], None, "   "),
    ],
)
def test_the_command_that_a_client_asked_for(
    args: list[str], original: str | None, command: str | None
) -> None:
    env = {} if original is None else {"SSH_ORIGINAL_COMMAND": original}
    assert requested(args, env) == command


@pytest.mark.parametrize("args", [["-c"], ["-c", "a", "b"], ["--help"], ["web1"], ["-l", "x"]])
def test_arguments_that_sshd_does_not_give_are_refused(args: list[str]) -> None:
    with pytest.raises(ValueError, match="usage"):
        requested(args, {"SSH_ORIGINAL_COMMAND": "web1"})


def test_wrong_usage_exits_with_64_and_asks_nobody(piped: Any) -> None:
    child = piped("--help")
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (64, b"")
    assert err.startswith(b"bartizan-shell: usage: ")


# ---------------------------------------------------------------- pipes


def test_pipes_carry_every_byte_both_ways_and_the_status(broker: Broker, piped: Any) -> None:
    child = piped("-c", "web1 cat")
    assert broker.accept() == Attach("web1 cat", env={"LANG": "C.UTF-8"})
    child.stdin.write(bytes(range(256)))
    child.stdin.close()
    child.stdin = None
    assert broker.next() == Input(bytes(range(256)))
    assert broker.next() == InputEnd()
    broker.send(Output(b"\x00\xffout"), Output(b"err\x1b", stderr=True), Output(b"more"), Exit(7))
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out, err) == (7, b"\x00\xffoutmore", b"err\x1b")


def test_only_listed_variables_are_passed(broker: Broker, piped: Any) -> None:
    """lesson 25: what changes how programs run stays here; the broker has its own list besides."""
    piped("-c", "web1", env={"LC_ALL": "C", "LD_PRELOAD": "x", "BARTIZAN_REASON": "INC-7", "NO_COLOR": "1"})
    passed = {"LANG": "C.UTF-8", "LC_ALL": "C", "BARTIZAN_REASON": "INC-7", "NO_COLOR": "1"}
    assert broker.accept().env == passed


def test_input_and_output_at_once_do_not_wait_for_each_other(broker: Broker, piped: Any) -> None:
    """lesson 27: a broker that takes no input before its output is read is read all the same."""
    size = 4 << 20
    kept = broker.path.with_name("kept")
    with kept.open("wb") as file:
        child = piped("-c", "web1 cat", stdout=file)
    feeder = threading.Thread(target=lambda: (child.stdin.write(bytes(size)), child.stdin.close()))
    feeder.start()
    broker.accept()
    first = broker.next()  # it sends, and goes on until nothing more fits
    broker.send(*[Output(b"x" * 65536)] * (size // 65536), Output(b"end"))
    received = 0
    message = first
    while not isinstance(message, InputEnd):
        assert isinstance(message, Input)
        received += len(message.data)
        message = broker.next()
    assert received == size
    broker.send(Exit(0))
    assert child.wait(PATIENCE) == 0
    feeder.join()
    child.stdin = None
    assert kept.read_bytes() == b"x" * size + b"end"


def test_a_program_that_ends_without_reading_its_input_gives_its_status(broker: Broker, piped: Any) -> None:
    """The broker closes with input on its way: its last words count, not the broken pipe."""
    child = piped("-c", "web1 true")
    broker.accept()
    child.stdin.write(bytes(40 << 10))
    child.stdin.flush()
    broker.send(Output(b"bye"), Exit(3))
    broker.close()
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out, err) == (3, b"bye", b"")


def test_input_that_never_ends_does_not_outlive_the_broker(broker: Broker, piped: Any) -> None:
    child = piped("-c", "web1 true")
    broker.accept()
    broker.close()
    assert child.wait(PATIENCE) == 69
    assert child.stderr.read().startswith(b"bartizan: [E-UNAVAILABLE] the broker at ")


def test_nobody_reads_the_output_any_more(broker: Broker, piped: Any) -> None:
    """`... | head -1`: it ends as any program that writes into a closed pipe, and blames no broker."""
    child = piped("-c", "web1 yes")
    broker.accept()
    child.stdout.close()
    child.stdout = None
    broker.send(Output(b"y\n"))
    assert child.wait(PATIENCE) == 128 + signal.SIGPIPE
    assert child.stderr.read() == b""


# ---------------------------------------------------------------- no broker, or none for us


def test_without_a_broker_it_says_so(piped: Any, broker: Broker) -> None:
    broker.close()
    child = piped("-c", "web1")
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (69, b"")
    assert (
        err
        == f"bartizan: [E-UNAVAILABLE] the broker at {broker.path} is gone (Connection refused)\n".encode()
    )


def test_a_refused_login_gives_the_brokers_words_and_status(broker: Broker, piped: Any) -> None:
    child = piped()
    broker.peer, _ = broker.listener.accept()
    broker.send(Failure(0, "E-DENIED", "this account is no user of this bastion", "ask an admin", 77))
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (77, b"")
    assert err == b"bartizan: [E-DENIED] this account is no user of this bastion. ask an admin\n"


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", encode(Exit(0))], ids=["http", "exit"])
def test_something_that_is_no_broker_is_no_success(broker: Broker, piped: Any, junk: bytes) -> None:
    child = piped("-c", "web1")
    broker.peer, _ = broker.listener.accept()
    broker.peer.sendall(junk)
    broker.close()
    assert child.wait(PATIENCE) == 69


# ---------------------------------------------------------------- a terminal


def test_a_terminal_is_raw_meanwhile_and_put_back(broker: Broker) -> None:
    with Pty([SHELL, "-c", "web1"], env=environment(broker), size=(30, 100)) as screen:
        before = screen.modes()
        attach = broker.accept()
        assert (attach.term, attach.cols, attach.rows) == ("xterm-256color", 100, 30)
        broker.send(Output(b"$ "))
        screen.expect(r"\$ ")
        screen.send(b"\x03\x04\x1a\r")
        typed = b""
        while len(typed) < 4:
            message = broker.next()
            assert isinstance(message, Input)
            typed += message.data
        assert typed == b"\x03\x04\x1a\r", "keys are the broker's business, not the local terminal's"
        screen.resize(40, 120)
        assert broker.next() == WindowSize(120, 40)
        broker.send(Output(b"bye\r\n"), Exit(5))
        screen.expect(r"bye\r\n")
        assert screen.wait() == 5
        assert screen.modes() == before


def test_a_terminal_is_usable_after_the_broker_died_in_the_middle(broker: Broker) -> None:
    """The picker had the alternate screen, mouse and cursor: all of it is taken back."""
    with Pty([SHELL], env=environment(broker)) as screen:
        before = screen.modes()
        assert broker.accept().command is None
        broker.send(Output(b"\x1b[?1049h\x1b[?25l\x1b[?1003h"))
        screen.expect(rb"\?1003h")
        broker.close()
        assert screen.wait() == 69
        assert SANE.replace(b"\r\n", b"") in screen.seen
        assert b"[E-UNAVAILABLE]" in screen.seen
        assert screen.modes() == before
