"""Commands of psql (with a backslash) and of the mysql client."""

from __future__ import annotations

import re
from dataclasses import replace

from broker.gate.sql.commands import NOTHING, effect_of
from broker.gate.sql.lexer import MYSQL, SQLITE, Splitter
from broker.gate.sql.model import Verdict
from broker.gate.text import names

_PSQL_READS = names(
    """? a C conninfo copyright crosstabview crosstabv else elif endif if encoding errverbose f h help H
    html l list l+ echo warn qecho p print pset q quit r reset sf sf+ sv sv+ t T timing unset x z gdesc
    gset watch cd set dl lo_list s o g gx close_prepared startpipeline syncpipeline endpipeline
    flushrequest"""
)
_PSQL_FILES = names("o g gx s w")
"""With an argument they write to a file or a program."""
_MYSQL_READS = frozenset(
    [
        r"\d",
        r"\w",
        r"\W",
        r"\n",
        r"\t",
        r"\C",
        r"\?",
        r"\h",
        r"\s",
        r"\q",
        r"\p",
        r"\r",
        r"\u",
        r"\#",
        r"\x",
        r"\R",
        r"\c",
        r"help",
        r"?",
        r"status",
        r"print",
        r"prompt",
        r"quit",
        r"exit",
        r"use",
        r"nopager",
        r"notee",
        r"rehash",
        r"charset",
        r"warnings",
        r"nowarning",
        r"clear",
        r"delimiter",
        r"go",
        r"ego",
        r"resetconnection",
        r"costs",
    ]
)


def client_command(dialect: str, text: str, after_query: bool) -> Verdict:
    """Whether a command of the client program only looks."""
    effect = effect_of(dialect, text)
    if dialect == SQLITE:
        found = Verdict(
            effect == NOTHING, "meta", "" if effect == NOTHING else f"the command {text.split()[0]}"
        )
    else:
        found = _mysql(text) if dialect == MYSQL else _psql(text, after_query)
    return replace(found, read_only=False, doubt=True) if effect.sql else found


def _psql(text: str, after_query: bool) -> Verdict:
    match = re.match(r"(!|\?|[A-Za-z_]+\+?)\s*(.*)\Z", text, re.DOTALL)
    if match is None:
        return Verdict(False, "meta", "a client command that is not known")
    name, rest = match[1], match[2].strip()
    refused = Verdict(False, "meta", f"the client command \\{name}")
    if "`" in rest or (re.search(r"(?<![:\w])" + r":['\"{A-Za-z_]", rest) and name not in {"d", "echo"}):
        return refused
    if name == "copy":
        return _copy(rest)
    if name.startswith("d") and re.fullmatch(r"d[A-Za-z]*\+?", name):
        return Verdict(True, "meta")
    if name not in _PSQL_READS:
        return refused
    if name in _PSQL_FILES and rest and not re.fullmatch(r"\([^)`|]*\)", rest):
        return refused
    if (
        name == "set"
        and re.match(
            r"(?:ON_ERROR|AUTOCOMMIT|FETCH|ECHO|HIST|VERB|SHOW|QUIET|SINGLE|PROMPT|COMP|HIDE|IGNORE|[A-Za-z_]\w*\b|\Z)",
            rest,
        )
        is None
    ):
        return refused
    if name == "pset" and re.match(r"pager\s+['\"]?[/|]", rest):
        return refused
    return Verdict(
        True,
        "select"
        if after_query and name in {"g", "gx", "gset", "gdesc", "watch", "crosstabview", "crosstabv"}
        else "meta",
    )


def _copy(rest: str) -> Verdict:
    """`\\copy … TO STDOUT` prints; all else reads or writes files of the client, or runs programs."""
    from broker.gate.sql.statements import statement

    match = re.match(r"(.*\S)\s+to\s+p?stdout\b[^;|`]*\Z", rest, re.IGNORECASE | re.DOTALL)
    if match is None:
        return Verdict(False, "meta", "the client command \\copy")
    pieces = Splitter("postgresql").feed(f"COPY {match[1]} TO STDOUT", last=True)
    if len(pieces) != 1 or pieces[0].doubt or pieces[0].command is not None:
        return Verdict(False, "meta", "the client command \\copy")
    inner = statement("postgresql", pieces[0].tokens)
    return Verdict(inner.read_only, "meta", inner.reason)


def _mysql(text: str) -> Verdict:
    match = re.match(r"(\\.|[A-Za-z_?]+)\s*(.*)\Z", text, re.DOTALL)
    if match is None:
        return Verdict(False, "meta", "a client command that is not known")
    name = match[1]
    if name not in _MYSQL_READS:
        return Verdict(False, "meta", f"the client command {name}")
    return Verdict(True, "session" if name in {"use", "\\u"} else "meta")
