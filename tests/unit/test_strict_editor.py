"""The line editor: keys and what they make of the line, the history, the search, vi's command mode."""

from __future__ import annotations

import pytest

from broker.gate.lines.keys import KeyReader
from broker.gate.strict.act import Act
from broker.gate.strict.editor import Editor
from broker.gate.strict.history import History
from broker.gate.strict.text import LONGEST
from broker.gate.text import Unreadable


def typed(*pieces: str, vi: bool = False, history: tuple[str, ...] = ()) -> tuple[Editor, Act]:
    """An editor after these pieces of input, and what the last key asked for."""
    editor, reader, act = Editor(), KeyReader(), Act.SHOW
    editor.mode(vi)
    for entry in history:
        editor.history.add(entry)
    for piece in pieces:
        for key in reader.feed(piece.encode()):
            act = editor.key(key)
    return editor, act


def line(editor: Editor) -> str:
    """The line with the cursor as `|`."""
    return f"{editor.text[: editor.line.at]}|{editor.text[editor.line.at :]}"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("ab\x02c", "ac|b"),
        ("ab\x01c\x05d", "cabd|"),
        ("ab\x1b[D\x1b[Dc\x1b[C\x1b[Cd", "cabd|"),
        ("ab\x1bOD\x1bOHc\x1bOFd", "cabd|"),
        ("ab\x1b[1~c\x1b[4~d\x1b[7~e\x1b[8~f", "ecabdf|"),
        ("abc\x1b[D\x1b[3~", "ab|"),
        ("abc\x02\x04", "ab|"),
        ("abc\x7f\x08", "a|"),
        ("one two\x01\x0b", "|"),
        ("one two\x15x", "x|"),
        ("one two-three\x17", "one |"),
        ("one two-three\x1b\x7f", "one two-|"),
        ("one two\x17\x17\x19", "one two|"),
        ("one two\x15x\x17\x19\x1by", "one two|"),
        ("one\x15two\x15\x19 \x19\x1by", "two one|"),
        ("one two\x01\x1bd\x19", "one| two"),
        ("one two\x1bb\x1bbX", "X|one two"),
        ("one two\x01\x1bfX\x1bfY", "oneX twoY|"),
        ("one two\x1b[1;5DX\x1b[1;5C", "one Xtwo|"),
        ("ab\x14", "ba|"),
        ("abc\x02\x14", "acb|"),
        ("one two\x01\x1bu\x1bc", "ONE Two|"),
        ("ONE\x01\x1bl", "one|"),
        ("abc\x17\x1f", "abc|"),
        ("a b\x17\x17\x1f\x1f", "a b|"),
        ("abc\x18\x15", "|"),
        ("e\u0301x\x1b[D\x7f", "|x"),
        ("日本\x02\x7f", "|本"),
        ("a\x16\tb", "a\tb|"),
        ("a\x1b\rb", "a\nb|"),
        ("ab\x1b\rcd\x1b[Ax\x1b[By", "abx\ncdy|"),
        ("ab\x1b\rcd\x01x\x05\x01\x01", "ab\n|xcd"),
        ("ab\x1b\rcd\x1b[A\x01\x0b\x0b", "|cd"),
        ("\x1b[200~a\r\nb\rc\n\x1b[201~", "a\nb\nc|"),
        ("x\x1b[D\x1b[200~\x1b[31m\x03\x04\x1b[201~", "[31m|x"),
        ("\x00\x07\x1b[Ia", "a|"),
    ],
)
def test_keys(keys: str, expected: str) -> None:
    editor, _ = typed(keys)
    assert line(editor) == expected


@pytest.mark.parametrize(
    ("keys", "act"),
    [
        ("a\r", Act.ENTER),
        ("a\n", Act.ENTER),
        ("a\x1bOM", Act.ENTER),
        ("a\x1b[13u", Act.ENTER),
        ("a\x0f", Act.ENTER),
        ("a\t", Act.COMPLETE),
        ("a\x03", Act.INTERRUPT),
        ("\x04", Act.LEAVE),
        ("a\x01\x04", Act.SHOW),
        ("a\x0c", Act.CLEAR),
        ("a\x18\x05", Act.OUTSIDE),
        ("a\x1a", Act.BELL),
        ("a\x1c", Act.BELL),
        ("a\x1e", Act.BELL),
        ("\x1b[99~", Act.BELL),
        ("\x1bx", Act.BELL),
        ("a\x16\x03", Act.BELL),
        ("\x1b[A", Act.BELL),
    ],
)
def test_what_keys_ask_for(keys: str, act: Act) -> None:
    assert typed(keys)[1] is act


@pytest.mark.parametrize("cut", range(1, 14))
def test_input_may_be_cut_anywhere(cut: int) -> None:
    keys = "a\x1b[D日\x1b[200~b\rc\x1b[201~".encode()
    editor, reader = Editor(), KeyReader()
    for piece in (keys[:cut], keys[cut:]):
        for key in reader.feed(piece):
            editor.key(key)
    assert line(editor) == "日b\nc|a"


def test_no_control_character_ever_gets_into_a_line() -> None:
    editor, _ = typed(
        *(chr(code) for code in range(160) if code not in (9, 10, 13, 27)), "\x1b[200~\x9b\x85\x1b[201~"
    )
    assert all(char >= " " and not "\x7f" <= char < "\xa0" for char in editor.text)


def test_a_line_has_a_longest() -> None:
    editor, act = typed("x" * LONGEST, "y")
    assert (len(editor.text), act) == (LONGEST, Act.BELL)
    editor, act = typed("\x1b[200~" + "x" * (LONGEST + 1) + "\x1b[201~")
    assert (editor.text, act) == ("", Act.BELL)


OLD = ("ls -l", "echo one two", "make test")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("\x1b[A", "make test|"),
        ("\x10\x10", "echo one two|"),
        ("draft\x10\x0e", "draft|"),
        ("\x10x\x10\x0e", "make testx|"),
        ("\x1b<", "ls -l|"),
        ("d\x1b<\x1b>", "d|"),
        ("a \x1b.", "a test|"),
        ("a \x1b.\x1b.", "a two|"),
        ("a \x1b.\x1b.\x1b.\x1b.", "a -l|"),
        ("\x12one\x1b", "echo |one two"),
        ("\x12e\x12\x12\x1b", "echo on|e two"),
        ("\x12e\x12\x13\x1b", "make t|est"),
        ("draft\x12one\x07", "draft|"),
        ("draft\x12nothing\x1b", "draft|"),
        ("\x12onx\x7f\x7f\x7fls\x01X", "X|ls -l"),
        ("\x1bqb", "b|"),
    ],
)
def test_history(keys: str, expected: str) -> None:
    editor, _ = typed(keys, history=OLD)
    assert line(editor) == expected


def test_a_search_runs_what_it_found() -> None:
    editor, act = typed("\x12one\r", history=OLD)
    assert (editor.text, act) == ("echo one two", Act.ENTER)


def test_a_line_put_aside_comes_back() -> None:
    editor, _ = typed("kept\x1bqother")
    editor.entered("other")
    editor.begin()
    assert line(editor) == "kept|"


def test_ctrl_o_brings_the_line_after_it() -> None:
    editor, act = typed("\x10\x10\x10\x0f", history=OLD)
    assert (editor.text, act) == ("ls -l", Act.ENTER)
    editor.entered("ls -l")
    editor.begin()
    assert line(editor) == "echo one two|"


def test_the_listing_of_a_shell_is_read_with_its_numbers() -> None:
    history = History()
    history.load("  501  ls\n  502  for i in 1; do\necho $i\ndone\n  503* a  b\n  504   eval hook")
    assert history.entries == ["ls", "for i in 1; do\necho $i\ndone", "a  b"]
    assert [history.expand(text) for text in ("!501", "!503", "!-3", "!!:0", "'!501'")] == [
        "ls", "a  b", "ls", "a", "'!501'"
    ]  # fmt: skip
    with pytest.raises(Unreadable):
        history.expand("!500")
    zsh = History()
    zsh.load("    1  for i\\ndo x\n    2   setopt hist_ignore_space", escaped=True)
    assert zsh.entries == ["for i\ndo x"]


def test_what_was_refused_is_found_again_but_not_referred_to() -> None:
    history = History()
    history.add("echo ran")
    history.add("rm x", sent=False)
    assert history.step(-1, "") == "rm x"
    assert history.expand("!!") == "echo ran"


def test_what_begins_with_a_blank_is_not_kept() -> None:
    history = History()
    for text in (" secret", "same", "same", "", "  "):
        history.add(text)
    assert history.entries == ["same"]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (("abc", "\x1b", "X"), "a|c"),
        (("abc", "\x1b", "0", "x"), "|bc"),
        (("abc def", "\x1b", "b", "i", "X"), "abc X|def"),
        (("abc def", "\x1b", "0wcw", "new"), "abc new|"),
        (("one two three", "\x1b", "0cw", "1"), "1| two three"),
        (("one two three", "\x1b", "02dw"), "|three"),
        (("one two", "\x1b", "bD"), "one |"),
        (("one two", "\x1b", "0C", "x"), "x|"),
        (("one two", "\x1b", "dd"), "|"),
        (("one two", "\x1b", "ccx"), "x|"),
        (("one two", "\x1b", "ddu"), "|one two"),
        (("one", "\x1b", "A", "s"), "ones|"),
        (("one", "\x1b", "I", "s"), "s|one"),
        (("one", "\x1b", "hax"), "onx|e"),
        (("a-b_c d", "\x1b", "0w"), "a|-b_c d"),
        (("a-b_c d", "\x1b", "0W"), "a-b_c |d"),
        (("a-b_c d", "\x1b", "0E"), "a-b_|c d"),
        (("one two", "\x1b", "0e"), "on|e two"),
        (("one two", "\x1b", "B"), "one |two"),
        (("banana", "\x1b", "0fn"), "ba|nana"),
        (("banana", "\x1b", "0fn;"), "bana|na"),
        (("banana", "\x1b", "0fn;,"), "ba|nana"),
        (("banana", "\x1b", "0tnx"), "b|nana"),
        (("banana", "\x1b", "Fn"), "bana|na"),
        (("banana", "\x1b", "0dfn"), "|ana"),
        (("banana", "\x1b", "0dtn"), "|nana"),
        (("ab", "\x1b", "0yyp"), "aa|bb"),
        (("ab", "\x1b", "0xp"), "b|a"),
        (("ab", "\x1b", "0rX"), "|Xb"),
        (("ab", "\x1b", "03~"), "AB|"),
        (("  ab", "\x1b", "^x"), "  |b"),
        (("ab", "\x1b", "0$"), "a|b"),
        (("ab", "\x1b", "\x1b[H", "x"), "|b"),
        (("ab", "\x1b", "Sx"), "x|"),
    ],
)  # fmt: skip
def test_vi(pieces: tuple[str, ...], expected: str) -> None:
    assert line(typed(*pieces, vi=True)[0]) == expected


@pytest.mark.parametrize(
    ("pieces", "act"),
    [
        (("ab", "\x1b", "\r"), Act.ENTER),
        (("ab", "\x1b", "v"), Act.OUTSIDE),
        (("ab", "\x1b", "#"), Act.ENTER),
        (("ab", "\x1b", "Q"), Act.BELL),
        (("ab", "\x1b", "\x03"), Act.INTERRUPT),
    ],
)
def test_what_vi_asks_for(pieces: tuple[str, ...], act: Act) -> None:
    assert typed(*pieces, vi=True)[1] is act


def test_vi_steps_through_the_history() -> None:
    assert line(typed("\x1b", "kkj", vi=True, history=OLD)[0]) == "make test|"
    assert line(typed("\x1b", "/one\x1b", vi=True, history=OLD)[0]) == "echo |one two"
