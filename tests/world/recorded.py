"""Real programs, played on a terminal and kept as asciicasts: what the emulator is compared with tmux on.

`python -m tests.world.recorded` writes those in tests/captured anew.
"""

from __future__ import annotations

import codecs
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recorder.cast import Event, Header, encode_event, encode_header
from recorder.screen import Screen
from tests.world.process import clean_env
from tests.world.terminal import Pty

CAPTURED = Path(__file__).parents[1] / "captured"

_QUIET = 0.15
"""Seconds of silence after which a program has drawn what it had to."""
_FIRST = 1.5
"""Seconds that it may take to begin."""

Size = tuple[int, int]
"""Columns and rows."""
Step = str | Size
"""Keys to press, or a new size of the window."""


def _nothing(folder: Path) -> None:
    """No files are needed."""


@dataclass(frozen=True, slots=True)
class Program:
    """`argv` in a folder that `furnish` fills; `steps` one by one, each when the program is quiet.

    `shows`: texts that must be on the screen after some step: a program that did not do its part is no proof.
    """

    argv: tuple[str, ...]
    steps: tuple[Step, ...]
    shows: tuple[str, ...]
    furnish: Callable[[Path], None] = _nothing


def record(program: Program, size: Size, place: Path) -> Iterator[Event]:
    """Run it; its output and the changes of size, in order. AssertionError if it did not do its part."""
    program.furnish(place)
    env = clean_env(place, COLORTERM="truecolor", LESSHISTFILE="-", PS1="$ ", MANROFFOPT="-c")
    terminal = Pty(program.argv, env=env, size=(size[1], size[0]), cwd=place)
    screen, missing = Screen(*size), set(program.shows)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        for step in (*program.steps, ""):
            text = decoder.decode(terminal.read_quiet(_QUIET, _FIRST), final=not step)
            screen.feed(text.encode())
            missing = {shown for shown in missing if shown not in "\n".join(screen.display())}
            yield Event(0, "o", text)
            if isinstance(step, tuple):
                screen.resize(*step)
                terminal.resize(step[1], step[0])
                yield Event(0, "r", f"{step[0]}x{step[1]}")
            elif step and not terminal.ended:
                terminal.send(step.encode())
    finally:
        terminal.close()
    assert not missing, f"{program.argv} never showed {missing}"


# ------------------------------------------------------------ what they need

_SOURCE = '''\
#!/usr/bin/env python3
"""Greets: Grüße, 你好, こんにちは, 안녕, 👋🏽."""
import sys

NAMES = ["Ä", "世界", "мир"]  # a comment\ttabs\tin\tit


def greet(name: str, *, times: int = 1) -> str:
    return ", ".join(f"hello {name}" for _ in range(times)) + "!" * 120


class Greeter:
    def __call__(self) -> int:
        return sum(print(greet(name, times=3)) or 1 for name in NAMES)


if __name__ == "__main__":
    sys.exit(Greeter()())
'''

_PAGE = """\
.TH GREET 1 "2026-01-01" "1.0" "User Commands"
.SH NAME
greet \\- say hello to names of any script
.SH SYNOPSIS
.B greet
[\\fB\\-n\\fR \\fItimes\\fR] [\\fIname\\fR ...]
.SH DESCRIPTION
.B greet
writes a greeting for each \\fIname\\fR, one a line,
in bold or underlined text where the terminal can.
""" + "".join(
    f".TP\n\\fB\\-\\-option\\-{n}\\fR=\\fIvalue\\fR\nDoes what option {n} does.\n" for n in range(30)
)

_WIDE = "".join(
    f"{number:3} 日本語の文章と English mixed 한국어 {'全角' * number} ｶﾅ e\u0301 n\u0303 ok\n"
    for number in range(30)
)
_EMOJI = "".join(
    f"{text} |{text * 7}| {name}\n"
    for text, name in [
        ("😀", "plain"), ("🚀", "rocket"), ("✅", "wide by default"), ("✔", "text by default"),
        ("→", "arrow"), ("█▓▒░", "blocks"), ("┌─┐", "box"), ("①", "ambiguous"), ("…", "ellipsis"),
    ]
)  # fmt: skip


def _source(folder: Path) -> None:
    (folder / "greet.py").write_text(_SOURCE * 3)


def _page(folder: Path) -> None:
    (folder / "greet.1").write_text(_PAGE)


def _texts(folder: Path) -> None:
    (folder / "wide.txt").write_text(_WIDE)
    (folder / "emoji.txt").write_text(_EMOJI)


def _repository(folder: Path) -> None:
    """A history with branches, names of any script and one person."""

    def git(*arguments: str) -> None:
        person = ["-c", "user.name=Zoë 世", "-c", "user.email=zoe@example.org", "-c", "commit.gpgsign=false"]
        env = clean_env(
            folder, GIT_AUTHOR_DATE="2026-01-01T00:00:00Z", GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
        )
        subprocess.run(["git", *person, *arguments], cwd=folder, env=env, check=True, capture_output=True)

    git("init", "-q", "-b", "main", ".")
    for number in range(1, 25):
        (folder / "file.txt").write_text(
            "".join(f"line {at} Zeile 行 {number % 3}\n" for at in range(number))
        )
        git("add", "file.txt")
        git("commit", "-qm", f"Change {number}: {'größer ' * (number % 9)}変更")
        if number == 12:
            git("branch", "side")
    git("checkout", "-q", "side")
    git("commit", "-q", "--allow-empty", "-m", "A branch")
    git("checkout", "-q", "main")
    git("merge", "-q", "side", "-m", "Merge the branch")


def _startup(folder: Path) -> None:
    (folder / ".zshrc").write_text("PROMPT=$'%F{blue}top 世%f\\n%B%%%b '\nRPROMPT='%F{green}right%f'\n")
    fish = folder / ".config" / "fish"
    fish.mkdir(parents=True)
    (fish / "config.fish").write_text("set -g fish_greeting\nfunction fish_prompt; echo -n 'fish> '; end\n")


_PROGRESS = """\
from rich.progress import Progress, BarColumn, DownloadColumn
from rich.console import Console
console = Console(force_terminal=True)
columns = ("{task.description}", BarColumn(), DownloadColumn())
with Progress(*columns, console=console, auto_refresh=False) as bar:
    tasks = [bar.add_task(f"downloading {name}", total=100_000) for name in ("alpha", "βeta", "包裹")]
    for step in range(1, 41):
        for number, task in enumerate(tasks):
            bar.update(task, completed=min(step * 2500 * (number + 1), 100_000))
        bar.refresh()
        if step % 10 == 0:
            bar.console.print(f"[bold]note[/] at {step}")
console.print("[green]done[/]")
"""


def _progress(folder: Path) -> None:
    (folder / "progress.py").write_text(_PROGRESS)


def _bars(folder: Path) -> None:
    (folder / "bars.sh").write_text(
        "i=0; while [ $i -le 100 ]; do i=$((i + 4)); printf '\\rloading %3d%% [%-25s]' $i "
        "\"$(printf '%*s' $((i / 4)) '' | tr ' ' '#')\"; done; echo; "
        "head -c 200000 /dev/zero | pv -f -s 200000 -L 2000000 -i 0.1 >/dev/null; echo 'all done'\n"
    )


_VIM = ("vim", "-N", "-u", "NONE", "-i", "NONE", "-n", "-c", "syntax on", "-c", "set nu hls ruler mouse=")
_LOG = ("git", "--no-pager", "log", "--graph", "--color=always", "--oneline", "--all", "-n", "4")
_LONG = "echo " + "long " * 30

PROGRAMS = {
    "vim": Program(
        (*_VIM, "greet.py"),
        (
            "/name\r", "nn", ":vsplit\r", "\x17\x17Gzz", (60, 15), "ggdd3jp", "o世界 inserted\x1b",
            ":split\r", (100, 30), "\x06\x06", "V5j>", "u", ":only\r", "G",
        ),
        ("inserted", "greet.py"),
        _source,
    ),
    "htop": Program(
        ("sh", "-c", "htop -p $$ -d 5; :"),
        ("\x1bOQ", "\x1b", (60, 20), "\x1bOP", "q", (120, 40), "F", "q"),
        ("CPU",),
    ),
    "top": Program(
        ("sh", "-c", "top -p $$ -d 1; :"), ("z", "x", (60, 20), "1", (100, 30), "h", "\r", "q"), ("PID",)
    ),
    "less": Program(
        ("less", "-R", "greet.py"),
        ("/hello\r", "n", "G", "b", (40, 12), "\x1b[B", "-S\r", "\x1b[C", (100, 30), "g"),
        ("Greets",),
        _source,
    ),
    "man": Program(
        ("man", "--no-hyphenation", "./greet.1"),
        (" ", "/option-7\r", (50, 12), "b", (110, 32), "G", "q"),
        ("GREET(1)",),
        _page,
    ),
    "git": Program(
        ("git", "log", "--graph", "--decorate", "--color=always", "--stat", "-p"),
        (" ", "/Merge\r", "nn", (60, 15), "b", (110, 35), "G", "q"),
        ("commit",),
        _repository,
    ),
    "git-oneline": Program(_LOG, (), ("Merge the",), _repository),
    "progress": Program((sys.executable, "progress.py"), (), ("done",), _progress),
    "bars": Program(("sh", "bars.sh"), (), ("all done",), _bars),
    "wide": Program(("cat", "wide.txt"), (), ("日本語",), _texts),
    "emoji": Program(("cat", "emoji.txt"), (), ("rocket",), _texts),
    "bash": Program(
        ("bash", "--norc"),
        (
            "echo one 世界 two\r", (60, 20), "echo a\r", (100, 30), _LONG, "\x01\x0b",
            "\x19\x1b[D\x1b[DX\x17", "\x03", "\x12one", "\x07", "printf 'a\tb\033[7mc\033[m\n'\r", "ls -\t\t",
            "\x03", "clear\r", "echo end\r",
        ),
        ("one 世界 two", "end"),
    ),
    "zsh": Program(
        ("zsh", "-i"),
        (
            "echo one 世界\r", (140, 45), _LONG, "\x01X", "\x03", "\x10", "\x15ls /et\t", "\x03",
            "echo end\r",
        ),
        ("right", "one 世界", "end"),
        _startup,
    ),
    "fish": Program(
        ("fish",),
        (
            "echo one 世界\r", (60, 20), "echo o", (100, 30), "\x1b[C\r", _LONG, "\x01X", "\x03", "ls /et\t",
            "\x03", "echo end\r",
        ),
        ("one 世界", "end"),
        _startup,
    ),
}  # fmt: skip

SIZES: tuple[Size, ...] = ((80, 24), (40, 10), (132, 43))


def captured() -> Iterator[tuple[str, Size]]:
    """The casts of the repository: each program at 80x24, and in turn at another size."""
    for number, name in enumerate(PROGRAMS):
        yield name, SIZES[0]
        yield name, SIZES[1 + number % 2]


def main() -> None:
    """Record them all anew."""
    for name, size in captured():
        with tempfile.TemporaryDirectory(prefix="play") as place:
            events = list(record(PROGRAMS[name], size, Path(place)))
        lines = [encode_header(Header(width=size[0], height=size[1]))]
        lines += [encode_event(event.t, event.code, event.data) for event in events]
        path = CAPTURED / f"{name}-{size[0]}x{size[1]}.cast"
        path.write_bytes(b"".join(lines))
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
