"""Whatever both sides send: nothing raises, and at a prompt no byte reaches the target but in a frame."""

from __future__ import annotations

import random
import re

import pytest

from tests.playbooks.gated import NONCE
from tests.playbooks.strict import FRAME, StrictTalk

KEYS = [
    b"a", b"forbidden x", b"ls ", b"'", b"\\", b"!", b"!!", b"\r", b"\n", b"\x0f", b"\x03", b"\x04", b"\x15",
    b"\x16", b"\x17", b"\x19", b"\x7f", b"\x12", b"\x13", b"\x18", b"\x05", b"\t", b"\x0c", b"\x1a", b"\x1c",
    b"\x1b", b"\x1b[A", b"\x1b[B", b"\x1b[D", b"\x1b.", b"\x1by", b"\x1bq", b"\x1b\r", b"\x1b[200~",
    b"\x1b[201~", b"\x1b[13u", b"\x1bOM", b"\xe6\x97\xa5", b"\xe6", b"\xff", b"\x1e", NONCE.encode(), b"\x00",
    b"\x1f", b"kj", b"dd", b"cw",
]  # fmt: skip
OUTPUT = [
    b"text", b"$ ", b"\r\n", b"\x1b[?2004h", b"\x1b[?2004l", b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[5;9r",
    b"\x1b[2J", b"\x1b]0;t", b"\x07", b"\x1b]5522;", NONCE.encode(), b"\xe6\x97", b"\x1b[999C", b"\x1b[A",
    b"\x9b",
]  # fmt: skip
MARKS = ["S", "B", "P", "A", "C", "X", "O", "I", "Y", "U", "V", "R", "Z"]
PAYLOADS = [
    "''",
    "$'0\\037/\\037p$ \\037> \\037H'",
    "$'1\\037/\\037\\E[2J\\037\\037H-vi'",
    "x",
    "5.2,,,/bin/bash",
]


@pytest.mark.parametrize("seed", range(150))
def test_lesson_7_no_bytes_raise(seed: int) -> None:
    """lesson 7: input, output, marks, resizes and time in any order end, at most, the session."""
    rng = random.Random(seed)
    talk = StrictTalk(cols=rng.randint(1, 90), rows=rng.randint(1, 30), alive=rng.random() < 0.5)
    if rng.random() < 0.7:
        talk.at_prompt()
    for _ in range(120):
        match rng.randrange(8):
            case 0 | 1 | 2:
                talk.say(b"".join(rng.choices(KEYS, k=rng.randint(1, 6))))
            case 3 | 4:
                talk.hear(b"".join(rng.choices(OUTPUT, k=rng.randint(1, 6))))
            case 5:
                serial = rng.choice([None, 0, 1, 99])
                talk.mark(rng.choice(MARKS), rng.choice(PAYLOADS), serial, rng.randint(1, 3))
            case 6:
                cols, rows = rng.randint(0, 120), rng.randint(0, 50)
                talk.screen.resize(cols, rows)
                talk._do(talk.gate.resized(cols, rows))
            case _:
                talk.wait(rng.choice([1, 70, 500, 4000]))


@pytest.mark.parametrize("seed", range(150))
def test_at_a_prompt_no_byte_is_sent_outside_a_frame(seed: int) -> None:
    """Random keys, pastes, completions, output from behind and resizes: all that the target gets are frames
    with the right serial numbers, and no line in them holds what is forbidden or a control character."""
    rng = random.Random(seed)
    talk = StrictTalk(cols=rng.choice([10, 40, 80]), rows=rng.choice([4, 24]))
    if rng.random() < 0.3:
        talk.flags += "-vi"
    talk.at_prompt()
    for _ in range(150):
        if talk.gate.state == "prompt":
            before = len(talk.sent)
            talk.say(b"".join(rng.choices(KEYS, k=rng.randint(1, 5))))
            if talk.gate.state == "prompt":
                assert FRAME.sub(b"", bytes(talk.sent[before:])) == b""
        else:
            talk.wait(600).finish(rng.choice(["", "out\r\n", "no end", "\x1b[2J"]))
        if rng.random() < 0.2:
            talk.hear(rng.choice(["behind\r\n", "\x1b[K", "x", "\x07"]))
    serials = [int(match[2]) for match in FRAME.finditer(bytes(talk.sent)) if match[3] != b"g"]
    assert serials == list(range(1, len(serials) + 1))
    for line in talk.ran:
        assert not line.lstrip().startswith("forbidden")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", line)
