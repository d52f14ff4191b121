"""Strict line mode: which programs read lines, what would take the shell away, and completion of words."""

from __future__ import annotations

import pytest

from broker.gate.shell import parse
from broker.gate.strict.completing import completed, listing, word_before
from broker.gate.strict.frames import at_prompt, escaped, frame
from broker.gate.strict.readers import changes_shell, opened_by, unlocks


def opened(line: str, *listed: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    found = opened_by(parse(line.encode()), frozenset(listed))
    return found.refused, found.taught, found.listed


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("sh", "sh"), ("dash -i", "dash"), ("fish", "fish"), ("/bin/ksh", "ksh"), ("busybox sh", "sh"),
        ("python3", "python3"), ("node", "node"), ("perl -e 1; irb", "irb"), ("su -", "su"),
        ("sudo -i", "sudo"), ("sudo -s", "sudo"), ("ssh host", "ssh"), ("chroot /x", "chroot"),
        ("vim x", "vim"), ("view x", "view"), ("sudo nano x", "nano"), ("emacs", "emacs"), ("ed x", "ed"),
        ("crontab -e", "crontab"), ("visudo", "visudo"), ("tmux", "tmux"), ("screen -r", "screen"),
        ("psql shop", "psql"), ("mysql", "mysql"), ("sqlite3 x.db", "sqlite3"), ("redis-cli", "redis-cli"),
        ("gdb x", "gdb"), ("sftp h", "sftp"), ("docker exec -it c sh", "sh"), ("ls && sh", "sh"),
        ("find . -exec sh \\;", "sh"), ("bash --rcfile x -i", "bash"), ("bash --noediting", "bash"),
        ("script", "script"),
    ],
)  # fmt: skip
def test_what_reads_lines_is_refused_unless_listed(line: str, name: str) -> None:
    assert opened(line) == ((name,), (), ())
    assert opened(line, name) == ((), (), (name,))


@pytest.mark.parametrize(
    "line", ["bash", "zsh", "exec bash --norc", "sudo bash -l", "env -i zsh -f", "(bash)"]
)
def test_shells_that_can_be_held_need_no_listing(line: str) -> None:
    refused, taught, _ = opened(line)
    assert refused == ()
    assert taught in (("bash",), ("zsh",))


@pytest.mark.parametrize(
    "line",
    [
        "ls", "cat", "less x", "man ls", "git log", "top", "vim -Z x", "rvim x", "rnano x", "nano -R x",
        "python3 -c 'print(1)'", "sh -c 'ls'", "psql -c 'select 1'", "mysql -e 'select 1'",
        "ssh host uptime", "sudo ls", "crontab -l", "sqlite3 x.db 'select 1'", "read -e x", "tail -f log",
    ],
)  # fmt: skip
def test_what_reads_none_is_not_refused(line: str) -> None:
    assert opened(line) == ((), (), ())


@pytest.mark.parametrize(
    "line",
    [
        "PROMPT_COMMAND=x", "PROMPT_COMMAND+=x", "export PROMPT_COMMAND=", "unset PROMPT_COMMAND",
        "read PROMPT_COMMAND", "printf -v PROMPT_COMMAND x", "trap - DEBUG", "trap 'x' DEBUG", "set +T",
        "shopt -u extdebug", "precmd_functions=()", "add-zsh-hook -d precmd x",
    ],
)  # fmt: skip
def test_what_takes_the_shell_away(line: str) -> None:
    assert unlocks(parse(line.encode())) is not None
    assert changes_shell(parse(line.encode())) or line.startswith(("export", "printf", "read", "add-zsh"))


@pytest.mark.parametrize(
    "line", ["trap -p DEBUG", "trap 'x' EXIT", "PS1='x'", "echo PROMPT_COMMAND", "set -x"]
)
def test_what_does_not(line: str) -> None:
    assert unlocks(parse(line.encode())) is None


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("gre", "c|gre"), ("./scr", "f|./scr"), ("ls /et", "p|ls|/et"), ("ls 'my fi", "p|ls|my fi"),
        ("cd ", "d|"), ("echo $HO", "v|HO"), ('echo "a ${HO', "v|HO"), ("cat < fo", "f|fo"),
        ("x | gr", "c|gr"), ("sudo sys", "c|sys"), ("A=1 fo", "c|fo"), ("if tru", "c|tru"),
        ("echo a\\ b", "p|echo|a b"), ("echo '$HO", "p|echo|$HO"), ("a; b c ", "p|b|c|"),
        ("echo $(da", "c|da"),
    ],
)  # fmt: skip
def test_the_word_before_the_cursor(line: str, question: str) -> None:
    assert word_before(line).question() == question.replace("|", "\x1f")


@pytest.mark.parametrize(
    ("line", "answers", "insert", "choices"),
    [
        ("gr", ["grep"], "grep ", ()),
        ("ls /et", ["/etc/"], "/etc/", ()),
        ("ls a", ["a b", "a c"], "a\\ ", ("a b", "a c")),
        ("ls 'a", ["a b"], "'a b' ", ()),
        ('ls "a', ["a$b"], '"a\\$b" ', ()),
        ("ls 'a", ["a'b"], "'a'\\''b' ", ()),
        ("ls ~/x", ["~/x y"], "~/x\\ y ", ()),
        ("echo $HO", ["HOME"], "$HOME ", ()),
        ('echo "x${HO', ["HOME"], '"x${HOME}', ()),
        ("git --opt=va", ["value"], "--opt=value ", ()),
        ("ls ", ["-x", "*"], "", ("*", "-x")),
        ("x ", ["_t_ours", "mine"], "mine ", ()),
    ],
)
def test_what_an_answer_makes_of_the_line(
    line: str, answers: list[str], insert: str, choices: tuple[str, ...]
) -> None:
    result = completed(word_before(line), answers, "_t")
    assert result is not None
    assert (result.insert, result.choices) == (insert, choices)


def test_lesson_13_names_that_could_act_on_a_terminal_are_not_offered() -> None:
    """lesson 13"""
    assert completed(word_before("ls "), ["a\x1b[2J", "b\nc", "d\u202e"], "_t") is None
    assert listing(["/x/a\u200bb/", "/x/c"], 40) == ["a<U+200B>b/  c"]


def test_a_listing_is_bounded() -> None:
    rows = listing([f"name-{number}" for number in range(250)], 40)
    assert rows[-1] == "… 150 more"
    assert max(map(len, rows)) <= 40


def test_frames_hold_no_control_character_but_their_ends() -> None:
    data = frame("abc", 1, 7, "l", "a\n\t\\\x1e;\x7fé")
    assert data == b"\x1eabc;1;7;l;a\\0012\\0011\\\\\\0036;\\0177\xc3\xa9\x1e"
    assert all(byte >= 0x20 and byte != 0x7F for byte in escaped("".join(map(chr, range(256)))).encode())


@pytest.mark.parametrize("payload", [b"", b"x", b"$'a\\037b\\037c\\037d\\037e'", b"$'0\\037b\\037c\\037d'"])
def test_a_report_that_is_not_one_is_none(payload: bytes) -> None:
    assert at_prompt(payload) is None


def test_a_report_is_read() -> None:
    at = at_prompt(b"$'3\\037/tmp/x y\\037p$ \\037> \\037himBH-vi'")
    assert at is not None
    assert (at.status, at.folder, at.prompt, at.more, at.expands, at.vi) == (
        3,
        "/tmp/x y",
        "p$ ",
        "> ",
        True,
        True,
    )
