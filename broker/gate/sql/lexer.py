"""SQL as the client programs psql and mysql split it: statements, and their own commands in between.

The splitter is incremental: a statement may come in over several lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

POSTGRESQL = "postgresql"
MYSQL = "mysql"
SQLITE = "sqlite"
MAX_TOKENS = 20_000

_WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
_NUMBER = re.compile(r"(?:0[xXbBoO][0-9A-Fa-f_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+)")
_DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")
_VARIABLE = re.compile(r":(?:[A-Za-z_][A-Za-z0-9_]*|'[^'\n]*'|\"[^\"\n]*\"|\{\?[^}\n]*\})")
_PARAMETER = re.compile(r"[:@$][A-Za-z_][A-Za-z0-9_:]*|\?[0-9]*")
_MYSQL_NAMED = re.compile(
    r"(?P<name>help|clear|connect|delimiter|edit|ego|exit|go|nopager|notee|pager|print|prompt|quit|rehash|source|"
    r"status|system|tee|use|charset|warnings|nowarning|resetconnection|query_attributes|ssl_session_data_print|sandbox|costs|\?)"
    r"(?P<rest>(?:[ \t;][^\n]*)?)(?:\n|\Z)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is word, name (quoted), string, number, sign, variable."""

    kind: str
    text: str

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text in words


@dataclass(slots=True)
class Piece:
    """One statement, or one command of the client (`command` set, `tokens` is what stood before it)."""

    tokens: list[Token] = field(default_factory=list)
    text: str = ""
    command: str | None = None
    doubt: str | None = None
    ended: bool = False
    raw: str = ""
    """As it was given, comments and all."""


class Splitter:
    """Feed it lines; it gives the pieces that are complete. `finish` gives what is left."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._delimiter = ";"
        self._text = ""

    @property
    def pending(self) -> str:
        """What a statement has so far."""
        return self._text

    @property
    def begun(self) -> bool:
        """True if a statement has begun: more than blanks and comments."""
        return bool(self.tokens) or self._text.strip()[:1] in {"'", '"', "$", "`", "["}

    @property
    def tokens(self) -> list[Token]:
        """Those of the statement that has begun; a quote that does not end is none."""
        if not self._text.strip():
            return []
        piece = _Reader(self._text, self._dialect, self._delimiter).piece(last=True)
        return [] if piece is None else piece.tokens

    def copy(self, *, pending: bool = True) -> Splitter:
        """One that knows the same and goes its own way; without what a statement has so far if asked."""
        other = Splitter(self._dialect)
        other._delimiter, other._text = self._delimiter, self._text if pending else ""
        return other

    def feed(self, text: str, *, last: bool = False) -> list[Piece]:
        """The pieces that end within the text given so far. `last`: nothing follows."""
        self._text += text
        pieces: list[Piece] = []
        while True:
            reader = _Reader(self._text, self._dialect, self._delimiter)
            piece = reader.piece(last=last)
            if piece is None:
                break
            self._delimiter = reader.delimiter
            piece.raw, rest = self._text[: reader.at], self._text[reader.at :]
            self._text = _kept(piece, reader) + rest
            if piece.tokens or piece.command is not None or piece.doubt:
                pieces.append(piece)
            if reader.at == 0 or len(pieces) > 1000:
                break
            if last and not self._text:
                break
        return pieces

    def finish(self) -> list[Piece]:
        return self.feed("", last=True)


_SENDS = re.compile(r"(?:g|gx|gset|gexec|gdesc|watch|crosstabview|crosstabv|parse|sendpipeline)(?![A-Za-z])")
"""Commands of psql that send the statement in front of them."""


def _kept(piece: Piece, reader: _Reader) -> str:
    """What a statement has so far where a command stands behind it that does not send it: the client keeps
    it for the next lines (all but `\\r` of psql)."""
    if piece.command is None or not piece.tokens or reader.command_at is None:
        return ""
    if not reader.mysql and _SENDS.match(piece.command):
        return ""
    kept = reader.text[: reader.command_at]
    piece.raw, piece.tokens, piece.text = piece.raw[reader.command_at :], [], ""
    return "" if piece.command in {"r", "reset"} and not reader.mysql else kept


class _Reader:
    def __init__(self, text: str, dialect: str, delimiter: str) -> None:
        self.text = text
        self.at = 0
        self.delimiter = delimiter
        self.mysql = dialect == MYSQL
        self.command_at: int | None = None
        """Where the client's command begins."""
        self._sqlite = dialect == SQLITE
        self._executable = False
        self._piece = Piece()

    def piece(self, *, last: bool) -> Piece | None:
        """The next piece, or None if it does not end in the text."""
        if self.mysql and (command := self._named()) is not None:
            return command
        if self._sqlite and (command := self._dotted()) is not None:
            return command
        while self.at < len(self.text):
            done = self._step()
            if done is None:
                if not last:
                    return None
                self._piece.doubt = "a quote or comment that does not end"
                self.at = len(self.text)
                return self._piece
            if done:
                return self._piece
            if len(self._piece.tokens) > MAX_TOKENS:
                self._piece.doubt = "it is too long"
                self.at = len(self.text)
                return self._piece
        return self._piece if last and self._piece.tokens else None

    def _add(self, kind: str, text: str, end: int) -> bool:
        self._piece.tokens.append(Token(kind, text))
        self._piece.text += self.text[self.at : end] + " "
        self.at = end
        return False

    def _named(self) -> Piece | None:
        """A command of the mysql client by its name, at the beginning of a line and of a statement."""
        blank = re.match(r"\s*", self.text)
        start = blank.end() if blank else 0
        match = _MYSQL_NAMED.match(self.text, start)
        if match is None:
            return None
        name, rest = match["name"].lower(), match["rest"].strip()
        if name in {"use", "help", "?"} and self.delimiter in rest.rstrip(self.delimiter):
            return None
        self.at = match.end()
        if name == "delimiter" and rest:
            self.delimiter = rest.split()[0]
        return Piece(command=f"{name} {rest}".strip())

    def _dotted(self) -> Piece | None:
        """A command of the sqlite3 shell, at the beginning of a line and of a statement."""
        match = re.compile(r"(?:[ \t]*\n)*[ \t]*(\.[^\n]*|#[^\n]*)(?:\n|\Z)").match(self.text)
        if match is None:
            return None
        self.at = match.end()
        return Piece(command=match[1].strip())

    def _ends_by_word(self) -> int | None:
        """sqlite3 also ends a statement at a line that holds `/` or `go` alone: the place behind it."""
        start = self.text.rfind("\n", 0, self.at) + 1
        match = re.compile(r"[ \t]*(?:/|go)[ \t]*(?:\n|\Z)", re.IGNORECASE).match(self.text, start)
        return match.end() if match and self._piece.tokens else None

    def _step(self) -> bool | None:
        """One token; True at the end of the piece, None if the text ends within something."""
        text, at = self.text, self.at
        char = text[at]
        if char.isspace():
            self.at += 1
            return False
        if text.startswith(self.delimiter, at):
            self.at += len(self.delimiter)
            self._piece.ended = True
            return True
        if self._sqlite and char in "/gG" and (end := self._ends_by_word()) is not None:
            self.at, self._piece.ended = end, True
            return True
        comment = self._comment()
        if comment is not False:
            return None if comment is None else False
        if char == "\\" and not self._sqlite:
            return self._backslash()
        if self._sqlite and (match := _PARAMETER.match(text, at)):
            return self._add("string", match[0], match.end())
        if char in "'\"`" or (char == "$" and not self.mysql) or (char == "[" and self._sqlite):
            return self._quoted(char)
        if char == ":" and not self.mysql:
            return self._colon()
        if match := _WORD.match(text, at):
            return self._word(match)
        if match := _NUMBER.match(text, at):
            return self._add("number", match[0], match.end())
        return self._add("sign", char, at + 1)

    def _word(self, match: re.Match[str]) -> bool | None:
        word, end = match[0].lower(), match.end()
        following = self.text[end : end + 1]
        if self._sqlite:
            return self._add("word", word, end)
        if not self.mysql:
            if following == "'" and word in {"e", "b", "x", "n"}:
                self.at = end
                return self._string("'", backslashes=word == "e")
            if word == "u" and self.text.startswith(("&'", '&"'), end):
                self.at = end + 1
                return self._string(
                    self.text[end + 1],
                    backslashes=False,
                    kind="string" if self.text[end + 1] == "'" else "name",
                )
        elif following == "'" and word in {"n", "x", "b"}:
            self.at = end
            return self._string("'", backslashes=True)
        return self._add("word", word, end)

    def _quoted(self, char: str) -> bool | None:
        if self._sqlite:
            return self._string(
                "]" if char == "[" else char, backslashes=False, kind="string" if char == "'" else "name"
            )
        if char == "$":
            match = _DOLLAR.match(self.text, self.at)
            if match is None:
                return self._add("sign", "$", self.at + 1)
            end = self.text.find(match[0], match.end())
            if end < 0:
                return None
            return self._add("string", self.text[match.end() : end], end + len(match[0]))
        if self.mysql:
            return self._string(char, backslashes=char != "`", kind="name" if char == "`" else "string")
        if char == "`":
            return self._add("sign", "`", self.at + 1)
        return self._string(char, backslashes=False, kind="string" if char == "'" else "name")

    def _string(self, quote: str, *, backslashes: bool, kind: str = "string") -> bool | None:
        at = self.at + 1
        out: list[str] = []
        while True:
            if at >= len(self.text):
                return None
            char = self.text[at]
            if char == "\\" and backslashes:
                out.append(self.text[at + 1 : at + 2])
                at += 2
            elif char == quote and self.text[at + 1 : at + 2] == quote:
                out.append(quote)
                at += 2
            elif char == quote:
                if not (backslashes or self._sqlite) and quote == "'" and out[-1:] == ["\\"]:
                    self._piece.doubt = "a backslash before a closing quote"
                return self._add(kind, "".join(out), at + 1)
            else:
                out.append(char)
                at += 1

    def _comment(self) -> bool | None:
        """True: skipped one; False: there is none; None: it does not end."""
        text, at = self.text, self.at
        if text.startswith("--", at):
            if self.mysql and not re.match(r"--(?:[\s\x00-\x1f]|\Z)", text[at:]):
                return False
            return self._to_line_end()
        if self.mysql and text[at] == "#":
            return self._to_line_end()
        if self._executable and text.startswith("*/", at):
            self._executable = False
            self.at += 2
            return True
        if not text.startswith("/*", at):
            return False
        if self.mysql and (match := re.compile(r"/\*M?!(?:\d{5,6})?").match(text, at)):
            if "*/" not in text[at:]:
                return None
            self._executable = True
            self.at = match.end()
            return True
        return self._block_comment()

    def _to_line_end(self) -> bool:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end
        return True

    def _block_comment(self) -> bool | None:
        depth, at = 1, self.at + 2
        while depth:
            match = re.compile(r"/\*|\*/").search(self.text, at)
            if match is None:
                return None
            depth += (0 if self.mysql or self._sqlite else 1) if match[0] == "/*" else -1
            at = match.end()
        self.at = at
        return True

    def _colon(self) -> bool:
        if self.text.startswith(("::", ":="), self.at):
            return self._add("sign", self.text[self.at : self.at + 2], self.at + 2)
        match = _VARIABLE.match(self.text, self.at)
        if match is None:
            return self._add("sign", ":", self.at + 1)
        return self._add("variable", match[0], match.end())

    def _backslash(self) -> bool | None:
        """A command of the client, up to the end of the line."""
        self.command_at = self.at
        if self.mysql:
            return self._mysql_backslash()
        if self.text.startswith("\\;", self.at):
            self.at += 2
            self._piece.ended = True
            return True
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        line = self.text[self.at + 1 : end]
        # `\\` separates commands; another backslash begins the next one
        match = (
            re.search(r"(?<=[\w\s'\")])\\(?:\\|(?=[A-Za-z!?]))", line) if not line.startswith("!") else None
        )
        if match is not None:
            end = self.at + 1 + match.start() + (2 if match[0] == "\\\\" else 0)
            line = line[: match.start()]
        self._piece.command = line.strip()
        self.at = end
        return True

    def _mysql_backslash(self) -> bool:
        letter = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if letter in {"g", "G"}:
            self._piece.ended = True
            return True
        if letter == "c":
            self._piece = Piece(command="clear")
            return True
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        rest = ""
        if letter in {"!", ".", "T", "P", "d", "u", "C", "h", "?", "R", "r", "e"}:
            rest = self.text[self.at : end].strip()
            self.at = end
        if letter == "d" and rest:
            self.delimiter = rest.split()[0]
        self._piece.command = f"\\{letter} {rest}".strip()
        return True
