"""What commands would do: the tree is walked as the shell would run it, and nothing is run.

Every branch is taken. What is not known stays unknown; what could be anything at all is a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from broker.gate.shell.expand import Expander
from broker.gate.shell.quoting import WordReader
from broker.gate.shell.reader import Reader
from broker.gate.shell.state import MAX_VALUE, Input, State
from broker.gate.shell.tree import (
    Assignment,
    Case,
    Chain,
    Compound,
    Evaluate,
    For,
    Function,
    Node,
    Parameter,
    Pipeline,
    Redirect,
    Simple,
    Word,
)
from broker.gate.text import ANY, ONE, WORDS, Unreadable, basename, known, names, resolved, shown
from broker.model.command import Deed, FileRead, SimpleCommand, SqlText

MAX_COMMANDS = 2000
MAX_DEPTH = 30
_ROUNDS = 64
_HARMLESS_FILES = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty"})
_NETWORK = ("/dev/tcp/", "/dev/udp/")
_STARTUP = re.compile(
    r"(?:^|/)(?:\.(?:bash|zsh|ksh|csh|tcsh|login|profile|inputrc|vimrc|exrc|emacs|gitconfig|screenrc|tmux)"
    r"|authorized_keys|config\.fish)|/\.git/(?:hooks/|config)|^/etc/(?:profile|cron|bash|zsh|sudoers|init|systemd"
    r"|ld\.so)|^/var/spool/cron|/systemd/user/|^/proc/sys/kernel/core_pattern"
)
"""Files whose content runs later without being named."""


_ARGUMENTS = frozenset("@*123456789")
_SHOW = names(
    """cat tac head tail zcat bzcat xzcat nl od hexdump xxd hd strings cut paste rev base64 base32 basenc
    uuencode gzip bzip2 xz zstd tar zip openssl gpg dd sort uniq fold column tr awk gawk mawk sed grep
    egrep fgrep jq"""
)
"""Programs that print what a file holds, or what they make of it."""


def _shows_content(command: SimpleCommand) -> bool:
    return bool(command.reads) and (not command.program or basename(command.program) in _SHOW)


def _joined(outputs: list[str | None]) -> str | None:
    """The outputs one after the other. What is not known of them is a line of its own among the others."""
    if all(text is None for text in outputs):
        return None if outputs else ""
    return "".join(f"{ANY}\n" if text is None else text for text in outputs)


def _names(word: Word) -> frozenset[str]:
    """Variables whose values stand in the word."""
    found: set[str] = set()
    for part in word.parts:
        if isinstance(part, Parameter):
            found.add(part.name)
            if part.operand is not None:
                found |= _names(part.operand)
    return frozenset(found)


@dataclass(slots=True)
class Flow:
    """Where a command's data comes from and goes to."""

    stdin: Input
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    does: frozenset[Deed] = frozenset()
    captured: bool = True
    """Its output goes where the caller looks, not to a file."""
    file: str | None = None
    """The file that its output goes to."""
    appends: bool = False
    content: bool = False
    """Some argument holds what a file holds."""


@dataclass(slots=True)
class Runner:
    """Collects what a line runs. `programs` looks into what each program does with its arguments."""

    look: Callable[[Runner, str, list[str], State, Flow], str | None]
    builtin: Callable[[Runner, list[str], State, Flow], tuple[bool, str | None]]
    commands: list[SimpleCommand] = field(default_factory=list)
    opaque: str | None = None
    keywords: list[str] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    """Words that stood where a command's name stands."""
    depth: int = 0
    steps: int = 0

    # ---- results ----

    def doubt(self, reason: str) -> None:
        """More could run than is known. The first reason is kept."""
        self.opaque = self.opaque or shown(reason)

    def emit(
        self,
        program: str,
        args: Iterable[str] = (),
        flow: Flow | None = None,
        *,
        reads: Iterable[FileRead] = (),
        sets: Iterable[str] = (),
        does: Iterable[Deed] = (),
        sql: Iterable[SqlText] = (),
        listens: str = "",
    ) -> None:
        """Note a command."""
        if len(self.commands) >= MAX_COMMANDS:
            raise Unreadable("too many commands")
        deeds = frozenset(does) | (flow.does if flow else frozenset())
        own = tuple(FileRead(path) for path in flow.reads) if flow else ()
        command = SimpleCommand(
            program,
            tuple(args),
            flow.writes if flow else (),
            own + tuple(reads),
            tuple(sets),
            deeds,
            tuple(sql),
            listens,
        )
        self.commands.append(command)

    # ---- texts ----

    def text(self, text: str, state: State, stdin: Input | None = None) -> str | None:
        """Run a text as the shell `state` would. What cannot be read is a doubt."""
        if not known(text):
            self._partly(text, state, stdin)
            return None
        reader = Reader(text, state.aliases)
        outputs: list[str | None] = []
        try:
            while True:
                reader.aliases = {name: value for name, value in state.aliases.items() if known(value)}
                nodes = reader.line()
                if nodes is None:
                    break
                outputs.append(self.nodes(nodes, state, stdin or Input(terminal=True)))
        except Unreadable as error:
            self.doubt(str(error))
            return None
        finally:
            self.keywords += reader.keywords
        return None if None in outputs else "".join(text for text in outputs if text is not None)

    def _partly(self, text: str, state: State, stdin: Input | None) -> None:
        """A text that is not wholly known: a doubt, but what can be read of it is noted."""
        self.doubt("the text a shell is to run is not known")
        whole = text.replace(WORDS, ANY)
        for line in re.split(r"[;\n]|&&|\|\|", whole):
            if line.strip() and known(line):
                self.text(line, state, stdin)

    def nested(self, text: str, state: State, stdin: Input | None = None) -> str | None:
        """As `text`, one level deeper. Raises Unreadable if that is too deep."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.depth -= 1
            raise Unreadable("commands within commands too deep")
        try:
            return self.text(text, state, stdin)
        finally:
            self.depth -= 1

    def expander(self, state: State) -> Expander:
        return Expander(state, self._substitute, self.arithmetic)

    def _substitute(self, body: tuple[Node, ...], state: State) -> str | None:
        return self.nodes(body, state, Input(terminal=True))

    def arithmetic(self, text: str, state: State, rounds: int = 0) -> None:
        """What an arithmetic evaluation of the text runs: substitutions in it and in the variables named."""
        if rounds > 4:
            return
        if "$(" in text or "`" in text:
            try:
                word = WordReader(text.replace(ANY, ""), 0, Reader("", state.aliases).inner).document()
                self.expander(state).single(word)
            except Unreadable as error:
                self.doubt(str(error))
        found = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))
        if len(found) > 100:
            self.doubt("an arithmetic of more names than are followed")
            return
        for name in found:
            value = state.variables.get(name)
            if value is not None and value != text and ("[" in value or known(value)):
                self.arithmetic(value, state, rounds + 1)

    # ---- nodes ----

    def nodes(self, nodes: Iterable[Node], state: State, stdin: Input) -> str | None:
        """Run one after the other; their output, or None if it is not known."""
        return _joined([self.node(node, state, stdin) for node in nodes])

    def node(self, node: Node, state: State, stdin: Input) -> str | None:
        self.steps += 1
        if self.steps > 4 * MAX_COMMANDS:
            raise Unreadable("too many commands")
        if isinstance(node, Simple):
            return self._simple(node, state, stdin)
        if isinstance(node, Chain):
            return self._chain(node, state, stdin)
        if isinstance(node, Pipeline):
            return self._pipeline(node, state, stdin)
        if isinstance(node, Function):
            state.functions[node.name] = (node.body,)
            self.emit("", sets=[f"{node.name}()"])
            return ""
        before = state.copy()
        flow = self._flow(node.redirects, state, stdin)
        if flow.writes or flow.reads or flow.does:
            self.emit("", (), flow)
        output = self._compound(node, state, flow.stdin, before)
        self._keep(flow, output, state)
        return output if flow.captured else ""

    def _compound(
        self, node: Compound | For | Case | Evaluate, state: State, stdin: Input, before: State
    ) -> str | None:
        if isinstance(node, For):
            return self._for(node, state, stdin)
        if isinstance(node, Case):
            return self._case(node, state, stdin)
        if isinstance(node, Evaluate):
            self._evaluate(node, state, stdin)
            return ""
        if node.kind == "subshell":
            return self.nodes(node.parts[0], state.copy(), stdin)
        if node.kind == "group":
            return self.nodes(node.parts[0], state, stdin)
        if node.kind == "while":
            self._while(node, state, stdin)
            return None
        self.nodes(node.parts[0], state, stdin)
        base = state.copy()
        for part in node.parts[1:]:
            branch = base.copy()
            self.nodes(part, branch, stdin)
            state.merge(branch)
        return None

    def _chain(self, node: Chain, state: State, stdin: Input) -> str | None:
        if node.background:
            self.node(node.node, state.copy(), Input())
            return None
        if not node.maybe:
            return self.node(node.node, state, stdin)
        before = state.copy()
        self.node(node.node, state, stdin)
        kept = {name: value for name, value in state.variables.items() if name not in before.variables}
        state.merge(before)
        state.variables.update(kept)
        return None

    def _pipeline(self, node: Pipeline, state: State, stdin: Input) -> str | None:
        output: str | None = None
        source = stdin
        for part in node.parts:
            before = len(self.commands)
            inner = state.copy()
            output = self.node(part, inner, source)
            state.written, state.copies = inner.written, inner.copies
            content = source.content or any(_shows_content(one) for one in self.commands[before:])
            source = Input(output, content=content)
        return output

    def _while(self, node: Compound, state: State, stdin: Input) -> None:
        before = state.copy()
        for _ in range(_ROUNDS):
            place = stdin.at
            for part in node.parts:
                self.nodes(part, state, stdin)
            if stdin.at == place or stdin.text is None or stdin.at >= len(stdin.text):
                break
        else:
            self.doubt("a loop over more lines than are followed")
        self._again(node.parts, state, before, stdin)

    def _again(self, parts: Iterable[tuple[Node, ...]], state: State, before: State, stdin: Input) -> None:
        """A second round of a loop with what the first one made uncertain."""
        changed = state.variables != before.variables or state.arrays != before.arrays
        state.merge(before)
        if changed and stdin.text is None:
            for part in parts:
                self.nodes(part, state, stdin)

    def _for(self, node: For, state: State, stdin: Input) -> str | None:
        expander = self.expander(state)
        began = len(self.commands)
        if node.words is None:
            values = list(state.positional)
        else:
            values = [field for word in node.words for field in expander.fields(word)]
        self._mark(node.name, node.words or (), began, state)
        before = state.copy()
        outputs: list[str | None] = []
        for value in values[:_ROUNDS]:
            state.assign(node.name, value.replace(WORDS, ANY))
            outputs.append(self.nodes(node.body, state, stdin))
        before.variables[node.name] = state.variables.get(node.name, ANY)
        if len(values) > _ROUNDS:
            state.forget(node.name)
            self.nodes(node.body, state, stdin)
        self._again((node.body,), state, before, stdin)
        known_all = bool(outputs) and len(values) <= _ROUNDS and None not in outputs
        return "".join(text for text in outputs if text is not None) if known_all else None

    def _case(self, node: Case, state: State, stdin: Input) -> str | None:
        expander = self.expander(state)
        expander.single(node.subject)
        base = state.copy()
        for patterns, body in node.items:
            for pattern in patterns:
                expander.single(pattern)
            branch = base.copy()
            self.nodes(body, branch, stdin)
            state.merge(branch)
        return None

    def _evaluate(self, node: Evaluate, state: State, stdin: Input) -> None:
        expander = self.expander(state)
        arithmetic = node.body or len(node.words) == 1
        for word in node.words:
            text = expander.single(word)
            if arithmetic or "[" in text:
                self.arithmetic(text, state)
        if node.body:
            before = state.copy()
            self.nodes(node.body, state, stdin)
            self._again((node.body,), state, before, stdin)

    # ---- simple commands ----

    def _simple(self, node: Simple, state: State, stdin: Input) -> str | None:
        expander = self.expander(state)
        began = len(self.commands)
        argv = [field for word in node.words for field in expander.fields(word)]
        content = self._holds_content(node.words, began, state)
        flow = self._flow(node.redirects, state, stdin)
        flow.content = content
        values = [self._assigned(item, state) for item in node.assignments]
        if not argv:
            for item, value in zip(node.assignments, values, strict=True):
                self._assign(item, value, state)
            if values or flow.writes or flow.reads or flow.does:
                self.emit("", (), flow, sets=[item.name for item in node.assignments])
            return flow.stdin.rest if flow.reads and not values else ""
        declaring = argv[0] in {"declare", "typeset", "local", "export", "readonly"}
        saved: dict[str, str | None] = {}
        for item, value in zip(node.assignments, values, strict=True):
            if not declaring:
                saved[item.name] = state.variables.get(item.name)
            self._assign(item, value, state, kept=declaring)
        if node.assignments:
            self.emit("", sets=[item.name for item in node.assignments])
        output = self.command(argv, state, flow)
        self._keep(flow, output, state)
        for name, old in saved.items():
            if old is None:
                state.variables.pop(name, None)
            else:
                state.variables[name] = old
        return output if flow.captured else ""

    def _keep(self, flow: Flow, output: str | None, state: State) -> None:
        """Remember what goes into a file."""
        if flow.file is None:
            return
        before = state.written.get(flow.file, "") if flow.appends else ""
        if output is not None and len(before) + len(output) <= MAX_VALUE:
            state.written[flow.file] = before + output
        else:
            state.written.pop(flow.file, None)

    def _holds_content(self, words: Iterable[Word], began: int, state: State) -> bool:
        """True if the words hold what a file holds: by a substitution, which ran the commands since `began`,
        or by a variable."""
        if any(_shows_content(command) for command in self.commands[began:]):
            return True
        return bool(state.content) and any(_names(word) & state.content for word in words)

    def _mark(self, name: str, words: Iterable[Word], began: int, state: State) -> None:
        """A variable got its value from the words."""
        if self._holds_content(words, began, state):
            state.content |= {name}
        else:
            state.content -= {name}

    def _assigned(self, item: Assignment, state: State) -> str | tuple[str, ...]:
        expander = self.expander(state)
        if item.index is not None:
            self.arithmetic(expander.single(item.index), state)
        began = len(self.commands)
        value: str | tuple[str, ...]
        if item.value is not None:
            value = expander.single(item.value)
        else:
            value = tuple(field for word in item.values for field in expander.fields(word))
        self._mark(item.name, item.values if item.value is None else (item.value,), began, state)
        return value

    def _assign(
        self, item: Assignment, value: str | tuple[str, ...], state: State, *, kept: bool = True
    ) -> None:
        from broker.gate.programs.variables import check_variable

        old = state.variables.get(item.name, ANY)
        if isinstance(value, tuple):
            if any(text.startswith(("[", ONE)) and "=" in text for text in value):
                value = (WORDS,)  # elements by their index
            before = state.arrays.get(item.name, ()) if item.append else ()
            state.arrays[item.name] = before + value
            for text in value:
                check_variable(self, item.name, text, state, kept=kept)
            return
        if item.index is not None:
            state.arrays[item.name] = (WORDS,)
        else:
            state.assign(item.name, old + value if item.append else value)
        check_variable(self, item.name, value, state, kept=kept)

    def command(self, argv: list[str], state: State, flow: Flow, *, external: bool = False) -> str | None:
        """Run a command with its arguments. `external`: by a program, which knows no functions."""
        self.steps += 1
        if self.steps > 4 * MAX_COMMANDS:
            raise Unreadable("too many commands")
        if not argv:
            return ""
        name, args = argv[0], argv[1:]
        self.words.add(name)
        if not known(name):
            self.emit(name, args, flow)
            self.doubt("the program's name is not known")
            return None
        if not external and name in state.functions:
            return self._call(name, args, state, flow)
        if not name or (name in {".", "./", "/"} and not args):
            self.emit(name, args, flow)
            return ""
        if not external and "/" not in name:
            done, output = self.builtin(self, argv, state, flow)
            if done:
                return output
        if basename(name) in state.created:
            self._made_here(name, args, state, flow)
        if "command_not_found_handle" in state.functions and not external:
            self._call("command_not_found_handle", argv, state, flow)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.depth -= 1
            raise Unreadable("commands within commands too deep")
        try:
            return self.look(self, name, args, state, flow)
        finally:
            self.depth -= 1

    def _made_here(self, name: str, args: list[str], state: State, flow: Flow) -> None:
        """A program that these lines have made: a copy of another, or a script."""
        self.doubt(f"{name} was made by these very lines")
        original = state.copies.get(basename(name))
        text = state.written.get(resolved(name, state.folder))
        if original is not None and original != basename(name):
            self.look(self, original, args, state, Flow(flow.stdin, content=flow.content))
        elif text is not None:
            inner = state.child()
            inner.zero, inner.positional = name, tuple(args)
            self.nested(text, inner, flow.stdin)

    def _call(self, name: str, args: list[str], state: State, flow: Flow) -> str | None:
        """A function: its bodies, with the arguments."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.depth -= 1
            raise Unreadable("a function that calls itself")
        saved = state.positional
        state.positional = tuple(args)
        if flow.content:
            state.content |= _ARGUMENTS
        outputs: list[str | None] = []
        try:
            bodies = state.functions.pop(name)
            try:
                outputs = [self.node(body, state, flow.stdin) for body in bodies]
            finally:
                state.functions.setdefault(name, bodies)
        finally:
            state.positional = saved
            self.depth -= 1
        if flow.writes or flow.reads or flow.does:
            self.emit("", (), flow)
        return outputs[0] if len(outputs) == 1 else None

    # ---- redirections ----

    def _flow(self, redirects: Iterable[Redirect], state: State, stdin: Input) -> Flow:
        flow = Flow(stdin)
        for redirect in redirects:
            self._redirect(redirect, state, flow)
        return flow

    def _redirect(self, redirect: Redirect, state: State, flow: Flow) -> None:
        operator, fd = redirect.operator, redirect.fd
        target = self._target(redirect.target, state) if operator not in {"<<", "<<-", "<<<"} else ""
        if operator in {"<<", "<<-", "<<<"}:
            text = self.expander(state).single(redirect.target)
            self._source(fd or "0", text + ("\n" if operator == "<<<" else ""), state, flow)
            return
        path = resolved(target, state.folder)
        if path.startswith(_NETWORK):
            flow.does |= {Deed.SEND}
            self._source(fd or "0", None, state, flow)
            if ">" in operator and fd in {"", "1"}:
                flow.captured = False
            return
        if operator in {"<&", ">&"} and re.fullmatch(r"[0-9]*-?", target):
            self._copied(fd, operator, target.rstrip("-"), state, flow)
            return
        if operator in {"<", "<>", "<&"}:
            if path.startswith("/dev/fd/") or path == "/dev/stdin":
                content = state.files.get(path) if path in state.files else None
            elif path == "/dev/tty" and fd in {"", "0"}:
                flow.stdin = Input(terminal=True)
                return
            else:
                content = "" if path == "/dev/null" else None
                flow.reads += (path,)
            self._source(fd or "0", content, state, flow)
            flow.stdin.content = flow.stdin.content or path != "/dev/null"
            if operator != "<>":
                return
        if fd in {"", "1"} and operator != "<>":
            flow.captured = False
            flow.file, flow.appends = path, operator in {">>", "&>>"}
        if path not in _HARMLESS_FILES and not path.startswith("/dev/fd/"):
            self.written(target, state)
            flow.writes += (target,)

    def _copied(self, fd: str, operator: str, source: str, state: State, flow: Flow) -> None:
        if operator == "<&" and (fd or "0") == "0":
            flow.stdin = Input(state.files.get(f"/dev/fd/{source}"))
        elif operator == ">&" and (fd or "1") == "1" and source:
            flow.captured = flow.captured and source == "1"

    def _source(self, fd: str, content: str | None, state: State, flow: Flow) -> None:
        state.files[f"/dev/fd/{fd}"] = content
        if fd == "0":
            flow.stdin = Input(content)

    def _target(self, word: Word, state: State) -> str:
        found = self.expander(state).fields(word)
        return found[0] if len(found) == 1 else ANY

    def written(self, path: str, state: State) -> None:
        """A file that the line writes: it may be run by its name later on, or by itself."""
        if known(path):
            state.created |= {basename(path)}
        if _STARTUP.search(resolved(path, state.folder)):
            self.doubt("a file is written that other programs run")
