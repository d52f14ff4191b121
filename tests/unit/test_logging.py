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
def test_lesson_13_what_strangers_send_is_inert_in_the_log(form: str) -> None:
    """lesson 13: a login name with an escape sequence is shown in the log, never obeyed."""
    code = f"""
import structlog
from broker.commands.service import set_up_logging
set_up_logging({form!r}, "info")
structlog.get_logger().info("login.refused", subject="evil\\x1b]0;title\\x07\\r")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "evil" in done.stderr
    assert "\x1b]" not in done.stderr
    assert "\x07" not in done.stderr


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
