"""Variables that make programs run something."""

from __future__ import annotations

import re
import shlex

from broker.gate.programs.findings import Findings
from broker.gate.programs.hooks import hooks
from broker.gate.shell.run import Runner
from broker.gate.shell.state import Input, State
from broker.gate.text import basename, known, names
from broker.model.command import Deed

_COMMAND = re.compile(
    r"(?:[A-Z0-9_]*PAGER|[A-Z0-9_]*EDITOR|VISUAL|BROWSER|[A-Z0-9_]*ASKPASS|LESSOPEN|LESSCLOSE|GIT_SSH"
    r"|GIT_SSH_COMMAND|GIT_EXTERNAL_DIFF|GIT_PROXY_COMMAND|RSYNC_RSH|CVS_RSH|SVN_SSH"
    r"|FZF_DEFAULT_COMMAND|FZF_CTRL_[A-Z]_COMMAND|MAILER|PRINTER_COMMAND|[A-Z0-9_]*_COMMAND|SHELL"
    r"|RUSTC_WRAPPER|RUSTC|CC|CXX|LD|MAKE|MAN_?PAGER|MANROFFSEQ|PREVIEWER|OPENER|TERMINAL|[A-Z0-9_]*_CMD)\Z"
)
_CODE = re.compile(
    r"(?:LD_(?!BIND_NOW)[A-Z_]+|DYLD_[A-Z_]+|BASH_ENV|ENV|BASH_FUNC_.*|PERL5(?:OPT|LIB|DB)|PERLLIB"
    r"|PYTHON(?:STARTUP|PATH|HOME|INSPECT|WARNINGS|BREAKPOINT|USERBASE)|RUBY(?:OPT|LIB)|NODE_OPTIONS|NODE_PATH"
    r"|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|MAVEN_OPTS|GCONV_PATH|LOCPATH|TAR_OPTIONS|MAKEFLAGS"
    r"|GNUMAKEFLAGS|MAKEFILES|GIT_CONFIG.*|GIT_DIR|GIT_EXEC_PATH|GIT_TEMPLATE_DIR|GREP_OPTIONS|LUA_INIT.*"
    r"|PHPRC|PHP_INI_SCAN_DIR|BUNDLE_GEMFILE|GEM_HOME|INPUTRC|VIMINIT|EXINIT|VIMRUNTIME|LESS|LESSKEY.*|MORE"
    r"|LESSKEYIN|SHELLOPTS|BASHOPTS|TERMINFO.*|TERMCAP|HOSTALIASES|KUBECONFIG|ANSIBLE_[A-Z_]+"
    r"|XDG_CONFIG_HOME|GNUPGHOME|AWKPATH|AWKLIBPATH|M4PATH|TCLLIBPATH|R_PROFILE.*|OCTAVE_.*"
    r"|ZDOTDIR|DOCKER_CONFIG|MYSQL_HOME|PSQLRC|OPENSSL_CONF|OPENSSL_MODULES|WGETRC|CURL_HOME"
    r"|NMAPDIR|LTRACE_.*|ELINKS_.*|BASH_LOADABLES_PATH)\Z"
)
_PLAIN = names(
    """cat less more most pg view vi vim nvim nano pico emacs ed mcedit micro joe head tail true : ssh bat
    zless"""
)
_LESS_ONLY = frozenset({"LESS", "MORE"})


def check_variable(runner: Runner, name: str, value: str, state: State, *, kept: bool) -> None:
    """See to what setting the variable runs, now or when a program looks at it."""
    if name == "PROMPT_COMMAND" or re.fullmatch(r"PS[0-9]|RPS1|RPROMPT", name):
        _prompt(runner, name, value, state, kept=kept)
    elif name in _LESS_ONLY:
        if not re.fullmatch(r"[-+A-Za-z0-9 #%.,=]*", value) or "+" in value:
            runner.doubt(f"the variable {name} can change what runs")
    elif name.startswith("LD_") and _safe_loading(name, value):
        return
    elif _CODE.match(name):
        if name in _OPTIONS_OF and known(value):
            _options(runner, name, value)
        if value:
            runner.doubt(f"the variable {name} can change what runs")
    elif _COMMAND.match(name):
        _command(runner, name, value, state)


_OPTIONS_OF = {"TAR_OPTIONS": "tar", "GREP_OPTIONS": "grep", "MAKEFLAGS": "make", "LESS": "less"}
"""Variables that hold options of a program."""
_SYSTEM_FOLDER = re.compile(
    r"/(?:usr/|opt/|snap/)?(?:local/)?(?:lib(?:32|64|exec)?|opt)(?:/(?!\.\.)[^:]*)?\Z|/opt/[^:]*\Z|/usr/lib/[^:]*\Z"
)


def _safe_loading(name: str, value: str) -> bool:
    """Of the dynamic loader's variables (ld.so(8)): those that only show or time something, and folders or
    libraries of the system."""
    if name in {
        "LD_DEBUG",
        "LD_DEBUG_OUTPUT",
        "LD_TRACE_LOADED_OBJECTS",
        "LD_VERBOSE",
        "LD_WARN",
        "LD_SHOW_AUXV",
    }:
        return True
    if name not in {"LD_LIBRARY_PATH", "LD_PRELOAD"} or not known(value):
        return False
    parts = [part for part in re.split(r"[: ]", value) if part]
    return all(_SYSTEM_FOLDER.match(part) and ".." not in part.split("/") for part in parts)


def _options(runner: Runner, name: str, value: str) -> None:
    findings = Findings()
    hooks(_OPTIONS_OF[name], _words(value), findings)
    if findings.does:
        runner.emit(f"${name}", value.split(), does=findings.does)
    for text, stdin in findings.texts:
        runner.nested(text, State(), stdin)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _prompt(runner: Runner, name: str, value: str, state: State, *, kept: bool) -> None:
    if name == "PROMPT_COMMAND":
        runner.nested(value, state.copy(), Input(terminal=True))
        text = value
    else:
        runner.arithmetic(value, state.copy())
        text = f': "{value}"' if "$(" in value or "`" in value else ""
    if kept and text and known(text) and text not in state.hooks:
        state.hooks += (text,)


def _command(runner: Runner, name: str, value: str, state: State) -> None:
    """A variable that holds a command: harmless if it is a pager or editor alone, else it is run."""
    if not known(value):
        runner.doubt(f"the variable {name} can change what runs")
        return
    text = value.lstrip("|-") if name.startswith("LESS") else value
    words = text.split()
    if not words or (name in {"SHELL"} and re.fullmatch(r"/(?:usr/)?bin/[a-z]+", value)):
        return
    plain = basename(words[0]) in _PLAIN and not re.search(r"[;&|<>$`()'\"\\\n!]", text)
    if plain and (basename(words[0]) != "ssh" or "-o" not in text):
        return
    runner.emit(f"${name}", words, does={Deed.SHELL})
    runner.nested(text, state.child(), Input())
