"""What a key of the line editor asks for."""

from __future__ import annotations

from enum import Enum


class Act(Enum):
    """What the one who owns the editor has to do after a key."""

    SHOW = "show"
    BELL = "bell"
    ENTER = "enter"
    COMPLETE = "complete"
    CLEAR = "clear"
    INTERRUPT = "interrupt"
    OUTSIDE = "outside"
    """Ctrl-X Ctrl-E: the line in an editor on the target, from which it would come back unseen."""
    LEAVE = "leave"
    """Ctrl-D on an empty line."""
