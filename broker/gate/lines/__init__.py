"""The line gate: what a user is about to run in a live shell, held until it was judged.

Bytes in, actions out; no I/O and no clock (the time is passed in). `gate` holds the states and decides,
`keys` and `typed` follow what was typed, `picture` reads the line from the screen, `marks` hears what the
hooked shell reports, `piped` splits input that comes without a terminal.
"""

from broker.gate.lines.ruling import Candidate, JudgeLine, Ruling, Source, Word

__all__ = ["Candidate", "JudgeLine", "Ruling", "Source", "Word"]
