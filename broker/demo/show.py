"""What the demo prints: the opening, things to try, a transcript of the scripted run, and the farewell."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version

from broker.demo import files
from broker.demo.script import REMOVE, Script, Step
from broker.demo.terminal import Missed
from broker.demo.world import USERS, World
from broker.model import exits

READ_S = 2.0
"""Seconds to read a step at speed 1."""


def opening(world: World) -> str:
    """The lines of the start; none is wider than 80 cells."""
    names = ", ".join(name for name, _ in USERS)
    return f"""\
  bartizan {version("bartizan")} demo: everything runs on this machine, in a temporary folder.
  target shop-db (a real shell in a temporary home)   ready in {world.seconds:.1f} s
  users {names}   policy {files.POLICY_COUNT} rules   folder {world.place}
"""


_PICKER_HINTS = (
    "Enter opens shop-db.",
    "Tab, then r replays it: Space plays, arrows seek, q goes back.",
    "5 lists all recordings, ? tells the keys; q logs out, and the demo ends.",
)
_MENU_HINTS = (
    "1 opens shop-db.",
    "r lists the recordings.",
    "? tells what can be typed; q logs out, and the demo ends.",
)


def things_to_try(world: World, *, plain: bool) -> str:
    """Numbered steps for the person at the keyboard, alice; at most 80 cells wide."""
    ssh = f"ssh -F {world.ssh_config} shop-db@bastion"
    opens, again, leave = _MENU_HINTS if plain else _PICKER_HINTS
    return f"""\
  You are alice. Try this:
  1  Three targets are listed, with what you may do there and why.
     {opens}
  2  That is a real shell, and it is recorded. Type:
       cat srv/shop/README
  3  A rule denies this. The shell never gets it; arrow up brings it back:
       {REMOVE}
     Change rm -rf to ls, press Enter, and it runs. Then: exit 3
  4  You are back and see "exit 3" and the id of the recording.
     {again}
  5  In a second terminal, a command that a rule denies (exit 77, nothing sent):
       {ssh} '{REMOVE}'
     and one that is let through:
       {ssh} 'ls -l srv/shop'
  6  {leave}
"""


def farewell() -> str:
    """How to go on."""
    return """\
  That was the demo. To go on:
    bartizan init FOLDER     a first configuration of your own
    docs/                    configuration and policies, with samples
    bartizan demo --keep     the same, and its folder stays
    bartizan demo --auto     plays and checks it without keys
"""


def kept(world: World) -> str:
    """What is left with --keep, and how to use it."""
    return f"""\
  Kept: {world.place}
    recordings, for bartizan recordings play FILE.cast:
      {world.data / "recordings"}
    its broker, to be started again once the demo has ended:
      bartizan --config {world.config_file} serve
"""


def still_running(world: World) -> str:
    """How to connect while the demo waits."""
    return f"""\
  It still runs. From another terminal:
    ssh -F {world.ssh_config} bastion        as alice
    ssh -F {world.ssh_config} bastion-bob    as bob
  Ctrl-C here ends it; the folder stays."""


class Transcript:
    """Plays the script and prints each step: for people, or one JSON object per line."""

    def __init__(self, *, as_json: bool, speed: float | None) -> None:
        """`speed` None: no pauses between the steps; else pauses to read along, shorter the higher it is."""
        self._json = as_json
        self._pause = READ_S / speed if speed else 0.0
        self._utf8 = speaks_utf8(os.environ)

    def play(self, script: Script) -> int:
        """The exit status: 0 only if everything that was expected appeared. Stops at the first failure."""
        began = time.monotonic()
        try:
            for number, step in enumerate(script.steps(), 1):
                if not self._step(number, step):
                    self._say(f"\n  FAILED at step {number}; the steps after it were not played")
                    return exits.FAILED
                time.sleep(self._pause)
        finally:
            script.close()
        self._say(f"\n  all {number} steps as expected, in {time.monotonic() - began:.1f} s")
        return exits.OK

    def _step(self, number: int, step: Step) -> bool:
        began = time.monotonic()
        missed = ""
        try:
            seen = step.play()
        except Missed as exc:
            missed, seen = exc.what, exc.screen
        took = time.monotonic() - began
        if self._json:
            self._print_json(number, step, missed, seen, took)
        else:
            self._print(number, step, missed, seen, took)
        return not missed

    def _print_json(self, number: int, step: Step, missed: str, seen: list[str], took: float) -> None:
        row = {"v": 1, "step": number, "name": step.name, "text": step.text, "ok": not missed}
        row |= {"missed": missed, "seconds": round(took, 3), "seen": seen}
        print(json.dumps(row), flush=True)

    def _print(self, number: int, step: Step, missed: str, seen: list[str], took: float) -> None:
        mark = "FAIL" if missed else "✓" if self._utf8 else "ok"
        bar = "│" if self._utf8 else "|"
        self._say(f"  {mark:<4} {number:>2}  {step.text}  ({took:.1f} s)")
        if missed:
            self._say(f"           missing: {missed}")
        for line in seen:
            self._say(f"           {bar} {line}")

    def _say(self, line: str) -> None:
        if self._json:
            return
        print(line if self._utf8 else line.encode("ascii", "replace").decode(), flush=True)


def speaks_utf8(env: Mapping[str, str]) -> bool:
    """False only where the locale that counts names another character set, as the picker judges it."""
    named = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := env.get(name))), "utf-8")
    return "utf8" in named.lower().replace("-", "") and "utf" in (sys.stdout.encoding or "").lower()
