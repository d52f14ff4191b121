"""What commands of the client programs do on the client's machine: programs, files, other SQL.

psql's are in its manual under "Meta-Commands", those of mysql and mariadb in the client's `help`, those of
sqlite3 in its `.help`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from broker.gate.sql.lexer import MYSQL, SQLITE
from broker.gate.text import names


@dataclass(frozen=True, slots=True)
class Effect:
    """`texts` are run by a shell; an empty one is a shell for the person. `sql`: it runs SQL that is not
    on the line. `doubt`: why more could run."""

    texts: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    sql: bool = False
    doubt: str | None = None


NOTHING = Effect()
_BACKQUOTED = re.compile(r"`([^`]*)`?")
_PSQL_PLAIN = names(
    """? a bind bind_named C c close_prepared connect conninfo copyright crosstabv crosstabview d echo elif
    else encoding endif endpipeline errverbose f flush flushrequest gdesc getenv getresults gset h help H
    html if l list lo_list lo_unlink p parse password print prompt pset q qecho quit r reset restrict
    sendpipeline set sf sf+ startpipeline sv sv+ syncpipeline t T timing unrestrict unset warn watch x z
    z+ cd"""
)
_PSQL_OUTPUT = names("o out g gx w write s")
_PSQL_EDIT = names("e edit ef ev")
_PSQL_INCLUDE = names("i include ir include_relative")
_SQLITE_PLAIN = names(
    """auth bail changes check connection crlf databases dbconfig dbinfo dbtotxt dump echo eqp exit expert
    explain filectrl fullschema genfkey headers help indexes indices intck limit lint mode nonce
    nullvalue parameter print progress prompt quit recover schema scanstats selecttrace selftest
    separator sha3sum show stats tables testctrl timeout timer treetrace version vfsinfo vfslist vfsname
    width wheretrace unmodule"""
)
_MYSQL_PLAIN = names(
    r"""\# \? \C \G \W \c \d \g \h \n \p \q \r \R \s \t \u \w \x ? charset clear connect costs delimiter
    ego exit go help nopager notee nowarning print prompt quit rehash resetconnection query_attributes
    sandbox status use warnings ssl_session_data_print"""
)


def effect_of(dialect: str, command: str) -> Effect:
    """What the command, as the splitter gives it, does besides SQL."""
    if dialect == MYSQL:
        return _mysql(command)
    if dialect == SQLITE:
        return _sqlite(command)
    return _psql(command)


def _psql(command: str) -> Effect:
    match = re.match(r"(!|\?|[A-Za-z_]+\+?)\s*(.*)\Z", command, re.DOTALL)
    if match is None:
        return Effect(doubt="a command of psql that is not known")
    name, rest = match[1], match[2].strip()
    if name == "!":
        return Effect(texts=(rest,))
    if name == "copy":
        return _psql_copy(rest)
    quoted = tuple(text for text in _BACKQUOTED.findall(rest) if text.strip())
    found = _psql_named(name, rest)
    if not quoted:
        return found
    return Effect(quoted + found.texts, found.reads, found.writes, found.sql, found.doubt)


def _psql_named(name: str, rest: str) -> Effect:
    if name in _PSQL_INCLUDE:
        return Effect(reads=(_word(rest),), sql=True, doubt="psql runs a file whose text is not on the line")
    if name in _PSQL_OUTPUT:
        return _output(re.sub(r"\A\([^)]*\)\s*", "", rest))
    if name in _PSQL_EDIT:
        return Effect(doubt="an editor changes what psql runs")
    if name == "gexec":
        return Effect(sql=True, doubt="psql runs what the query gives")
    if name == "setenv":
        variable, _, value = rest.partition(" ")
        return Effect(texts=(f"export {variable}='{value.strip()}'",))
    if name == "lo_import":
        return Effect(reads=(_word(rest),))
    if name == "lo_export":
        return Effect(writes=(_word(rest.partition(" ")[2]),))
    if name in _PSQL_PLAIN or re.fullmatch(r"d[A-Za-z]*\+?|l[A-Za-z_]*\+?", name):
        return NOTHING
    return Effect(doubt=f"the command \\{name} of psql is not known")


def _output(rest: str) -> Effect:
    """A file, or a program behind `|`."""
    target = rest.strip()
    if not target:
        return NOTHING
    if target.startswith("|"):
        return Effect(texts=(target[1:].strip(),))
    if target.startswith(":"):
        return Effect(doubt="where psql writes to is not known")
    return Effect(writes=(_word(target),))


def _psql_copy(rest: str) -> Effect:
    program = re.search(r"\b(?:from|to)\s+program\s+'((?:[^']|'')*)'", rest, re.IGNORECASE)
    if program:
        return Effect(texts=(program[1].replace("''", "'"),))
    if re.search(r"\b(?:from|to)\s+program\b", rest, re.IGNORECASE):
        return Effect(doubt="the program that \\copy runs is not known")
    file = re.search(
        r"\b(from|to)\s+('(?:[^']|'')*'|[^\s;()]+)(?:\s+\(?[^()]*\)?)?\s*;?\s*\Z", rest, re.IGNORECASE
    )
    if file is None:
        return Effect(doubt="what \\copy reads or writes is not known")
    path = _word(file[2])
    if path.lower() in {"stdin", "stdout", "pstdin", "pstdout"}:
        return NOTHING
    return Effect(reads=(path,)) if file[1].lower() == "from" else Effect(writes=(path,))


def _mysql(command: str) -> Effect:
    match = re.match(r"(\\.|[A-Za-z_?]+)\s*(.*)\Z", command, re.DOTALL)
    if match is None:
        return Effect(doubt="a command of the mysql client that is not known")
    name, rest = match[1], match[2].strip()
    plain = rest.rstrip(" ;")
    if name in {"\\!", "system"}:
        return Effect(texts=(plain,))
    if name in {"\\.", "source"}:
        return Effect(
            reads=(_word(plain),),
            sql=True,
            doubt="the mysql client runs a file whose text is not on the line",
        )
    if name in {"\\P", "pager"}:
        return Effect(texts=(plain,)) if plain else NOTHING
    if name in {"\\T", "tee"}:
        return Effect(writes=(_word(plain),)) if plain else NOTHING
    if name in {"\\e", "edit"}:
        return Effect(doubt="an editor changes what the mysql client runs")
    return (
        NOTHING
        if name in _MYSQL_PLAIN
        else Effect(doubt=f"the command {name} of the mysql client is not known")
    )


def _sqlite(command: str) -> Effect:
    """Names may be cut short, so that each that begins like that counts."""
    if command.startswith("#"):
        return NOTHING
    match = re.match(r"\.\s*([A-Za-z0-9_]*)\s*(.*)\Z", command, re.DOTALL)
    name, rest = (match[1].lower(), match[2].strip()) if match else ("", command)
    if name in _SQLITE_PLAIN:
        return NOTHING
    if _short(name, "shell", "system"):
        return Effect(texts=(rest,))
    found = [effect for full, effect in _sqlite_others(rest).items() if _short(name, full)]
    if found:
        return found[0]
    if name and any(full.startswith(name) for full in _SQLITE_PLAIN):
        return NOTHING
    return Effect(doubt=f"the command .{name} of sqlite3 is not known")


def _short(name: str, *full: str) -> bool:
    return bool(name) and any(one.startswith(name) for one in full)


def _sqlite_others(rest: str) -> dict[str, Effect]:
    bare = re.sub(r"\A(?:-{1,2}[A-Za-z]+\s+)+", "", rest)
    last = rest.split()[-1:] or [""]
    piped = re.search(r"(?:\A|[\s\"'])\|\s*([^\"']*)", bare)
    into = _sqlite_output(rest, bare, piped[1] if piped else None)
    program = Effect(doubt="sqlite3 starts another program")
    if piped:
        read = Effect(texts=(piped[1],), sql=True, doubt="sqlite3 runs what a program gives")
        data = Effect(texts=(piped[1],))
    else:
        read = Effect(
            reads=(_word(rest),), sql=True, doubt="sqlite3 runs a file whose text is not on the line"
        )
        data = Effect(reads=(_word(bare),))
    return {
        "read": read, "import": data, "output": into, "once": into, "excel": program, "www": program,
        "load": Effect(doubt="sqlite3 loads a library"),
        "open": _written(bare), "backup": _written(last[0]), "save": _written(bare), "clone": _written(rest),
        "restore": Effect(reads=(last[0],)),
        "log": _written(rest), "trace": _written(bare), "iotrace": _written(rest),
        "archive": Effect(doubt="sqlite3 reads and writes an archive"),
        "testcase": Effect(writes=("testcase-out.txt",)),
        "cd": NOTHING,
        "session": Effect(doubt="what .session does is not looked through"),
    }  # fmt: skip


def _sqlite_output(rest: str, bare: str, piped: str | None) -> Effect:
    if re.match(r"-{1,2}[ewx]", rest):
        return Effect(doubt="sqlite3 starts an editor or a browser")
    return Effect(texts=(piped,)) if piped else _written(bare)


def _written(text: str) -> Effect:
    path = _word(text)
    return NOTHING if path in {"", "on", "off", "stdout", "stderr"} else Effect(writes=(path,))


def _word(text: str) -> str:
    """The first word, its quotes removed."""
    match = re.match(r"\s*(?:'((?:[^']|'')*)'|\"([^\"]*)\"|(\S+))", text)
    if match is None:
        return ""
    return match[1].replace("''", "'") if match[1] is not None else match[2] or match[3] or ""
