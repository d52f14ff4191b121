"""What every verb of the command line gets from the top: click's `ctx.obj`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broker.model.identity import User


@dataclass(slots=True)
class Context:
    """`find_user` looks a user up in the store; None where there is no store to ask."""

    config_path: Path
    json: bool = False
    find_user: Callable[[str], User | None] | None = None
