"""What the broker's log says of an error, and what it must not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import structlog
from broker.commands.service import set_up_logging
set_up_logging(FORM, "info")
def open_door(password):
    revealed = password.encode()
    raise ValueError("the door is stuck")
try:
    open_door("".join(["hun", "ter2"]))
except ValueError as exc:
    structlog.get_logger().error("door.failed", exc_info=exc)
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_traceback_without_the_values_of_variables(form: str) -> None:
    """Beside the frame that fails there may be an opened credential (lesson 37)."""
    code = PROGRAM.replace("FORM", repr(form))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the door is stuck" in done.stderr
    assert "open_door" in done.stderr, "where it happened is told"
    assert "hunter2" not in done.stderr
    if form == "json":
        assert json.loads(done.stderr)["event"] == "door.failed"
