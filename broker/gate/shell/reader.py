"""A shell text → its commands, as bash reads it. Aliases are put in while reading, as the shell does.

`Unreadable` for what is no command; `Incomplete` where the shell would ask for more.
"""

from __future__ import annotations

import re

from broker.gate.shell.quoting import Incomplete, WordReader
from broker.gate.shell.scanner import MAX_NESTING, NAME, Scanner
from broker.gate.shell.tree import (
    Assignment,
    Case,
    Chain,
    Compound,
    Evaluate,
    For,
    Function,
    Literal,
    Node,
    Pipeline,
    Redirect,
    Simple,
    Word,
)
from broker.gate.text import Unreadable

_REDIRECTS = ("&>>", "<<<", "<<-", "&>", "<<", "<&", "<>", ">>", ">&", ">|", "<", ">")
_REDIRECT = re.compile(
    r"([0-9]*|\{[A-Za-z_][A-Za-z0-9_]*\})(" + "|".join(re.escape(sign) for sign in _REDIRECTS) + ")"
)
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?=|\[)")
_CLOSERS = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}", "in"})


class Reader(Scanner):
    """Reads one text, complete command by complete command."""

    # ---- lines ----

    def line(self) -> tuple[Node, ...] | None:
        """The commands up to the next line's end outside of any construct; None at the end of the text."""
        self._blank(lines=True)
        if self.at >= len(self.text):
            return None
        nodes = self._list(until=frozenset(), stop_at_line=True)
        if self.at < len(self.text) and self.text[self.at] == ")":
            raise Unreadable("a bracket that closes nothing")
        return nodes

    def all(self) -> tuple[Node, ...]:
        """Every command of the text."""
        nodes: list[Node] = []
        while (line := self.line()) is not None:
            nodes += line
        return tuple(nodes)

    def until_bracket(self) -> tuple[Node, ...]:
        """The commands up to the `)` that closes a substitution, which is read too."""
        nodes = self._list(until=frozenset({")"}))
        self._expect(")")
        return nodes

    # ---- lists ----

    def _list(self, until: frozenset[str], *, stop_at_line: bool = False) -> tuple[Node, ...]:
        nodes: list[Node] = []
        maybe = False
        while True:
            self._blank(lines=not stop_at_line or maybe)
            if self.at >= len(self.text):
                if maybe or until:
                    raise Incomplete("it ends before the command does")
                return tuple(nodes)
            if self._ends(until):
                if maybe or not (nodes or ")" in until or ";;" in until):
                    raise Unreadable("a command is missing")
                return tuple(nodes)
            if stop_at_line and self.text[self.at] in "\n)":
                return self._line_end(nodes)
            node = self._pipeline()
            sign = self._separator(until)
            nodes.append(Chain(node, maybe, sign == "&"))
            maybe = sign in {"&&", "||"}
            if stop_at_line and not maybe:
                self._blank()
                if self.at >= len(self.text) or self.text[self.at] in "\n)":
                    return self._line_end(nodes)

    def _separator(self, until: frozenset[str]) -> str:
        """Step over what stands between two commands; empty at a line's end or a closing word."""
        self._blank()
        sign = self._peek("&&", "||", ";;", ";&", "&!", "&|", ";", "&") or ""
        if sign in {";;", ";&"}:
            if ";;" not in until:
                raise Unreadable("a case branch outside of case")
            return ""
        if sign in {"&!", "&|"}:
            raise Unreadable("& before ! or | is not read alike by all shells")
        if not sign and self.at < len(self.text) and self.text[self.at] not in "\n)":
            raise Unreadable(f"{self.text[self.at]!r} where a command ends")
        self.at += len(sign)
        return sign

    def _line_end(self, nodes: list[Node]) -> tuple[Node, ...]:
        if self.at < len(self.text) and self.text[self.at] == "\n":
            self._newline()
        elif self._heredocs:
            raise Incomplete("a here-document that does not end", tuple(doc[1] for doc in self._heredocs))
        return tuple(nodes)

    def _ends(self, until: frozenset[str]) -> bool:
        if self.text[self.at] == ")" and ")" in until:
            return True
        if ";;" in until and self._peek(";;", ";&"):
            return True
        word = self._keyword()
        return word in until

    def _pipeline(self) -> Node:
        while True:
            word = self._keyword()
            if word == "!":
                self.at += 1
            elif word == "time":
                self.keywords.append("time")
                self.at += 4
                while self._keyword() in {"-p", "--"}:
                    self.at += 2
            else:
                break
            self._blank()
        if self.at >= len(self.text) or self.text[self.at] in "\n;&)":
            if word in {None, ""} and self.keywords[-1:] == ["time"]:
                return Simple()
            raise Unreadable("a command is missing")
        parts = [self._command()]
        while True:
            self._blank()
            if not self._peek("|") or self._peek("||"):
                break
            self.at += 2 if self._peek("|&") else 1
            self._blank(lines=True)
            if self.at >= len(self.text):
                raise Incomplete("it ends before the command does")
            parts.append(self._command())
        return parts[0] if len(parts) == 1 else Pipeline(tuple(parts))

    # ---- commands ----

    def _command(self) -> Node:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise Unreadable("commands within commands too deep")
        try:
            self._blank()
            self._put_in_alias()
            if self._peek("(("):
                node = self._double_bracket_arithmetic()
                if node is not None:
                    return node
            if self._peek("("):
                self.at += 1
                body = self._list(until=frozenset({")"}))
                self._expect(")")
                if not body:
                    raise Unreadable("an empty subshell")
                return Compound("subshell", (body,), self._redirects())
            word = self._keyword()
            if word:
                special = self._reserved(word)
                if special is not None:
                    return special
            return self._simple()
        finally:
            self._nesting -= 1

    def _reserved(self, word: str) -> Node | None:
        if word in _CLOSERS and word != "in":
            raise Unreadable(f"{word} that belongs to nothing")
        handler = {
            "{": self._group,
            "if": self._if,
            "while": self._while,
            "until": self._while,
            "for": self._for,
            "select": self._for,
            "case": self._case,
            "function": self._function,
            "coproc": self._coproc,
            "[[": self._test,
        }.get(word)
        if handler is None:
            return None
        self.keywords.append(word)
        self.at += len(word)
        return handler()

    def _body(self, *until: str) -> tuple[Node, ...]:
        return self._list(until=frozenset(until))

    def _group(self) -> Node:
        body = self._body("}")
        self._take("}")
        return Compound("group", (body,), self._redirects())

    def _if(self) -> Node:
        parts = [self._body("then")]
        self._take("then")
        while True:
            parts.append(self._body("elif", "else", "fi"))
            word = self._keyword()
            self.at += len(word or "")
            if word == "elif":
                parts.append(self._body("then"))
                self._take("then")
            elif word == "else":
                parts.append(self._body("fi"))
                self._take("fi")
                break
            else:
                break
        return Compound("if", tuple(parts), self._redirects())

    def _do(self) -> tuple[Node, ...]:
        self._blank(lines=True)
        if self._keyword() == "{":
            self.at += 1
            body = self._body("}")
            self._take("}")
            return body
        self._take("do")
        body = self._body("done")
        self._take("done")
        return body

    def _while(self) -> Node:
        condition = self._body("do")
        return Compound("while", (condition, self._do()), self._redirects())

    def _for(self) -> Node:
        self._blank()
        if self._peek("(("):
            self.at += 2
            text = self._arithmetic_text("))")
            self._blank(lines=True)
            if self._peek(";"):
                self.at += 1
            body = self._do()
            return Evaluate((text,), body, self._redirects())
        name = self._keyword() or ""
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            raise Unreadable("for without a name")
        self.at += len(name)
        self._blank(lines=True)
        words: list[Word] | None = None
        if self._keyword() == "in":
            self.at += 2
            words = []
            while True:
                self._blank()
                if self.at >= len(self.text):
                    raise Incomplete("do is missing")
                if self.text[self.at] in ";\n":
                    break
                words.append(self._word())
        if self._peek(";"):
            self.at += 1
        body = self._do()
        return For(name, None if words is None else tuple(words), body, self._redirects())

    def _case(self) -> Node:
        self._blank()
        subject = self._word()
        self._take("in")
        items: list[tuple[tuple[Word, ...], tuple[Node, ...]]] = []
        while True:
            self._blank(lines=True)
            if self.at >= len(self.text):
                raise Incomplete("esac is missing")
            if self._keyword() == "esac":
                self.at += 4
                return Case(subject, tuple(items), self._redirects())
            patterns = self._patterns()
            body = self._list(until=frozenset({";;", "esac"}))
            items.append((patterns, body))
            sign = self._peek(";;&", ";;", ";&")
            self.at += len(sign or "")

    def _patterns(self) -> tuple[Word, ...]:
        self._blank()
        if self._peek("("):
            self.at += 1
        patterns = []
        while True:
            self._blank()
            patterns.append(self._word())
            self._blank()
            if self._peek("|"):
                self.at += 1
                continue
            self._expect(")")
            return tuple(patterns)

    def _function(self) -> Node:
        self._blank()
        word = self._word()
        name = word.bare
        if name is None:
            raise Unreadable("a function whose name is not known")
        self._blank()
        if self._peek("("):
            self.at += 1
            self._expect(")")
        return self._function_body(name)

    def _function_body(self, name: str) -> Node:
        self._blank(lines=True)
        if self.at >= len(self.text):
            raise Incomplete("the function's body is missing")
        return Function(name, self._command())

    def _coproc(self) -> Node:
        self._blank()
        saved = self.at
        name = self._keyword() or ""
        if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            self.at += len(name)
            self._blank()
            if self._peek("(") or self._keyword() in {"{", "if", "while", "until", "for", "case", "[["}:
                return Compound("subshell", ((self._command(),),))
            self.at = saved
        return Compound("subshell", ((self._command(),),))

    def _test(self) -> Node:
        """`[[ … ]]`: its words are expanded; some operators evaluate theirs as arithmetic."""
        words: list[Word] = []
        while True:
            self._blank(lines=True)
            if self.at >= len(self.text):
                raise Incomplete("]] is missing")
            if self._keyword() == "]]" or self._peek("]]"):
                self.at += 2
                return Evaluate(tuple(words), (), self._redirects())
            if self.text[self.at] in "()<>&|;!":
                self.at += 1
            else:
                words.append(self._word())

    def _double_bracket_arithmetic(self) -> Node | None:
        saved = self.at
        self.at += 2
        try:
            text = self._arithmetic_text("))")
        except Unreadable:
            self.at = saved
            return None
        return Evaluate((text,), (), self._redirects())

    def _arithmetic_text(self, end: str) -> Word:
        reader = WordReader(self.text, self.at, self.inner)
        word = reader.arithmetic(end)
        self.text, self.at = reader.text, reader.at
        return word

    # ---- simple commands ----

    def _put_in_alias(self) -> None:
        """Replace the bare word here by the alias of its name, as often as one applies."""
        for _ in range(20):
            match = NAME.match(self.text, self.at)
            if self.at >= self._alias_end:
                self._aliased = set()
            if match is None or match[0] not in self.aliases or match[0] in self._aliased:
                return
            value = self.aliases[match[0]]
            end = self.at + len(value)
            grown = len(value) - len(match[0])
            self._alias_end = max(end, self._alias_end + grown if self._aliased else end)
            self._aliased.add(match[0])
            self.text = self.text[: self.at] + value + self.text[match.end() :]
            if value.endswith((" ", "\t")):
                self._more_alias = end
            self._blank()

    _more_alias = -1

    def _word(self) -> Word:
        reader = WordReader(self.text, self.at, self.inner)
        word = reader.read()
        if reader.at == self.at:
            raise Unreadable(f"{self.text[self.at : self.at + 1]!r} where a word was expected")
        self.text, self.at = reader.text, reader.at
        return word

    def inner(self, text: str, at: int) -> tuple[tuple[Node, ...], str, int]:
        """Commands inside a word (`quoting.Commands`)."""
        reader = Reader(text, self.aliases, self._nesting + 1)
        if at < 0:
            return reader.all(), text, at
        reader.at = at
        return reader.until_bracket(), reader.text, reader.at

    def _simple(self) -> Node:
        command = Simple()
        while True:
            self._blank()
            if self.at >= len(self.text) or self.text[self.at] in "\n;|)":
                break
            redirect = self._redirect()
            if redirect is not None:
                command.redirects.append(redirect)
                continue
            if self.text[self.at] == "&":
                break
            if self.text[self.at] == "(":
                return self._definition(command)
            if not command.words and self._assignment(command):
                continue
            if command.words and self._more_alias >= 0 and self.at >= self._more_alias:
                self._more_alias = -1
                self._put_in_alias()
                continue
            if not command.words and (command.assignments or command.redirects):
                self._put_in_alias()
            command.words.append(self._word_or_array(command))
        if not command.words and not command.assignments and not command.redirects:
            raise Unreadable("a command is missing")
        return command

    def _word_or_array(self, command: Simple) -> Word:
        """A word; an argument such as `a=(…)` of `declare` becomes an assignment as well."""
        match = _ASSIGNMENT.match(self.text, self.at)
        if match and match[2] != "[" and self.text.startswith("(", match.end()):
            self._assignment(command)
            return Word((Literal(f"{match[0]}(", True),))
        return self._word()

    def _definition(self, command: Simple) -> Node:
        name = command.words[0].bare if len(command.words) == 1 else None
        if name is None or command.assignments or command.redirects:
            raise Unreadable("a bracket in the middle of a command")
        self.at += 1
        self._expect(")")
        return self._function_body(name)

    def _assignment(self, command: Simple) -> bool:
        match = _ASSIGNMENT.match(self.text, self.at)
        if match is None:
            return False
        index = None
        append = match[2] == "+="
        at = match.end()
        if match[2] == "[":
            reader = WordReader(self.text, at, self.inner)
            try:
                index = reader.arithmetic("]")
            except Unreadable:
                return False
            sign = re.compile(r"\+?=").match(reader.text, reader.at)
            if sign is None:
                return False
            self.text = reader.text
            append, at = sign[0] == "+=", sign.end()
        self.at = at
        if self._peek("("):
            self.at += 1
            values = []
            while True:
                self._blank(lines=True)
                if self.at >= len(self.text):
                    raise Incomplete(") is missing")
                if self._peek(")"):
                    self.at += 1
                    break
                values.append(self._word())
            command.assignments.append(Assignment(match[1], None, tuple(values), index, append))
            return True
        reader = WordReader(self.text, self.at, self.inner)
        value = reader.read()
        self.text, self.at = reader.text, reader.at
        command.assignments.append(Assignment(match[1], value, (), index, append))
        return True

    # ---- redirections ----

    def _redirects(self) -> tuple[Redirect, ...]:
        found: list[Redirect] = []
        while True:
            self._blank()
            redirect = self._redirect()
            if redirect is None:
                return tuple(found)
            found.append(redirect)

    def _redirect(self) -> Redirect | None:
        match = _REDIRECT.match(self.text, self.at)
        if match is None or self.text.startswith(("<(", ">("), match.start(2)):
            return None
        self.at = match.end()
        if self.text.startswith("!", self.at) and match[2] == ">":
            raise Unreadable(">! is not read alike by all shells")
        fd, operator = match[1].strip("{}"), match[2]
        self._blank()
        if self.at >= len(self.text) or (self.text[self.at] in "\n;&|()" and not self._peek("<(", ">(")):
            raise Unreadable("a redirection without a file")
        word = self._word()
        if operator not in {"<<", "<<-"}:
            return Redirect(operator, word, fd)
        end = "".join(part.text for part in word.parts if isinstance(part, Literal))
        if any(not isinstance(part, Literal) for part in word.parts):
            raise Unreadable("a here-document whose end is not known")
        quoted = any(isinstance(part, Literal) and part.quoted for part in word.parts)
        redirect = Redirect(operator, word, fd)
        self._heredocs.append((redirect, end, quoted, operator == "<<-"))
        return redirect
