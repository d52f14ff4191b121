"""A line that waits for a word: neither it nor what is typed meanwhile reaches the target before."""

from __future__ import annotations

import random

import pytest

from broker.gate.lines import Ruling, Word
from broker.gate.lines.doings import Dropped, Released, Repeat, Restore, Warned
from tests.playbooks.gated import NONCE, TERMS, Conversation, Cooked
from tests.playbooks.test_gate_hooked import PROMPT, hooked, verdict

ENDS = ["denied", "expired", "failed"]


def doings(talk: Conversation, kind: type) -> list[object]:
    return [doing for doing in talk.others if isinstance(doing, kind)]


def held_in_shell(line: str = "hold x", rest: str = "") -> Conversation:
    """A hooked shell that waits for the answer to the line."""
    talk = hooked()
    talk.say(f"{line}\r{rest}").mark("L", 1, line.replace(" ", "\\ "))
    talk.taken()
    assert talk.gate.state == "held"
    return talk


# ---------------------------------------------------------------- a shell that reports its lines


def test_a_held_line_gets_no_answer_until_it_is_approved() -> None:
    talk = held_in_shell().wait(5_000)
    assert talk.taken() == b""
    held = talk.held[0]
    assert (held.number, held.line, held.ruling.approval) == (1, "hold x", TERMS)
    talk.settle()
    assert verdict(talk) == "y"
    assert [type(doing) for doing in talk.others] == [Released]
    assert talk.last_line["verdict"] == "hold"
    talk.mark("B", 1).mark("X", 1).mark("P", 1)
    assert talk.gate.state == "prompt"


def test_an_approved_line_goes_once() -> None:
    talk = held_in_shell().settle()
    assert verdict(talk) == "y"
    talk.settle().settle("denied")
    assert talk.taken() == b""
    assert len(talk.settled) == 1


@pytest.mark.parametrize("outcome", ENDS)
def test_any_other_decision_refuses_it_and_the_next_line_works(outcome: str) -> None:
    talk = held_in_shell().settle(outcome)
    assert verdict(talk) == "n"
    assert (talk.settled[0].outcome, talk.settled[0].by) == (outcome, "bob")
    talk.mark("B", 1).hear(PROMPT).mark("P", 1).say("ls\r").mark("L", 2, "ls")
    assert verdict(talk) == "y"


@pytest.mark.parametrize("key", ["\x03", "\x04", "\x1b[99;5u", "\x1b[100;5u", "abc\x03"])
def test_ctrl_c_and_ctrl_d_take_it_back(key: str) -> None:
    talk = held_in_shell().say(key)
    assert talk.settled[0].outcome == "cancelled"
    assert verdict(talk) == "n"
    talk.settle()
    assert talk.taken() == b""


def test_the_end_of_the_input_takes_it_back() -> None:
    talk = held_in_shell()
    talk._do(talk.gate.end(talk.now))
    assert talk.settled[0].outcome == "cancelled"
    assert verdict(talk) == "n"


def test_typing_while_it_waits_goes_nowhere_then_or_later_with_one_hint() -> None:
    talk = held_in_shell()
    talk.say("e").say("vil\r").say("y").say("\x1b[A").wait(100)
    assert talk.taken() == b""
    assert len(doings(talk, Dropped)) == 1
    talk.settle().mark("B", 1).mark("X", 1).mark("P", 1).wait(3_000)
    assert b"vil" not in talk.sent
    assert b"\r" not in talk.taken()


def test_nobody_asked_in_time_is_a_refusal() -> None:
    talk = held_in_shell().wait(31_000)
    assert talk.settled[0].outcome == "failed"
    assert verdict(talk) == "n"


def test_a_request_that_is_never_heard_of_again_expires_here() -> None:
    talk = held_in_shell()
    talk._do(talk.gate.opened(1, 900_000_000, talk.now))
    talk.wait(899_000)
    assert talk.settled == []
    talk.wait(7_000)
    assert talk.settled[0].outcome == "expired"
    assert verdict(talk) == "n"


def test_a_shell_that_stops_waiting_is_not_answered_any_more() -> None:
    """Its wait was interrupted: the prompt is back, and an approval that comes now finds nothing to run."""
    talk = held_in_shell().mark("B", 1)
    assert talk.settled[0].outcome == "gone"
    talk.hear(PROMPT).mark("P", 1).settle()
    assert talk.taken() == b""
    assert talk.gate.state == "prompt"


def test_the_old_prompt_drawn_again_ends_no_wait() -> None:
    talk = held_in_shell().mark("P", 0)
    assert talk.gate.state == "held"


def test_a_command_without_a_reported_line_can_be_held_too() -> None:
    talk = hooked()
    talk.say("hold x\x0f").mark("X", 0).mark("D", 1_000_001, "hold\\ x")
    talk.taken()
    assert talk.gate.state == "held"
    talk.settle()
    assert b"1;1000001;y" in talk.taken()


def test_what_cannot_be_shown_exactly_is_not_held_but_refused() -> None:
    talk = hooked()
    talk.say("x\r").mark("L", 1, "$'hold \\xff'")
    assert verdict(talk) == "n"
    talk.mark("B", 1).mark("N", 1)
    assert talk.refused[0].ruling.word is Word.DENY


def test_a_line_too_long_to_report_is_never_held() -> None:
    talk = hooked()
    talk.say("x\r").mark("L", 1, "$'\\001too-long'")
    assert (verdict(talk), talk.held) == ("n", [])


def test_a_warning_comes_before_the_line_runs() -> None:
    talk = hooked()
    talk.say("warn x\r").mark("L", 1, "warn\\ x")
    assert verdict(talk) == "y"
    [warned] = doings(talk, Warned)
    assert isinstance(warned, Warned)
    assert warned.ruling.origin == "p.yaml:7"


# ---------------------------------------------------------------- a line its user has to confirm


def test_y_confirms_and_nothing_else() -> None:
    for key, outcome in (("y", "confirmed"), ("Y", "confirmed"), ("n", "unconfirmed"), ("\r", "unconfirmed")):
        talk = hooked()
        talk.say("confirm x\r").mark("L", 1, "confirm\\ x")
        assert talk.gate.state == "confirming"
        talk.taken()
        talk.wait(600).say(key)
        assert talk.settled[0].outcome == outcome
        assert verdict(talk) == ("y" if outcome == "confirmed" else "n")


def test_a_paste_cannot_confirm() -> None:
    """What was in the queue, what comes in the same piece, and what comes before the user can have read."""
    talk = hooked()
    talk.say("confirm x\ry").say("y").mark("L", 1, "confirm\\ x")
    talk.say("y").wait(300).say("y").wait(300).say("y")
    assert talk.settled == []
    talk.wait(600).say("yes")
    assert talk.settled[0].outcome == "unconfirmed"


def test_a_confirmation_is_waited_for_only_so_long() -> None:
    talk = hooked()
    talk.say("confirm x\r").mark("L", 1, "confirm\\ x").wait(301_000)
    assert talk.settled[0].outcome == "unconfirmed"
    assert verdict(talk) == "n"


# ---------------------------------------------------------------- what came in one piece with it


def test_lines_behind_it_wait_and_go_on_with_enter() -> None:
    talk = held_in_shell(rest="two\rthree\r")
    assert talk.held[0].behind == 2
    talk.settle().mark("B", 1).mark("X", 1).mark("P", 1).wait(1_000)
    talk.taken()
    talk.say("\r")
    assert talk.taken() == b"two\r"
    talk.mark("L", 2, "two").mark("B", 2).mark("X", 2).mark("P", 2)
    assert talk.taken().endswith(b"three\r")


def test_ctrl_c_drops_the_lines_behind_it() -> None:
    talk = held_in_shell(rest="two\r")
    talk.settle().mark("B", 1).mark("X", 1).mark("P", 1).wait(1_000)
    talk.taken()
    talk.say("\x03").say("\r")
    assert talk.taken() == b"\x03\r"
    assert "rest-dropped" in talk.kinds()


def test_a_program_can_be_answered_while_lines_wait() -> None:
    talk = held_in_shell(rest="two\r")
    talk.settle().mark("B", 1).mark("X", 1).hear("sure? ").wait(1_000)
    talk.taken()
    talk.say("y").hear("y").say("\r").wait(1_000)
    assert talk.taken() == b"y\r"
    talk.mark("P", 1).say("\r")
    assert talk.taken() == b"two\r"


@pytest.mark.parametrize("outcome", [*ENDS, "cancelled"])
def test_lines_behind_one_that_does_not_run_are_dropped(outcome: str) -> None:
    talk = held_in_shell(rest="two\r")
    talk.say("\x03") if outcome == "cancelled" else talk.settle(outcome)
    assert talk.settled[0].behind == 1
    talk.mark("B", 1).hear(PROMPT).mark("P", 1).say("\r").wait(100)
    assert b"two" not in talk.sent


def test_each_line_behind_it_is_judged() -> None:
    talk = held_in_shell(rest="forbidden y\r")
    talk.settle().mark("B", 1).mark("X", 1).mark("P", 1).wait(1_000)
    talk.say("\r").mark("L", 2, "forbidden\\ y")
    assert verdict(talk) == "n"


def test_a_paste_that_is_cut_off_keeps_whole_lines_only() -> None:
    talk = held_in_shell(rest="two\rthr")
    talk.say("ee\r").settle().mark("B", 1).mark("X", 1).mark("P", 1).wait(1_000)
    talk.taken()
    talk.say("\r")
    assert talk.taken() == b"two\r"
    talk.mark("L", 2, "two").mark("B", 2).mark("X", 2).mark("P", 2).wait(1_000)
    assert b"thr" not in talk.sent


def test_only_so_much_input_waits() -> None:
    talk = held_in_shell(rest="two\r")
    for _ in range(40):
        talk.now -= 9_000  # in one piece with what came before
        talk.say("x" * 32767 + "\r")
    assert len(talk.gate._holding.rest) <= 1 << 20
    assert len(doings(talk, Dropped)) == 1


def test_what_the_shell_had_read_before_comes_first() -> None:
    talk = held_in_shell(rest="two\r").settle()
    talk.mark("B", 1, "one'\n'").mark("X", 1).mark("P", 1).wait(1_000)
    talk.taken()
    talk.say("\r")
    assert talk.taken() == b"one\n"


# ---------------------------------------------------------------- output meanwhile


def test_output_waits_until_it_is_decided() -> None:
    talk = held_in_shell().hear("background\r\n")
    assert b"background" not in talk.shown
    talk.settle()
    shown = bytes(talk.shown)
    assert shown.index(b"= approved") < shown.index(b"background")
    assert talk.settled[0].more


def test_much_output_is_shown_and_the_notice_repeated_below() -> None:
    talk = held_in_shell()
    for _ in range(70):
        talk.hear("x" * 1022 + "\r\n")
    assert talk.shown.count(b"x") >= 64 * 1022
    assert len(doings(talk, Repeat)) == 1
    assert talk.gate.state == "held"
    assert talk.taken() == b""


# ---------------------------------------------------------------- a program that reports nothing


def test_enter_is_sent_when_it_is_approved() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("hold x\r")
    assert (shell.ran, shell.line, talk.gate.state) == ([], "hold x", "held")
    talk.settle()
    assert talk.taken() == b"\r"
    shell = Cooked(Conversation()).type("hold x\r")
    shell.talk.settle()
    assert shell.settle().ran == ["hold x"]
    assert shell.type("ls\r").ran == ["hold x", "ls"]


@pytest.mark.parametrize("outcome", [*ENDS, "cancelled"])
@pytest.mark.parametrize("cols", [80, 12])
def test_a_line_that_is_not_approved_is_taken_back(outcome: str, cols: int) -> None:
    talk = Conversation(cols=cols)
    shell = Cooked(talk).type("ls\r").type("hold a long line\r")
    talk.say("\x03") if outcome == "cancelled" else talk.settle(outcome)
    shell.settle()
    assert (shell.ran, shell.line) == (["ls"], "")
    assert "gate-poisoned" not in talk.kinds()
    assert shell.type("ls -l\r").ran == ["ls", "ls -l"]
    assert talk.refused == []


def test_output_that_leaves_the_line_alone_does_not_spoil_the_approval() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("hold x\r")
    talk.hear("\r\nlog message\r\n$ hold x")
    talk.settle().wait(100)
    assert talk.taken() == b"\r"
    assert shell.line == "hold x"


@pytest.mark.parametrize("output", ["\r$ forbidden x", "\r\nlog\r\n", "\r\n$ hold xy"])
def test_a_line_that_output_has_changed_is_not_what_was_approved(output: str) -> None:
    talk = Conversation()
    shell = Cooked(talk).type("hold x\r")
    talk.hear(output)
    talk.settle().wait(100)
    shell.settle()
    assert shell.ran == []
    assert talk.settled[0].outcome == "changed"
    assert not doings(talk, Released)


def test_a_line_typed_without_echo_is_never_shown_to_an_approver() -> None:
    talk = Conversation()
    shell = Cooked(talk)
    shell.echo = False
    shell.type("hold x").type("\r")
    assert (shell.ran, talk.held, len(talk.refused)) == ([], [], 1)
    assert "hold x" not in repr(talk.facts)


def test_a_held_line_in_a_paste_is_refused() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("\x1b[200~ls\rhold 2\rls\x1b[201~")
    assert talk.held == []
    assert not any("hold" in line for line in shell.ran)


def test_lines_in_one_piece_wait_behind_the_held_one() -> None:
    talk = Conversation()
    shell = Cooked(talk).type("ls 1\r").type("hold 2\rls 3\r")
    assert (shell.ran, talk.held[0].behind) == (["ls 1"], 1)
    talk.settle()
    assert shell.settle().ran == ["ls 1", "hold 2"]
    assert shell.type("\r").ran == ["ls 1", "hold 2", "ls 3"]


def test_what_nobody_has_read_for_sure_is_not_put_to_an_approver() -> None:
    talk = Conversation()
    Cooked(talk)
    talk.say("hold").hear("hold").hear(" x").say("\r").wait()
    assert talk.held == []
    assert talk.last_line["verdict"] == "doubt"


def test_doubt_can_be_put_to_an_approver_or_to_the_user() -> None:
    for word, kind in ((Word.HOLD, "held"), (Word.CONFIRM, "confirming")):
        ruling = Ruling(word, "", "unclear", "", TERMS)
        talk = Conversation(doubt=lambda why, ruling=ruling: ruling)
        Cooked(talk)
        talk.say("allowed").hear("xx").say("\r").wait()
        assert talk.gate.state == kind
        assert talk.held[0].ruling is ruling


# ---------------------------------------------------------------- full-screen programs


def in_vim(ex: str) -> Conversation:
    talk = Conversation()
    Cooked(talk).type("vim notes\r")
    talk.hear(f"\x1b[?1049h\x1b[2J\x1b[Htext\x1b[24;1H:{ex}").say("\r").wait(100)
    return talk


def test_a_command_from_an_editor_waits_under_an_overlay() -> None:
    talk = in_vim("!confirm x")
    assert (talk.gate.state, talk.held[0].spot.overlay) == ("confirming", True)
    talk.taken()
    talk.wait(600).say("y")
    assert talk.taken() == b"\r"
    talk = in_vim("!confirm x")
    talk.taken()
    talk.wait(600).say("n")
    assert talk.taken() == b"\x03"


def test_an_overlay_goes_after_a_while_or_with_a_key_and_the_row_comes_back() -> None:
    for key in ("", "j"):
        talk = in_vim("!forbidden x")
        talk._do(talk.gate.cover(b"NOTICE", talk.now))
        talk.others.clear()
        talk.say(key) if key else talk.wait(5_100)
        [restored] = doings(talk, Restore)
        assert isinstance(restored, Restore)
        assert b":!forbidden x" in restored.data


def test_an_overlay_is_drawn_again_over_output_but_not_within_a_sequence_or_after_the_program() -> None:
    talk = in_vim("!forbidden x")
    talk._do(talk.gate.cover(b"NOTICE", talk.now))
    talk.others.clear()
    talk.hear("\x1b[24;1Hother text\x1b[")
    assert talk.others == []
    talk.hear("3;3H")
    assert talk.others == [Restore(b"NOTICE")]
    talk.hear("\x1b[?1049l").hear("$ ").say("x")
    assert talk.others == [Restore(b"NOTICE")]


# ---------------------------------------------------------------- whatever happens


@pytest.mark.parametrize("seed", range(60))
def test_a_held_line_never_goes_before_it_is_approved_and_at_most_once_after(seed: int) -> None:
    """Keys, output, time and decisions in any order, in a hooked shell: an answer `y` follows an approval of
    that line, one for one, and nothing typed while a line waits is ever sent."""
    rng = random.Random(seed)
    talk, serial, approved, typed = hooked(), 0, 0, []
    sent_before = len(talk.sent)
    for step in range(80):
        waiting = talk.gate.state in ("held", "confirming")
        match rng.randrange(6):
            case 0 if not waiting and talk.gate.state == "prompt":
                serial += 1
                word = rng.choice(["hold", "confirm", "ls"])
                talk.say(f"{word} {step}\r").mark("L", serial, f"{word}\\ {step}")
                approved += word == "ls"
            case 1 if waiting:
                secret = f"typed{step}"
                typed.append(secret)
                talk.say(secret if rng.random() < 0.8 else secret + "\r")
            case 2:
                talk.hear(rng.choice(["out\r\n", "\x1b[2J", "x" * 3000, "\x1b[?1049h\x1b[?1049l"]))
            case 3 if talk.held:
                before = len(talk.settled)
                number = rng.choice([talk.held[-1].number, rng.randint(0, serial + 1)])
                talk.settle(rng.choice(["approved", *ENDS]), number)
                approved += sum(one.outcome == "approved" for one in talk.settled[before:])
            case 4:
                talk.wait(rng.choice([1, 700, 40_000]))
            case 5 if waiting:
                before = len(talk.settled)
                talk.say(rng.choice(["\x03", "y"]))
                approved += sum(one.outcome == "confirmed" for one in talk.settled[before:])
        if talk.gate.state == "asked":
            talk.mark("B", serial).mark("X", serial).mark("P", serial)
    assert talk.sent[sent_before:].count(f"{NONCE};1;".encode()) >= approved
    answers = [part.split(b";")[-1] for part in bytes(talk.sent).split(b"\x1e")[1::2]]
    assert answers.count(b"y") == approved
    assert not any(secret.encode() in talk.sent for secret in typed)
    assert len(talk.settled) <= len(talk.held)


@pytest.mark.parametrize("seed", range(60))
def test_no_held_line_is_read_by_a_program_before_it_is_approved(seed: int) -> None:
    """The same for a cooked reader, with random editing, bursts, and a screen that changes under the line.
    A line put to an approver is the one that runs, to the letter; what its user confirms he sees himself."""
    rng = random.Random(seed)
    talk = Conversation(cols=rng.choice([20, 80]), rows=rng.choice([6, 24]))
    shell = Cooked(talk)
    for _ in range(50):
        if talk.gate.state in ("held", "confirming"):
            match rng.randrange(4):
                case 0:
                    talk.settle()
                case 1:
                    talk.settle(rng.choice(ENDS))
                case 2:
                    talk.say(rng.choice(["meanwhile\r", "x", "\x03", "y"]))
                case 3:
                    talk.hear(rng.choice(["noise\r\n", "\x1b[2J\x1b[H", "$ "]))
            talk.wait(500)
            shell.settle()
        else:
            shell.type(
                "".join(rng.choices(["hold", "confirm", " x", "y", "\x7f", "\r", "\r", ";", "ls"], k=4))
            )
    let_run = [
        held for held in talk.held if any(end.number == held.number and end.runs for end in talk.settled)
    ]
    for line in shell.ran:
        assert "meanwhile" not in line
        words = [part.strip() for part in line.split(";")]
        if any(word.startswith("hold") for word in words):
            assert line.strip() in [held.line.strip() for held in let_run], line
        elif any(word.startswith("confirm") for word in words):
            assert any(line.endswith(held.line) for held in let_run), line
