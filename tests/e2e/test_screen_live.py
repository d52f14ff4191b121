"""The emulator against tmux on programs that are run here and now, whatever version they are of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.tmux_pane import Tmux, same_throughout
from tests.world.recorded import PROGRAMS, record

SIZES = ((100, 30), (80, 24), (60, 12))


@pytest.fixture(scope="module")
def tmux() -> Iterator[Tmux]:
    server = Tmux()
    yield server
    server.close()


@pytest.mark.parametrize(("number", "name"), list(enumerate(PROGRAMS)))
def test_a_program_looks_the_same_as_in_tmux(tmux: Tmux, number: int, name: str, place: Path) -> None:
    size = SIZES[number % len(SIZES)]
    same_throughout(tmux, size, record(PROGRAMS[name], size, place))
