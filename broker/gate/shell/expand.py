"""Words → the arguments a command gets: braces, tildes, parameters, substitutions, splitting, patterns.

What is not known stays in the argument as a sign of `broker.gate.text`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from broker.gate.shell.state import State
from broker.gate.shell.tree import Arithmetic, Literal, Node, Parameter, Part, Process, Substitution, Word
from broker.gate.text import ANY, NUMBER, ONE, STAR, WORDS, Unreadable, known

MAX_WORDS = 1000
MAX_TEXT = 256 * 1024
MAX_BRACES = 200
Run = Callable[[tuple[Node, ...], State], str | None]
"""Runs commands as a substitution does; their output, or None if it is not known."""
Evaluate = Callable[[str, State], None]
"""Sees to what the text would run if it were evaluated as arithmetic."""

_NUMBERS = frozenset({"#", "?", "$", "!", "RANDOM", "SRANDOM", "UID", "EUID", "PPID", "SECONDS", "LINENO",
                      "BASHPID", "EPOCHSECONDS", "COLUMNS", "LINES", "SHLVL", "HISTCMD"})  # fmt: skip
_SEQUENCE = re.compile(r"(-?\d{1,6}|[A-Za-z])\.\.(-?\d{1,6}|[A-Za-z])(?:\.\.(-?\d{1,6}))?\Z")


class Fields:
    """Builds the words that one word becomes."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._now: list[str] = []
        self._begun = False
        self._length = 0

    def add(self, text: str, *, quoted: bool) -> None:
        if text or quoted:
            self._begun = True
            self._now.append(text)

    def end(self) -> None:
        if self._begun:
            self.done.append("".join(self._now))
            self._length += len(self.done[-1])
            if len(self.done) > MAX_WORDS or self._length > MAX_TEXT:
                raise Unreadable("it becomes too many words")
        self._now, self._begun = [], False

    def split(self, value: str, separators: str | None) -> None:
        """Add an unquoted value, split at the separators and with its patterns active."""
        if separators is None:
            self.add(WORDS, quoted=False)
            return
        text = pattern_signs(value.replace(ANY, WORDS))
        if not separators:
            self.add(text, quoted=False)
            return
        pieces = re.split(f"[{re.escape(separators)}]", text)
        for index, piece in enumerate(pieces):
            if index:
                self.end()
            self.add(piece, quoted=False)


def pattern_signs(text: str) -> str:
    """The text with `*`, `?` and `[…]` as signs."""
    if "[" in text and "]" in text:
        text = re.sub(r"\[[!^]?\]?[^\]\[/]{0,200}\]", ONE, text)
    return text.replace("*", STAR).replace("?", ONE)


class Expander:
    """Expands the words of one shell."""

    def __init__(self, state: State, run: Run, evaluate: Evaluate) -> None:
        self._state = state
        self._run = run
        self._evaluate = evaluate

    def fields(self, word: Word) -> list[str]:
        """The arguments that the word becomes."""
        fields = Fields()
        for parts in braces(word.parts):
            self._fields(parts, fields)
            fields.end()
        return fields.done

    def single(self, word: Word) -> str:
        """The word as one text, neither split nor matched: assignments, redirections, here-documents."""
        out = []
        for index, part in enumerate(word.parts):
            if isinstance(part, Literal):
                out.append(self._tilde(part) if index == 0 else part.text)
            elif isinstance(part, Parameter):
                value = self._parameter(part)
                out.append(ANY if value is None else value if isinstance(value, str) else " ".join(value))
            else:
                out.append(self._other(part))
        if sum(map(len, out)) > MAX_TEXT:
            raise Unreadable("it becomes too long")
        return "".join(out).replace(WORDS, ANY)

    # ---- parts ----

    def _fields(self, parts: tuple[Part, ...], fields: Fields) -> None:
        for index, part in enumerate(parts):
            if isinstance(part, Literal):
                text = self._tilde(part) if index == 0 else part.text
                fields.add(text if part.quoted else pattern_signs(text), quoted=part.quoted)
            elif isinstance(part, Parameter):
                self._parameter_fields(part, fields)
            elif isinstance(part, Substitution) and not part.quoted:
                fields.split(self._other(part), self._state.ifs())
            else:
                fields.add(self._other(part), quoted=True)

    def _tilde(self, part: Literal) -> str:
        match = re.match(r"~([^/]*)", part.text) if not part.quoted else None
        if match is None:
            return part.text
        name = match[1]
        known_folders = {"": self._state.variables.get("HOME", ANY), "+": self._state.folder, "root": "/root"}
        place = known_folders.get(name) or (ANY if name.startswith("-") else f"/home/{name}")
        return place + part.text[match.end() :]

    def _other(self, part: Part) -> str:
        if isinstance(part, Substitution):
            output = self._run(part.body, self._state.copy())
            return ANY if output is None else output.rstrip("\n")
        if isinstance(part, Process):
            output = self._run(part.body, self._state.copy())
            path = f"/dev/fd/{63 - len(self._state.files)}"
            self._state.files[path] = output if part.reads else None
            return path
        assert isinstance(part, Arithmetic), "the other parts are handled by their callers"
        self._evaluate(self.single(part.text), self._state)
        return NUMBER

    def _parameter_fields(self, part: Parameter, fields: Fields) -> None:
        value = self._parameter(part)
        if isinstance(value, tuple):
            joined = part.name == "*" or (part.index is not None and self._index(part) == "*")
            if part.quoted and joined:
                fields.add(" ".join(value), quoted=True)
                return
            for index, item in enumerate(value):
                if index:
                    fields.end()
                if part.quoted:
                    fields.add(item, quoted=item != WORDS)
                else:
                    fields.split(item, self._state.ifs())
        elif part.quoted:
            fields.add(ANY if value is None else value.replace(WORDS, ANY), quoted=True)
        else:
            fields.split(ANY if value is None else value, self._state.ifs())

    # ---- parameters ----

    def _index(self, part: Parameter) -> str:
        return self.single(part.index) if part.index is not None else ""

    def _value(self, part: Parameter) -> str | tuple[str, ...] | None:
        name, state = part.name, self._state
        if name in {"@", "*"}:
            return state.positional
        if name.isdecimal():
            number = int(name)
            if number == 0:
                return state.zero
            if any(WORDS in text for text in state.positional[:number]):
                return None
            return state.positional[number - 1] if number <= len(state.positional) else ""
        if name in _NUMBERS:
            return NUMBER
        if name == "PWD":
            return state.folder
        if part.index is not None:
            index = self._index(part)
            self._evaluate(index, state)
            items = state.arrays.get(name)
            if index in {"@", "*"}:
                single = state.variables.get(name)
                return items if items is not None else (WORDS,) if single is None else (single,)
            if items is None or not index.isdecimal() or any(WORDS in item for item in items):
                return state.variables.get(name) if index == "0" else None
            return items[int(index)] if int(index) < len(items) else ""
        if name in state.arrays:
            items = state.arrays[name]
            return items[0] if items and WORDS not in items[0] else None
        return state.variables.get(name)

    def _parameter(self, part: Parameter) -> str | tuple[str, ...] | None:
        """The value after its operator; None if it is not known."""
        value = self._value(part)
        operator = part.operator
        if not operator:
            return value
        if operator == "length":
            return NUMBER
        operand = self.single(part.operand) if part.operand is not None else ""
        if operator == "indirect":
            if not isinstance(value, str) or not known(value) or operand:
                return None
            return self._value(Parameter(value, part.quoted))
        if operator.lstrip(":") in {"-", "=", "+", "?"} and operator != ":":
            return self._alternative(operator, value, operand, part.name)
        if not isinstance(value, str) or not known(value) or not known(operand):
            return None
        return _changed(operator, value, operand)

    def _alternative(
        self, operator: str, value: str | tuple[str, ...] | None, operand: str, name: str
    ) -> str | tuple[str, ...] | None:
        sign = operator[-1]
        if value is None or (isinstance(value, str) and not known(value)):
            if sign == "=":
                self._state.forget(name)
            return None
        there = bool(value) if operator.startswith(":") or isinstance(value, tuple) else True
        if sign == "+":
            return operand if there else ""
        if there:
            return value
        if sign == "=":
            self._state.assign(name, operand)
        return operand


def _changed(operator: str, value: str, operand: str) -> str | None:
    """`value` after an operator that cuts, replaces or changes case; None if that is not worked out."""
    if operator == ":":
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?::\s*(\d{1,6})\s*)?", operand)
        if match is None:
            return None
        start = int(match[1])
        return value[start:] if match[2] is None else value[start : start + int(match[2])]
    if operator in {"#", "##", "%", "%%"}:
        return _cut(operator, value, operand)
    if operator in {"^^", ",,"} and not operand:
        return value.upper() if operator == "^^" else value.lower()
    if operator in {"^", ","} and not operand:
        return (value[:1].upper() if operator == "^" else value[:1].lower()) + value[1:]
    if operator in {"/", "//"}:
        old, _, new = operand.partition("/")
        if not old or re.search(r"[*?\[\\#%&]", operand):
            return None
        return value.replace(old, new, -1 if operator == "//" else 1)
    return None


def _cut(operator: str, value: str, pattern: str) -> str | None:
    if len(value) > 500:
        return None
    places = range(len(value) + 1)
    if operator[0] == "#":
        fits = [at for at in places if fnmatch.fnmatchcase(value[:at], pattern)]
        return value[(min if operator == "#" else max)(fits) :] if fits else value
    fits = [at for at in places if fnmatch.fnmatchcase(value[at:], pattern)]
    return value[: (max if operator == "%" else min)(fits)] if fits else value


# ---- braces ----

_Sign = str | Part


def braces(parts: tuple[Part, ...]) -> list[tuple[Part, ...]]:
    """The words that unquoted braces make of a word."""
    if not any(isinstance(part, Literal) and not part.quoted and "{" in part.text for part in parts):
        return [parts]
    if sum(part.text.count("{") for part in parts if isinstance(part, Literal)) > MAX_BRACES:
        raise Unreadable("it becomes too many words")
    tokens: list[_Sign] = []
    for part in parts:
        if isinstance(part, Literal) and not part.quoted:
            tokens += part.text
        else:
            tokens.append(part)
    return [_joined(found) for found in _alternatives(tokens)]


def _joined(tokens: list[_Sign]) -> tuple[Part, ...]:
    out: list[Part] = []
    for token in tokens:
        if not isinstance(token, str):
            out.append(token)
        elif out and isinstance(out[-1], Literal) and not out[-1].quoted:
            out[-1] = Literal(out[-1].text + token, False)
        else:
            out.append(Literal(token, False))
    return tuple(out)


def _alternatives(tokens: list[_Sign]) -> list[list[_Sign]]:
    for start, sign in enumerate(tokens):
        if sign != "{":
            continue
        found = _closing(tokens, start)
        if found is None:
            continue
        end, commas = found
        edges = [start, *commas, end]
        inner: list[list[_Sign]]
        if commas:
            choices = [tokens[a + 1 : b] for a, b in pairwise(edges)]
            inner = [item for choice in choices for item in _alternatives(choice)]
        else:
            inner = [list(item) for item in _sequence(tokens[start + 1 : end])]
            if not inner:
                continue
        after = _alternatives(tokens[end + 1 :])
        if len(inner) * len(after) > MAX_WORDS:
            raise Unreadable("it becomes too many words")
        return [[*tokens[:start], *one, *rest] for one in inner for rest in after]
    return [tokens]


def _closing(tokens: list[_Sign], start: int) -> tuple[int, list[int]] | None:
    depth, commas = 0, []
    for at in range(start, len(tokens)):
        if tokens[at] == "{":
            depth += 1
        elif tokens[at] == "," and depth == 1:
            commas.append(at)
        elif tokens[at] == "}":
            depth -= 1
            if depth == 0:
                return at, commas
    return None


def _sequence(tokens: list[_Sign]) -> Iterator[str]:
    text = "".join(token for token in tokens if isinstance(token, str))
    match = _SEQUENCE.match(text) if len(text) == len(tokens) else None
    if match is None or match[1].lstrip("-").isdecimal() != match[2].lstrip("-").isdecimal():
        return
    numbers = match[1].lstrip("-").isdecimal()
    first, last = (int(match[1]), int(match[2])) if numbers else (ord(match[1]), ord(match[2]))
    step = abs(int(match[3] or 1)) or 1
    if abs(last - first) // step > MAX_WORDS:
        raise Unreadable("it becomes too many words")
    for value in range(first, last + (1 if last >= first else -1), step if last >= first else -step):
        yield str(value) if numbers else chr(value)
