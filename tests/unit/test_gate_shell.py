"""Reading a command line: quoting as real shells do it, and opaque where only the shell could know."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from broker.gate.shell import MAX_LENGTH, channel_of, parse
from broker.model.command import SimpleCommand
from broker.model.target import Channel

CORPUS = Path(__file__).parents[3] / "shared" / "corpora" / "visible" / "shell.jsonl"


def read(line: str) -> list[list[str]]:
    """Programs with arguments of a line that is not opaque."""
    parsed = parse(line.encode())
    assert parsed.opaque is None, (line, parsed.opaque)
    return [[command.program, *command.args] for command in parsed.commands]


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("ls -la /tmp", [["ls", "-la", "/tmp"]]),
        ("a; b && c || d | e & f", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a;b&&c||d|e& f", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a\n\n  b # not; c\nd", [["a"], ["b"], ["d"]]),
        ("a |\n b &&\n\n c;", [["a"], ["b"], ["c"]]),
        ("a |& b", [["a"], ["b"]]),
        ("! a", [["a"]]),
        ("a 'b c' \"d e\" f\\ g", [["a", "b c", "d e", "f g"]]),
        ("a'b'\"c\"\\d", [["abcd"]]),
        ("'r'm -rf x", [["rm", "-rf", "x"]]),
        ("r\\m -r\\\nf x", [["rm", "-rf", "x"]]),
        ('a "b\\"c\\\\d\\e\\\nf" ""', [["a", 'b"c\\d\\ef', ""]]),
        ("a 'b\\c' x#y \\#z", [["a", "b\\c", "x#y", "#z"]]),
        ("$'r\\x6d' $'a\\tb\\'\\101'".replace("\\'\\101", "\\101"), [["rm", "a\tbA"]]),
        ("a b$ \"c$\"", [["a", "b$", "c$"]]),
        ("a '{}' \"{b}\" c\\}", [["a", "{}", "{b}", "c}"]]),
        ("ls *.log [ab]* x?".replace("[ab]* ", ""), [["ls", "*.log", "x?"]]),
        ("[ -f x ]", [["[", "-f", "x", "]"]]),
        ("LC_ALL=C TZ=UTC date", [["date"]]),
        ("a 1 >/dev/null 2>&1 <in", [["a", "1"]]),
        ("a é 日本", [["a", "é", "日本"]]),
        ("set -eu; set -o pipefail; a", [["set", "-eu"], ["set", "-o", "pipefail"], ["a"]]),
        ("python3 deploy.py -c x", [["python3", "deploy.py", "-c", "x"]]),
        ("find . -name '*.c' -delete", [["find", ".", "-name", "*.c", "-delete"]]),
    ],
)  # fmt: skip
def test_simple_commands(line: str, commands: list[list[str]]) -> None:
    assert read(line) == commands


@pytest.mark.parametrize(
    ("line", "inner"),
    [
        ("sudo rm x", ["rm", "x"]),
        ("sudo -nu root -- rm x", ["rm", "x"]),
        ("sudo --user=root LANG=C rm x", ["rm", "x"]),
        ("/usr/bin/sudo -E -g adm rm x", ["rm", "x"]),
        ("doas -u root rm x", ["rm", "x"]),
        ("env rm x", ["rm", "x"]),
        ("env -i -u A TERM=dumb rm x", ["rm", "x"]),
        ("env - rm x", ["rm", "x"]),
        ("nohup rm x", ["rm", "x"]),
        ("nice -n 5 rm x", ["rm", "x"]),
        ("nice -5 rm x", ["rm", "x"]),
        ("timeout -k 1 -s KILL 5 rm x", ["rm", "x"]),
        ("timeout --foreground 5 rm x", ["rm", "x"]),
        ("command -p rm x", ["rm", "x"]),
        ("exec rm x", ["rm", "x"]),
        ("stdbuf -oL rm x", ["rm", "x"]),
        ("time -p rm x", ["rm", "x"]),
        ("time ! rm x", ["rm", "x"]),
        ("! time LANG=C rm x", ["rm", "x"]),
        ("busybox rm x", ["rm", "x"]),
        ("sh -c 'rm x'", ["rm", "x"]),
        ("bash -lc 'ls; rm x'", ["rm", "x"]),
        ("bash -e -c 'rm x' name arg", ["rm", "x"]),
        ("eval rm 'x'", ["rm", "x"]),
        ("eval 'ls && ' rm x", ["rm", "x"]),
        ("nohup sudo timeout 5 sh -c \"sh -c 'rm x'\"", ["rm", "x"]),
    ],
)
def test_wrappers_are_looked_through(line: str, inner: list[str]) -> None:
    commands = read(line)
    assert commands[-1] == inner
    assert len(commands) > 1, "the wrapper itself is a command too"


@pytest.mark.parametrize(
    "line",
    [
        # expansions
        "a $B", "a ${B}", "a $(b)", "a `b`", 'a "$B"', 'a "`b`"', "a $((1))", "a $'\\u0061'", "a $'\\'b'",
        'a $"b"', "a $1", "a $?", "a {b,c}", "a {1..3}", "a {}", "{a}", "a}", "$a", "~/a", "l? x", "*",
        "a -*", "a [-]rf", "a ?rf", "=a", "a =b", "''=a",
        # compound commands and definitions
        "(a)", "{ a; }", "if a; then b; fi", "for x in a; do b; done", "while a; do b; done",
        "case a in b) c;; esac", "a() { b; }", "function a { b; }", "[[ -f a ]]", "alias a=b",
        "trap 'a' EXIT", ". a", "source a", "not a", "and a", "begin", "repeat 3 a", "coproc a",
        "select x in a; do b; done",
        # redirections
        "a << EOF\nb\nEOF", "a <<< b", "a <(b)", "a >(b)", "a &> b", "a >! b", "a {fd}> b", ">&-a b",
        "a 2>&-b", "a <&-b", "a 2\\\n>b", "a 10> b", "a >", "a > ;", "a > /dev/tcp/h/1", "a < /dev//udp/h/1",
        # variables
        "PATH=/tmp a", "LD_PRELOAD=x a", "A=1", "A=1 b", "A+=1 b", "export A=1", "declare A=1", "read A",
        "unset A", "env PATH=/tmp a", "sudo PATH=/tmp a", "env -S 'a b'", "printf -v A b", "path=/tmp; a",
        "time PATH=/tmp a",
        # programs that run what is not on the line
        "sh", "sh x", "sh -", "sh -s", "bash -i", "bash -ic a", "bash --rcfile x -c a", "cat x | sh",
        "xargs a", "find . -exec a ;", "find . -ok a ;", "ssh h a", "su -", "sudo -i", "sudo -s",
        "sudo -u * ls", "fish -c a", "python3", "python3 -c x", "perl -e x", "awk x", "watch a",
        "parallel a", "docker exec c a", "at now", "test 'a[$(b)]'", "[ -v 'a[$(b)]' ]",
        "printf '%d' 'a[$(b)]'", "exit 'a[$(b)]'", "eval 'a $B'", "eval *", "sh -c 'a $B'", "sh -c a*",
        "nohup *", "set -f", "jobs -x a", "timeout --unknown 5 a", "ld-linux.so.2 a",
        # not a line, or not one for all shells
        "", "  ", "# a", "a &&", "a |", "; a", "a ;; b", "&& a", "a & & b", "a 'b", 'a "b', "a \\", "a )",
        "a \\x41", "a 'b\\'", "''", "a &! b", "\x00", "a\x00b", "a\rb", 'a "\\`"', "a \\\n#b\nc", "a \\\rb",
        "a&b", "a b[c", "a[;]",
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_opaque(line: str) -> None:
    assert parse(line.encode()).opaque is not None


def test_bytes_that_are_no_text_and_lines_without_end_are_opaque() -> None:
    assert parse(b"a \xff").opaque == "it is not UTF-8 text"
    assert parse(b"a\0").opaque == "it holds a NUL byte"
    assert parse(b"a " * MAX_LENGTH).opaque == f"it is longer than {MAX_LENGTH} bytes"
    assert parse(b"nohup " * 1000 + b"a").opaque == "commands within commands too deep"
    assert parse(b"eval " * 5000 + b"a").opaque == "commands within commands too deep"


def test_what_was_read_before_the_doubt_is_kept() -> None:
    line = parse(b"sudo rm -rf /x; ls -l $HOME; uptime")
    assert line.opaque == "an expansion ($)"
    assert [command.program for command in line.commands] == ["sudo", "rm", "ls"]


def test_reasons_hold_nothing_that_moves_a_cursor() -> None:
    """lesson 13: what a client wrote is shown inert."""
    opaque = parse("sudo '--\x1b]0\u202e' a".encode()).opaque
    assert opaque == "the option --\\x1b]0\\u202e of sudo is not looked through"
    assert len(parse(b"env " + b"x" * 5000 + b"=1 a").opaque or "") < 100


@pytest.mark.parametrize(
    ("line", "writes"),
    [
        ("a > f", ("f",)),
        ("a >> f 2> g", ("f", "g")),
        ("a >| f", ("f",)),
        ("a <> f", ("f",)),
        ("a >& f", ("f",)),
        ("a > '2'", ("2",)),
        ("a 2>&1 >/dev/null </etc/x >&-", ()),
        ("a > /dev/../dev/null", ()),
        ("a > /dev/null/../f", ("/dev/null/../f",)),
        ("a > /dev/sda", ("/dev/sda",)),
    ],
)
def test_files_that_redirections_write_to(line: str, writes: tuple[str, ...]) -> None:
    assert parse(line.encode()).commands == (SimpleCommand("a", (), writes),)


def test_a_redirection_alone_is_a_command_without_a_program() -> None:
    assert parse(b"> f").commands == (SimpleCommand("", (), ("f",)),)
    assert parse(b"ls; > f").commands[1].writes == ("f",)


@pytest.mark.parametrize(
    "line", ["scp -t /tmp", "scp -r -p -d -v -t -- '/tmp/a b'", "scp -f x", "scp -f *.log", "scp -q -f ./x"]
)
def test_the_remote_side_of_scp_is_known(line: str) -> None:
    assert channel_of(line.encode()) is Channel.SCP


@pytest.mark.parametrize(
    "line",
    [
        "scp -t x; bash", "scp -t x\nbash", "scp -t x && bash", "scp -t x | bash", "scp -t x & bash",
        "scp -t $(bash)", "scp -t `bash`", "scp -t x > y", "scp -t ${x}", "scp -S bash -t x",
        "scp -oProxyCommand=bash -t x", "sudo scp -t x", "sh -c 'scp -t x'", "/tmp/scp -t x", "./scp -t x",
        "PATH=/tmp scp -t x", "scp -Sbash -f x", "scp x h:y", "scp", "scp -t <(bash)", "scp -t x \\",
        "scp -t x 'y", "scp-t x", "SCP -t x", "scp -tS bash x", "scp -t x\0",
    ],
)  # fmt: skip
def test_lesson_11_nothing_is_taken_for_a_copy_by_how_it_begins(line: str) -> None:
    """lesson 11: the whole line is read, and shell syntax in it makes it an ordinary exec."""
    assert channel_of(line.encode()) is Channel.EXEC


@given(
    st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_total_on_any_bytes(raw: bytes) -> None:
    line = parse(raw)
    assert line.commands or line.opaque
    assert line.opaque is None or line.opaque.isprintable()


def test_total_on_lines_by_people_who_meant_to_get_past() -> None:
    """The corpus where it is at hand, and in any case some of its kind; the answer is no matter here."""
    lines = ["r\\\nm -rf /", "IFS=,;rm,-rf,/", "echo cm0= | base64 -d | sh", "${0##-} -c id", ":(){ :|:& };:"]
    if CORPUS.exists():
        lines += [json.loads(line)["line"] for line in CORPUS.read_text().split("\n") if line]
    for line in lines:
        parsed = parse(line.encode())
        assert parsed.commands or parsed.opaque


STUBS = ("a", "ab", "rm")
NO_GLOB = {"bash": ["-f"], "dash": ["-f"], "zsh": ["-f", "-F"], "fish": ["--no-config"]}
SHELLS = {shell: path for shell in NO_GLOB if (path := shutil.which(shell))}
FRAGMENTS = [
    "a", "ab", "rm", "r", "m", " ", "  ", "\t", "'", '"', "\\", ";", "&", "&&", "|", "||", "\n", "#", "!",
    "-", "x", "$", "=", "{", "}", "*", "?", "[", "]", ".", ",", "1", "2", ">&", ">", "<", "`", "(", ")", "%",
    "^", ":", "é", "\\n", "time", "nohup", "eval", "\\\n", "\r", "\v", "@", "+", ">&-", "2>", "$''",
]  # fmt: skip
STUB = """#!/bin/sh
printf '%s\\0' "${0##*/}" "$@" END >> "$CALLS"
"""


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of programs that only note how they were called."""
    folder = tmp_path_factory.mktemp("stubs")
    for name in STUBS:
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    return folder


def really_run(shell: str, line: str, stubs: Path) -> Counter[tuple[str, ...]]:
    """How the programs were called when a real shell got the line. Each run has its own log, so that a
    program left in the background by one is not taken for a call of the next."""
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as calls:
        subprocess.run(
            [SHELLS[shell], *NO_GLOB[shell], "-c", f"{line}\nwait"],
            env={"PATH": str(stubs), "LC_ALL": "C.UTF-8", "CALLS": calls.name},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
        noted = os.fsdecode(calls.read())
    return Counter(tuple(call.split("\0")) for call in noted.split("\0END\0") if call)


def as_read(line: str) -> Counter[tuple[str, ...]] | None:
    """The same as the parser sees it, of the programs that exist; None if opaque."""
    parsed = parse(line.encode())
    if parsed.opaque is not None:
        return None
    return Counter((c.program, *c.args) for c in parsed.commands if c.program in STUBS)


@pytest.mark.parametrize("shell", SHELLS)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
@given(line=st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=14).map("".join))
def test_no_real_shell_runs_what_was_not_read(shell: str, line: str, stubs: Path) -> None:
    """For lines that are not opaque, everything that a shell really starts is in what was read. ($'…' is
    read as bash and zsh do; for dash it is a $ and a quoted text,
    for fish an error: none hides a command.)"""
    expected = as_read(line)
    assume(expected is not None and (shell not in {"dash", "fish"} or "$'" not in line))
    assert expected is not None
    started = really_run(shell, line, stubs)
    if shell == "fish":  # other escapes inside quotes, so only what is started is compared
        started, expected = programs(started), programs(expected)
    assert started <= expected, (line, started - expected)


def programs(calls: Counter[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    """The calls without their arguments."""
    return Counter((call[0],) for call in calls.elements())


def quoted(text: str, ways: list[int]) -> str:
    """The text as one shell word, each character quoted in one of four ways."""
    out = []
    for index, char in enumerate(text):
        way = ways[index % len(ways)]
        if char in "'`" or (way == 0 and char not in "\n\tabcefnortuvxUX01234567"):
            out.append(f"\\{char}")
        elif way == 1 and char != "\\":
            out.append(f"'{char}'")
        elif way == 2 and char.isalnum() and char.isascii():
            out.append(char)
        else:
            out.append('"' + "".join(f"\\{c}" if c in '$`"\\' else c for c in char) + '"')
    return "".join(out) or "''"


WORDS = st.text(st.sampled_from("abm x'\"\\$`*?~#;&|<>(){}[]!=\n\té%-,"), max_size=6)


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=80, deadline=None)
@given(
    calls=st.lists(st.tuples(st.sampled_from(STUBS), st.lists(WORDS, max_size=4)), min_size=1, max_size=3),
    ways=st.lists(st.integers(0, 3), min_size=1, max_size=7),
    joint=st.sampled_from([";", " ; ", "\n", " && ", "&&", " | ", "|", " & "]),
)
def test_quoting_is_read_exactly_as_real_shells_do(
    shell: str, calls: list[tuple[str, list[str]]], ways: list[int], joint: str, stubs: Path
) -> None:
    """Any arguments, quoted in any mixture of ways, come out the same from the shell and from the parser."""
    line = joint.join(" ".join(quoted(word, ways) for word in [name, *args]) for name, args in calls)
    wanted = Counter((name, *args) for name, args in calls)
    assert as_read(line) == wanted, line
    assert really_run(shell, line, stubs) == wanted, line
