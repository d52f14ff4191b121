"""A process that has loaded the face once and forks a copy of itself onto each login's terminal.

Started by the broker as `python -m tui.zygote FD [UID GID]`; FD is one end of a SOCK_SEQPACKET pair. It
answers `{"ready": true}`, then takes requests

    {"id": 7, "mode": "tui" | "menu", "env": {"TERM": …}, "state": {…}}    with two file descriptors:
    the pty's slave side, and a control socket that already belongs to the user who has logged in

and sends `{"id": 7, "pid": 4711}` at once and `{"id": 7, "status": 0}` when that child has ended (128 + n if
signal n ended it), or `{"id": 7, "error": "…"}`. It ends when the broker's end closes; children end by their
own sockets and terminals. It forks while it has one thread and no event loop.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import selectors
import signal
import socket
import sys
import termios
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tui import cli, states

_MESSAGE = 1 << 16
_PASSED = ("TERM", "LANG", "NO_COLOR", "COLORTERM")
_PASSED_PREFIXES = ("LC_", "BARTIZAN_")
_LOADED_LATE = ("concurrent.futures.thread", "rich.traceback")
"""What asyncio loads with its first thread, and Textual with the first error of a worker."""
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


class BadRequest(ValueError):
    """The broker sent what is no request; it is told, and the next one is served."""


@dataclass(frozen=True, slots=True)
class Login:
    """One request: a face for this terminal."""

    id: int
    plain: bool
    env: dict[str, str]
    last: states.LastSession
    terminal: int
    control: int

    @classmethod
    def parse(cls, data: bytes, fds: Sequence[int]) -> Login:
        """Raises BadRequest."""
        try:
            request: Any = json.loads(data)
        except ValueError as exc:
            raise BadRequest(f"not JSON: {exc}") from None
        if not isinstance(request, dict) or not isinstance(request.get("id"), int):
            raise BadRequest("a request is an object with a number `id`")
        if request.get("mode") not in ("tui", "menu"):
            raise BadRequest("`mode` is tui or menu")
        if len(fds) != 2:
            raise BadRequest(f"two file descriptors are needed, {len(fds)} came")
        env = request.get("env", {})
        if not isinstance(env, dict):
            raise BadRequest("`env` is an object")
        last = states.LastSession.from_object(request.get("state"))
        return cls(request["id"], request["mode"] == "menu", passed(env), last, fds[0], fds[1])


def passed(env: Mapping[Any, Any]) -> dict[str, str]:
    """The variables that a face may have: those of the terminal and the language, and our own."""
    return {
        name: value
        for name, value in env.items()
        if isinstance(name, str)
        and isinstance(value, str)
        and "\0" not in value
        and (name in _PASSED or name.startswith(_PASSED_PREFIXES))
    }


class Zygote:
    """Serves one broker."""

    def __init__(self, broker: socket.socket) -> None:
        self._broker = broker
        self._children: dict[int, int] = {}
        """Process id → id of the request."""
        self._wake, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Until the broker's end closes."""
        for end in (self._wake, self._woken):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._broker, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            self._send({"ready": True})
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._wake:
                        self._reap()
                    elif not self._receive():
                        return

    def _receive(self) -> bool:
        """Serve one request; False at the end."""
        try:
            data, fds, _, _ = socket.recv_fds(self._broker, _MESSAGE, 8)
        except OSError:
            return False
        if not data:
            return False
        try:
            login = Login.parse(data, fds)
            self._fork(login)
        except (BadRequest, OSError) as exc:
            self._send({"id": _id_of(data), "error": str(exc)})
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _fork(self, login: Login) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _be_face(login)
        self._children[pid] = login.id
        self._send({"id": login.id, "pid": pid})

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake.recv(4096):
                pass
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                code = os.waitstatus_to_exitcode(status)
                if (id := self._children.pop(pid, None)) is not None:
                    self._send({"id": id, "status": code if code >= 0 else 128 - code})

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._broker.send(json.dumps(message).encode())


def _id_of(data: bytes) -> int | None:
    """The id of a request that could not be served, as far as it can be read."""
    with contextlib.suppress(ValueError):
        request = json.loads(data)
        if isinstance(request, dict) and isinstance(request.get("id"), int):
            return int(request["id"])
    return None


# ---------------------------------------------------------------- in the child


def _be_face(login: Login) -> None:
    """Become the face of one login; never returns."""
    status = 70
    log: int | None = None
    try:
        log = os.dup(2)
        control = _take_terminal(login, log)
        os.environ.clear()
        os.environ.update(login.env)
        os.chdir("/")
        status = cli.run(control, login.last, plain=login.plain, log=log)
    except BaseException:
        if log is not None:
            os.write(log, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(status)


def _take_terminal(login: Login, log: int) -> socket.socket:
    """Own session, the pty as controlling terminal and as standard streams; nothing else stays open."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    if os.isatty(login.terminal):  # a login without one has a socket there, for the plain menu
        fcntl.ioctl(login.terminal, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(login.terminal, fd)
    _close_all_but(login.control, log)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="replace", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    return socket.socket(fileno=login.control)


def _close_all_but(*kept: int) -> None:
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


# ---------------------------------------------------------------- starting


def _load() -> None:
    """Import what a face needs, and draw one frame into nothing: parsers and caches are warm then.

    All of it: once the rights are given up, Python's own files may be out of reach (a Python below /root),
    and then a module that is loaded when it is first used is not found.
    """
    cli.prepare(os.environ)
    for name in _LOADED_LATE:
        import_module(name)
    from rich.cells import cell_len

    import tui.menu  # noqa: F401 - for the children
    from tui.app import FaceApp

    cell_len("\u4e2d")  # loads the widths of characters
    FaceApp.warm_up()
    if threading.active_count() != 1:
        raise SystemExit("tui.zygote: a thread is running after loading, a fork would not be safe")


def _drop_privileges(uid: int, gid: int) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _harden() -> None:
    """No set-user-id program gives rights back, and no process of the same user may look inside."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def main(argv: Sequence[str]) -> int:
    """`FD [UID GID]`."""
    if len(argv) not in (1, 3) or not all(word.isdecimal() for word in argv):
        print("usage: python -m tui.zygote FD [UID GID]; started by the broker", file=sys.stderr)
        return 64
    numbers = [int(word) for word in argv]
    broker = socket.socket(fileno=numbers[0])
    _load()
    if len(numbers) == 3:
        _drop_privileges(numbers[1], numbers[2])
    _harden()
    gc.collect()
    gc.freeze()
    Zygote(broker).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
