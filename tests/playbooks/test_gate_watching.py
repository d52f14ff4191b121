"""Lines of a program that reports nothing: judged by the keys and the screen."""

from __future__ import annotations

import pytest

from broker.gate.lines.ruling import ALLOWED
from tests.playbooks.gated import Conversation, Cooked


def test_an_allowed_line_goes_out_with_its_source() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("ls -l").type("\r")
    assert shell.ran == ["ls -l"]
    assert talk.last_line["source"] == "keys+screen"
    assert (talk.last_line["verdict"], talk.last_line["agreed"]) == ("allow", True)


@pytest.mark.parametrize("enter", ["\r", "\n", "\x0f", "\x1b[13u", "\x1b[13;5u", "\x1bOM"])
def test_every_key_that_may_run_a_line_is_held(enter: str) -> None:
    talk = Conversation()
    Cooked(talk).type("forbidden x").type(enter)
    assert enter.encode() not in talk.sent
    assert talk.refused[0].line == "forbidden x"


@pytest.mark.parametrize(
    "typed", ["forbidden x\r", "echo a; forbidden x\r", "fobidden\x7f\x7f\x7f\x7f\x7f\x7frbidden x\r"]
)
def test_after_a_refusal_the_text_is_gone_and_the_next_line_runs(typed: str) -> None:
    talk = Conversation()
    shell = Cooked(talk).type(typed)
    assert (shell.ran, shell.line) == ([], "")
    assert len(talk.refused) == 1
    assert shell.type("allowed y\r").ran == ["allowed y"]


def test_what_came_in_one_piece_with_a_refused_line_does_not_run() -> None:
    shell = Cooked(Conversation()).type("allowed 1\rforbidden 2\rallowed 3\r")
    assert shell.ran == ["allowed 1"]


def test_lines_in_one_piece_run_in_their_order() -> None:
    shell = Cooked(Conversation()).type("allowed 1\rallowed 2\rallowed 3\r")
    assert shell.ran == ["allowed 1", "allowed 2", "allowed 3"]


def test_a_paste_is_judged_line_by_line_and_the_rest_of_it_dropped() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("\x1b[200~allowed 1\rforbidden 2\rallowed 3\x1b[201~")
    assert not any("forbidden" in line or "allowed 3" in line for line in shell.ran)
    assert shell.type("allowed 4\r").ran[-1].endswith("allowed 4")


def test_a_line_over_two_lines_is_judged_as_a_whole() -> None:
    shell = Cooked(Conversation()).type("forbid\\\r").type("den x\r")
    assert shell.ran == ["forbid\\"]
    assert shell.type("allowed\r").ran == ["forbid\\", "allowed"]


def test_the_body_of_a_here_document_is_data_unless_a_shell_reads_it() -> None:
    assert Cooked(Conversation()).type("cat <<EOF\r").type("forbidden\r").type("EOF\r").ran[1] == "forbidden"
    assert "forbidden" not in Cooked(Conversation()).type("sh <<EOF\r").type("forbidden\r").ran


def test_a_line_typed_without_echo_is_judged_but_never_kept() -> None:
    talk = Conversation()
    shell = Cooked(talk, "Password: ")
    shell.echo = False
    shell.type("hunter2").type("\r")
    assert shell.ran == ["hunter2"]
    assert talk.last_line["secret"] is True
    assert "hunter2" not in repr(talk.facts)


def test_a_forbidden_line_typed_without_echo_is_refused_and_not_shown() -> None:
    talk = Conversation()
    shell = Cooked(talk)
    shell.echo = False
    shell.type("forbidden x").type("\r")
    assert shell.ran == []
    assert talk.refused[0].line == ""
    assert "forbidden x" not in repr(talk.facts)


@pytest.mark.parametrize(("kill", "intr"), [(False, True), (True, False), (False, False)])
def test_no_key_is_trusted_to_take_a_line_back(kill: bool, intr: bool) -> None:
    talk = Conversation()
    shell = Cooked(talk, kill=kill, intr=intr).type("forbidden x\r")
    assert shell.type("allowed y\r").ran == ["allowed y"]


def test_a_line_that_cannot_be_taken_back_is_judged_with_every_line_after_it() -> None:
    talk = Conversation()
    shell = Cooked(talk, kill=False, intr=False)
    shell._char = lambda char: char if char >= " " else f"^{chr(ord(char) ^ 64)}"  # type: ignore[method-assign]
    shell.type("forbidden x\r")
    assert "gate-poisoned" in talk.kinds()
    shell.type("allowed y\r")
    assert b"\r" not in talk.sent
    assert len(talk.refused) == 2


def test_what_does_not_show_as_typed_is_not_sent() -> None:
    talk = Conversation()
    Cooked(talk)
    talk.say("allowed").hear("xx").say("\r").wait()
    assert b"\r" not in talk.sent
    assert talk.last_line["verdict"] == "doubt"


def test_doubt_may_be_passed_and_is_noted() -> None:
    talk = Conversation(doubt=lambda why: ALLOWED)
    Cooked(talk)
    talk.say("allowed").hear("xx").say("\r").wait()
    assert b"\r" in talk.sent
    assert "gate-doubt-passed" in talk.kinds()


def test_an_arrow_up_after_a_refusal_types_the_line_again() -> None:
    shell = Cooked(Conversation()).type("forbidden x\r").type("\x1b[A")
    assert shell.line == "forbidden x"
    assert shell.type("\x7f" * 11 + "allowed\r").ran == ["allowed"]


def test_output_in_the_middle_of_a_line_hides_nothing() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("forbid")
    talk.hear("\r\nNOISE\r\n")
    shell.type("den x").type("\r")
    assert shell.ran == []


@pytest.mark.parametrize(
    "hostile", ["\x1b[?1049h\x1b[2;1", "\x1b[?7l", "\x1b[5;9r", "\x1b]133;A\x07$ ", "\x1b[4h", "$ "]
)
def test_a_hostile_target_cannot_switch_the_gate_off(hostile: str) -> None:
    """lesson 26: prompts, marks and switches of modes that a program prints are only output."""
    talk = Conversation()
    shell = Cooked(talk).type("allowed\r")
    talk.hear(hostile)
    shell.type("forbidden x\r")
    assert shell.ran == ["allowed"]


def test_enter_in_an_editor_is_no_line_but_a_command_for_a_shell_is() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("vim notes\r")
    talk.taken()
    talk.hear("\x1b[?1049h\x1b[2J\x1b[Hforbidden text").say("\r").wait()
    assert talk.taken() == b"\r"
    talk.hear("\x1b[24;1H:!forbidden x").say("\r").wait(100)
    assert b"\r" not in talk.taken()
    assert talk.refused[0].overlay
    assert shell.ran == ["vim notes"]


def test_the_alternate_screen_of_any_other_program_is_no_editor() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("tmux\r")
    talk.hear("\x1b[?1049h\x1b[2J\x1b[H$ ")
    shell.type("forbidden x\r")
    assert shell.ran == ["tmux"]


def test_what_a_repl_would_hand_to_a_shell_is_judged() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("python3\r")
    shell.prompt = ">>> "
    talk.hear("\r\n>>> ")
    assert shell.type("import os\r").ran[-1] == "import os"
    assert shell.type("os.system('forbidden x')\r").ran[-1] == "import os"


def test_a_key_that_another_program_took_does_not_stay_in_the_line() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("top\r")
    talk.hear("\x1b[H\x1b[2Jload 1.0\x1b[6;1H").say("q").hear("\x1b[20;1H\r\n$ ")
    talk.taken()
    assert shell.type("allowed\r").ran == ["top", "allowed"]
