"""What a decider is shown of a text: all of it, inert, and what it hides spelled out."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.model.display import drawn, drawn_row


@pytest.mark.parametrize(
    ("text", "shown", "hidden"),
    [
        ("DELETE FROM orders;", "DELETE FROM orders;", 0),
        ("rm x\u202ecod.exe", "rm x⟨U+202E⟩cod.exe", 1),
        ("a\u200bb\ufeff", "a⟨U+200B⟩b⟨U+FEFF⟩", 2),
        ("\x1b]52;c;eA==\x07", "⟨U+001B⟩]52;c;eA==⟨U+0007⟩", 2),
        ("a\rb\tc", "a⟨U+000D⟩b⟨U+0009⟩c", 2),
        ("one\ntwo", "one\ntwo", 0),
        ("a\u00a0b\u2800c\u3164d\ufe0f", "a⟨U+00A0⟩b⟨U+2800⟩c⟨U+3164⟩d⟨U+FE0F⟩", 4),
        ("e\u0301 fine", "e\u0301 fine", 0),
        ("e\u0301\u0301\u0301", "e\u0301\u0301⟨U+0301⟩", 1),
        (" \u0338", " ⟨U+0338⟩", 1),
        ("\u05d0\u0660", "⟨U+05D0⟩⟨U+0660⟩", 2),
        ("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟩", 0),
        ("naïve 日本", "naïve 日本", 0),
    ],
)
def test_what_is_hidden_is_spelled_out_and_counted(text: str, shown: str, hidden: int) -> None:
    """lesson 13"""
    found = drawn(text.encode())
    assert (found.text, found.hidden) == (shown, hidden)


def test_bytes_that_are_no_text_are_shown_as_bytes() -> None:
    """lesson 13"""
    assert drawn(b"ok \xff\x9b31m").text == "ok ⟨0xFF⟩⟨0x9B⟩31m"
    assert drawn(b"ok \xff\x9b31m").hidden == 2


def test_nothing_is_cut() -> None:
    line = "x" * 200_000 + "\u202e"
    assert drawn(line).text == "x" * 200_000 + "⟨U+202E⟩"


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("p\u0430ypal.example", ("Cyrillic", "Latin")),
        ("\u0430\u0440\u0440\u04cf\u0435", ("Cyrillic",)),
        ("привет мир", ()),
        ("日本語テキストabc", ()),
        ("Ω ohm, café", ()),
        ("DROP TABLE orders", ()),
    ],
)
def test_words_that_imitate_others_are_named_by_their_scripts(text: str, scripts: tuple[str, ...]) -> None:
    assert drawn(text).scripts == scripts


def test_a_row_is_one_row() -> None:
    assert drawn_row("a\nb") == "a⟨U+000A⟩b"


@given(st.binary(max_size=200))
def test_nothing_drawn_acts_on_a_terminal_and_the_bytes_can_be_read_back(data: bytes) -> None:
    """lesson 13: whatever comes; and two texts that differ never look the same."""
    shown = drawn(data).text
    assert all(char == "\n" or unicodedata.category(char)[0] not in "CZ" or char == " " for char in shown)
    back = re.sub(
        r"⟨(U\+|0x)([0-9A-F]+)⟩",
        lambda found: chr(int(found[2], 16) + (0xDC00 if found[1] == "0x" else 0)),
        shown,
    )
    assert back.encode("utf-8", "surrogateescape") == data


@given(st.text(max_size=100))
def test_any_text_can_be_read_back(text: str) -> None:
    shown = drawn(text).text
    assert re.sub(r"⟨U\+([0-9A-F]+)⟩", lambda found: chr(int(found[1], 16)), shown) == text
