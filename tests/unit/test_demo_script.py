"""How the demo plays a script: what is printed, when it stops, and what a terminal without a person sees."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from broker.demo import terminal
from broker.demo.script import Script, Step
from broker.demo.show import Transcript, speaks_utf8
from broker.demo.terminal import Missed, Terminal
from tests.world.process import clean_env


class _Steps:
    """Stands for a script of steps that need no world."""

    def __init__(self, *plays: Callable[[], list[str]]) -> None:
        self._plays = plays
        self.closed = False

    def steps(self) -> Iterator[Step]:
        for number, play in enumerate(self._plays, 1):
            yield Step(f"s{number}", f"step {number} is played", play)

    def close(self) -> None:
        self.closed = True


def _missing() -> list[str]:
    raise Missed("the word", ["what was ● there"])


def _play(script: _Steps, *, as_json: bool = False) -> int:
    return Transcript(as_json=as_json, speed=None).play(cast(Script, script))


def test_all_steps_as_expected_give_0(capsys: pytest.CaptureFixture[str]) -> None:
    script = _Steps(lambda: ["seen"], list)
    assert _play(script) == 0
    out = capsys.readouterr().out
    assert "seen" in out
    assert "all 2 steps as expected" in out
    assert script.closed


def test_a_step_that_misses_something_ends_the_run_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    script = _Steps(_missing, lambda: pytest.fail("a step after the failure was played"))
    assert _play(script) == 1
    out = capsys.readouterr().out
    assert "FAIL" in out
    assert "the word" in out
    assert "there" in out
    assert "as expected" not in out
    assert script.closed


def test_json_is_one_object_per_step_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert _play(_Steps(lambda: ["seen"], _missing), as_json=True) == 1
    rows: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["v"], row["step"], row["name"], row["ok"]) for row in rows] == [
        (1, 1, "s1", True),
        (1, 2, "s2", False),
    ]
    assert rows[0]["seen"] == ["seen"]
    assert rows[1]["missed"] == "the word"


def test_other_character_sets_get_ascii(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert _play(_Steps(lambda: ["● seen"])) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert "? seen" in out


@pytest.mark.parametrize(
    ("env", "utf8"),
    [
        ({}, True),
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "C"}, False),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "en_US.utf8", "LANG": "C"}, True),
    ],
)
def test_the_locale_that_counts_is_asked(
    env: dict[str, str], utf8: bool, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert sys.stdout.encoding.lower() == "utf-8"
    assert speaks_utf8(env) is utf8


# ---------------------------------------------------------------- terminal

ECHO = "printf 'ready '; read line; printf '\\033[2Jgot %s\\n' \"$line\"; exit 5"


def test_keys_are_sent_to_what_the_screen_shows(tmp_path: Any) -> None:
    with Terminal(["sh", "-c", ECHO], clean_env(tmp_path)) as term:
        term.wait_for("ready")
        term.type("abc\r")
        assert any("got abc" in line for line in term.wait_for("got abc"))
        assert term.wait_end() == 5


def test_a_program_that_ends_early_is_told_with_its_last_screen(tmp_path: Any) -> None:
    with Terminal(["sh", "-c", "echo last words"], clean_env(tmp_path)) as term:
        with pytest.raises(Missed) as missed:
            term.wait_for("never")
        assert "never" in missed.value.what
        assert missed.value.screen == ["last words"]


def test_what_does_not_appear_in_time_is_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(terminal, "PATIENCE", 0.2)
    with Terminal(["sh", "-c", "echo here; read line"], clean_env(tmp_path)) as term:
        term.wait_for("here")
        with pytest.raises(Missed) as missed:
            term.wait_for("never")
        assert missed.value.screen == ["here"]
