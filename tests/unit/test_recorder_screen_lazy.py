"""The lazily fed screen shows what a fully fed one shows, whatever the bytes and however they are cut."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.screen import LazyScreen, Screen
from recorder.screen import lazy as module

TAME = [
    b"text ",
    b"\xe6\x97\xa5\xe6\x9c\xac",
    b"\x1b[31m",
    b"\x1b[0;1m",
    b"\x1b[m",
    b"\x1b[K",
    b"\t",
    b"\r",
    b"\x08",
]
WILD = [
    b"\x1b[5A", b"\x1b[2;7H", b"\x1b[3;9r", b"\x1b[r", b"\x1b7", b"\x1b8", b"\x1b[?1049h", b"\x1b[?1049l",
    b"\x1b]0;title\x07", b"\x1b]0;never ended", b"\x1b\\", b"\x18", b"\x1b[?7l", b"\x1b[?7h", b"\x1b[4h",
    b"\x1b[20h", b"\x1b[20l", b"\x1b[?6h", b"\x1b(0", b"\x0e", b"\x0f", b"\xc2\x9b3A", b"\xe6\x97", b"\x1bP",
    b"\x08\x08\x08", b"a" * 79 + b"\x08" * 90,
    b"\x1b[2J", b"\x1bc", b"\x1bM", b"\x1b", b"\x1b[3", b"\x7f", b"\x0b", b"\x1b[44m",
]  # fmt: skip


def stream(seed: int) -> bytes:
    """Long stretches of output with something hostile in between."""
    rng = random.Random(seed)
    parts = []
    for _ in range(rng.randint(1, 5)):
        for _ in range(rng.randint(0, 900)):
            parts += rng.choices(TAME, k=rng.randint(0, 5))
            parts.append(rng.choice([b"\r\n", b"\r\n", b"\r\n", b"\n"]))
        parts += rng.choices(WILD, k=rng.randint(0, 3))
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(150))
def test_the_picture_is_that_of_full_feeding(seed: int) -> None:
    rng = random.Random(seed)
    cols, rows = rng.choice([(80, 24), (20, 5), (2, 2), (132, 50)])
    full, lazy = Screen(cols, rows), LazyScreen(cols, rows)
    data = stream(seed)
    while data:
        size = rng.choice([1, 7, 5000, 60000])
        full.feed(data[:size])
        lazy.add(data[:size])
        data = data[size:]
        if rng.random() < 0.02:
            assert lazy.sync().fingerprint() == full.fingerprint()
        if rng.random() < 0.01:
            cols, rows = rng.randint(1, 90), rng.randint(1, 40)
            full.resize(cols, rows)
            lazy.resize(cols, rows)
    assert lazy.sync().fingerprint() == full.fingerprint()


@settings(max_examples=60)
@given(st.lists(st.sampled_from([*TAME, *WILD, b"\r\n" * 60, b"line\r\n" * 2000]), max_size=30))
def test_any_mixture(parts: list[bytes]) -> None:
    full, lazy = Screen(30, 6), LazyScreen(30, 6)
    full.feed(b"".join(parts))
    for part in parts:
        lazy.add(part)
    assert lazy.sync().fingerprint() == full.fingerprint()


def test_bulk_output_is_skipped_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy, fed = LazyScreen(80, 24), []
    real = Screen.feed
    monkeypatch.setattr(
        module.Screen, "feed", lambda self, data: (fed.append(len(data)), real(self, data))[1]
    )
    line = b"\x1b[32m2026-11-24\x1b[0m a line of a log, as long as they are\r\n"
    for _ in range(40_000):
        lazy.add(line)
    lazy.sync()
    assert sum(fed) < len(line) * 40_000 // 30


@pytest.mark.parametrize("size", [1, 7, 300_000])
def test_the_screen_before_the_last_output(size: int) -> None:
    """Whatever came before, also more than is collected: what was taken away last is seen once more."""
    full, lazy = Screen(80, 24), LazyScreen(80, 24)
    data = b"x" * size + b"\r\n$ line"
    for one in (full, lazy):
        (one.feed if isinstance(one, Screen) else one.add)(data)
        (one.feed if isinstance(one, Screen) else one.add)(b"\r\x1b[K\r")
    ends = re.compile(rb"\r\x1b\[K\r\Z")
    assert lazy.before(ends, lambda screen: screen.display()[screen.cursor.y].rstrip()) == "$ line"
    assert lazy.sync().fingerprint() == full.fingerprint()
    assert lazy.before(ends, lambda screen: screen) is None
