"""The parts of the line gate one by one: keys, what was typed, the screen, marks, streams."""

from __future__ import annotations

import itertools
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gate import hooks
from broker.gate.lines.doings import Refused, ToTarget
from broker.gate.lines.foreign import screen_escape
from broker.gate.lines.keys import KeyReader, Kind
from broker.gate.lines.marks import Mark, MarkScanner, unquoted
from broker.gate.lines.picture import read, start_of
from broker.gate.lines.piped import PipedGate
from broker.gate.lines.programs import reads_commands, starts_shell
from broker.gate.lines.typed import CookedLine, EditorLine
from broker.gate.lines.typing import continues, suffixes
from broker.gate.reading.unknown import handed_over
from recorder.screen import Screen
from tests.playbooks.gated import judge


@given(st.binary(max_size=200), st.lists(st.integers(1, 20), max_size=20))
def test_keys_joined_are_the_input_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    reader, got, at = KeyReader(), b"", 0
    for size in [*cuts, len(data) + 1]:
        got += b"".join(key.raw for key in reader.feed(data[at : at + size]))
        at += size
    assert got == data


def test_an_accepting_sequence_is_known_at_its_last_byte() -> None:
    reader = KeyReader()
    kinds = [key.kind for byte in b"\x1b[13u" for key in reader.feed(bytes([byte]))]
    assert kinds == [Kind.PART] * 4 + [Kind.ACCEPT]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (b"abc\x7fd", "abd"),
        (b"world\x01hello \x05!", "hello world!"),
        (b"one two\x17x", "one x"),
        (b"gone\x15new\x19", "newgone"),
        (b"ab\x1b[D\x1b[DX\x1b[3~", "Xb"),
        (b"abc\x1b[D\x0b", "ab"),
    ],
)
def test_what_an_editor_makes_of_keys(keys: bytes, text: str) -> None:
    line = EditorLine()
    for key in KeyReader().feed(keys):
        line.take(key)
    assert (line.known, line.text) == (True, text)


@pytest.mark.parametrize("keys", [b"a\t", b"\x1b[A", b"\x12", b"\x1bb", b"a\x14", b"\x19"])
def test_a_key_of_unknown_effect_is_not_guessed(keys: bytes) -> None:
    line = EditorLine()
    for key in KeyReader().feed(keys):
        line.take(key)
    assert not line.known


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (b"ab\x7fc", "ac"),
        (b"echo foo-bar\x17x", "echo foo-x"),
        (b"gone\x15new", "new"),
        (b"part\x04\x15\x7frest", "partrest"),
        (b"a\x16\x15b", "a\x15b"),
    ],
)
def test_what_a_cooked_terminal_makes_of_keys(keys: bytes, text: str) -> None:
    line = CookedLine()
    for key in KeyReader().feed(keys):
        line.take(key)
    assert line.text == text


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (b"hello", "hello"),
        (b"x" * 100, "x" * 100),
        (("日本" * 30).encode(), "日本" * 30),
        (b"wrong\b\b\b\b\bright", "right"),
        (b"typed\x1b[90m from history\x1b[0m\x1b[13D", "typed"),
    ],
)
def test_the_line_is_read_from_the_screen(shown: bytes, text: str) -> None:
    screen = Screen(40, 10)
    screen.feed(b"output\r\n$ ")
    start = start_of(screen)
    screen.feed(shown)
    assert read(screen, start).text == text


@pytest.mark.parametrize("mode", [b"\x1b[?7l", b"\x1b[4h", b"\x1b[2;5r\x1b[3;3H", b"\x1b[?6h"])
def test_a_screen_that_lies_is_not_read(mode: bytes) -> None:
    screen = Screen(40, 10)
    screen.feed(b"$ ")
    start = start_of(screen)
    screen.feed(mode + b"text")
    assert read(screen, start).text is None


PLAIN = st.binary(max_size=80).map(lambda data: data.translate(None, b"\x1b\x1e^"))
ECHOES = (b"^^n0nce;1;1000001;y^^", b"\x1en0nce;2;7;n\x1e")


@given(PLAIN, PLAIN, st.integers(1, 30))
def test_marks_are_cut_out_wherever_the_output_is_cut(before: bytes, after: bytes, size: int) -> None:
    scanner = MarkScanner("n0nce")
    data = before + b"\x1b]5522;n0nce;1;L;7;ls\x07" + after
    found = [piece for at in range(0, len(data), size) for piece in scanner.feed(data[at : at + size])]
    assert [piece for piece in found if isinstance(piece, Mark)] == [Mark(1, "L", 7, b"ls")]
    plain = b"".join(piece for piece in found if isinstance(piece, bytes))
    assert plain == before + after


@given(PLAIN, st.sampled_from(ECHOES), PLAIN, st.integers(3, 30))
def test_an_answer_that_the_terminal_echoes_is_not_shown(
    before: bytes, echo: bytes, after: bytes, size: int
) -> None:
    """Wherever the output is cut, but within the two signs in front, which are never kept back."""
    scanner = MarkScanner("n0nce")
    cuts = [0, *range(len(before) + 3, len(before + echo + after), size), len(before + echo + after)]
    data = before + echo + after
    pieces = [data[one:other] for one, other in itertools.pairwise(cuts)]
    assert b"".join(b"".join(scanner.feed(piece)) for piece in pieces) == before + after  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [b"^", b"^^", b"a^b", b"\x1b[A", b"^^n0t", b"^^n0nce;x\r\n"])
def test_what_only_looks_like_an_echo_is_shown_at_once(text: bytes) -> None:
    assert b"".join(MarkScanner("n0nce").feed(text)) == text.replace(b"^^n0nce;", b"")  # type: ignore[arg-type]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_what_a_shell_quotes_is_read_back(shell: str) -> None:
    for text in [
        "",
        "ls -l",
        "a'b\"c\\",
        "x\ny\tz",
        "\x01\x1b[A",
        "日本 é",
        "$'\\x66'",
        "~ * {a,b} !x",
        "\x7f",
    ]:
        env = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
        argv = [shell, "-c", 'printf %q "$1"', shell, text]
        quoted = subprocess.run(argv, capture_output=True, check=True, env=env).stdout
        assert unquoted(quoted) == text, quoted


@given(st.binary(max_size=60))
def test_no_payload_raises(payload: bytes) -> None:
    assert isinstance(unquoted(payload), str)


@pytest.mark.parametrize("shell", hooks.SHELLS)
def test_a_hook_is_short_and_is_read_by_its_shell(shell: str) -> None:
    """4 KiB is the longest line a cooked terminal takes."""
    typed = hooks.injection(shell, "n" * 32, 1, "_b0123")
    assert max(map(len, typed.split(b"\r"))) < 4000
    assert all(line.startswith(b" ") for line in typed.rstrip(b"\r").split(b"\r"))
    script = subprocess.run(
        ["bash", "-c", typed.decode().split("$(")[1].split(")")[0]], capture_output=True, check=True
    ).stdout
    assert subprocess.run([shell, "-n"], input=script, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("ls", False),
        ("echo 'a", True),
        ('echo "a', True),
        ("a\\", True),
        ("cat <<X", True),
        ("cat <<X\nb\nX", False),
    ],
)
def test_a_line_that_goes_on(text: str, more: bool) -> None:
    assert continues(text) is more


def test_a_row_is_read_from_every_place_where_a_command_could_begin() -> None:
    assert "rm -r x" in suffixes("user@host:~$ rm -r x")


def stream(*parts: bytes, end: bool = True) -> tuple[bytes, bool]:
    gate = PipedGate(judge)
    doings = [doing for part in parts for doing in gate.keys(part)] + (gate.end() if end else [])
    sent = b"".join(doing.data for doing in doings if isinstance(doing, ToTarget))
    return sent, any(isinstance(doing, Refused) for doing in doings)


def test_a_stream_stops_at_the_first_refused_line() -> None:
    assert stream(b"ls\nforbidden x\nls\n") == (b"ls\n", True)
    assert stream(b"ls\nforb", b"idden x") == (b"ls\n", True)
    assert stream(b"forbid\\\n", b"den x\n") == (b"", True)
    assert stream(b"cat <<E\nforbidden\nE\nls") == (b"cat <<E\nforbidden\nE\nls", False)
    assert stream(b"sh <<E\nforbidden\nE\n") == (b"", True)


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_an_allowed_stream_arrives_as_it_was(parts: list[bytes]) -> None:
    parts = [part.replace(b"f", b"") for part in parts]
    assert stream(*parts) == (b"".join(parts), False)


@pytest.mark.parametrize(
    ("command", "reads"),
    [
        ("sh", True),
        ("bash -s x", True),
        ("sudo -i", True),
        ("bash -c ls", False),
        ("sh x.sh", False),
        ("cat", False),
    ],
)
def test_which_commands_take_their_commands_from_a_stream(command: str, reads: bool) -> None:
    assert reads_commands(command) is reads


def test_what_leads_to_a_shell() -> None:
    assert starts_shell("exec bash --norc")
    assert starts_shell("sudo -u x -i")
    assert not starts_shell("ls -l")
    assert handed_over("os.system('rm x')") == ["rm x"]
    assert handed_over("\\! rm x;") == ["rm x"]
    assert screen_escape(":r !rm x") == "rm x"
    assert screen_escape(":wq") == ""
