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
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncssh

DRAIN_TIMEOUT = 1.0
"""Seconds that the end of a shell waits for output of what it left running on its terminal."""
PASSED_ENV = ("LANG", "LANGUAGE", "LC_", "NO_COLOR", "COLORTERM")


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

    def __init__(self, settings: Settings) -> None:
        self._key = asyncssh.import_public_key(settings.authorized)
        self._password = settings.password

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
        """Process ids of programs that were started; each leads a session of its own."""

    async def serve(self, channel: asyncssh.SSHServerProcess[bytes]) -> None:
        """One session channel, from its request to its exit status."""
        account = str(channel.get_extra_info("username"))
        host = self._names.get(channel.get_extra_info("sockname")[1], "target")
        argv, env = self._program(channel, account, host)
        try:
            status = await (self._on_pipes if channel.term_type is None else self._on_pty)(channel, argv, env)
        except OSError as exc:
            channel.stderr.write(f"{argv[0]}: {exc.strerror}\n".encode())
            status = 126
        if status >= 0:
            channel.exit(status)
        else:
            channel.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))

    def _program(
        self, channel: asyncssh.SSHServerProcess[bytes], account: str, host: str
    ) -> tuple[list[str], dict[str, str]]:
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

    def _start_options(self) -> dict[str, Any]:
        uid = self._settings.uid
        drop = {} if uid is None else {"user": uid, "group": uid, "extra_groups": [], "umask": 0o022}
        return {"cwd": self._settings.home, "start_new_session": True, **drop}

    async def _on_pipes(
        self, channel: asyncssh.SSHServerProcess[bytes], argv: list[str], env: dict[str, str]
    ) -> int:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, **self._start_options()
        )
        async with self._following(child, channel):
            await channel.redirect(child.stdin, child.stdout, child.stderr)
            await channel.stdout.drain()
            await channel.stderr.drain()
            return await child.wait()

    async def _on_pty(
        self, channel: asyncssh.SSHServerProcess[bytes], argv: list[str], env: dict[str, str]
    ) -> int:
        master, slave = pty.openpty()
        try:
            if self._settings.uid is not None:
                os.fchown(slave, self._settings.uid, -1)
            # asyncssh sets the window's size, now and at each change, as it sees that this is a terminal.
            await channel.redirect(os.dup(master), master)
            child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=env,
                preexec_fn=_take_terminal,
                **self._start_options(),
            )
        finally:
            os.close(slave)
        async with self._following(child, channel):
            status = await child.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(channel.stdout.drain(), DRAIN_TIMEOUT)
            return status

    @contextlib.asynccontextmanager
    async def _following(self, child: asyncio.subprocess.Process, channel: Any) -> Any:
        """Signals of the client go to the program's group; it is hung up when the client is gone."""
        self._leaders.add(child.pid)
        channel.set_redirect_pid(-child.pid)
        gone = asyncio.get_running_loop().create_task(channel.channel.wait_closed(), name="channel-gone")
        gone.add_done_callback(lambda _: _kill_group(child.pid, signal.SIGHUP))
        try:
            yield
        finally:
            gone.cancel()

    def end(self) -> None:
        """Kill what any of the programs has left running, by the sessions they led."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name in parentheses may hold anything: fields are counted after it (proc(5)).
                if int(stat.read_text().rpartition(")")[2].split()[3]) in self._leaders:
                    os.kill(int(stat.parent.name), signal.SIGKILL)


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
    for sock in listening.values():
        await asyncssh.listen(
            sock=sock,
            server_factory=lambda: Server(settings),
            server_host_keys=[asyncssh.import_private_key(settings.host_key)],
            process_factory=shells.serve,
            encoding=None,
            line_editor=False,
            config=None,
            gss_host=None,
        )
    try:
        await stop.wait()
    finally:
        shells.end()


def main() -> None:
    """Entry point: arguments are `NAME=FD`, one per host; the settings are the first line of stdin."""
    settings = Settings(**json.loads(os.read(sys.stdin.fileno(), 1 << 16)))
    words = (word.partition("=") for word in sys.argv[1:])
    listening = {name: socket.socket(fileno=int(fd)) for name, _, fd in words}
    asyncio.run(run(settings, listening))


if __name__ == "__main__":
    main()
