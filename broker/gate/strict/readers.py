"""What a line would open that reads further lines, and what would take the editor out of our hands.

By name, as a rule for people: a program that is given another name is not known for what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from broker.gate.lines.programs import SHELLS
from broker.gate.lines.ruling import Candidate, JudgeLine, Ruling, Word
from broker.gate.shell import parse
from broker.gate.text import basename
from broker.model.command import CommandLine, Deed, SimpleCommand

_VI = ("vi", "vim", "vim.basic", "vim.tiny", "nvim", "ex", "view", "vimdiff", "gvim")
_NANO = ("nano", "pico")
READERS = frozenset(
    [
        *SHELLS,
        *("ed", "emacs", "emacsclient", "jed", "joe", "jmacs", "mcedit", "micro", "ne", "hx", "helix", "kak"),
        *("visudo", "vipw", "vigr", "sudoedit"),
        *("tmux", "screen", "byobu", "zellij", "dtach", "abduco"),
        *("mongo", "mongosh", "cqlsh", "sqlplus", "sqlcmd", "redis-cli", "clickhouse-client"),
        *("gdb", "lldb", "octave", "ftp", "sftp", "lftp", "telnet", "mutt", "mail", "mailx"),
        *("mc", "ranger", "nnn", "vifm", "lynx", "w3m", "tig"),
    ]
)
"""Programs whose purpose is to take lines, or that offer a shell on a key."""
SQL_CLIENTS = frozenset(["psql", "mysql", "mariadb", "sqlite3"])
HOOKABLE = frozenset(["bash", "zsh"])
_PLAIN = frozenset(["-l", "--login", "-i", "--norc", "--noprofile", "-f", "--no-rcs", "--no-globalrcs"])
_LOCK = frozenset(["PROMPT_COMMAND", "precmd_functions", "preexec_functions"])
_CHANGING = frozenset(["source", ".", "eval", "trap", "set", "shopt", "unset", "enable", "exec", "precmd"])
_EDITING = frozenset(["read", "vared", "select"])
_SETTING = frozenset(
    ["export", "declare", "typeset", "local", "readonly", "unset", "read", "printf", "mapfile", "readarray"]
)


@dataclass(frozen=True, slots=True)
class Opened:
    """What reads lines once the line runs. `refused`: names that are not listed; `taught`: shells that can be
    hooked; `listed`: what may read lines here."""

    refused: tuple[str, ...] = ()
    taught: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()


def opened_by(line: CommandLine, allowed: frozenset[str]) -> Opened:
    """What the line opens, given the names that the target lists as `readers`."""
    refused: list[str] = []
    taught: list[str] = []
    listed: list[str] = []
    for command in line.commands:
        if not _reads(command, line.opaque):
            continue
        name = basename(command.program)
        if name in allowed:
            listed.append(name)
        elif name in HOOKABLE and _PLAIN.issuperset(command.args):
            taught.append(name)
        else:
            refused.append(name)
    return Opened(*(tuple(dict.fromkeys(names)) for names in (refused, taught, listed)))


def refusing_readers(judge: JudgeLine, allowed: frozenset[str]) -> JudgeLine:
    """The judge for lines of a stream, in which nothing else may read them."""

    def rule(candidates: Sequence[Candidate]) -> Ruling:
        ruling = judge(candidates)
        for candidate in candidates if ruling.allowed or ruling.waits else ():
            opened = opened_by(parse(candidate.text.encode("utf-8", "replace")), allowed)
            for name in opened.refused + opened.taught:
                return Ruling(Word.DENY, "", reads_lines(name))
        return ruling

    return rule


def reads_lines(name: str) -> str:
    """Why a line is refused that opens such a program."""
    return f"{name} reads lines of its own, and is not among the readers of this target"


def _reads(command: SimpleCommand, opaque: str | None) -> bool:
    name = basename(command.program)
    if Deed.SHELL in command.does:
        return True
    if name in SQL_CLIENTS:
        # With something opaque on the line it is a file or a pipe, as a rule, that the SQL comes from.
        given = name == "sqlite3" and len([arg for arg in command.args if not arg.startswith("-")]) > 1
        unknown = name == "sqlite3" or any(sql.text is None for sql in command.sql)
        return unknown and not given and opaque is None
    if name in _VI:
        return "-Z" not in command.args
    if name in _NANO:
        return not {"-R", "--restricted"} & set(command.args)
    if name == "crontab":
        return "-e" in command.args
    return name in READERS - SHELLS


def unlocks(line: CommandLine) -> str | None:
    """What the line would change of that by which the shell is held; None: nothing that is known."""
    return next((name for command in line.commands for name in _touched(command)), None)


def changes_shell(line: CommandLine) -> bool:
    """True if the line could change how the shell itself comes back, and opens no editor of the shell."""
    programs = {basename(command.program) for command in line.commands}
    if programs & _EDITING:
        return False
    return bool(programs & _CHANGING) or any(command.sets for command in line.commands)


def _touched(command: SimpleCommand) -> Iterator[str]:
    program = basename(command.program)
    yield from _LOCK.intersection(command.sets)
    if program in _SETTING:
        yield from (name for arg in command.args if (name := arg.partition("=")[0].rstrip("+")) in _LOCK)
    test = _TESTS.get(program)
    if test is not None and test(command.args):
        yield f"{program} {' '.join(command.args)}"


_TESTS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "trap": lambda args: "DEBUG" in args and "-p" not in args,
    "shopt": lambda args: "extdebug" in args and "-u" in args,
    "set": lambda args: "+T" in args or args[:2] == ("+o", "functrace"),
    "add-zsh-hook": lambda args: any(arg.startswith("-") for arg in args),
}
