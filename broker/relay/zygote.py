"""The warm parent of all pickers: a process that has loaded the TUI and forks one child per login.

The TUI never runs in the broker (a paint stalls the loop for a quarter of a second), and starting Python
anew for each login would take a second. Messages are JSON over a SOCK_SEQPACKET socket; the child's terminal
and its control socket travel as file descriptors (SCM_RIGHTS). If the zygote dies it is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import pwd
import socket
import subprocess
import sys
from typing import Any

import structlog

from broker.model.errors import Unavailable

log = structlog.get_logger()

READY_TIMEOUT = 30.0
FAILED = -1
LONGEST_MESSAGE = 1 << 16


class Zygote:
    """Starts pickers. `user`: the account they run as where the broker itself is root."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._ready: asyncio.Future[None] | None = None
        self._ids = itertools.count(1)
        self._exits: dict[int, asyncio.Future[int]] = {}

    async def start(self) -> None:
        """Start it and wait until it can fork. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket = ours
        self._ready = loop.create_future()
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tui.zygote", str(theirs.fileno()), *self._privileges()],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
                cwd="/",
            )
        loop.add_reader(ours, self._read)
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), READY_TIMEOUT)
        except (TimeoutError, Unavailable) as exc:
            self.stop()
            raise Unavailable("the picker's process does not start", hint=str(exc)) from None

    def _privileges(self) -> list[str]:
        """uid and gid for the pickers where the broker may choose: not its own, which can read the data."""
        if os.geteuid() != 0:
            return []
        try:
            account = pwd.getpwnam(self._user)
        except KeyError:
            raise Unavailable(f"portal.user {self._user!r} is no account of this machine") from None
        return [str(account.pw_uid), str(account.pw_gid)]

    async def spawn(
        self, mode: str, env: dict[str, str], state: dict[str, Any], terminal: int, control: socket.socket
    ) -> asyncio.Future[int]:
        """Fork a picker onto `terminal` (file descriptor); the future gives its exit status.

        Raises:
            Unavailable: the zygote is gone and does not start again.
        """
        if self._socket is None or self._process is None or self._process.poll() is not None:
            await self.start()
        assert self._socket is not None
        number = next(self._ids)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._exits[number] = done
        message = json.dumps({"id": number, "mode": mode, "env": env, "state": state}).encode()
        try:
            socket.send_fds(self._socket, [message], [terminal, control.fileno()])
        except OSError as exc:
            self._exits.pop(number, None)
            raise Unavailable(f"the picker cannot be started ({exc.strerror})") from None
        return done

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(LONGEST_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        message = json.loads(data)
        if message.get("ready") and self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        elif ("status" in message or "error" in message) and (done := self._exits.pop(message["id"], None)):
            if "error" in message:
                log.error("picker.failed", error=message["error"])
            if not done.done():
                done.set_result(message.get("status", FAILED))

    def _lost(self) -> None:
        log.error("zygote.lost")
        self._let_go()
        for done in self._exits.values():
            if not done.done():
                done.set_result(FAILED)
        self._exits.clear()
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(Unavailable("it ended at once"))

    def _let_go(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def stop(self) -> None:
        """End it; its children end with their control sockets."""
        self._let_go()
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
            self._process = None
