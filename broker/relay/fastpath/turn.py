"""The end of the current socket read: what is put off until then, so that one read makes one write.

A socket read usually carries several SSH packets, and each may send something. Doing that work at the end of
the read costs nothing; `call_soon` would cost an extra turn of the loop for every key typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

# Deferred work may defer more (target data -> merge -> next stage). A chain longer than this goes back to the
# loop, so that a function which defers itself for ever cannot hold up the other sessions.
_ROUNDS = 4


class ReadTurn:
    """Deferred calls and pending writes of one event loop; `depth` > 0 while a read is being handled."""

    __slots__ = ("_later", "_unsent", "depth")

    def __init__(self) -> None:
        self.depth = 0
        self._later: list[Callable[[], object]] = []
        self._unsent: list[Callable[[], object]] = []

    def defer(self, function: Callable[[], object]) -> None:
        """Run `function` at the end of this socket read; outside of one, in the next turn of the loop."""
        if self.depth:
            self._later.append(function)
        else:
            asyncio.get_running_loop().call_soon(function)

    def flush_at_end(self, flush: Callable[[], object]) -> None:
        """Have `flush` called once all deferred work is done; only inside a read. It must not raise."""
        self._unsent.append(flush)

    def leave(self) -> None:
        """End one (possibly nested) read; the outermost runs what was put off, then the writes."""
        if self.depth > 1:  # SSH inside SSH: the outer read ends later
            self.depth -= 1
            return
        try:
            self._run_deferred()
            while self._unsent:  # a tunnelled connection's write makes data for the one around it
                self._unsent.pop(0)()
        finally:
            self.depth = 0

    def _run_deferred(self) -> None:
        for _ in range(_ROUNDS):
            if not self._later:
                return
            batch, self._later = self._later, []
            for function in batch:
                _run_guarded(function)
        batch, self._later = self._later, []
        for function in batch:
            asyncio.get_running_loop().call_soon(function)


def _run_guarded(function: Callable[[], object]) -> None:
    """As a loop callback: an exception is reported to the loop's handler and stops nobody else's work."""
    try:
        function()
    except Exception as exc:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"Exception in deferred call {function!r}", "exception": exc}
        )


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, ReadTurn] = WeakKeyDictionary()


def current_turn() -> ReadTurn:
    """The `ReadTurn` of the running loop."""
    loop = asyncio.get_running_loop()
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = ReadTurn()
    return turn


def defer(function: Callable[[], object]) -> None:
    """Run `function` at the end of the current socket read; outside of one, in the next turn of the loop.

    For merging: keep the data of each `data_received`, defer one call at the first piece, send it all there.
    Order is kept among deferred calls; whoever sends EOF or a status directly must send what it merged first.
    """
    current_turn().defer(function)
