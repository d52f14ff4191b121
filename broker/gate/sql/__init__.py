"""What SQL does, read from its text: kinds of statements, tables, and whether it is read-only.

Read-only is what changes nothing beyond the own session, takes no lock that makes writers wait, touches no
other session, file or program, and does not loosen the protection itself. What is not understood is not.
"""

from __future__ import annotations

from broker.gate.sql.lexer import MYSQL, POSTGRESQL, SQLITE, Piece, Splitter
from broker.gate.sql.meta import client_command
from broker.gate.sql.model import Reading, Verdict, combined
from broker.gate.sql.statements import statement
from broker.gate.sql.tree import seen_by_parser

MAX_LENGTH = 64 * 1024

__all__ = [
    "MYSQL",
    "POSTGRESQL",
    "SQLITE",
    "Reading",
    "Splitter",
    "each_statement",
    "read_pieces",
    "read_sql",
]


def read_sql(dialect: str, text: str) -> Reading:
    """The whole text, which may be several statements and client commands. Never raises."""
    if dialect not in {MYSQL, POSTGRESQL, SQLITE}:
        return unread(f"{dialect} is not read")
    if len(text) > MAX_LENGTH:
        return unread(f"it is longer than {MAX_LENGTH} characters")
    if "\0" in text:
        return unread("it holds a NUL character")
    try:
        splitter = Splitter(dialect)
        return read_pieces(dialect, splitter.feed(text, last=True))
    except RecursionError:
        return unread("it is nested too deep")
    except Exception as error:  # a defect here must not let a statement through
        return unread(f"it could not be read ({type(error).__name__})")


def unread(reason: str) -> Reading:
    """The answer where the text could not be read."""
    return Reading(False, reason=reason, understood=False, doubt=reason)


def each_statement(dialect: str, text: str) -> list[Reading]:
    """One reading for each statement and client command of the text, or one for all that cannot be split.
    Never raises."""
    whole = read_sql(dialect, text)
    if dialect not in {MYSQL, POSTGRESQL, SQLITE} or len(text) > MAX_LENGTH or "\0" in text:
        return [whole]
    try:
        return [read_pieces(dialect, [piece]) for piece in Splitter(dialect).feed(text, last=True)] or [whole]
    except Exception:  # said in `whole` already
        return [whole]


def read_pieces(dialect: str, pieces: list[Piece]) -> Reading:
    """What the splitter gave, as one answer."""
    verdicts: list[Verdict] = []
    tables: set[str] = set()
    understood = True
    for piece in pieces:
        found = [_piece(dialect, piece)]
        if piece.command is not None:
            found.append(client_command(dialect, piece.command, bool(piece.tokens)))
        verdicts += found
        if piece.tokens:
            parsed = seen_by_parser(dialect, piece.text)
            tables |= parsed.tables
            understood = understood and parsed.understood
            if parsed.writes and found[0].read_only and not found[0].trusted:
                verdicts.append(Verdict(False, found[0].kind, "the parser sees a write", doubt=True))
    return combined([verdict for verdict in verdicts if verdict is not None], frozenset(tables), understood)


def _piece(dialect: str, piece: Piece) -> Verdict:
    if piece.doubt is not None:
        return Verdict(False, "select", piece.doubt, doubt=True)
    if not piece.tokens:
        return Verdict(True, "select" if piece.command is None else "meta")
    return statement(dialect, piece.tokens)
