"""Exit statuses, after BSD's sysexits.h. A remote command may return the same numbers, so the line
`bartizan: [CODE …]` on stderr is the contract for scripts."""

OK = 0
FAILED = 1
TAMPERED = 2
USAGE = 64
UNKNOWN_TARGET = 68
UNREACHABLE = 69
INTERNAL = 70
CANNOT_RECORD = 73
WAITING = 75
DENIED = 77
CONFIG = 78
CANCELLED = 130
TERMINATED = 137
