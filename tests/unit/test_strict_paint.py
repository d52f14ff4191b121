"""Prompt and line on the screen, compared with what a terminal makes of the bytes."""

from __future__ import annotations

import random
import re

import pytest

from broker.gate.strict.layout import Picture, cell_of, layout, prompt_of
from broker.gate.strict.paint import Painter
from recorder.screen import Screen

MORE = [cell_of(">"), cell_of(" ")]
CHARACTERS = "abc xyz日本é\n\t\u200b\u202e\U0001f600e\u0301\ufe0f\x85-;'"
PROMPTS = (
    "$ ",
    "",
    "\x1b[31mred\x1b[0m$ ",
    "日本> ",
    "a-prompt-that-wraps$ ",
    "\x01\x1b[1m\x02b\x01\x1b[m\x02$ ",
)
_SGR = re.compile("\x1b\\[[0-9;]*m")


def rows(picture: Picture) -> list[str]:
    return [_SGR.sub("", "".join(cell.text for cell in row.cells)).rstrip() for row in picture.rows]


def part(picture: Picture, height: int) -> tuple[list[str], int]:
    """What fits the terminal, as the painter chooses it, and the cursor's row in it."""
    found = rows(picture)
    if len(found) <= height:
        return found, picture.y
    top = min(max(0, picture.y - height + 1), len(found) - height)
    return found[top : top + height], picture.y - top


@pytest.mark.parametrize("seed", range(150))
def test_any_editing_leaves_the_line_and_nothing_else_on_the_screen(seed: int) -> None:
    """lesson 7: on any size, at any place, with any characters."""
    rng = random.Random(seed)
    cols, height = rng.choice([2, 5, 10, 20, 40]), rng.choice([1, 3, 6, 24])
    screen, painter = Screen(cols, height), Painter(cols, height)
    screen.feed(b"junk\r\n" * rng.randint(0, height + 2) + rng.choice([b"", b"\x1b[H"]))
    prompt, text, at = prompt_of(rng.choice(PROMPTS)), "", 0
    for _ in range(30):
        match rng.randrange(6):
            case 0 | 1 | 2:
                more = "".join(rng.choices(CHARACTERS, k=rng.randint(1, 8)))
                text, at = text[:at] + more + text[at:], at + len(more)
            case 3:
                text = text[: rng.randint(0, len(text))]
            case 4:
                at = rng.randint(0, len(text))
            case _:
                text = rng.choice(["", text])
        at = min(at, len(text))
        picture = layout(prompt, MORE, text, at, cols, rng.choice(["", "", "2"]))
        screen.feed(painter.paint(picture).encode())
        wanted, y = part(picture, height)
        top = screen.cursor.y - y
        shown = ["".join(screen.columns(row)).rstrip() for row in range(top, top + len(wanted))]
        below = ["".join(screen.columns(row)).strip() for row in range(top + len(wanted), height)]
        assert shown == wanted
        assert not any(below)
        assert screen.cursor.x == picture.x


def test_typing_at_the_end_costs_one_character() -> None:
    painter, prompt = Painter(80, 24), prompt_of("$ ")
    painter.paint(layout(prompt, MORE, "a", 1, 80))
    assert painter.paint(layout(prompt, MORE, "ab", 2, 80)) == "b"


def test_a_wrapped_line_stays_one_line_for_the_terminal() -> None:
    screen, painter = Screen(10, 5), Painter(10, 5)
    for end in range(1, 20):
        screen.feed(
            painter.paint(layout(prompt_of("$ "), MORE, "0123456789abcdefghij"[:end], end, 10)).encode()
        )
    assert screen.joined(1)
    assert screen.joined(2)


@pytest.mark.parametrize("seed", range(40))
def test_a_resize_erases_nothing_above_the_line(seed: int) -> None:
    rng = random.Random(seed)
    cols, height = rng.randint(8, 40), 12
    screen, painter = Screen(cols, height), Painter(cols, height)
    screen.feed(b"above\r\n")
    prompt, text = prompt_of("$ "), "".join(rng.choices("abc 日\n", k=rng.randint(0, 60)))
    screen.feed(painter.paint(layout(prompt, MORE, text, len(text), cols)).encode())
    wider = rng.randint(8, 60)
    screen.resize(wider, height)
    picture = layout(prompt, MORE, text, len(text), wider)
    screen.feed(painter.resized(wider, height, picture).encode())
    screen.feed(painter.paint(picture).encode())
    shown = ["".join(screen.columns(row)).rstrip() for row in range(height)]
    wanted, y = part(picture, height)
    top = screen.cursor.y - y
    assert shown[top : top + len(wanted)] == wanted
    assert shown[0].startswith("above"[:wider]) or top == 0 or len(wanted) > 6


def test_lesson_13_a_prompt_can_colour_but_not_move_or_erase() -> None:
    """lesson 13"""
    prompt = prompt_of("up\r\n\x1b[2J\x1b[5;5H\x1b[31mp\x1b[0m\x1b[K\x1b[?1049h> ")
    drawn = "".join(cell.before + cell.text for cell in prompt.cells)
    assert drawn == "\x1b[31mp\x1b[0m> "
    assert prompt.above == "up\r\n"
