"""A wire that a test may hold, between a connection that was accepted and a server behind it."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from tests.world.process import HOST


class Splice:
    """Passes bytes both ways between `taken` and the server on `port`, until either side closes."""

    def __init__(self, taken: socket.socket, port: int) -> None:
        self._ends = (taken, socket.create_connection((HOST, port)))
        self._threads = [
            threading.Thread(target=self._copy, args=pair, daemon=True)
            for pair in (self._ends, self._ends[::-1])
        ]

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()
