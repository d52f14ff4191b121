"""The terminal emulator: what a stream of bytes looks like on a terminal. Never raises, whatever the bytes.

pyte 0.8.2 alone loses text, prints control strings and raises on inputs a hostile target can send; it is used
here only below our own tokenizer (`parser`) and with its buffer replaced (`terminal`).
"""

from recorder.screen.canvas import char_width
from recorder.screen.cells import Run, Style
from recorder.screen.emulator import Cursor, Screen
from recorder.screen.lazy import LazyScreen

__all__ = ["Cursor", "LazyScreen", "Run", "Screen", "Style", "char_width"]
