"""Prompts of interpreters: Python is looked through, other languages are harmless or a doubt."""

from __future__ import annotations

import ast
import codeop
import textwrap
import warnings
from dataclasses import dataclass, field

from broker.gate.programs.code import harmless, seen_texts
from broker.gate.programs.pythoncode import PythonFindings, look_through
from broker.gate.reading.reader import without_earlier
from broker.gate.reading.shells import handed_to_shell, started
from broker.gate.shell.state import HOME
from broker.gate.text import resolved
from broker.model.command import CommandLine, Deed, FileRead, SimpleCommand

_BAD_CODE = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)
LONGEST = 64 * 1024


@dataclass(slots=True)
class PythonLines:
    """`program` and `args`: as the interpreter was started."""

    program: str = ""
    args: tuple[str, ...] = ()
    _pending: str = ""
    _known: dict[str, str] = field(default_factory=dict)
    language: str = "python"

    def read(self, text: str, *, whole: bool = True) -> list[CommandLine]:
        return self._readings(text, dict(self._known), strict=whole)

    def take(self, text: str) -> list[CommandLine]:
        joined = self._joined(text)
        found = self._readings(text, self._known, strict=True)
        self._pending = joined if _goes_on(joined) and len(joined) < LONGEST else ""
        return found

    def _readings(self, text: str, known: dict[str, str], *, strict: bool) -> list[CommandLine]:
        """Behind what a block has so far, and alone: an interrupt may have ended the block. Python runs
        nothing of what it cannot parse, so that one of both is enough."""
        if not self._pending:
            return [self._line(text, known, strict=strict)]
        alone = textwrap.dedent(text)
        joined = self._line(self._joined(text), known, strict=strict and not _parses(alone))
        return [joined, self._line(alone, known, strict=False)]

    def _joined(self, text: str) -> str:
        if not self._pending:
            return text
        rest = without_earlier(text, self._pending)
        return f"{self._pending}\n{text if rest is None else rest}"

    def _line(self, code: str, known: dict[str, str], *, strict: bool) -> CommandLine:
        if code.lstrip().startswith("!"):
            return self._command(PythonFindings(texts=[code.lstrip()[1:]], starts=True))
        if code.lstrip().startswith("%"):
            return self._command(PythonFindings(doubt="what a command of IPython does is not known"))
        if _goes_on(code):
            return CommandLine((), None, incomplete=True)
        try:
            tree = _parsed(code)
        except _BAD_CODE:
            reason = "it is not understood as Python" if strict else None
            return self._command(PythonFindings(doubt=reason))
        return self._command(look_through(tree, known))

    def _command(self, found: PythonFindings) -> CommandLine:
        inner = [handed_to_shell(text) for text in found.texts]
        inner += [started(words) for words in found.commands]
        opaque = next((line.opaque for line in inner if line.opaque is not None), found.doubt)
        own = SimpleCommand(
            self.program,
            self.args,
            tuple(resolved(path, HOME) for path in found.writes),
            tuple(FileRead(resolved(path, HOME)) for path in found.reads),
            does=frozenset({Deed.SHELL} if found.starts else ()),
        )
        return CommandLine((own, *(command for line in inner for command in line.commands)), opaque)


def _parsed(code: str) -> ast.AST:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def _parses(code: str) -> bool:
    try:
        _parsed(code)
    except _BAD_CODE:
        return _goes_on(code)
    return True


def _goes_on(code: str) -> bool:
    """True if the prompt would ask for more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return codeop.compile_command(code, symbol="single") is None
        except _BAD_CODE:
            return False


@dataclass(slots=True)
class CodeLines:
    """Another language: what only computes and prints is harmless, all else could start something."""

    language: str
    program: str = ""
    args: tuple[str, ...] = ()

    def read(self, text: str, *, whole: bool = True) -> list[CommandLine]:
        own = SimpleCommand(self.program, self.args)
        if not text.strip() or harmless(self.language, text):
            return [CommandLine((own,))]
        inner = [handed_to_shell(told) for told in seen_texts(text)]
        if inner:
            own = SimpleCommand(self.program, self.args, does=frozenset({Deed.SHELL}))
        reason = f"{self.program or self.language} runs code that could start something" if whole else None
        return [CommandLine((own, *(command for line in inner for command in line.commands)), reason)]

    def take(self, text: str) -> list[CommandLine]:
        return self.read(text)
