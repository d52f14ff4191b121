"""The end of a socket read: what is deferred to it, in which order, and one write for all."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncssh

from broker.relay.fastpath import defer
from broker.relay.fastpath.turn import ReadTurn, current_turn
from tests.unit.fastpath_endpoints import GCM, connected


class _Read:
    """Stands for a socket read."""

    def __init__(self, turn: ReadTurn) -> None:
        self._turn = turn

    def __enter__(self) -> None:
        self._turn.depth += 1

    def __exit__(self, *error: object) -> None:
        self._turn.leave()


async def test_outside_of_a_read_the_next_turn_of_the_loop_runs_it() -> None:
    done = asyncio.Event()
    defer(done.set)
    assert not done.is_set()
    await done.wait()


async def test_at_the_end_of_the_read_in_order_and_before_the_writes() -> None:
    turn, seen = current_turn(), list[str]()
    with _Read(turn):
        turn.flush_at_end(lambda: seen.append("write"))
        defer(lambda: seen.append("first"))
        with _Read(turn):
            defer(lambda: seen.append("second"))
        assert seen == [], "the inner read of a tunnelled connection ends nothing"
    assert seen == ["first", "second", "write"]
    assert turn.depth == 0


async def test_deferred_work_may_defer_more_but_not_for_ever() -> None:
    turn, count = current_turn(), 0
    enough = asyncio.Event()

    def again() -> None:
        nonlocal count
        count += 1
        if count == 100:
            enough.set()
        else:
            defer(again)

    with _Read(turn):
        defer(again)
    assert 1 < count < 100
    await enough.wait()


async def test_an_error_in_deferred_work_is_reported_and_stops_nothing() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    turn, seen = current_turn(), list[str]()

    def fail() -> None:
        raise ValueError("broken stage")

    with _Read(turn):
        turn.flush_at_end(lambda: seen.append("write"))
        defer(fail)
        defer(lambda: seen.append("next"))
    assert seen == ["next", "write"]
    assert [str(context["exception"]) for context in reported] == ["broken stage"]


def test_each_loop_has_its_own_turn() -> None:
    async def turn() -> ReadTurn:
        assert current_turn() is current_turn()
        return current_turn()

    assert asyncio.run(turn()) is not asyncio.run(turn())


class _Spy:
    """A transport that counts what is written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_all_that_one_read_makes_leaves_in_one_write() -> None:
    """Ten packets arrive at once, each is answered, half of the answers deferred: one write, in order."""
    answered = asyncio.Event()
    pieces = [bytes((65 + i,)) * 100 for i in range(10)]

    class Echo(asyncssh.SSHServerSession[bytes]):
        def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
            self.chan = chan

        def exec_requested(self, command: str) -> bool:
            return True

        def data_received(self, data: bytes, datatype: int | None) -> None:
            if data[0] % 2:
                self.chan.write(data)
            else:
                defer(lambda: self.chan.write(data.lower()))

    class Gather(asyncssh.SSHClientSession[bytes]):
        def __init__(self) -> None:
            self.got = b""

        def data_received(self, data: bytes, datatype: int | None) -> None:
            self.got += data
            if len(self.got) == 1000:
                answered.set()

    async with connected(fast_server=True, fast_client=True, encryption_algs=[GCM]) as ends:
        ends.server._owner.session_requested = Echo
        chan, session = await ends.client.create_session(Gather, "x", encoding=None)
        ends.server._transport = spy = _Spy(ends.server._transport)
        kept: list[bytes] = []
        ends.client._transport, transport = _Spy(ends.client._transport), ends.client._transport
        ends.client._transport.write = kept.append  # type: ignore[method-assign]
        for piece in pieces:
            chan.write(piece)
        ends.client._transport = transport
        ends.server.data_received(b"".join(kept))
        assert len(kept) == 10
        assert len(spy.written) == 1
        await asyncio.wait_for(answered.wait(), 60)
        odd = b"".join(piece for piece in pieces if piece[0] % 2)
        even = b"".join(piece.lower() for piece in pieces if not piece[0] % 2)
        assert session.got == odd + even
        spy.written.clear()
        chan_on_server = next(iter(ends.server._channels.values()))
        chan_on_server.write(b"at once")
        assert len(spy.written) == 1, "outside of a read nothing waits"
