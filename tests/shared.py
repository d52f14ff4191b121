"""What the team keeps beside the repository (`../shared`): corpora to score against."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CORPORA = Path(__file__).parents[2] / "shared" / "corpora" / "visible"

needs_corpora = pytest.mark.skipif(
    not CORPORA.is_dir() and "CI" not in os.environ,
    reason="a clone of the repository alone has no ../shared; on CI its absence fails",
)
