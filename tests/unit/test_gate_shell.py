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

from broker.gate.shell import MAX_LENGTH, Session, channel_of, parse
from broker.gate.shell.history import expanded
from broker.gate.shell.second import unseen
from broker.gate.text import ONE, STAR, Unreadable
from broker.model.command import SimpleCommand
from broker.model.target import Channel

CORPUS = Path(__file__).parents[3] / "shared" / "corpora" / "visible" / "shell.jsonl"


def read(line: str) -> list[list[str]]:
    """Programs with arguments of a line that is not opaque."""
    parsed = parse(line.encode())
    assert parsed.opaque is None, (line, parsed.opaque)
    return [[command.program, *map(written, command.args)] for command in parsed.commands]


def written(text: str) -> str:
    """A pattern as it was written."""
    return text.replace(STAR, "*").replace(ONE, "?")


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
        ("LC_ALL=C TZ=UTC date", [[""], ["date"]]),
        ("a 1 >/dev/null 2>&1 <in", [["a", "1"]]),
        ("a é 日本", [["a", "é", "日本"]]),
        ("set -eu; set -o pipefail; a", [["set", "-eu"], ["set", "-o", "pipefail"], ["a"]]),
        ("./deploy.py -c x", [["./deploy.py", "-c", "x"]]),
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
        ("/usr/bin/time -p rm x", ["rm", "x"]),
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
    ("line", "programs"),
    [
        # compound commands, substitutions, definitions
        ("(a)", "a"),
        ("{ a; }", "a"),
        ("if a; then b; fi", "a b"),
        ("if a; then b; elif c; then d; else e; fi", "a b c d e"),
        ("for x in a; do b; done", "b"),
        ("while a; do b; done", "a b"),
        ("until a; do b; done", "a b"),
        ("case a in b) c;; (d|e) f;; esac", "c f"),
        ("trap 'a' EXIT", "trap a"),
        ("a $(b `c`)", "c b a"),
        ('a "$(b "$(c)")"', "c b a"),
        ("a ${x:-$(b)}", "b a"),
        ("a $((1+$(b)))", "b a"),
        ("echo $[1+$(b)]", "b echo"),
        ("a <(b) >(c)", "b c a"),
        ("a <<E\n$(b)\nE", "b a"),
        ("a <<'E'\n$(b)\nE", "a"),
        ("a <<-E\n\tx\n\tE\nb", "a b"),
        ("cat <<A <<B\n1\nA\n$(b)\nB", "b cat"),
        ("x=$(a)", "a "),
        ("x=(b $(a))", "a "),
        ("f() { a; }; f", " a"),
        ("f() { a; }", ""),
        ("f() { f; }; f", " f"),
        ("alias x='a b'\nx c", "alias a"),
        ("alias x=sudo\nx a", "alias sudo a"),
        ("x=a; $x b", " a"),
        ("x='a b'; $x c", " a"),
        ("a=b; c=a; ${!c}", "  b"),
        ("x=ab; ${x%b}", " a"),
        ("x=a; ${x:-b}", " a"),
        ("{a,b} c", "a"),
        ("a {1..3}", "a"),
        ("a {x,$(b)}", "b a"),
        ('set -- a b; "$@"', "set a"),
        ("printf -v x a; $x", "printf a"),
        ("read x <<< a; $x", "read a"),
        ("for x in a b; do $x; done", "a b"),
        # wrappers with a grammar of their own
        ("xargs a", "xargs a"),
        ("echo x | xargs -I{} a {}", "echo xargs a"),
        ("find . -exec a {} ';'", "find a"),
        ("find . -ok a ';'", "find a"),
        ("ssh h a", "ssh a"),
        ("ssh -p 22 u@h 'a; b'", "ssh a b"),
        ("su - u -c a", "su a"),
        ("runuser -u u -- a", "runuser a"),
        ("watch a", "watch a"),
        ("docker exec -it c a", "docker a"),
        ("kubectl -n x exec p -- a", "kubectl a"),
        ("chroot /x a", "chroot a"),
        ("env -S 'a b'", "env a"),
        ("parallel a ::: 1", "parallel a"),
        ("flock f -c a", "flock a"),
        ("strace -f a", "strace a"),
        ("systemd-run --wait a", "systemd-run a"),
        ("echo a | at now", "echo at a"),
        ("echo '* * * * * a' | crontab -", "echo crontab a"),
        ("nsenter -t 1 -a a", "nsenter a"),
        ("ld-linux.so.2 a", "ld-linux.so.2 a"),
        ("exec -a x a", "exec a"),
        ("bash -c '$0 $@' a b", "a bash"),
        ("capsh -- -c a", "capsh bash a"),
        # a shell's input
        ("echo a | sh", "echo sh a"),
        ("sh <<< a", "sh a"),
        ("bash <<E\na\nE", "bash a"),
        ("printf 'r%s' m | sh", "printf sh rm"),
        ("echo cmVib290 | base64 -d | sh", "echo base64 sh reboot"),
        ("source <(echo a)", "echo source a"),
        # arithmetic that runs something
        ("test 'a[$(b)]'", "test b"),
        ("[[ -v 'a[$(b)]' ]]", "b"),
        ("let 'x=a[$(b)]'", "let b"),
        ("x='a[$(b)]'; echo $((x))", " b echo"),
        # variables that run something
        ("PAGER='sh -c a' man x", "$PAGER a sh  man"),
        ("PROMPT_COMMAND=a", "a a "),
        ("PS1='$(a)'", "a a : "),
    ],
)
def test_what_a_shell_would_run_is_seen(line: str, programs: str | None) -> None:
    parsed = Session().read(line.encode())
    if programs is None:
        assert parsed.opaque is not None
    else:
        assert sorted(command.program for command in parsed.commands) == sorted(programs.split(" "))


@pytest.mark.parametrize(
    "line",
    [
        # the program or the text is not known
        "$B",
        "${B}",
        "$(b)",
        "`b`",
        '"$B" x',
        "l? x",
        "*",
        "/???/rm x",
        "eval $B",
        'eval "a $B"',
        'sh -c "$B"',
        "sudo $B",
        "env $B",
        "xargs $B",
        "find . $B",
        "find . -exec {} ;",
        "find . -exec sh {} ';'",
        "parallel < x",
        'ssh h "$B"',
        # texts that are not on the line
        "sh x",
        "cat x | sh",
        "sh < x",
        ". a",
        "source a",
        "curl x | sh",
        "bash --rcfile x -c a",
        "python3 x",
        "perl x",
        "awk -f x y",
        "at -f x now",
        "read c < x; $c",
        "make -f x",
        "cp a b; ./b",
        "printf a > z; ./z",
        "ln -s /bin/rm z; PATH=.; z x",
        "hash -p /bin/rm z; z",
        # code of other languages, and programs that start others by their arguments
        "python3 -c 'import os'",
        "perl -e 'system 1'",
        "awk 'BEGIN{system(1)}'",
        "sed 's/a/b/e' x",
        "sed '1e id' x",
        "vim -c '!a' x",
        "tar xf x --to-command=a",
        "tar cf x y --checkpoint-action=exec=a",
        "git -c core.pager=a log",
        "man -P a b",
        "gdb -ex '!a'",
        "unknown-tool bash",
        "unknown-tool --exec=id",
        "ssh -F x h a",
        "fish -c a",
        # what changes what follows
        "LD_PRELOAD=x a",
        "BASH_ENV=x bash -c a",
        "enable -f x y",
        "bind -x '\"a\":b'",
        "fc -s",
        "declare -n x=y",
        "timeout --unknown 5 a",
        "echo a >> ~/.bashrc",
        "cp x /etc/cron.d/y > ~/.profile",
        # not a line
        "a &&",
        "a |",
        "; a",
        "a ;; b",
        "&& a",
        "a & & b",
        "a 'b",
        'a "b',
        "a \\",
        "a )",
        "a >",
        "a > ;",
        "a $(b",
        "case a in",
        "}",
        "fi",
        "a $'\\xff'",
        "\x00",
        "a\x00b",
        "a \ufdd0",
    ],
)
def test_what_cannot_be_known_is_opaque(line: str) -> None:
    assert Session().read(line.encode()).opaque is not None


@pytest.mark.parametrize(
    "line",
    [
        "=a",
        "a =b",
        "a \\x41",
        "a 'b\\'",
        "and a",
        "not a",
        "begin",
        "repeat 3 a",
        "[[ a ]]",
        "function a { b; }",
        "a &! b",
        "a >! b",
        "((a))",
        "a#b\\\n#c\nd",
        "a \rb",
        "a&b",
        "a b[c",
        "$=a",
        "a {fd}> b",
        "a 2>&-b",
        "",
        "  ",
    ],
)
def test_what_shells_read_apart_is_opaque_where_any_shell_may_get_it(line: str) -> None:
    assert parse(line.encode()).opaque is not None


def test_an_incomplete_line_is_judged_with_the_next() -> None:
    session = Session()
    first = session.read(b"rm -rf '/etc")
    assert (first.commands, first.incomplete) == ((), True)
    assert first.opaque is not None
    second = session.read(b"'")
    assert (second.commands[0].args, second.incomplete) == (("-rf", "/etc\n"), False)


def test_a_session_remembers_what_earlier_lines_set() -> None:
    session = Session(interactive=True)
    for line in (b"alias g=apt-get", b"up() { reboot; }", b"cd /etc", b"IFS=_", b"c=a_b"):
        assert session.read(line).opaque is None
    assert session.copy().read(b"g install x").commands[0].program == "apt-get"
    assert session.copy().read(b"up").commands[0].program == "reboot"
    assert session.copy().read(b"cat shadow").commands[0].reads[0].path == "/etc/shadow"
    split = session.copy().read(b"$c").commands[0]
    assert (split.program, split.args) == ("a", ("b",))
    assert [c.program for c in session.copy().read(b"sudo !-3").commands] == ["sudo", "cd"]


@pytest.mark.parametrize(
    ("history", "line", "result"),
    [
        (["id"], "sudo !!", "sudo id"),
        (["ls /x"], "rm !$", "rm /x"),
        (["a b c"], "d !*", "d b c"),
        (["a b c"], "d !^ !!:2", "d b c"),
        (["a", "b"], "!-2 x", "a x"),
        (["apt list"], "^list^install", "apt install"),
        (["apt list"], "!!:s/list/install/", "apt install"),
        (["uptime", "ls"], "!u", "uptime"),
        (["cat /a/b.c"], "x !$:h", "x /a"),
        (["a b"], "!!:gs/b/c/", "a c"),
        (["a"], "echo '!!' a! b", "echo '!!' a! b"),
        (["a"], 'echo "!!"', 'echo "a"'),
        (["a b c d"], "x !!:1-2", "x b c"),
        (["a"], "b !#", "b b "),
        (["x"], "a\\!!", "a\\!!"),
    ],
)
def test_history_is_put_in_as_bash_does(history: list[str], line: str, result: str) -> None:
    assert expanded(line, history) == result


@pytest.mark.parametrize("line", ["!x", "!99", "!!:9", "^q^r", "!!:s/q/r/", "!?z"])
def test_a_history_that_is_not_known_is_unreadable(line: str) -> None:
    with pytest.raises(Unreadable):
        expanded(line, ["a b"])


def test_two_readers_have_to_agree() -> None:
    assert unseen("ls; rm x", {"ls"}) == "rm"
    assert unseen("ls; rm x", {"ls", "rm"}) is None


def test_files_that_are_read() -> None:
    def reads(line: str) -> list[str]:
        return [read.path for command in Session().read(line.encode()).commands for read in command.reads]

    assert "/etc/shadow" in reads("cat /etc/../etc/./shadow")
    assert "/etc/shadow" in reads("cd /etc && cat shadow")
    assert "/etc/shadow" in reads("while read l; do a; done < /etc/shadow")
    assert "/etc/shadow" in reads("dd if=/etc/shadow of=/tmp/x")
    assert "/etc/shadow" in reads("curl file:///etc/shadow")
    assert "/etc/shadow" in reads("cat /proc/self/root/etc/shadow")
    assert reads("ls -l /etc/shadow; stat /etc/shadow; echo /etc/shadow; grep /etc/shadow x") == [
        "/home/user/x"
    ]


def test_bytes_that_are_no_text_and_lines_without_end_are_opaque() -> None:
    assert parse(b"a \xff").opaque == "it is not UTF-8 text"
    assert parse(b"a\0").opaque == "it holds a NUL byte"
    assert parse(b"a " * MAX_LENGTH).opaque == f"it is longer than {MAX_LENGTH} bytes"
    assert parse(b"nohup " * 1000 + b"a").opaque == "commands within commands too deep"
    assert parse(b"( " * 1000 + b"a").opaque == "commands within commands too deep"
    assert parse(b"a " + b"{b,c}" * 40).opaque == "it becomes too many words"
    assert (
        parse(b"for i in " + b"x " * 900 + b"; do " + b"a $i;" * 900 + b"done").opaque == "too many commands"
    )


def test_what_was_read_besides_the_doubt_is_kept() -> None:
    line = parse(b"sudo rm -rf /x; sh script; uptime")
    assert line.opaque == "sh runs a script whose text is not on the line"
    assert [command.program for command in line.commands] == ["sudo", "rm", "sh", "uptime"]


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
    assert [command.writes for command in parse(line.encode()).commands] == [writes]


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
    assert line.opaque is None or line.opaque.isprintable()


def test_total_on_lines_by_people_who_meant_to_get_past() -> None:
    """The corpus where it is at hand, and in any case some of its kind; the answer is no matter here."""
    lines = ["r\\\nm -rf /", "IFS=,;rm,-rf,/", "echo cm0= | base64 -d | sh", "${0##-} -c id", ":(){ :|:& };:"]
    if CORPUS.exists():
        lines += [json.loads(line)["line"] for line in CORPUS.read_text().split("\n") if line]
    for line in lines:
        parsed = parse(line.encode())
        assert parsed.opaque is None or parsed.opaque.isprintable()


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
    if parsed.opaque is not None and "is given what looks like a command" not in parsed.opaque:
        return None
    return Counter((c.program, *map(written, c.args)) for c in parsed.commands if c.program in STUBS)


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
