"""Each program with its arguments: what it is, what it reads, and what it runs besides."""

from __future__ import annotations

from broker.gate.programs.arguments import QUIET
from broker.gate.programs.escapes import escapes
from broker.gate.programs.files import READERS, file_reads
from broker.gate.programs.findings import ASSIGNMENT, Findings, asks_only
from broker.gate.programs.hooks import hooks
from broker.gate.programs.interpreters import code_handler, filter_code, interpreter, interpreter_of
from broker.gate.programs.network import sends
from broker.gate.programs.output import filtered, printed
from broker.gate.programs.runners import HANDLERS
from broker.gate.programs.shells import OTHER_SHELLS, SHELLS, shell
from broker.gate.programs.sqlclients import CLIENTS, client
from broker.gate.programs.sqlite import SQLITES, sqlite
from broker.gate.programs.variables import check_variable
from broker.gate.programs.wrappers import env, su, unwrap, wrapper_of
from broker.gate.shell.builtins import BUILTINS
from broker.gate.shell.run import Flow, Runner
from broker.gate.shell.state import State
from broker.gate.text import basename, known, resolved
from broker.model.command import Deed

_MAKES_FILES = frozenset(
    {"cp", "ln", "install", "mv", "tee", "dd", "curl", "wget", "rsync", "link", "sponge", "mkfifo"}
)


def look(runner: Runner, name: str, args: list[str], state: State, flow: Flow) -> str | None:
    """Note the command and what it runs; its output, if that is known."""
    base = basename(name)
    findings = _find(base, args, state, flow)
    if not asks_only(args):
        hooks(base, args, findings)
    sending = sends(base, args, flow)
    if sending is not False:
        findings.does.add(Deed.SEND if sending else Deed.MAYBE_SEND)
    reads = findings.reads if findings.reads is not None else file_reads(base, args, state.folder)
    flow.writes += tuple(findings.writes)
    runner.emit(name, args, flow, reads=reads, does=findings.does, sql=findings.sql, listens=findings.listens)
    if findings.doubt is not None:
        runner.doubt(findings.doubt)
    if base in _MAKES_FILES:
        _made(runner, base, args, state, flow)
    return _run(runner, base, args, findings, state, flow)


def familiar(program: str) -> bool:
    """True if what the program does with its terminal is known: it reads no commands there but as `listens`
    says."""
    base = basename(program)
    return (
        not base
        or base in SHELLS | OTHER_SHELLS | QUIET | READERS | BUILTINS
        or base in {"env", "su", "runuser"}
        or base in HANDLERS
        or base in CLIENTS
        or base in SQLITES
        or wrapper_of(base) is not None
        or code_handler(base)
        or interpreter_of(base) is not None
    )


def _find(base: str, args: list[str], state: State, flow: Flow) -> Findings:
    if base in SHELLS or base in OTHER_SHELLS:
        return shell(base, args, state, flow)
    if base == "env":
        return env(args, state, flow)
    if base in {"su", "runuser"}:
        return su(base, args, state, flow)
    handler = HANDLERS.get(base)
    if handler is not None:
        return handler(base, args, state, flow) if not asks_only(args) else Findings(reads=[])
    wrapper = wrapper_of(base)
    if wrapper is not None:
        return unwrap(base, wrapper, args, state, flow)
    if base in SQLITES:
        return sqlite(base, args, state, flow)
    if base in CLIENTS:
        return client(base, args, state, flow)
    if code_handler(base):
        return filter_code(base, args, state, flow)
    if interpreter_of(base) is not None:
        return interpreter(base, args, state, flow)
    return escapes(base, args, flow)


def _run(
    runner: Runner, base: str, args: list[str], findings: Findings, state: State, flow: Flow
) -> str | None:
    inside = state
    if findings.assigns or findings.texts:
        inside = state.child()
    for assignment in findings.assigns:
        match = ASSIGNMENT.match(assignment)
        if match:
            value = assignment[match.end() :]
            inside.assign(match[1], value)
            check_variable(runner, match[1], value, inside, kept=False)
    for _, inner in findings.commands:
        inner.content = inner.content or flow.content
    outputs = [runner.command(argv, inside, inner, external=True) for argv, inner in findings.commands]
    for text, stdin in findings.texts:
        shell_state = inside.child()
        shell_state.zero, shell_state.positional = findings.zero, findings.positional
        outputs.append(runner.nested(text, shell_state, stdin))
    if findings.captures:
        return outputs[0] if len(outputs) == 1 and flow.captured else None
    if base in {"which", "type"} and len(args) == 1 and known(args[0]):
        return f"/usr/bin/{basename(args[0])}\n"
    if base in {"whoami", "logname"} and not args:
        return "user\n"
    shown = printed(base, args)
    return shown if shown is not None else filtered(base, args, flow.stdin.rest)


def _made(runner: Runner, base: str, args: list[str], state: State, flow: Flow) -> None:
    """A copy or link of a program is the program under another name."""
    operands = [arg for arg in args if not arg.startswith("-")]
    for arg in operands[1:] if base in {"cp", "ln", "install", "mv", "rsync", "link"} else operands:
        if base in {"cp", "ln", "install", "mv", "rsync", "link"} and arg is not operands[-1]:
            continue
        target = arg.partition("=")[2] if base == "dd" and arg.startswith("of=") else arg
        if known(target):
            runner.written(resolved(target, state.folder), state)
            if base in {"tee", "sponge", "dd"} and flow.stdin.rest is not None:
                state.written[resolved(target, state.folder)] = flow.stdin.rest
    if base in {"cp", "ln", "install", "mv", "link"} and len(operands) > 1:
        _copied(operands, state)


def _copied(operands: list[str], state: State) -> None:
    """`cp /bin/rm x`: from now on `x` is rm."""
    target = operands[-1]
    for source in operands[:-1]:
        if not known(source) or not known(target):
            continue
        if target.endswith(("/", "/.")) or target in {".", ".."}:
            state.created |= {basename(source)}
        else:
            state.copies[basename(target)] = state.copies.get(basename(source), basename(source))
