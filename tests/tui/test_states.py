"""Words, glyphs, inert text and the choice between picker and menu."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tui import states
from tui.states import LastSession, State

WGL4 = set("●○■▲►◊─│┃├┤═")


def test_each_state_has_a_word_a_glyph_an_ascii_form_and_fonts_have_the_glyph() -> None:
    for state in states.STATES.values():
        assert state.word
        assert state.glyph in WGL4
        assert len(state.ascii) == 1
        assert state.ascii.isascii()


def test_red_and_green_are_never_told_apart() -> None:
    assert not [state for state in states.STATES.values() if "green" in state.style]


def test_an_unknown_access_state_is_shown_as_denied() -> None:
    assert states.access_state("MAYBE") == State("DENY", "■", "#", "red reverse")
    assert states.session_state("odd").word == "CUT"


@pytest.mark.parametrize(("env", "columns", "rows", "plain"), [
    ({"TERM": "xterm"}, 80, 24, False),
    ({"TERM": "xterm"}, 40, 10, False),
    ({"TERM": "xterm"}, 39, 10, True),
    ({"TERM": "xterm"}, 40, 9, True),
    ({"TERM": "dumb"}, 80, 24, True),
    ({"TERM": "emacs"}, 80, 24, True),
    ({"TERM": ""}, 80, 24, True),
    ({}, 80, 24, True),
    ({"TERM": "xterm", "BARTIZAN_UI": "plain"}, 80, 24, True),
])  # fmt: skip
def test_the_plain_menu_is_taken_where_the_picker_cannot_be_shown(
    env: dict[str, str], columns: int, rows: int, plain: bool
) -> None:
    assert states.wants_plain(env, columns, rows) is plain


@pytest.mark.parametrize(("env", "ascii"), [
    ({}, False),
    ({"LANG": "en_US.UTF-8"}, False),
    ({"LANG": "de_DE.utf8"}, False),
    ({"LANG": "C"}, True),
    ({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, True),
    ({"LC_CTYPE": "de_DE.ISO-8859-1"}, True),
    ({"LANG": "en_US.UTF-8", "BARTIZAN_ASCII": "1"}, True),
])  # fmt: skip
def test_ascii_follows_the_locale(env: dict[str, str], ascii: bool) -> None:
    assert states.wants_ascii(env) is ascii


@pytest.mark.parametrize("text", ["►●○■▲◊─│┃├┤═↑↓←→…", "Käse", "日本", "naïve ⟨U+202E⟩"])
def test_ascii_text_keeps_its_width(text: str) -> None:
    plain = states.to_ascii(text)
    assert plain.isascii()
    assert cell_len(plain) == cell_len(text)


@pytest.mark.parametrize(
    "char", ["\x1b", "\x07", "\r", "\n", "\x00", "\x9b", "\x7f", "\u202e", "\u2066", "\u200b"]
)
def test_inert_text_has_no_power(char: str) -> None:
    """lesson 13"""
    assert states.inert(f"a{char}b") == f"a⟨U+{ord(char):04X}⟩b"


def test_inert_leaves_words_alone() -> None:
    assert states.inert("Käse 日本 ◊ e\u0301") == "Käse 日本 ◊ e\u0301"


@pytest.mark.parametrize(("seconds", "text"), [
    (None, "never"), (0, "now"), (59, "now"), (60, "1m ago"), (7_300, "2h ago"), (260_000, "3d ago"),
])  # fmt: skip
def test_age(seconds: int | None, text: str) -> None:
    now = 10**15
    assert states.age(None if seconds is None else now - seconds * 1_000_000, now) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00"), (401, "06:41"), (3_600, "1:00:00"), (-5, "00:00")]
)
def test_length(seconds: int, text: str) -> None:
    assert states.length(seconds * 1_000_000) == text


def test_a_last_session_takes_what_it_understands() -> None:
    text = '{"session": "S-1", "status": 3, "target": 7, "error": "x", "more": 1}'
    assert LastSession.from_json(text) == LastSession(session="S-1", status=3, error="x")
    for junk in ("", "{", "[]", "null", "7"):
        assert LastSession.from_json(junk) == LastSession()
