"""What programs do with their arguments: facts about each, in tables."""

import broker.gate.shell  # noqa: F401 - the shell's reader and the programs look into each other: it comes first
