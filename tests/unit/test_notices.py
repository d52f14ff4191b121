"""What the broker itself puts on a terminal or on stderr."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.session.notices import GLYPHS, Voice, inert, width, wrapped

TERMINAL = Voice(terminal=True)
ASCII = Voice(terminal=True, utf8=False)
PIPE = Voice(terminal=False)

HOSTILE = {
    "clear screen": "\x1b[2J",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "title": "\x1b]0;root@prod\x1b\\",
    "device status": "\x1b[6n",
    "C1 control": "\x9b2J",
    "carriage return": "denied\rallowed",
    "new line": "one\nbartizan: [OK] two",
    "backspace": "deny\b\b\b\ballow",
    "right to left": "\u202egpj.exe",
    "isolate": "\u2066x\u2069",
    "zero width": "ad\u200bmin",
    "line separator": "a\u2028b",
    "NUL": "a\0b",
    "surrogate": "a\udc80b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("voice", [TERMINAL, ASCII, PIPE], ids=["terminal", "ascii", "pipe"])
def test_hostile_text_is_shown_and_does_nothing(voice: Voice, text: str) -> None:
    """lesson 13: ESC, OSC, CR and bidi in a name, reason or command only ever show as their numbers."""
    said = [voice.say("denied", "DENIED", text)]
    if voice.terminal:
        said.append(voice.banner(text))
    for line in said:
        body = line.decode().strip("\r\n")
        assert body.isprintable()
        assert "U+" in body, "it is spelled out, not left out"


@given(st.text(alphabet=st.characters()))
def test_no_text_has_an_effect(text: str) -> None:
    """lesson 13: whatever the text, nothing of Unicode's classes of controls and separators is left."""
    shown = inert(text)
    assert all(unicodedata.category(char)[0] != "C" for char in shown)
    assert not {unicodedata.category(char) for char in shown} & {"Zl", "Zp"}
    assert inert(shown) == shown
    for voice in (TERMINAL, ASCII, PIPE):
        line = voice.say("ended", "ENDED", text).strip(b"\r\n")
        assert not any(byte < 0x20 or byte == 0x7F for byte in line)
        assert b"\n" not in voice.banner(text)[:-2]


def test_plain_text_stays_as_it_is() -> None:
    assert inert("Grüße, 東京 ● ok") == "Grüße, 東京 ● ok"


def test_for_scripts_it_is_one_line_with_the_code() -> None:
    assert PIPE.say("denied", "E-DENIED", "not you") == b"bartizan: [E-DENIED] not you\n"


@pytest.mark.parametrize("glyph", GLYPHS)
def test_on_a_terminal_the_state_is_said_in_words_beside_the_glyph(glyph: str) -> None:
    mark, plain = GLYPHS[glyph]
    assert TERMINAL.say(glyph, "STATE", "why") == f"\r\n{mark} STATE  why\r\n".encode()
    assert ASCII.say(glyph, "STATE", "why") == f"\r\n{plain} STATE  why\r\n".encode()
    assert plain.isascii()


def test_without_utf8_every_byte_is_ascii() -> None:
    assert ASCII.say("denied", "DENIED", "Grüße ●").isascii()
    assert ASCII.banner("Grüße ●").isascii()
    assert ASCII.banner("web1") == b"* bartizan  web1\r\n"


@given(st.text(alphabet="ab 日́.", max_size=120), st.integers(1, 40))
def test_wrapped_text_fits_and_loses_nothing(text: str, cols: int) -> None:
    rows = wrapped(text, cols)
    if cols > 5:
        assert all(width(row) <= cols or not row.strip() for row in rows)
    assert "".join("".join(rows).split()) == "".join(text.split())


def test_text_is_wrapped_by_words() -> None:
    assert wrapped("one two  three", 9) == ["one two ", "  three"]
    assert wrapped("one two", 7) == ["one two"]
    assert wrapped("abcdefghij", 6) == ["abcdef", "  ghij"]
