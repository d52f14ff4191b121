"""The prompt in strict line mode: what is edited, judged, sent, refused and lost."""

from __future__ import annotations

import pytest

from broker.gate.lines.doings import Kept, Refused, Said
from tests.playbooks.gated import NONCE
from tests.playbooks.strict import StrictTalk, allow_list


def talk(**how: object) -> StrictTalk:
    return StrictTalk(**how).at_prompt()  # type: ignore[arg-type]


def test_typing_before_the_shell_is_held_waits_and_the_injection_is_not_shown() -> None:
    one = StrictTalk()
    one.hear("Welcome\r\n\x1b[?2004huser$ ").say("echo early\r").wait(200)
    assert b"early" not in one.sent
    one.mark("V", "5.2.15,,,").hear("eval gibberish\r\n").mark("R", "bash")
    one._taken = len(one.sent)
    one.call()
    assert one.ran == ["echo early"]
    assert b"gibberish" not in one.shown
    assert NONCE.encode() not in one.shown


def test_no_key_reaches_the_target_and_the_line_goes_in_one_frame() -> None:
    one = talk()
    before = bytes(one.sent)
    one.say("cho a\x1b[H").say("e\x05;b")
    assert bytes(one.sent) == before
    one.say("\r")
    assert one.ran == ["echo a;b"]
    assert one.unframed == b""
    assert one.gate.state == "running"


def test_the_shells_echo_of_the_line_is_not_shown_again() -> None:
    one = talk()
    one.say("echo a\r").finish("a\r\n")
    assert one.text == "user$ echo a\na\nuser$"


def test_a_refused_line_stays_with_its_cursor_and_typing_replaces_it() -> None:
    one = talk()
    one.say("forbidden x\x1b[D\x1b[D\r")
    assert one.text == "user$ forbidden x\n# NOTICE\nuser$ forbidden x"
    assert one.screen.cursor.x == len("user$ forbidden x") - 2
    assert one.ran == []
    one.say("ls\r")
    assert one.ran == ["ls"]


def test_a_refused_line_is_edited_by_any_key_that_moves_or_deletes() -> None:
    one = talk()
    one.say("forbidden x\r").say("\x01\x0b\x19").say("\x1bb").say("echo ").say("\x01\x1bd\r")
    assert one.ran == [" echo x"]


def test_a_refused_line_comes_back_with_undo_and_with_an_arrow() -> None:
    one = talk()
    one.say("forbidden x\r").say("ls").say("\x1f")
    assert "forbidden x" in one.row
    one.say("\x03").say("\x1b[A")
    assert one.row == "user$ forbidden x"


def test_what_came_with_a_refused_line_does_not_run() -> None:
    one = talk()
    one.say("forbidden x\recho later\r")
    assert one.ran == []
    one.say("echo next\r")
    assert one.ran == ["echo next"]


def test_a_notice_says_what_opens_another_reader() -> None:
    one = talk(readers=["psql"])
    one.say("python3\r")
    refused = one.told[-1]
    assert isinstance(refused, Kept)
    assert (
        refused.ruling.reason == "python3 reads lines of its own, and is not among the readers of this target"
    )
    one.say("psql shop\r")
    assert one.ran == ["psql shop"]


def test_leaving_is_never_refused() -> None:
    one = talk(judge=allow_list("ls"))
    one.say("logout 3\r")
    assert one.ran == ["logout 3"]
    two = talk(judge=allow_list("ls")).say("\x04")
    assert two.ran == ["exit"]


def test_an_open_line_goes_on_in_the_editor() -> None:
    one = talk()
    one.say("for i in 1; do\r").say("echo 'a\r").say("b'\r").say("done\r")
    assert one.ran == ["for i in 1; do\necho 'a\nb'\ndone"]
    assert one.judged == [(one.ran[0], "allow")]


def test_what_only_the_shell_knows_to_be_open_is_judged_as_a_whole() -> None:
    one = talk()
    one.alive = False
    one.say("x\r")
    one.serial = 1
    one.mark("A", "''").hear("x\r\n").mark("C", "''")
    assert one.row == ">"
    one.say("forbidden y\r")
    assert one.judged[-1] == ("x\nforbidden y", "deny")
    one.say("\x03")
    assert f"{NONCE};1;2;i;".encode() in one.sent


def test_ctrl_c_sends_nothing() -> None:
    one = talk()
    before = bytes(one.sent)
    one.say("forbidden\x03")
    assert bytes(one.sent) == before
    assert one.text == "user$ forbidden^C\nuser$"


def test_history_expansion_is_shown_and_judged() -> None:
    one = talk()
    one.say("echo one\r").finish("one\r\n")
    one.say("!!; forbidden\r")
    assert one.judged[-1] == ("echo one; forbidden", "deny")
    assert one.row == "user$ echo one; forbidden"
    one.say("echo !nope\r")
    assert isinstance(one.told[-1], Said)
    one.flags = "himB"
    one.say("\x15echo two\r").finish().say("echo !!\r")
    assert one.ran[-1] == "echo !!"


def test_output_from_behind_goes_above_the_line() -> None:
    one = talk()
    one.say("echo half\x1b[D").hear("job done\r\npart")
    assert one.text == "job done\npart\nuser$ echo half"
    assert one.screen.cursor.x == len("user$ echo hal")
    one.hear("\r\x1b[K\x07")
    assert one.text == "job done\npart\nuser$ echo half"


def test_a_prompt_of_two_rows_with_colours() -> None:
    one = talk(prompt="\\001\\E[31m\\002top\\001\\E[0m\\002\\nrow> ")
    one.say("ls")
    assert one.text == "top\nrow> ls"
    one.say("\x0c")
    assert one.text == "top\nrow> ls"
    assert b"\x01" not in one.shown


def test_type_ahead_is_edited_and_judged_at_the_prompt() -> None:
    one = talk()
    one.say("sleep 1\r").wait(600)
    one.ahead = "echo a\\nforbidden b\\nec"
    one.finish()
    assert one.ran == ["sleep 1", "echo a"]
    one.wait(600)
    one.ahead = "forbidden b\\nec"
    one.finish()
    assert one.ran == ["sleep 1", "echo a"]
    assert isinstance(one.told[-1], Kept)


def test_keys_of_a_running_program_pass_and_its_lines_are_judged() -> None:
    one = talk(readers=["python3"])
    one.say("python3\r").wait(600).hear(">>> ").say("1+1").hear("1+1").wait(100)
    assert one.unframed == b"1+1"
    one.say("\x15").hear("\b\b\b   \b\b\b").say("forbidden y").hear("forbidden y").wait(100).say("\r").wait(
        5000
    )
    assert isinstance(one.told[-1], Refused)
    assert not one.unframed.endswith(b"\r")


def test_what_is_typed_into_a_program_is_data_where_a_policy_names_all_that_may_run() -> None:
    one = talk(judge=allow_list("cat"))
    one.say("cat\r").wait(600).say("rm is only text\r").wait(600)
    assert one.unframed == b"rm is only text\r"
    assert one.told == []


def test_completion_asks_once_and_lists_at_the_second_tab() -> None:
    one = talk()
    one.answers = {"p\x1fcat\x1ffi": "file one\\037file-two\\037"}
    one.say("cat fi\t")
    assert one.asked == ["p\x1fcat\x1ffi"]
    assert one.row == "user$ cat file"
    one.say("\t")
    assert one.text == "user$ cat file\nfile one  file-two\nuser$ cat file"
    assert one.asked == ["p\x1fcat\x1ffi"]
    assert one.ran == []


def test_lesson_13_what_the_target_names_cannot_act_on_the_terminal() -> None:
    """lesson 13: file names, history and prompts with control and direction-changing characters are inert."""
    one = talk()
    one.answers = {"p\x1fcat\x1f": "a\\E[2Jb\\037c\\342\\200\\256d\\037e\\037"}
    one.say("cat \t")
    assert one.row == "user$ cat e"
    two = StrictTalk(prompt="\\E[9;9H\\E]0;title\\007p> ").at_prompt()
    two.say("a\u202eb\u200bc\x1b[200~\x1b]52;c;aaa\x07\x1b[201~")
    assert two.row == "p> a<U+202E>b<U+200B>c]52;c;aaa"
    assert b"\x1b]52" not in two.shown
    two.say("\r")
    assert two.ran == ["a\u202eb\u200bc]52;c;aaa"]


@pytest.mark.parametrize(
    ("mark", "payload", "why"),
    [
        ("T", "gone", "gone"),
        ("Q", "''", "the shell showed a prompt of its own"),
        ("S", "nonsense", "the shell's report is not what it should be"),
    ],
)
def test_a_shell_that_is_no_longer_held_ends_the_session(mark: str, payload: str, why: str) -> None:
    one = talk()
    one.say("x\r").mark(mark, payload)
    assert one.hung_up == why
    sent = bytes(one.sent)
    one.say("echo a\r").hear("user$ ").wait(60_000)
    assert bytes(one.sent) == sent


def test_a_shell_that_does_not_answer_ends_the_session() -> None:
    one = talk()
    one.alive = False
    one.say("x\r").wait(11_000)
    assert one.hung_up == "the shell did not go on (sent)"


@pytest.mark.parametrize("answer", [",,3.6,", "3.2.57,,,", "csh"])
def test_a_shell_that_cannot_be_held_ends_the_session(answer: str) -> None:
    one = StrictTalk()
    one.hear("\x1b[?2004h$ ").wait(200).mark("V", answer)
    assert one.hung_up


def test_another_shell_gives_way_to_bash_once() -> None:
    one = StrictTalk()
    one.hear("\x1b[?2004h> ").wait(200).mark("V", ",,3.6.0,/usr/bin/bash")
    assert one.sent.endswith(b" exec bash -l\r")
    one.hear(" exec bash -l\r\n\x1b[?2004lmotd\r\n\x1b[?2004hbash$ ").wait(200)
    one.mark("V", "5.2.15,,,/usr/bin/bash").mark("R", "bash")
    assert b"exec bash" not in one.shown
    assert b"motd" in one.shown
    assert isinstance(one.told[-1], Said)


def test_a_line_runs_that_nobody_sent() -> None:
    one = talk()
    one.say("x\r").mark("X")
    assert one.hung_up == "a line ran that was not sent from here"


def test_a_line_editor_that_the_line_does_not_explain_ends_the_session() -> None:
    one = talk()
    one.say(". ./file\r").hear("\x1b[?2004hodd$ ").wait(3000)
    assert one.hung_up == "a line editor came up that is not held from here"
    two = talk()
    two.say("deploy\r").hear("\x1b[?2004hname? ").wait(3000)
    assert not two.hung_up
    three = talk()
    three.say(". ./file\r").hear("\x1b[?2004hname? ").wait(500).hear("\x1b[?2004l").wait(3000)
    assert not three.hung_up


def test_marks_without_the_nonce_are_output() -> None:
    """lesson 26: what a program prints cannot speak for the shell."""
    one = talk()
    one.say("cat evil\r").hear(f"\x1b]5522;{NONCE[::-1]};1;S;1;$'0\\037/\\037p\\037m\\037H'\x07")
    assert one.gate.state == "running"


def test_the_nonce_cannot_be_typed() -> None:
    one = talk()
    one.say("sleep 5\r").wait(600).say(f"\x1e{NONCE};1;2;l;forbidden\x1e")
    assert NONCE.encode() not in one.unframed


def test_a_resize_draws_the_line_again() -> None:
    one = talk(cols=20)
    one.say("echo 0123456789abcdef")
    one.screen.resize(40, 24)
    one._do(one.gate.resized(40, 24))
    assert one.text.endswith("user$ echo 0123456789abcdef")
