"""The embedded target of the demo: an SSH server that gives a real shell on a real terminal.

Runs as a child process of the demo (`python -m broker.demo.target`), never in the broker's loop. It gets a
listening socket by file descriptor and everything else as one JSON line on its standard input, so that no
secret is in its arguments; it ends at SIGTERM and when that input closes, which is when the demo dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import sys
import termios
from collections.abc import Coroutine, Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncssh

DRAIN_TIMEOUT = 1.0
"""Seconds that the end of a shell waits for output of what it left running on its terminal."""
CHUNK = 1 << 16
PASSED_ENV = ("LANG", "LANGUAGE", "LC_", "NO_COLOR", "COLORTERM")

Channel = asyncssh.SSHServerProcess[bytes]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server is told; keys in OpenSSH form."""

    home: str
    host_key: str
    authorized: str
    """Public key that may log in, under any account."""
    password: str
    """What may be given instead of the key."""
    uid: int | None = None
    """User and group that shells run as; None: the caller's own."""

    def line(self) -> bytes:
        """One line for the server's standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Server(asyncssh.SSHServer):
    """Logins of the broker, the only one who has the key and the password."""

    def __init__(self, settings: Settings, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._key = asyncssh.import_public_key(settings.authorized)
        self._password = settings.password
        self._connections = connections
        self._conn: asyncssh.SSHServerConnection

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._conn)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.public_data == self._key.public_data

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == self._password


class Shells:
    """Starts programs for session channels, and ends them."""

    def __init__(self, settings: Settings, names: Mapping[int, str]) -> None:
        """`names`: host name for the prompt by port, so that three targets can share one server."""
        self._settings = settings
        self._names = names
        self._leaders: set[int] = set()
        """Process ids of programs that run or left something running; each led a session of its own."""

    async def serve(self, channel: Channel) -> None:
        """One session channel, from its request to its exit status."""
        argv, env = self._program(channel)
        try:
            status = await self._run(channel, argv, env)
        except OSError as exc:
            channel.stderr.write(f"{argv[0]}: {exc.strerror}\n".encode())
            status = 126
        if status >= 0:
            channel.exit(status)
        else:
            channel.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))

    def _program(self, channel: Channel) -> tuple[list[str], dict[str, str]]:
        """What to start, and its environment: nothing of the caller's but the search path."""
        account = str(channel.get_extra_info("username"))
        host = self._names[channel.get_extra_info("sockname")[1]]
        bash = shutil.which("bash")
        shell = bash or "/bin/sh"
        directory = r"\w" if bash else "~"
        env = {name: value for name, value in channel.env.items() if name.startswith(PASSED_ENV)}
        env |= {
            "HOME": self._settings.home,
            "USER": account,
            "LOGNAME": account,
            "SHELL": shell,
            "PATH": os.environ.get("PATH", os.defpath),
        }
        if channel.term_type is not None:
            env["TERM"] = channel.term_type
        if channel.command is not None:
            return [shell, "-c", channel.command], env
        env["PS1"] = f"{account}@{host}:{directory}$ "
        return ([shell, "--noprofile", "--norc"] if bash else [shell, "-i"]), env

    async def _run(self, channel: Channel, argv: list[str], env: dict[str, str]) -> int:
        """Start it and pass everything on, both ways; its exit status, negative for a signal."""
        terminal = channel.term_type is not None
        with _open_ends(terminal) as ends:
            child = await self._start(argv, env, ends, terminal)
            self._leaders.add(child.pid)
            ends.close_theirs()
            stdin = await _writer(ends.take_input())
            if terminal:
                _set_size(stdin, *channel.term_size[:2])
            pumps = [_spawn(_pump(fd, to)) for fd, to in ends.take_outputs(channel)]
            feeding = _spawn(_feed(channel, child.pid, stdin))
            gone = _spawn(_hang_up_with(channel, child.pid))
            try:
                if terminal:
                    await child.wait()
                # A shell may leave programs on its terminal: their later output is not waited for.
                await asyncio.wait(pumps, timeout=DRAIN_TIMEOUT if terminal else None)
                return await child.wait()
            finally:
                for task in (*pumps, feeding, gone):
                    task.cancel()
                stdin.close()
                if not _members({child.pid}):
                    self._leaders.discard(child.pid)

    async def _start(
        self, argv: list[str], env: dict[str, str], ends: Ends, terminal: bool
    ) -> asyncio.subprocess.Process:
        uid = self._settings.uid
        drop: dict[str, Any] = {}
        if uid is not None:
            drop = {"user": uid, "group": uid, "extra_groups": [], "umask": 0o022}
            for fd in ends.theirs:
                os.fchown(fd, uid, -1)  # so that it can open /dev/tty's name, /dev/stderr and the like
        if terminal:
            drop["preexec_fn"] = _take_terminal
        stdin, stdout, stderr = ends.theirs
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=self._settings.home,
            start_new_session=True,
            **drop,
        )

    def end(self) -> None:
        """Kill what any of the programs has left running."""
        for pid in _members(self._leaders):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


class Ends:
    """Both ends of a program's streams; who takes one of ours closes it, the rest is closed by `close`."""

    def __init__(self, theirs: tuple[int, int, int], ours: list[int]) -> None:
        self.theirs = theirs
        self._theirs_open = set(theirs)
        self._ours = ours
        """Input, output and, without a terminal, errors."""

    def take_input(self) -> int:
        return self._ours.pop(0)

    def take_outputs(self, channel: Channel) -> list[tuple[int, asyncssh.SSHWriter[bytes]]]:
        """Our ends, each with where it goes."""
        taken, self._ours = self._ours, []
        return list(zip(taken, (channel.stdout, channel.stderr), strict=False))

    def close_theirs(self) -> None:
        while self._theirs_open:
            os.close(self._theirs_open.pop())

    def close(self) -> None:
        self.close_theirs()
        while self._ours:
            os.close(self._ours.pop())


@contextlib.contextmanager
def _open_ends(terminal: bool) -> Iterator[Ends]:
    if terminal:
        master, slave = pty.openpty()
        ends = Ends((slave, slave, slave), [master, os.dup(master)])
    else:
        (stdin, to), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
        ends = Ends((stdin, stdout, stderr), [to, out, err])
    try:
        yield ends
    finally:
        ends.close()


def _spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work, name="stream")


async def _writer(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _pump(fd: int, to: asyncssh.SSHWriter[bytes]) -> None:
    """Pass on what the program prints, as fast as the client takes it."""
    source = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(source), os.fdopen(fd, "rb", 0)
    )
    try:
        while data := await source.read(CHUNK):
            to.write(data)
            await to.drain()
    except OSError:  # EIO: nobody has the terminal open any more; or the client is gone
        return
    finally:
        transport.close()


async def _feed(channel: Channel, group: int, stdin: asyncio.StreamWriter) -> None:
    """Pass on what the client sends: bytes, signals, sizes of its window; asyncssh raises all but bytes."""
    with contextlib.suppress(OSError):
        while True:
            try:
                data = await channel.stdin.read(CHUNK)
            except asyncssh.TerminalSizeChanged as exc:
                _set_size(stdin, exc.width, exc.height)
            except asyncssh.SignalReceived as exc:
                number = getattr(signal, f"SIG{exc.signal}", None)
                _kill_group(group, number if isinstance(number, signal.Signals) else signal.SIGTERM)
            except asyncssh.BreakReceived:
                _kill_group(group, signal.SIGINT)
            else:
                if not data:
                    break
                stdin.write(data)
                await stdin.drain()
    if channel.term_type is None:
        stdin.close()


async def _hang_up_with(channel: Channel, group: int) -> None:
    await channel.channel.wait_closed()
    _kill_group(group, signal.SIGHUP)


def _set_size(terminal: asyncio.StreamWriter, columns: int, rows: int) -> None:
    with contextlib.suppress(OSError, termios.error):  # it may just have been closed
        termios.tcsetwinsize(terminal.get_extra_info("pipe").fileno(), (rows, columns))


def _members(leaders: Set[int]) -> list[int]:
    """The processes of the sessions that these led, by the session id of each process (proc(5))."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may hold anything: fields are counted after it.
            if int(stat.read_text().rpartition(")")[2].split()[3]) in leaders:
                found.append(int(stat.parent.name))
    return found


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _kill_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def run(settings: Settings, listening: Mapping[str, socket.socket]) -> None:
    """Serve until SIGTERM, or until standard input closes. `listening`: a bound socket per host name."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)
    shells = Shells(settings, {sock.getsockname()[1]: name for name, sock in listening.items()})
    connections: set[asyncssh.SSHServerConnection] = set()
    for sock in listening.values():
        await asyncssh.listen(
            sock=sock,
            server_factory=lambda: Server(settings, connections),
            server_host_keys=[asyncssh.import_private_key(settings.host_key)],
            process_factory=shells.serve,
            encoding=None,
            line_editor=False,
            config=None,
            gss_host=None,
        )
    await stop.wait()
    shells.end()
    for connection in list(connections):
        connection.abort()
        await connection.wait_closed()


def main() -> None:
    """Entry point: arguments are `NAME=FD`, one per host; the settings are the first line of stdin."""
    settings = Settings(**json.loads(os.read(sys.stdin.fileno(), 1 << 16)))
    words = (word.partition("=") for word in sys.argv[1:])
    listening = {name: socket.socket(fileno=int(fd)) for name, _, fd in words}
    asyncio.run(run(settings, listening))


if __name__ == "__main__":
    main()
