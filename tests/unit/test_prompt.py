"""The one question on a terminal before a session."""

from __future__ import annotations

import asyncio

import pytest

from broker.relay.client import ClientSide, Terminal, Window
from broker.relay.prompt import LONGEST, ask_line


class Keyboard(ClientSide):
    """A user's side that is typed on by the test; `shown` is what it saw, `reading` whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.terminal = Terminal("xterm", Window(80, 24))
        self.shown = b""
        self.reading = True

    def write(self, data: bytes, stderr: bool = False) -> None:
        self.shown += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Rest:
    """The consumer after the question: gets what was left."""

    def __init__(self) -> None:
        self.got = b""

    def client_bytes(self, data: bytes) -> None:
        self.got += data

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


async def answer(*typed: bytes, leave: bool = False) -> tuple[str | None, Keyboard]:
    user = Keyboard()
    asking = asyncio.get_running_loop().create_task(ask_line(user, "Why? "))
    await asyncio.sleep(0)
    for data in typed:
        user.on_bytes(data)
    if leave:
        user.on_gone()
    return await asyncio.wait_for(asking, 5), user


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ((b"fix it\r",), "fix it"),
        ((b"fix it\n",), "fix it"),
        ((b"f", b"i", b"x", b"\r"), "fix"),
        (("tick\u00e9t €\r".encode(),), "tick\u00e9t €"),
        ((b"caf\xc3", b"\xa9\r"), "café"),
        ((b"\xe2", b"\x82", b"\xac", b"\r"), "€"),
        ((b"abc\x7f\x7fx\r",), "ax"),
        (("é€\x7f\x7fx\r".encode(),), "x"),
        ((b"\x7f\x7fx\r",), "x"),
        ((b"wrong\x15right\r",), "right"),
        ((b"  spaces  \r",), "spaces"),
        ((b"\r",), ""),
        ((b"abc\x04d\r",), "abcd"),
        ((b"\x03",), None),
        ((b"abc\x03",), None),
        ((b"\xc1@\x03",), None),  # an invalid byte holds nothing back
        ((b"x\xffy\xc3\r",), "x\ufffdy\ufffd"),
        ((b"\x04",), None),
    ],
)
async def test_line_editing(typed: tuple[bytes, ...], line: str | None) -> None:
    given, user = await answer(*typed)
    assert given == line
    assert user.shown.startswith(b"Why? ")
    assert user.shown.endswith(b"\r\n")
    assert not user.reading, "nobody reads until the session does"


async def test_control_characters_are_neither_kept_nor_echoed() -> None:
    """lesson 13: an escape sequence in the answer does not act on any terminal."""
    given, user = await answer("a\x1b[2Jb\u202ec\x00d\r".encode())
    assert given == "a[2Jbcd"
    assert b"\x1b" not in user.shown
    assert "\u202e".encode() not in user.shown


async def test_length_is_bounded() -> None:
    """lesson 20"""
    given, _ = await answer(b"x" * (2 * LONGEST) + b"\r")
    assert given == "x" * LONGEST


async def test_user_who_leaves_gives_no_answer() -> None:
    given, _ = await answer(b"half a rea", leave=True)
    assert given is None


@pytest.mark.parametrize(
    "typed", [(b"why\rls\r\xff",), (b"why\r", b"ls\r", b"\xff"), (b"wh", b"y\rl", b"s\r\xff")]
)
async def test_what_is_typed_behind_the_answer_is_the_sessions(typed: tuple[bytes, ...]) -> None:
    """lesson 27: byte for byte, in order, whatever the chunks."""
    given, user = await answer(*typed)
    rest = Rest()
    user.attach(rest)  # type: ignore[arg-type]
    assert (given, rest.got) == ("why", b"ls\r\xff")


async def test_ctrl_c_while_nobody_reads() -> None:
    """What was typed before it is dropped, what came after it is kept, and it is told of once."""
    user, told = Keyboard(), []
    user.attach(None)
    user.watch_interrupt(lambda: told.append(1))
    user.on_bytes(b"before")
    user.on_bytes(b"more\x03after")
    rest = Rest()
    user.attach(rest)  # type: ignore[arg-type]
    assert (told, rest.got) == ([1], b"after")
    user.on_bytes(b"\x03")
    assert (told, rest.got) == ([1], b"after\x03"), "then it belongs to the session"


async def test_input_that_nobody_reads_is_bounded() -> None:
    """lesson 6: after so much the client is not read any further."""
    user = Keyboard()
    user.attach(None)
    user.watch_interrupt(lambda: None)
    taken = 0
    while user.reading:
        user.on_bytes(b"x" * 4096)
        taken += 4096
    assert taken <= 128 << 10
