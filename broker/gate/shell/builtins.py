"""What the shell's own commands do to the shell, and what they run."""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.gate.programs.variables import check_variable
from broker.gate.shell.run import Flow, Runner
from broker.gate.shell.state import Input, State
from broker.gate.text import ANY, WORDS, basename, known, names, resolved

Builtin = Callable[[Runner, list[str], State, Flow], str | None]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SILENT = names(""": true false exit return break continue umask ulimit wait times logout suspend disown""")


def builtin(runner: Runner, argv: list[str], state: State, flow: Flow) -> tuple[bool, str | None]:
    """Run it if it is one: (True, its output)."""
    name, args = argv[0], argv[1:]
    if name in _SILENT:
        runner.emit(name, args, flow)
        for arg in args:
            runner.arithmetic(arg, state)
        return True, ""
    handler = _BUILTINS.get(name)
    if handler is None:
        return False, None
    if name not in {"exec", "command", "builtin", "trap", "eval", "source", "."}:
        runner.emit(name, args, flow)
    return True, handler(runner, args, state, flow)


def _eval(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    runner.emit("eval", args, flow)
    while args[:1] == ["eval"] or args[:1] == ["--"]:
        args = args[1:]
    return runner.nested(" ".join(args), state, flow.stdin)


def _source(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    if args[:1] == ["--"]:
        args = args[1:]
    from broker.gate.programs.files import file_reads

    runner.emit("source", args, flow, reads=file_reads("source", args[:1], state.folder))
    if not args:
        return ""
    text = state.files.get(args[0]) if known(args[0]) else None
    if args[0] == "/dev/stdin":
        text = flow.stdin.rest
    if text is None:
        runner.doubt("a file is run whose text is not on the line")
        text = state.written.get(resolved(args[0], state.folder))
        return None if text is None else runner.nested(text, state, flow.stdin)
    return runner.nested(text, state, flow.stdin)


def _exec(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    runner.emit("exec", args, flow)
    at = 0
    while at < len(args) and re.fullmatch(r"-[cla]+", args[at]):
        at += 2 if args[at].endswith("a") else 1
    if args[at : at + 1] == ["--"]:
        at += 1
    inner = args[at:]
    flow = Flow(flow.stdin)
    return runner.command(inner, state, flow, external=True) if inner else ""


def _command(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    runner.emit("command", args, flow)
    at, looks = 0, False
    while at < len(args) and re.fullmatch(r"-[pvV]+", args[at]):
        looks = looks or "v" in args[at].lower()
        at += 1
    if args[at : at + 1] == ["--"]:
        at += 1
    inner = args[at:]
    if looks:
        return inner[0] + "\n" if inner and known(inner[0]) else None
    return _without_functions(runner, inner, state, flow)


def _builtin(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    runner.emit("builtin", args, flow)
    return _without_functions(runner, args[1:] if args[:1] == ["--"] else args, state, flow)


def _without_functions(runner: Runner, inner: list[str], state: State, flow: Flow) -> str | None:
    if not inner:
        return ""
    plain = Flow(flow.stdin, captured=flow.captured)
    if known(inner[0]) and "/" not in inner[0]:
        done, output = builtin(runner, inner, state, plain)
        if done:
            return output
    return runner.command(inner, state, plain, external=True)


def _trap(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    runner.emit("trap", args, flow)
    if args[:1] == ["--"]:
        args = args[1:]
    if len(args) > 1 and args[0] not in {"-", "-p", "-l"}:
        runner.nested(args[0], state.copy(), Input())
        if known(args[0]) and args[0] and any(arg in {"DEBUG", "ERR", "RETURN"} for arg in args[1:]):
            state.hooks += (args[0],)
    return ""


def _alias(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    for arg in args:
        name, equals, value = arg.partition("=")
        if equals and known(name):
            state.aliases[name] = value
            if not known(value):
                state.functions[name] = ()
                _unknown_alias(runner, name, state)
    return "" if args else None


def _unknown_alias(runner: Runner, name: str, state: State) -> None:
    """An alias whose text is not known is taken for a function that nobody knows."""
    state.functions.pop(name)
    state.created |= {name}


def _unalias(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    for arg in args:
        if arg == "-a":
            state.aliases.clear()
        state.aliases.pop(arg, None)
    return ""


def _declare(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    """export, declare, typeset, local, readonly: their values were expanded already."""
    fold = next(
        (letter for arg in args if re.match(r"-[a-zA-Z]+", arg) for letter in arg[1:] if letter in "lucni"),
        None,
    )
    for arg in args:
        if arg.startswith("-") and "n" in arg:
            runner.doubt("a variable that stands for another")
        plain_name = arg.partition("=")[0]
        if fold is not None and _NAME.match(plain_name):
            state.folded[plain_name] = fold
        name, equals, value = arg.partition("=")
        if "[" in name:
            runner.arithmetic(name, state)
        elif equals and not value.startswith("(") and _NAME.match(name.rstrip("+")):
            plain = name.rstrip("+")
            state.assign(plain, state.variables.get(plain, ANY) + value if name.endswith("+") else value)
            check_variable(runner, plain, value, state, kept=True)
        elif (equals and not known(name)) or (
            not equals and not known(arg) and any(sign in arg for sign in (ANY, WORDS))
        ):
            runner.doubt("the name of a variable is not known")
    return ""


def _read(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    names: list[str] = []
    array, at = None, 0
    while at < len(args):
        arg = args[at]
        if re.fullmatch(r"-[A-Za-z]+", arg) and not names:
            if arg[-1] in "dinNptua":
                at += 1
                if arg[-1] == "a" and at < len(args):
                    array = args[at]
        else:
            names.append(arg)
        at += 1
    for name in names:
        runner.arithmetic(name, state)
    if flow.stdin.content:
        state.content |= frozenset(names or ["REPLY"])
    plain = all(re.fullmatch(r"-r|[A-Za-z_].*", arg) for arg in args)
    line = flow.stdin.line()
    _fill(names or ["REPLY"], line if plain or array else None, state)
    if array is not None:
        state.arrays[array] = (WORDS,) if line is None else tuple(line.split())
    return ""


def _fill(names: list[str], line: str | None, state: State) -> None:
    separators = state.ifs()
    if (
        line is None
        or not known(line)
        or "\\" in line
        or separators is None
        or (separators.strip() and len(names) > 1)
    ):
        for name in names:
            if _NAME.match(name):
                state.forget(name)
        return
    pieces = line.strip().split(None, len(names) - 1) if len(names) > 1 else [line.strip()]
    for index, name in enumerate(names):
        if _NAME.match(name):
            state.assign(name, pieces[index] if index < len(pieces) else "")


def _mapfile(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    name, at = "MAPFILE", 0
    while at < len(args):
        if re.match(r"-[dnOsuCc]", args[at]):
            value = args[at][2:] or (args[at + 1] if at + 1 < len(args) else "")
            if args[at].startswith("-C"):
                runner.nested(value, state.copy(), Input())
            at += 1 if args[at][2:] else 2
        elif args[at].startswith("-"):
            if "C" in args[at]:
                runner.doubt("mapfile runs what is not known")
            at += 1
        else:
            name = args[at]
            at += 1
    runner.arithmetic(name, state)
    text = flow.stdin.rest
    state.arrays[name] = (WORDS,) if text is None or not known(text) else tuple(text.splitlines())
    state.variables.pop(name, None)
    return ""


def _set(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    at = 0
    while at < len(args) and re.match(r"[-+].", args[at]) and args[at] != "--":
        at += 2 if args[at][-1] == "o" else 1
    if at < len(args) or "--" in args:
        state.positional = tuple(args[at + 1 :] if args[at : at + 1] in (["--"], ["-"]) else args[at:])
    return "" if args else None


def _shift(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    count = int(args[0]) if args and args[0].isdecimal() else 1
    state.positional = state.positional[count:] if not args or args[0].isdecimal() else (WORDS,)
    return ""


def _cd(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    operands = [arg for arg in args if not re.match(r"-[A-Za-z@]", arg)]
    old = state.folder
    if not operands:
        state.folder = state.variables.get("HOME", ANY)
    elif operands[0] == "-":
        state.folder = state.variables.get("OLDPWD", ANY)
    else:
        state.folder = resolved(operands[0].replace(WORDS, ANY), old) or "/"
    state.variables["OLDPWD"] = old
    return ""


def _popd(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    state.folder = ANY
    return None


def _test(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    for arg in args:
        if "[" in arg and ("$(" in arg or "`" in arg):
            runner.arithmetic(arg, state)
    return ""


def _let(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    for arg in args:
        runner.arithmetic(arg, state)
        name = re.match(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*[-+*/%&|^<>]*=", arg)
        if name:
            state.forget(name[1])
    return ""


def _getopts(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    for name in [*args[1:2], "OPTARG"]:
        state.forget(name)
    return ""


def _unset(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    for arg in args:
        runner.arithmetic(arg, state)
        if known(arg):
            state.forget(arg)
            if "-v" not in args:
                state.functions.pop(arg, None)
    return ""


def _hash(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    if "-p" in args:
        at = args.index("-p")
        state.created |= {basename(arg) for arg in args[at + 2 :]}
        if len(args) > at + 2 and known(args[at + 1]):
            state.copies |= {basename(arg): basename(args[at + 1]) for arg in args[at + 2 :]}
    return None


def _enable(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    if any(re.match(r"-[a-z]*f", arg) for arg in args):
        runner.doubt("a builtin is loaded from a file")
    return None


def _complete(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    """complete, compgen: `-C` runs a command, `-F` a function, `-W` expands its words."""
    for index, arg in enumerate(args[:-1]):
        if re.match(r"-[a-z]*C\Z", arg):
            runner.nested(args[index + 1], state.copy(), Input())
        elif arg in {"-W", "-P", "-S"}:
            runner.arithmetic(args[index + 1], state.copy())
        elif arg == "-F" and args[index + 1] in state.functions:
            runner.command([args[index + 1]], state.copy(), Flow(Input()))
    for arg in args:
        if re.match(r"-C.", arg):
            runner.nested(arg[2:], state.copy(), Input())
    return None


def _bind(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    if not args or all(re.fullmatch(r"-[lpPsSvVX]+", arg) for arg in args):
        return None
    runner.doubt("keys get another meaning")
    return None


def _fc(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    if not any(re.match(r"-[a-z]*l", arg) for arg in args):
        runner.doubt("lines of the history are run again")
    return None


def _jobs(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    if args[:1] == ["-x"]:
        runner.command(args[1:], state, Flow(flow.stdin))
    return None


def _shopt(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    return "" if args else None


def _printf(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    from broker.gate.programs.output import printf_output

    if args[:1] == ["-v"] and len(args) > 2:
        name = args[1]
        runner.arithmetic(name, state)
        value = printf_output(args[2:])
        if _NAME.match(name):
            state.assign(name, ANY if value is None else value)
        else:
            base = name.partition("[")[0]
            if "[" in name and _NAME.match(base):
                state.arrays[base] = (WORDS,)
            else:
                runner.doubt("the name of a variable is not known")
        return ""
    for arg in args[1:]:
        if "$(" in arg and "[" in arg:
            runner.arithmetic(arg, state)
    return printf_output(args)


def _echo(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    from broker.gate.programs.output import echo_output

    return echo_output(args)


def _pwd(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    return state.folder + "\n"


def _unknown(runner: Runner, args: list[str], state: State, flow: Flow) -> str | None:
    return None


_BUILTINS: dict[str, Builtin] = {
    "eval": _eval, "source": _source, ".": _source, "exec": _exec, "command": _command, "builtin": _builtin,
    "trap": _trap, "alias": _alias, "unalias": _unalias, "export": _declare, "declare": _declare,
    "typeset": _declare, "local": _declare, "readonly": _declare, "read": _read, "mapfile": _mapfile,
    "readarray": _mapfile, "set": _set, "shift": _shift, "cd": _cd, "pushd": _cd, "popd": _popd,
    "test": _test, "[": _test, "let": _let, "getopts": _getopts, "unset": _unset, "hash": _hash,
    "enable": _enable, "complete": _complete, "compgen": _complete, "compopt": _complete, "bind": _bind,
    "fc": _fc, "jobs": _jobs, "shopt": _shopt, "printf": _printf, "echo": _echo, "pwd": _pwd,
    "type": _unknown, "history": _unknown, "dirs": _unknown, "bg": _unknown, "fg": _unknown,
    "help": _unknown, "kill": _unknown, "caller": _unknown, "setopt": _unknown, "unsetopt": _unknown,
}  # fmt: skip
BUILTINS = _SILENT | frozenset(_BUILTINS)
"""Names of all of them."""
