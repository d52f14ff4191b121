"""The readers of one session: the shells that are hooked, and what was started in each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from broker.gate.programs.look import familiar
from broker.gate.reading.interpreters import CodeLines, PythonLines
from broker.gate.reading.place import Reads, Where
from broker.gate.reading.reader import LineReader
from broker.gate.reading.shells import ShellLines, handed_to_shell
from broker.gate.reading.sqlclients import SqlLines
from broker.gate.reading.unknown import UnknownLines
from broker.gate.shell import parse
from broker.gate.sql import MYSQL, POSTGRESQL, SQLITE
from broker.model.command import DIALECTS, CommandLine, SimpleCommand
from broker.model.target import Dialect

_MOST = 12
"""Programs that could read a line; with more of them any could."""
_SHELLS = frozenset({"", "shell"})
_SQL = frozenset({POSTGRESQL, MYSQL, SQLITE})


@dataclass(slots=True)
class _Level:
    """A shell (or, at the bottom, what the session began with) and what it has started."""

    own: list[LineReader]
    running: list[LineReader] = field(default_factory=list)


class LineReaders:
    """`read` tells what a line could start; `take` that it went out. Only what went out counts later on."""

    def __init__(self, bottom: Iterable[LineReader]) -> None:
        self._levels: dict[int, _Level] = {0: _Level(list(bottom))}

    def read(self, text: str, where: Where, *, whole: bool = True) -> list[CommandLine]:
        """Every reading of the line by those who could read it; the strictest answer has to hold."""
        if where.reads is Reads.HANDED:
            return [handed_to_shell(text)]
        found: list[CommandLine] = []
        readers = self._who(where)
        for reader in readers:
            # Where several could read, what one of them does not understand is meant for another.
            certain = whole and (len(readers) == 1 or reader.language in _SHELLS)
            found += [line for line in _readings(reader, text, whole=certain) if line not in found]
        return found

    def take(self, text: str, where: Where) -> None:
        """The line went out."""
        if where.reads is Reads.HANDED:
            return
        level = self._level(where)
        at_prompt = where.reads is Reads.SHELL
        started = [one for reader in self._who(where) for one in _started_by(reader, text, sure=at_prompt)]
        level.running = _distinct(started if at_prompt else [*level.running, *started])
        if at_prompt:
            self._levels = {n: kept for n, kept in self._levels.items() if n <= where.level}

    def joins(self) -> bool:
        """True if what the session began with reads its lines one after the other, as a shell does; a client
        of a database waits for the end of a statement on its own."""
        return any(reader.language in _SHELLS for reader in self._levels[0].own)

    def _level(self, where: Where) -> _Level:
        if where.level not in self._levels:
            self._levels[where.level] = _Level([ShellLines(where.shell, hooked=True)])
        return self._levels[where.level]

    def _who(self, where: Where) -> list[LineReader]:
        level = self._level(where)
        if where.reads is Reads.SHELL:
            return level.own
        if where.reads is Reads.PROGRAM:
            if not level.running:
                level.running = [UnknownLines()]
            return level.running
        return [*level.own, *level.running]


def _readings(reader: LineReader, text: str, *, whole: bool) -> list[CommandLine]:
    try:
        lines = reader.read(text, whole=whole)
    except Exception as error:  # a defect here must not let a line through
        lines = [CommandLine((), f"it could not be read ({type(error).__name__})")]
    dialect = reader.language if reader.language in DIALECTS else "shell"
    return [replace(line, text=line.text or text, dialect=dialect) for line in lines]


def _started_by(reader: LineReader, text: str, *, sure: bool) -> list[LineReader]:
    """What reads lines once `reader` has this one."""
    try:
        return list(_started(reader.take(text), own=getattr(reader, "program", None), sure=sure))
    except Exception:  # what it has started is not known then
        return [UnknownLines()]


def _started(lines: Iterable[CommandLine], *, own: str | None, sure: bool) -> Iterator[LineReader]:
    """`own`: the program that has read the lines. `sure`: one of those started reads, if anything does."""
    lines = list(lines)
    commands = [command for line in lines for command in line.commands]
    listening = [command for command in commands if command.listens]
    yield from (reader_of(command) for command in listening)
    strange = any(line.opaque is not None for line in lines) or any(
        not command.listens and command.program != own and not familiar(command.program)
        for command in commands
    )
    if strange or (sure and not listening):
        yield UnknownLines()


def _distinct(readers: Iterable[LineReader]) -> list[LineReader]:
    """One of each kind: a second psql reads like the first."""
    found: dict[tuple[str, str], LineReader] = {}
    for reader in readers:
        found.setdefault((reader.language, getattr(reader, "program", "")), reader)
    if len(found) > _MOST:
        return [*list(found.values())[:_MOST], UnknownLines()]
    return list(found.values())


def reader_of(command: SimpleCommand) -> LineReader:
    """The reader of a command that reads the terminal."""
    program, args = command.program, command.args
    if command.listens == "shell":
        return ShellLines()
    if command.listens in _SQL:
        return SqlLines(command.listens, program, args)
    if command.listens == "python":
        return PythonLines(program, args)
    return CodeLines(command.listens, program, args)


_PROGRAMS = {
    Dialect.POSTGRES: "psql",
    Dialect.MYSQL: "mysql",
    Dialect.SQLITE: "sqlite3",
    Dialect.PYTHON: "python3",
}


def readers_of(command: bytes | None, dialect: Dialect) -> LineReaders:
    """The readers of a session that begins with the command, or with the account's login program. `dialect`:
    what the target is said to read, whatever its program is called."""
    started = [] if command is None else list(_started([parse(command)], own=None, sure=True))
    if dialect in _PROGRAMS:
        said = _of_dialect(command, dialect)
        others = [one for one in started if one.language not in {"", said.language}]
        return LineReaders([said, *others])
    return LineReaders(started or [ShellLines()])


def _of_dialect(command: bytes | None, dialect: Dialect) -> LineReader:
    found = parse(command).commands if command is not None else ()
    named = next((one for one in found if one.listens), None) or SimpleCommand(_PROGRAMS[dialect])
    if dialect is Dialect.PYTHON:
        return PythonLines(named.program, named.args)
    language = {Dialect.POSTGRES: POSTGRESQL, Dialect.MYSQL: MYSQL}.get(dialect, SQLITE)
    return SqlLines(language, named.program, named.args)


def listens(command: bytes) -> bool:
    """True if the command starts something that runs the lines of its input."""
    return any(one.listens for one in parse(command).commands)
