"""Whatever both sides send, in whatever pieces: the gate raises nothing and lets no forbidden line pass."""

from __future__ import annotations

import random

import pytest

from tests.playbooks.gated import NONCE, Conversation, Cooked

KEYS = [
    b"a", b"forbidden", b" x", b"\r", b"\n", b"\x0f", b"\x03", b"\x04", b"\x15", b"\x16", b"\x17",
    b"\x19", b"\x7f",
    b"\x1b", b"\x1b[A", b"\x1b[200~", b"\x1b[201~", b"\x1b[13u", b"\x1bOM", b"\xe6\x97\xa5", b"\xe6", b"\xff",
    b"\x1e", NONCE.encode(),
]  # fmt: skip
OUTPUT = [
    b"text", b"$ ", b"\r\n", b"\x1b[?2004h", b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[5;9r", b"\x1b[2J",
    b"\x1b]0;t",
    b"\x07", b"\x1b]5522;", NONCE.encode(), b";1;P;0;\x07", b";1;L;1;forbidden", b";1;V;0;5.2,,\x07",
    b";1;R;0;\x07", b";1;B;1;x\x07", b";1;D;5;ls\x07", b"Password: ", b"\xe6\x97", b"\x1b[999C",
    b"\x1b[A", b"\x9b",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(120))
def test_lesson_7_no_bytes_raise(seed: int) -> None:
    """lesson 7: input, output, resizes and time in any order end nothing but, at most, the session."""
    rng = random.Random(seed)
    talk = Conversation(hook=rng.random() < 0.6, cols=rng.randint(1, 90), rows=rng.randint(1, 30))
    for _ in range(150):
        match rng.randrange(6):
            case 0 | 1:
                talk.say(b"".join(rng.choices(KEYS, k=rng.randint(1, 6))))
            case 2 | 3:
                talk.hear(b"".join(rng.choices(OUTPUT, k=rng.randint(1, 6))))
            case 4:
                talk.gate.resized(rng.randint(0, 120), rng.randint(0, 50))
            case _:
                talk.wait(rng.choice([1, 70, 500, 4000]))


PIECES = (
    "forbidden", "forb", "idden", " x", "y", "\x7f", "\x15", "\r", "\r", "\n", ";", "\x03", "echo ", "\\",
)  # fmt: skip
NOISE = ("NOISE\r\n", "\x1b[2J\x1b[H", "$ ", "\x1b[?1049h", "\x1b[?7l", "\r")


@pytest.mark.parametrize("seed", range(80))
@pytest.mark.parametrize("broken", [False, True])
def test_no_forbidden_line_reaches_a_cooked_reader(seed: int, broken: bool) -> None:
    """Random editing in pieces, either with a target that clears, switches and overwrites the screen at any
    moment, or with keys that do not do what they should: nothing forbidden is read."""
    rng = random.Random(seed)
    talk = Conversation(cols=rng.choice([20, 40, 80]), rows=rng.choice([5, 24]))
    shell = Cooked(talk, kill=not broken or rng.random() < 0.5, intr=not broken or rng.random() < 0.5)
    for _ in range(60):
        shell.type("".join(rng.choices(PIECES, k=rng.randint(1, 5))))
        if not broken and rng.random() < 0.1:
            talk.hear(rng.choice(NOISE))
    for line in shell.ran:
        assert not any(part.strip().startswith("forbidden") for part in line.split(";")), line
