"""The clock of the machine."""

from __future__ import annotations

import time


class SystemClock:
    """`Clock` on the operating system's clocks; both answers in microseconds."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> int:
        return time.monotonic_ns() // 1000
