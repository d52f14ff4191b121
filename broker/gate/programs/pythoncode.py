"""What Python code would start, as far as its text shows: commands, files, code that is made at run time.

The code is parsed, never run. It may do what it likes with data; starting a program is a command like any
other, and what cannot be followed to a text on the line is a doubt.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from broker.gate.text import names

MAX_DEPTH = 4
_PLAIN_MODULES = names(
    """abc argparse array ast base64 binascii bisect bz2 calendar cmath collections colorsys configparser
    contextlib copy csv dataclasses datetime decimal difflib dis email enum errno filecmp fnmatch
    fractions functools getpass glob gzip hashlib heapq hmac html io ipaddress itertools json
    keyword linecache locale logging lzma math mimetypes numbers operator pathlib pprint queue random re
    reprlib sched secrets select shlex stat statistics string struct tarfile tempfile textwrap threading
    time token tokenize traceback typing unicodedata uuid warnings weakref xml zipfile
    zlib zoneinfo __future__ numpy pandas scipy matplotlib dateutil pytz tomllib sqlite3 psycopg2
    os sys shutil subprocess platform"""
)
"""Modules that may be imported: what of them starts something is named below."""
_PLAIN_OF = {
    "os": names(
        """path sep linesep curdir pardir name environ getenv getcwd listdir scandir walk stat lstat statvfs
        getpid getppid getuid geteuid getgid getegid getgroups getlogin uname cpu_count getloadavg times
        access readlink fspath fsencode fsdecode urandom devnull pathsep extsep altsep strerror stat_result
        F_OK R_OK W_OK X_OK isatty get_terminal_size getpgid getsid nice umask sched_getaffinity error
        PathLike DirEntry makedirs mkdir rmdir removedirs remove unlink rename renames replace symlink link
        chmod chown truncate utime kill killpg chdir close read write fdopen open SEEK_SET SEEK_END O_RDONLY
        fsync sync waitpid wait"""
    ),
    "sys": names(
        """argv version version_info platform maxsize stdout stderr stdin exit executable getsizeof byteorder
        float_info int_info flags path prefix base_prefix exec_prefix getrefcount getrecursionlimit
        setrecursionlimit implementation hexversion api_version getdefaultencoding getfilesystemencoding
        builtin_module_names stdlib_module_names ps1 ps2 last_value last_type exc_info maxunicode
        thread_info copyright warnoptions"""
    ),
    "shutil": names(
        """copy copy2 copyfile copymode copystat copytree rmtree move disk_usage which get_terminal_size
        make_archive unpack_archive chown ignore_patterns"""
    ),
    "platform": names(
        """system release version machine node processor architecture platform uname python_version
        python_implementation freedesktop_os_release libc_ver python_build python_compiler mac_ver"""
    ),
    "subprocess": names(
        """PIPE DEVNULL STDOUT CalledProcessError TimeoutExpired CompletedProcess SubprocessError"""
    ),
}  # fmt: skip
_TEXT_RUNNERS = names("system popen getoutput getstatusoutput create_subprocess_shell shell_exec")
"""Their first argument is a shell's text."""
_RUNNERS = names(
    """run call check_call check_output Popen spawn create_subprocess_exec spawnl spawnle spawnlp spawnlpe
    spawnv spawnve spawnvp spawnvpe execl execle execlp execlpe execv execve execvp execvpe posix_spawn
    posix_spawnp startfile popen2 popen3 popen4 fork_exec"""
)
_METHODS = _TEXT_RUNNERS | (_RUNNERS - {"run", "call", "spawn"})
"""Start something whatever they are called on."""
_CODE = names("exec eval compile execfile runsource runcode interact")
_REACHES = names(
    """getattr setattr delattr globals locals vars __import__ import_module reload breakpoint run_path
    run_module attrgetter methodcaller f_globals f_builtins f_locals tb_frame gi_frame cr_frame read_pickle"""
)
_DUNDERS = names(
    """__name__ __doc__ __file__ __version__ __len__ __init__ __str__ __repr__ __iter__ __enter__ __exit__
    __eq__ __lt__ __hash__ __call__ __main__ __getitem__ __next__ __contains__ __add__ __all__ __slots__
    __post_init__ __annotations__"""
)


@dataclass(slots=True)
class PythonFindings:
    """`texts` are run by a shell, `commands` as they are; `doubt` says why more could run."""

    texts: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    starts: bool = False
    doubt: str | None = None


def look_through(tree: ast.AST, known: dict[str, str]) -> PythonFindings:
    """What the code would start. `known`: what its names stand for (`{"o": "os", "s": "os.system"}`), which
    it adds to."""
    visitor = _Visitor(known)
    visitor.visit(tree)
    return visitor.found


class _Visitor(ast.NodeVisitor):
    def __init__(self, known: dict[str, str], depth: int = 0) -> None:
        self.known, self.depth = known, depth
        self.found = PythonFindings()

    def _doubt(self, reason: str) -> None:
        self.found.doubt = self.found.doubt or reason

    # ---- names ----

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self._module(alias.name)
            self.known[alias.asname or top] = alias.name if alias.asname else top

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        self._module(module or ".")
        for alias in node.names:
            if alias.name == "*":
                if module.partition(".")[0] in _PLAIN_OF:
                    self._doubt(f"all of {module} is imported")
            else:
                self.known[alias.asname or alias.name] = f"{module}.{alias.name}"

    def _module(self, name: str) -> None:
        if name.partition(".")[0] not in _PLAIN_MODULES:
            self._doubt(f"the module {name} is not looked through")

    def visit_Assign(self, node: ast.Assign) -> None:
        named = [target.id for target in node.targets if isinstance(target, ast.Name)]
        meant = self._meant(node.value)
        if meant in _PLAIN_OF and len(named) == len(node.targets):
            self.known.update(dict.fromkeys(named, meant))
            return
        for name in named:
            self.known.pop(name, None)
        self.generic_visit(node)

    def _meant(self, node: ast.expr) -> str | None:
        """The dotted name that the expression surely stands for; None if it is not one."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            before = self._meant(node.value)
            return None if before is None else f"{before}.{node.attr}"
        return None

    def visit_Name(self, node: ast.Name) -> None:
        meant = self.known.get(node.id, node.id)
        if meant in _CODE | _REACHES or meant in {"__builtins__", "__loader__", "__spec__"}:
            self._doubt(f"{node.id} can run anything")
        elif meant != node.id:
            self._use(meant)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        meant = self._meant(node)
        if node.attr.startswith("__") and node.attr not in _DUNDERS:
            self._doubt(f"{node.attr} reaches what cannot be followed")
        elif node.attr in _METHODS | _REACHES | (_CODE - {"compile"}):
            self._doubt(f"{node.attr} can start what is not on the line")
        elif meant is not None:
            self._use(meant)
        self.visit(node.value) if not isinstance(node.value, ast.Name) else self._bare(node.value)

    def _bare(self, node: ast.Name) -> None:
        if self.known.get(node.id, node.id) not in _PLAIN_OF:
            self.visit_Name(node)

    def _use(self, meant: str) -> None:
        """Something of a module that can start programs."""
        module, _, rest = meant.partition(".")
        plain = _PLAIN_OF.get(module)
        if plain is not None and rest and rest.partition(".")[0] not in plain:
            self._doubt(f"{meant} can start what is not on the line")
        elif meant == "sys.path" or meant.startswith("os.environ"):
            return

    # ---- calls ----

    def visit_Call(self, node: ast.Call) -> None:
        meant = self._meant(node.func) or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
        last = meant.rpartition(".")[2]
        if meant in {"exec", "eval"} or meant == "builtins.exec":
            self._code(node)
        elif self._starts(node, meant, last):
            self._start(node, last)
        elif meant == "open" or last in {"open", "read_text", "read_bytes", "write_text", "write_bytes"}:
            self._file(node, last)
            self.generic_visit(node)
        else:
            self.generic_visit(node)

    def _starts(self, node: ast.Call, meant: str, last: str) -> bool:
        module = meant.partition(".")[0]
        if last in _METHODS and isinstance(node.func, ast.Attribute):
            return meant != "platform.system"
        return module in {"subprocess", "os", "pty", "asyncio"} and last in _TEXT_RUNNERS | _RUNNERS

    def _start(self, node: ast.Call, last: str) -> None:
        """A program is started: by a text, a list, or several arguments."""
        self.found.starts = True
        arguments = list(node.args) + [
            keyword.value for keyword in node.keywords if keyword.arg in {"args", "cmd"}
        ]
        for keyword in node.keywords:
            if keyword.arg in {"env", "preexec_fn", "executable"} or keyword.arg is None:
                self._doubt("what a program is started with is not known")
        words = [_literal(argument) for argument in arguments]
        first = words[0] if words else None
        if last.startswith(("exec", "spawn", "posix_spawn")) and last != "spawn":
            self._arguments(last, words)
        elif isinstance(first, str):
            self.found.texts.append(first)
        elif isinstance(first, list) and first:
            self.found.commands.append(first)
        else:
            self._doubt("what Python starts is not on the line")

    def _arguments(self, last: str, words: list[str | list[str] | None]) -> None:
        """os.execl("/bin/sh", "sh", "-c", "…") and its kind: the path, then a list or words."""
        if last.startswith("spawn"):
            words = words[1:]
        listed = next((word for word in words if isinstance(word, list)), None)
        path = words[0] if words else None
        if not isinstance(path, str):
            self._doubt("what Python starts is not on the line")
        elif listed is not None:
            self.found.commands.append([path, *listed[1:]])
        elif all(isinstance(word, str) for word in words):
            self.found.commands.append([path, *[word for word in words[2:] if isinstance(word, str)]])
        else:
            self._doubt("what Python starts is not on the line")

    def _code(self, node: ast.Call) -> None:
        """exec and eval of a text that stands there."""
        text = _literal(node.args[0]) if node.args else None
        if not isinstance(text, str) or self.depth >= MAX_DEPTH:
            self._doubt("the code that Python runs is not on the line")
            return
        try:
            tree = ast.parse(text.strip())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self._doubt("the code that Python runs is not understood")
            return
        inner = _Visitor(self.known, self.depth + 1)
        inner.found = self.found
        inner.visit(tree)

    def _file(self, node: ast.Call, last: str) -> None:
        where = node.args[0] if last == "open" and node.args else None
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call) and last != "open":
            where = node.func.value.args[0] if node.func.value.args else None
        path = _literal(where) if where is not None else None
        if not isinstance(path, str):
            return
        modes = [_literal(argument) for argument in node.args[1:2]]
        modes += [_literal(keyword.value) for keyword in node.keywords if keyword.arg == "mode"]
        writing = last.startswith("write") or any(isinstance(m, str) and set(m) & set("wax+") for m in modes)
        (self.found.writes if writing else self.found.reads).append(path)


def _literal(node: ast.expr) -> str | list[str] | None:
    """A text or a list of texts that stands there; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value if isinstance(node.value, str) else node.value.decode("utf-8", "replace")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _literal(node.left), _literal(node.right)
        return left + right if isinstance(left, str) and isinstance(right, str) else None
    if isinstance(node, ast.List | ast.Tuple):
        words = [_literal(item) for item in node.elts]
        return (
            [word for word in words if isinstance(word, str)]
            if all(isinstance(w, str) for w in words)
            else None
        )
    if isinstance(node, ast.JoinedStr) and all(isinstance(value, ast.Constant) for value in node.values):
        return "".join(str(value.value) for value in node.values if isinstance(value, ast.Constant))
    return None
