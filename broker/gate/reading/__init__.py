"""Who reads the next line of a session, and what the line means to it.

A hooked shell says exactly when it reads and when something that it started does. Elsewhere that is not
known: then every reading that is possible counts, and the strictest answer to any of them.
"""

from broker.gate.reading.place import Reads, Where
from broker.gate.reading.readers import LineReaders, listens, readers_of

__all__ = ["LineReaders", "Reads", "Where", "listens", "readers_of"]
