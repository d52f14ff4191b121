"""Entry points of the face: the picker, the plain menu, and replay of a local file."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import MutableMapping, Sequence

from tui import states

_TEXTUAL = {
    "TEXTUAL_DISABLE_KITTY_KEY": "1",
    "TEXTUAL_ANIMATIONS": "none",
    "TEXTUAL_FPS": "30",
    "TEXTUAL_SMOOTH_SCROLL": "0",
    "ESCDELAY": "50",
}
"""Textual reads these when it is imported. Kitty keys are off: a crash would leave the keyboard unusable."""

_STEERING = ("TERM_PROGRAM", "LC_TERMINAL", "COLUMNS", "LINES")
"""They name the terminal the process was started from, or a size that does not follow the window."""


def prepare(env: MutableMapping[str, str]) -> None:
    """Set the environment for Textual, before it is imported; nothing of the caller's may steer it."""
    for name in [name for name in env if name.startswith("TEXTUAL") or name in _STEERING]:
        del env[name]
    env.update(_TEXTUAL)
    if env.get("NO_COLOR") == "":
        del env["NO_COLOR"]


def main(argv: Sequence[str] | None = None) -> int:
    """`--socket PATH [--state JSON]`, `menu --socket PATH`, `replay FILE`; the exit status."""
    args = _parser().parse_args(argv)
    if args.verb == "replay":
        return play_file(args.file)
    if args.socket is None:
        print("bartizan: --socket PATH is missing: the broker's control socket.", file=sys.stderr)
        return 64
    return run(args.socket, states.LastSession.from_json(args.state), plain=args.verb == "menu")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tui", description="The face of bartizan.")
    parser.add_argument("--socket", help="the broker's control socket")
    parser.add_argument("--state", default="", help="JSON: the session this picker comes back from")
    verbs = parser.add_subparsers(dest="verb")
    menu = verbs.add_parser("menu", help="the plain numbered menu")
    menu.add_argument("--socket", default=argparse.SUPPRESS)
    menu.add_argument("--state", default=argparse.SUPPRESS)
    verbs.add_parser("replay", help="play a recording").add_argument("file")
    return parser


def run(
    where: str | socket.socket, last: states.LastSession, *, plain: bool = False, log: int | None = None
) -> int:
    """The picker on this process's terminal, or the plain menu if wanted or all that the terminal can show.

    `log`: file descriptor for tracebacks.
    """
    if plain or states.wants_plain(os.environ, *states.terminal_size(1)):
        from tui import menu

        return menu.run(where, last)
    prepare(os.environ)
    from tui import app

    return app.run(app.FaceApp(where, last), log)


def play_file(path: str) -> int:
    """Play a recording from a file, without a broker."""
    try:
        open(path, "rb").close()
    except OSError as exc:
        print(f"bartizan: {path}: {exc.strerror}", file=sys.stderr)
        return 1
    prepare(os.environ)
    from tui import app
    from tui.screens.replay import ReplayScreen

    return app.run(app.FaceApp(None, replay=ReplayScreen.of_file(path)))
