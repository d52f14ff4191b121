"""A shell that reports its lines: hooking it, its marks, and what happens when they stop."""

from __future__ import annotations

import re

import pytest

from recorder.screen import Screen
from tests.playbooks.gated import NONCE, Conversation, Cooked

PROMPT = "\x1b[?2004huser$ "


def hooked() -> Conversation:
    """A session at the first prompt of a hooked bash."""
    talk = Conversation(hook=True)
    talk.hear(f"Welcome\r\n{PROMPT}").wait(200)
    assert b"BASH_VERSION" in talk.taken()
    talk.mark("V", payload="5.2.15(1)-release,,").wait(10)
    assert b"base64 -d" in talk.taken()
    talk.hear("eval echoed\r\n").mark("R", payload="bash").hear(PROMPT).mark("P", 0).wait(30)
    assert talk.gate.state == "prompt"
    return talk


def verdict(talk: Conversation) -> str:
    """The last answer that the shell was sent."""
    found = re.findall(rf"\x1e{NONCE};1;\d+;(\w)\x1e".encode(), talk.taken())
    return found[-1].decode() if found else ""


def test_the_injection_is_not_shown_and_typing_waits_for_it() -> None:
    talk = Conversation(hook=True)
    talk.hear(PROMPT).say("early\r").wait(200)
    assert b"early" not in talk.sent
    talk.mark("V", payload="5.2.15,,").hear(" eval ...").mark("R").mark("P").wait(30)
    assert b"eval" not in talk.shown
    assert NONCE.encode() not in talk.shown
    assert talk.taken().endswith(b"early\r")


@pytest.mark.parametrize("answer", [",,", "3.2.57,,", "csh"])
def test_a_shell_that_cannot_report_is_watched(answer: str) -> None:
    talk = Conversation(hook=True)
    talk.hear("$ ").wait(300)
    talk.mark("V", payload=answer).hear("$ ")
    assert talk.gate.state == "unhooked"
    talk.taken()
    assert Cooked(talk, "").type("forbidden x\r").ran == []


def test_a_program_that_never_answers_is_watched_after_a_while() -> None:
    talk = Conversation(hook=True)
    talk.hear("login: ").wait(10_000)
    assert talk.gate.state == "unhooked"
    assert "gate-unhooked" in talk.kinds()


def test_keys_pass_at_the_prompt_and_the_reported_line_is_judged() -> None:
    talk = hooked()
    talk.say("ls").say("\r")
    assert talk.taken() == b"ls\r"
    talk.mark("L", 1, "ls\\ -l")
    assert verdict(talk) == "y"
    assert (talk.last_line["text"], talk.last_line["source"]) == ("ls -l", "hook")


def test_a_refused_line_is_told_and_the_next_one_works() -> None:
    talk = hooked()
    talk.say("\x1b[A\r").mark("L", 1, "forbidden\\ x")
    assert verdict(talk) == "n"
    talk.mark("B", 1).mark("N", 1).hear(PROMPT).mark("P", 1).say("ls\r").mark("L", 2, "ls")
    assert talk.refused[0].line == "forbidden x"
    assert verdict(talk) == "y"


def seen(talk: Conversation, cols: int = 80) -> list[str]:
    """The rows that the user sees."""
    screen = Screen(cols, 24)
    screen.feed(bytes(talk.shown))
    return "\n".join(row.rstrip() for row in screen.display()).rstrip("\n").split("\n")


def test_the_notice_stands_between_the_line_and_the_next_prompt() -> None:
    """readline takes the line away before the shell reports it: it is drawn again, at its full length."""
    talk = hooked()
    line = "forbidden " + "long " * 20
    talk.say(line).hear(line).say("\r")
    talk.hear("\r\x1b[K\r\x1bM\x1b[K\r").mark("L", 1, line.replace(" ", "\\ "))
    assert talk.refused == []
    talk.mark("B", 1).hear("\r\n").mark("N", 1).hear(PROMPT).mark("P", 1)
    drawn = f"user$ {line}"
    assert seen(talk) == ["Welcome", drawn[:80], drawn[80:].rstrip(), "# BLOCKED", "user$"]


def test_a_refusal_is_told_even_if_the_shell_says_nothing_more() -> None:
    talk = hooked()
    talk.say("forbidden x\r").mark("L", 1, "forbidden\\ x").mark("B", 1).wait(1_100)
    assert [(one.line, one.above) for one in talk.refused] == [("forbidden x", None)]
    assert talk.gate.state == "prompt"


@pytest.mark.parametrize(
    ("first", "second", "rows"),
    [
        ("top\r\n$ ", "top\r\n$ ", ["motd", "top", "$"]),
        ("\r\n12:59 top\r\n$ ", "\r\n13:00 top\r\n$ ", ["motd", "", "13:00 top", "$"]),
        ("top\r\n$ ", "\r\ntop\r\n$ ", ["motd", "", "top", "$"]),
        ("$ ", "other\r\n% ", ["motd", "other", "%"]),
    ],
    ids=["two-lines", "clock", "no-blank-row-at-first", "another"],
)
def test_the_prompt_of_a_hooked_shell_stands_there_once(first: str, second: str, rows: list[str]) -> None:
    talk = Conversation(hook=True)
    talk.hear(f"motd\r\n{first}").wait(400).mark("V", payload="5.2.15,,")
    talk.hear(" eval ...\r\n").mark("R").hear(second).mark("P").wait(50)
    assert seen(talk) == rows


def test_input_behind_enter_waits_and_comes_after_what_the_shell_gives_back() -> None:
    talk = hooked()
    talk.say("one\rthree\r")
    assert talk.taken() == b"one\r"
    talk.mark("L", 1, "one")
    talk.taken()
    talk.mark("B", 1, "two").mark("X", 1).mark("P", 1)
    assert talk.taken() == b"twothree\r"


def test_the_rest_of_a_line_is_judged_with_its_beginning() -> None:
    talk = hooked()
    talk.say("forbid\\\r").mark("L", 1, "forbid\\\\").mark("B", 1).mark("C", 1)
    talk.taken()
    talk.say("den x\r").mark("L", 2, "den\\ x")
    assert verdict(talk) == "n"


def test_a_command_that_no_line_stands_behind_is_asked_about() -> None:
    talk = hooked()
    talk.say("forbidden x\x0f").mark("X", 0).mark("D", 1_000_001, "forbidden\\ x")
    assert b"1;1000001;n" in talk.sent


def test_the_prompt_drawn_again_when_a_line_was_accepted_is_no_prompt() -> None:
    talk = hooked()
    talk.say("sh\r").mark("L", 1, "sh").mark("B", 1)
    talk.mark("P", 0).mark("X", 1).hear("$ ").wait(600)
    talk.taken()
    assert talk.gate.state == "running"
    assert Cooked(talk, "").type("forbidden x\r").ran == []


def test_marks_without_the_nonce_or_of_no_shell_are_only_output() -> None:
    """lesson 26: what a program prints cannot speak for the shell."""
    talk = hooked()
    talk.say("cat evil\r").mark("L", 1, "cat\\ evil").mark("B", 1).mark("X", 1)
    talk.hear(f"\x1b]5522;{NONCE[::-1]};1;P;1;\x07").mark("P", 1, level=7).hear("\x1b]133;A\x07$ ").wait(600)
    assert talk.gate.state == "running"
    assert NONCE[::-1].encode() in talk.shown
    talk.taken()
    assert Cooked(talk, "").type("forbidden x\r").ran == []


def test_a_serial_number_counts_once() -> None:
    talk = hooked()
    talk.say("ls\r").mark("L", 1, "ls").mark("B", 1).mark("X", 1).mark("P", 1)
    talk.taken()
    talk.mark("L", 1, "ls")
    assert verdict(talk) == ""


def test_enter_without_a_report_or_an_answer_means_the_hook_is_gone() -> None:
    talk = hooked()
    talk.say("x\r").wait(3000)
    assert b";0;q\x1e" in talk.sent
    assert talk.gate.state == "lost"
    assert "gate-lost" in talk.kinds()
    talk.hear("$ ").taken()
    assert Cooked(talk, "").type("forbidden x\r").ran == []


def test_enter_that_only_chose_from_a_menu_loses_nothing() -> None:
    talk = hooked()
    talk.say("x\r").wait(1050)
    talk.mark("K", 0).wait(3000)
    assert talk.gate.state == "prompt"


def test_a_shell_that_ran_something_unreported_is_no_longer_trusted() -> None:
    talk = hooked()
    talk.say("x\r").mark("X", 0).hear("ran!\r\n").mark("P", 0).hear("user$ ")
    assert "gate-lost" in talk.kinds()
    talk.wait(600).taken()
    assert Cooked(talk, "").type("forbidden x\r").ran == []


def test_a_shell_inside_the_shell_is_hooked_too_and_left_again() -> None:
    talk = hooked()
    talk.say("bash\r").mark("L", 1, "bash").mark("B", 1).mark("X", 1)
    talk.taken()
    talk.hear(PROMPT).wait(300)
    assert b"BASH_VERSION" in talk.taken()
    talk.mark("V", payload="5.2.15,,", level=2).mark("R", level=2).mark("P", level=2)
    talk.say("forbidden x\r").mark("L", 1, "forbidden\\ x", level=2)
    assert f"{NONCE};2;1;n".encode() in talk.taken()
    talk.mark("B", 1, level=2).mark("P", 1, level=2).say("exit\r").mark("L", 2, "exit", level=2)
    talk.mark("B", 2, level=2).mark("X", 2, level=2).mark("P", 1)
    assert talk.gate.state == "prompt"


def test_the_prompt_of_a_hooked_shell_is_not_hooked_again() -> None:
    talk = hooked()
    talk.say("sh script\r").mark("L", 1, "sh\\ script").mark("B", 1).mark("X", 1).wait(600)
    talk.taken()
    talk.hear("\x1b[?2004h").mark("P", 1).hear("user$ ").wait(600)
    assert talk.taken() == b""
    assert talk.gate.state == "prompt"


def test_the_nonce_cannot_be_typed() -> None:
    talk = hooked()
    talk.say(f"\x1e{NONCE};1;1;y\x1e")
    assert NONCE.encode() not in talk.taken()


def test_a_line_too_long_to_report_is_refused() -> None:
    talk = hooked()
    talk.say("x\r").mark("L", 1, "$'\\001too-long'")
    assert verdict(talk) == "n"
    assert talk.last_line["verdict"] == "doubt"


def test_a_paste_goes_to_the_shell_as_it_is() -> None:
    talk = hooked()
    talk.say("\x1b[200~a\rb\r\x1b[201~")
    assert talk.taken() == b"\x1b[200~a\rb\r\x1b[201~"


def test_the_lines_of_a_paste_are_judged_as_one_and_not_again_one_by_one() -> None:
    """bash asks about each after the first, and about what it does at its prompt."""
    talk = hooked()
    talk.say("x\r").mark("L", 1, "$'one\\ntwo'").mark("B", 1).mark("X", 0)
    talk.taken()
    talk.mark("X", 0).mark("D", 1_000_001, "two").mark("B", 1_000_001)
    assert b"1;1000001;y" in talk.taken()
    talk.mark("D", 1_000_002, "forbidden\\ at\\ the\\ prompt").mark("B", 1_000_002).mark("P", 1)
    assert talk.gate.state == "prompt"
    talk.say("\x0f").mark("X", 0).mark("D", 1_000_003, "forbidden\\ x")
    assert b"1;1000003;n" in talk.taken()
