"""The demo without a person: each step does something through the real client and checks what appears."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from broker.demo import files
from broker.demo.terminal import Missed, Terminal
from broker.demo.world import World
from broker.model import exits

PROMPT = "alice@shop-db:~$"
REMOVE = "rm -rf srv/shop"
STATUS = 3
"""What the shell of the script exits with."""
LEFT, RIGHT, HOME, END, UP = "\x1b[D", "\x1b[C", "\x1b[H", "\x1b[F", "\x1b[A"
LINE_START, KILL_WORD = "\x01", "\x1bd"
"""Ctrl-A and Alt-D of the shell's line editor."""

Seen = list[str]
"""Lines that a step shows as its evidence."""


class Step(NamedTuple):
    """`name` is for machines; `text` says what is expected; `play` raises Missed."""

    name: str
    text: str
    play: Callable[[], Seen]


class Script:
    """The steps of one run; call `close` after the last one, or after one that failed."""

    def __init__(self, world: World, *, plain: bool = False) -> None:
        self._world = world
        self._plain = plain
        self._open: Terminal | None = None
        self._session = ""

    def steps(self) -> Iterator[Step]:
        """In the order in which they are to be played; each goes on from where the last one ended."""
        if self._plain:
            yield Step("menu", "a numbered menu lists three targets, each with its access state", self._menu)
            yield Step("open", "1 opens shop-db: a real shell, recorded", lambda: self._enter("1\r"))
        else:
            yield Step("picker", "the picker lists three targets, each with its access state", self._picker)
            yield Step("open", "Enter opens shop-db: a real shell, recorded", lambda: self._enter("\r"))
        yield Step("shell", "in the shell: cat srv/shop/README", self._shell)
        yield Step("blocked", f"'{REMOVE}' is blocked before the shell runs it", self._blocked)
        yield Step("edited", "arrow up brings it back; made 'ls srv/shop', it runs", self._edited)
        yield Step("exit", f"exit {STATUS}: back where it was opened, with the status and the id", self._exit)
        yield Step("denied", f"'{REMOVE}' is denied: exit {exits.DENIED}, nothing was sent", self._denied)
        yield Step("allowed", "'ls srv/shop; exit 4' runs: its own output and exit status", self._allowed)
        if self._plain:
            yield Step("list", "r lists the recordings, the older ones too", self._list)
        else:
            yield Step("replay", "r replays the session: to its end, back, and on again", self._replay)
            yield Step("list", "5 lists the recordings, the older ones too", self._recordings)
        yield Step("log-out", "q logs out", self._log_out)
        yield Step("asciinema", "asciinema plays the recording", self._asciinema)
        yield Step("secrets", "neither the stored key nor the password is in the data folder", self._secrets)

    def close(self) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None

    @property
    def _terminal(self) -> Terminal:
        assert self._open is not None, "the first step opens it"
        return self._open

    # ------------------------------------------------------------ picker or menu

    def _connect(self) -> Terminal:
        argv = self._world.ssh("bastion", options=["-tt", "-e", "none"])
        self._open = Terminal(argv, {**os.environ, "TERM": "xterm-256color"})
        return self._open

    def _picker(self) -> Seen:
        lines = self._connect().wait_for("shop-db", "shop-web", "REASON", "lab-1", "DENY", "? help")
        return _with(lines, "NAME", "shop-db ", "shop-web ", "lab-1 ")

    def _menu(self) -> Seen:
        lines = self._connect().wait_for("1. shop-db", "shop-web", "REASON", "lab-1", "DENY", "\n>")
        return _with(lines, "shop-db", "shop-web", "lab-1")

    def _enter(self, keys: str) -> Seen:
        self._terminal.type(keys)
        lines = self._terminal.wait_for("recorded S-", PROMPT)
        self._session = _find(r"recorded (S-\w+)", lines)
        return _with(lines, "recorded", PROMPT)

    def _shell(self) -> Seen:
        self._terminal.type("cat srv/shop/README\r")
        lines = self._at_prompt(files.README_WORDS, files.README_WORDS)
        return _with(lines, "cat ", *files.README.splitlines())

    def _blocked(self) -> Seen:
        self._terminal.type(f"{REMOVE}\r")
        lines = self._at_prompt("the notice, and a prompt without the line", "BLOCKED", files.RULE)
        _expect((self._world.home / "srv/shop/README").is_file(), "the files are still there", lines)
        return _with(lines, "BLOCKED", REMOVE, "Arrow up")

    def _edited(self) -> Seen:
        self._terminal.type(UP)
        self._terminal.wait("the line, to be edited", lambda text: text.endswith(f"{PROMPT} {REMOVE}"))
        self._terminal.type(LINE_START + 2 * KILL_WORD + "ls")
        self._terminal.wait("the edited line", lambda text: text.endswith(f"{PROMPT} ls srv/shop"))
        self._terminal.type("\r")
        lines = self._at_prompt("what ls lists", "index.html")
        return _with(lines, "ls srv/shop", "index.html")

    def _at_prompt(self, what: str, *words: str) -> Seen:
        """The screen once it shows the words and ends with an empty prompt."""
        return self._terminal.wait(
            what, lambda text: all(word in text for word in words) and text.endswith(PROMPT)
        )

    def _exit(self) -> Seen:
        self._terminal.type(f"exit {STATUS}\r")
        lines = self._terminal.wait_for(f"exit {STATUS}, {self._session}")
        return _with(lines, f"exit {STATUS}, ")

    def _log_out(self) -> Seen:
        self._terminal.type("q\r" if self._plain else "q")
        status = self._terminal.wait_end()
        _expect(status == 0, f"ssh ends with 0, not {status}", self._terminal.lines())
        return []

    # ------------------------------------------------------------ recordings

    def _replay(self) -> Seen:
        terminal = self._terminal
        terminal.type("\t")
        terminal.wait_for("(r = replay)")
        terminal.type("r")
        terminal.wait("the replay, paused at its start", lambda text: "pause" in text and "00:00 " in text)
        terminal.type(END)
        lines = terminal.wait_for(self._session, files.README_WORDS)
        terminal.type(HOME)
        terminal.wait("a picture from before that", lambda text: files.README_WORDS not in text)
        terminal.type(".")
        terminal.wait("the first change", lambda text: "alice@shop-db" in text or "bartizan" in text)
        terminal.type(END)
        terminal.wait_for(files.README_WORDS)
        terminal.type("q")
        terminal.wait_for("Filter", "shop-web")
        return _with(lines, self._session, "cat ", *files.README.splitlines(), "00:0")

    def _recordings(self) -> Seen:
        self._terminal.type("5")
        lines = self._terminal.wait_for("Query", "WHEN", "deploy@shop-web", "alice@shop-db")
        self._terminal.type("\t1")
        self._terminal.wait_for("Filter", "lab-1")
        return _with(lines, "WHEN", "@shop-")

    def _list(self) -> Seen:
        self._terminal.type("r\r")
        lines = self._terminal.wait_for(self._session, "S-1 ", "S-2 ")
        return _with(lines, "S-1 ", "S-2 ", f"{self._session} ")

    def _cast(self) -> Path:
        found = sorted(self._world.data.rglob(f"{self._session}.cast"))
        _expect(len(found) == 1, f"one recording of {self._session}", [str(path) for path in found])
        return found[0]

    def _asciinema(self) -> Seen:
        done = subprocess.run(
            [sys.executable, "-m", "asciinema", "cat", str(self._cast())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            # It refuses to print in other character sets, and wants a folder for its settings.
            env={**os.environ, "LC_ALL": "C.UTF-8", "ASCIINEMA_CONFIG_HOME": str(self._world.private)},
            check=False,
        )
        lines = done.stdout.decode(errors="replace").splitlines()
        _expect(done.returncode == 0, "asciinema ends with 0", done.stderr.decode().splitlines())
        _expect(any(files.README_WORDS in line for line in lines), files.README_WORDS, lines)
        return [f"asciinema cat {self._cast().name}", *_with(lines, files.README_WORDS)]

    # ------------------------------------------------------------ commands without a terminal

    def _denied(self) -> Seen:
        done = self._world.run("shop-db@bastion", REMOVE)
        lines = done.stderr.splitlines()
        _expect(done.returncode == exits.DENIED, f"exit {exits.DENIED}, not {done.returncode}", lines)
        _expect(done.stdout == "", "nothing on stdout", done.stdout.splitlines())
        _expect("bartizan: [E-DENIED" in done.stderr and files.RULE in done.stderr, "the rule", lines)
        _expect((self._world.home / "srv/shop/README").is_file(), "the files are still there")
        return [f"$ ssh shop-db@bastion '{REMOVE}'", *lines, f"(exit {done.returncode})"]

    def _allowed(self) -> Seen:
        done = self._world.run("shop-db@bastion", "ls srv/shop; exit 4")
        lines = done.stdout.splitlines()
        _expect(done.returncode == 4, f"exit 4, not {done.returncode}", done.stderr.splitlines())
        _expect("README" in lines and "bartizan" not in done.stderr, "its output", [*lines, done.stderr])
        return ["$ ssh shop-db@bastion 'ls srv/shop; exit 4'", *lines, f"(exit {done.returncode})"]

    def _secrets(self) -> Seen:
        searched = 0
        for path in self._world.data.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                found = any(needle in content for needle in self._world.needles)
                _expect(not found, f"no secret in clear in {path.relative_to(self._world.data)}")
                searched += 1
        _expect(searched > 0, "files in the data folder")
        return [f"{searched} files searched"]


def _expect(holds: bool, what: str, seen: Seen | None = None) -> None:
    if not holds:
        raise Missed(f"expected: {what}", seen or ())


def _with(lines: Seen, *words: str) -> Seen:
    """The lines that hold one of the words."""
    return [line for line in lines if any(word in line for word in words)]


def _find(pattern: str, lines: Seen) -> str:
    found = re.search(pattern, "\n".join(lines))
    if found is None:
        raise Missed(pattern, lines)
    return found[1]
