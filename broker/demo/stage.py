"""Runs the demo: for a person at a terminal, or played by the script."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import structlog

from broker.demo.script import Script
from broker.demo.show import Transcript, farewell, kept, opening, still_running, things_to_try
from broker.demo.world import World
from broker.model import exits
from broker.model.errors import Invalid, Unavailable

RESET = "\x1b[?1049l\x1b[?2004l\x1b[?25h\x1b[0m\r\n"
"""Out of the screen and modes of a picker or shell, for a client that was ended under them."""


class Ended(BaseException):
    """A signal asks the demo to end; not an error, so that nothing on the way takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def demo(*, auto: bool, speed: float | None, as_json: bool, plain: bool, keep: bool) -> int:
    """Start a world, play in it, remove it; the exit status.

    Raises:
        Invalid: no terminal to play on. Unavailable: a part does not start.
    """
    if not auto and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Invalid("the demo needs a terminal", hint="bartizan demo --auto plays it without one")
    if shutil.which("ssh") is None:
        raise Unavailable(
            "the demo needs the ssh client", hint="Debian and Ubuntu: apt install openssh-client"
        )
    # The log of this process is the broker's business, not the audience's.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        with _signals_end_it(), World(ui="plain" if plain else "auto", keep=keep) as world:
            if auto:
                return _play(world, speed=speed, as_json=as_json, plain=plain, keep=keep)
            return _invite(world, plain=plain, keep=keep)
    except Ended as exc:
        return 128 + exc.number


@contextmanager
def _signals_end_it() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _play(world: World, *, speed: float | None, as_json: bool, plain: bool, keep: bool) -> int:
    if not as_json:
        print(opening(world), flush=True)
    status = Transcript(as_json=as_json, speed=speed).play(Script(world, plain=plain))
    if keep and not as_json:
        print("\n" + kept(world))
    return status


def _invite(world: World, *, plain: bool, keep: bool) -> int:
    """Show what there is, then give the terminal to the real client."""
    print(opening(world))
    print(things_to_try(world, plain=plain))
    try:
        if input("  Press Enter to begin, q to quit. ").strip().lower() == "q":
            return exits.OK
    except EOFError:
        return exits.OK
    status = _client(world.ssh("bastion", options=["-tt"]))
    if status not in (exits.OK, exits.CANCELLED):
        print(f"\n  The ssh client ended with {status}; the broker's log: {world.private / 'broker.log'}")
    print("\n" + farewell())
    if keep:
        print(kept(world))
        print(still_running(world))
        with suppress(Ended):
            signal.pause()
    return exits.OK


def _client(argv: list[str]) -> int:
    """Run the client on this terminal, which is as before whatever way it ends."""
    before = termios.tcgetattr(0)
    child = subprocess.Popen(argv)
    try:
        return child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        sys.stdout.write(RESET)
        raise
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
