"""Interpreters: a prompt, code in the arguments, code on the input, or a script."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass

from broker.gate.programs.code import harmless, sed_runs, seen_texts, starts
from broker.gate.programs.editors import console_commands
from broker.gate.programs.findings import Findings, asks_only
from broker.gate.programs.pythoncode import look_through
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input, State
from broker.gate.text import known, names, open_ended, resolved
from broker.model.command import Deed, FileRead


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`code` matches the options whose value is code (attached or the next word)."""

    language: str
    code: str = r"-e"
    valued: str = r"(?!)"
    prompt: bool = True


_INTERPRETERS: tuple[tuple[str, Interpreter], ...] = (
    (
        r"(?:i|b|c)?python[0-9.w]*|pypy[0-9.]*|jython|micropython",
        Interpreter("python", r"-[bBdEiIOPqRsSuvx]*c", r"-[WXQm]|--check-hash-based-pycs"),
    ),
    (r"perl[0-9.]*|cperl", Interpreter("perl", r"-[a-zA-Z0-9]*?[eE]", r"-[IMmFx]", prompt=False)),
    (r"ruby[0-9.]*|jruby|mruby|truffleruby", Interpreter("ruby", r"-[a-z0-9]*?e", r"-[rICF]", prompt=False)),
    (r"irb[0-9.]*|pry", Interpreter("ruby", r"-e", r"-[rI]")),
    (
        r"node(?:js)?[0-9.]*|bun|deno|qjs|d8|rhino",
        Interpreter("node", r"-e|-p|-pe|--eval|--print|eval", r"-r|--require|--import"),
    ),
    (r"php[0-9.]*(?:-cli)?|hhvm", Interpreter("php", r"-[rBRE]", r"-[dcztS]", prompt=False)),
    (r"lua[0-9.]*|luajit|texlua", Interpreter("lua", r"-e", r"-l")),
    (r"(?:tclsh|wish|expect|jimsh)[0-9.]*", Interpreter("tcl", r"-c", r"(?!)")),
    (r"R|Rscript|littler", Interpreter("r", r"-e", r"-f|--file")),
    (r"julia", Interpreter("julia", r"-[eE]|--eval|--print", r"-[LJptm]")),
    (
        r"guile[0-9.]*|racket|mzscheme|csi|chibi-scheme|gosh|scheme|sbcl|clisp|ecl|ccl|abcl|newlisp|picolisp|gcl",
        Interpreter("lisp", r"-c|-e|-x|--eval|--evaluate|-eval", r"-l|--load"),
    ),
    (
        r"octave(?:-cli)?[0-9.]*|matlab|scilab|sage|maxima|gp|yacas",
        Interpreter("octave", r"--eval|-r|-e|--batch-string"),
    ),
    (r"ghci?|runghc|runhaskell|stack", Interpreter("haskell", r"-e")),
    (
        r"(?:ocaml|utop|erl|iex|elixir|escript|swipl|gprolog|gst|clj|clojure|bb|scala|groovy(?:sh)?|kotlinc|swift|osascript|rebol|red|io|jshell|jrunscript|jjs|"
        r"psysh|bsh|forth|gforth|awka|dotnet-script|csi|fsi|ammonite|amm|cling|root|evcxr|nim|ginsh|gnuplot)",
        Interpreter("other", r"-e|-eval|--eval|-r|--rpc-eval"),
    ),
)
_COMPILED = tuple((re.compile(rf"(?:{pattern})\Z"), spec) for pattern, spec in _INTERPRETERS)
_SAFE_MODULES = names(
    """json.tool json this calendar platform sysconfig zipfile tarfile base64 gzip py_compile compileall
    venv tabnanny tokenize ast dis quopri uuid keyword locale getpass"""
)
_PROMPTS = names("code asyncio IPython ptpython bpython idlelib")
_PACKAGE_MODULES = names("pip pip3 pipx easy_install conda")
_AWKS = names("awk gawk mawk nawk original-awk bwk goawk")
_SEDS = names("sed gsed ssed minised")


def interpreter_of(name: str) -> Interpreter | None:
    return next((spec for pattern, spec in _COMPILED if pattern.match(name)), None)


def interpreter(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """What an interpreter does with its arguments."""
    spec = interpreter_of(name)
    assert spec is not None, "only called for interpreters"
    findings = Findings(reads=None)
    if asks_only(args) or (
        args and set(args) <= {"-v", "-V", "-VV", "--version", "-version"} and spec.language != "ruby"
    ):
        return findings
    codes, rest, module = _codes(spec, args)
    if module is not None:
        return _module(module, flow, findings)
    if spec.language == "php" and any(re.match(r"-S", arg) for arg in args):
        findings.does.add(Deed.SEND)
        return findings
    if spec.language == "php" and args[:1] in (["-l"], ["-m"], ["-i"], ["-v"]):
        return findings
    if spec.language == "ruby" and any(re.match(r"-(?:run|r\s*un)", arg) for arg in args):
        return _ruby_run(args, findings)
    if any(re.match(r"-[a-zA-Z]*i|--interactive", arg) for arg in args[:1]) and spec.language in {
        "python",
        "node",
    }:
        findings.does.add(Deed.SHELL)
        findings.listens = spec.language if flow.stdin.terminal else ""
    if any(open_ended(arg) for arg in args if arg.startswith("-")) or any(open_ended(code) for code in codes):
        findings.doubt = f"what {name} runs is not known"
    if codes:
        _judge_code(name, spec.language, "\n".join(codes), findings)
        if _loads(spec.language, args):
            findings.doubt = findings.doubt or f"{name} loads a library"
        return findings
    _without_code(name, spec, rest, state, flow, findings)
    return findings


def _loads(language: str, args: list[str]) -> bool:
    if language == "perl":
        return any(
            re.match(r"-[MmId]", arg)
            and not re.match(
                r"-M(?:POSIX|List::Util|strict|warnings|utf8|JSON::PP|Time::HiRes|MIME::Base64)\b", arg
            )
            for arg in args
        )
    if language == "ruby":
        return any(re.match(r"-[rI]", arg) for arg in args)
    return language == "node" and any(
        re.match(r"-r|--require|--import|--loader|--experimental-loader", arg) for arg in args
    )


def _codes(spec: Interpreter, args: list[str]) -> tuple[list[str], list[str], str | None]:
    """The code in the arguments, the operands, and python's module with its arguments."""
    codes: list[str] = []
    at = 0
    option = re.compile(rf"(?:{spec.code})(?:=?(.*))\Z", re.DOTALL)
    while at < len(args):
        arg = args[at]
        at += 1
        if spec.language == "python" and re.fullmatch(r"-[bBdEiIOPqRsSuvx]*m", arg):
            return codes, args[at:], " ".join(args[at:])
        match = option.match(arg)
        if match:
            codes.append(match[1] if match[1] else args[at] if at < len(args) else "")
            at += 0 if match[1] else 1
            if spec.language == "python":
                break
        elif re.fullmatch(spec.valued, arg):
            at += 1
        elif not arg.startswith("-") or arg == "-":
            return codes, args[at - 1 :], None
        elif arg == "--":
            return codes, args[at:], None
    return codes, args[at:] if codes else [], None


def _module(text: str, flow: Flow, findings: Findings) -> Findings:
    words = text.split(" ")
    module = words[0]
    if module in _PACKAGE_MODULES:
        findings.run(words, flow.stdin)
    elif module in {
        "http.server",
        "SimpleHTTPServer",
        "pyftpdlib",
        "wsgidav",
        "uploadserver",
        "smtpd",
        "aiosmtpd",
        "twisted",
    }:
        findings.does.add(Deed.SEND)
    elif module in _PROMPTS:
        _python_prompt(flow, findings)
    elif module not in _SAFE_MODULES:
        findings.doubt = "a module of python is run"
    return findings


def _python_prompt(flow: Flow, findings: Findings) -> None:
    if flow.stdin.terminal:
        findings.does.add(Deed.SHELL)
        findings.listens = "python"
    elif flow.stdin.rest is not None:
        _judge_code("python", "python", flow.stdin.rest, findings)
    else:
        findings.doubt = "python runs its input, which is not known"


def _ruby_run(args: list[str], findings: Findings) -> Findings:
    if "httpd" in args or any(arg.startswith("-ehttpd") for arg in args):
        findings.does.add(Deed.SEND)
    else:
        findings.doubt = "ruby runs what is not known"
    return findings


def _judge_code(name: str, language: str, code: str, findings: Findings) -> None:
    if harmless(language, code):
        return
    findings.doubt = findings.doubt or f"{name} runs code that could start something"
    texts = seen_texts(code) if language != "tcl" else console_commands("tclsh", code)
    if language == "python":
        texts += _seen_in_python(code)
    if texts or (language != "python" and starts(language, code)):
        findings.does.add(Deed.SHELL)
        findings.texts += [(text, Input()) for text in texts if known(text)]
    if re.search(r"socket|TCPSocket|HTTP|urlopen|requests|fsockopen|/inet/", code):
        findings.does.add(Deed.SEND)


def _seen_in_python(code: str) -> list[str]:
    """As `seen_texts`, by its syntax tree."""
    try:
        found = look_through(ast.parse(code), {})
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return found.texts + [shlex.join(words) for words in found.commands]


def _without_code(
    name: str, spec: Interpreter, rest: list[str], state: State, flow: Flow, findings: Findings
) -> None:
    if rest and rest[0] != "-":
        content = state.files.get(rest[0]) if known(rest[0]) else None
        if rest[0] == "/dev/stdin":
            content = flow.stdin.rest
        if content is None:
            findings.doubt = f"{name} runs a script whose text is not on the line"
            content = state.written.get(resolved(rest[0], state.folder))
        if content is not None:
            _judge_code(name, spec.language, content, findings)
        return
    if flow.stdin.terminal:
        findings.listens = spec.language
        if spec.prompt or spec.language == "php":
            findings.does.add(Deed.SHELL)
    elif flow.stdin.rest is None:
        findings.doubt = f"{name} runs its input, which is not known"
    elif flow.stdin.rest.strip():
        _judge_code(name, spec.language, flow.stdin.rest, findings)


# ---- awk and sed: filters that can run something ----


def awk(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """awk: its program is the first operand, or given by options."""
    findings = Findings()
    if asks_only(args):
        return findings
    programs, at, given = [], 0, False
    while at < len(args) and args[at].startswith("-") and args[at] != "-":
        arg = args[at]
        at += 1
        if arg == "--":
            break
        match = re.match(r"(?:-f|--file=?|-E|--exec=?|-i|--include=?|-l|--load=?)(.*)", arg)
        if match and not arg.startswith("--lint"):
            file = match[1] or (args[at] if at < len(args) else "")
            at += 0 if match[1] else 1
            content = flow.stdin.rest if file in {"-", "/dev/stdin"} else state.files.get(file)
            given = True
            if content is None:
                findings.doubt = f"{name} runs a program whose text is not on the line"
            else:
                programs.append(content)
        elif match := re.match(r"(?:-e|--source=?)(.*)", arg):
            programs.append(match[1] or (args[at] if at < len(args) else ""))
            at += 0 if match[1] else 1
            given = True
        elif arg in {"-v", "-F", "--assign", "--field-separator"}:
            at += 1
        elif open_ended(arg):
            findings.doubt = f"what {name} runs is not known"
    if not given and at < len(args):
        programs.append(args[at])
        at += 1
    findings.reads = [FileRead(resolved(arg, state.folder)) for arg in args[at:]]
    for program in programs:
        _awk_program(name, program, state, findings)
    return findings


def _awk_program(name: str, program: str, state: State, findings: Findings) -> None:
    if open_ended(program):
        findings.doubt = f"what {name} runs is not known"
        return
    for path in re.findall(r"getline[^<|;}]*<\s*\"([^\"]+)\"", program):
        findings.reads = [*(findings.reads or []), FileRead(resolved(path, state.folder))]
    _judge_code(name, "awk", program.replace("\ufdd2", "*").replace("\ufdd3", "?"), findings)


def sed(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """sed: the `e` command and flag run what they read."""
    findings = Findings()
    if asks_only(args) or "--sandbox" in args:
        return findings
    programs: list[str] = []
    operands: list[str] = []
    at, given = 0, False
    while at < len(args):
        arg = args[at]
        at += 1
        if arg in {"-e", "--expression", "-f", "--file"} or re.fullmatch(r"-[nEruszi]*[ef]", arg):
            value = args[at] if at < len(args) else ""
            at += 1
            given = True
            if arg.endswith("f") or arg == "--file":
                content = flow.stdin.rest if value == "-" else state.files.get(value)
                findings.doubt = findings.doubt or (
                    None if content is not None else "sed runs a program whose text is not on the line"
                )
                value = content or ""
            programs.append(value)
        elif match := re.match(r"(?:--expression=|-[nErsuz]*e)(.+)", arg, re.DOTALL):
            programs.append(match[1])
            given = True
        elif re.match(r"--file=|-f.", arg):
            findings.doubt = "sed runs a program whose text is not on the line"
            given = True
        elif arg.startswith("-") and arg != "-":
            if open_ended(arg):
                findings.doubt = "what sed runs is not known"
        else:
            operands.append(arg)
    if not given and operands:
        programs.append(operands.pop(0))
    findings.reads = [FileRead(resolved(arg, state.folder)) for arg in operands]
    _sed_programs(name, programs, state, findings)
    return findings


def _sed_programs(name: str, programs: list[str], state: State, findings: Findings) -> None:
    program = "\n".join(programs)
    if open_ended(program):
        findings.doubt = findings.doubt or f"what {name} runs is not known"
        return
    plain = program.replace("\ufdd2", "*").replace("\ufdd3", "?")
    reason = sed_runs(plain)
    if reason is not None:
        findings.doubt = findings.doubt or reason
        findings.does.add(Deed.SHELL)
        shown = re.search(r"(?:^|[;\n0-9$/ ])e\s*([^\n]+)", plain) or re.search(
            r"s/[^/]*/((?:\\/|[^/])+)/[a-z]*e", plain
        )
        if shown:
            findings.texts.append((shown[1].replace("\\/", "/"), Input()))
    for file in re.findall(r"[rR]\s*(/[^\s;}]+)", plain):
        findings.reads = [*(findings.reads or []), FileRead(resolved(file, state.folder))]


def code_handler(name: str) -> bool:
    """True for awk and sed."""
    return name in _AWKS or name in _SEDS


def filter_code(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    return (awk if name in _AWKS else sed)(name, args, state, flow)
