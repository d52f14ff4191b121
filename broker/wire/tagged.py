"""What every message of the control protocol is."""

from __future__ import annotations

from msgspec import Struct


class Message(Struct, frozen=True, tag_field="type"):
    """Base of everything that travels; the class's tag names it on the wire."""
