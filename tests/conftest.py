"""What holds for every test: markers by folder, property tests without a clock, counts for `./dev test`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.world.fixtures"]

# The machine is shared: how long an example took says nothing about the code.
settings.register_profile("bartizan", deadline=None, print_blob=True)
settings.load_profile("bartizan")

_E2E = Path(__file__).parent / "e2e"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything under tests/e2e starts real programs; what only root can do is deselected for others."""
    for item in items:
        if item.path.is_relative_to(_E2E):
            item.add_marker(pytest.mark.e2e)
    if os.getuid() != 0 and (rooted := [item for item in items if item.get_closest_marker("root")]):
        items[:] = [item for item in items if item not in rooted]
        config.hook.pytest_deselected(items=rooted)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Add a line `passed failed errors skipped` to the file that `./dev test` sums up."""
    path = os.environ.get("BARTIZAN_TEST_COUNTS")
    if path and not hasattr(config, "workerinput"):  # the workers of xdist count for their master
        counts = [
            len(terminalreporter.stats.get(key, ())) for key in ("passed", "failed", "error", "skipped")
        ]
        with open(path, "a") as file:
            print(*counts, file=file)
