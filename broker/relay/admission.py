"""Limits against strangers: how many may knock at once, and from where (lessons 6, 28). Pure.

Counts logins in progress, in all and per source, and failed connections per source in a sliding window.
A source is an IPv4 address or an IPv6 /64. Memory is bounded: at most `MAX_SOURCES` are remembered.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

MAX_SOURCES = 10_000


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """`failures` per `window` (microseconds) close the door to a source for the rest of that window."""

    starts: int
    starts_per_source: int
    connections_per_source: int
    failures: int
    window: int


class Admission:
    """One per listening server."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._starting: Counter[str] = Counter()
        self._connected: Counter[str] = Counter()
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()

    def arrive(self, address: str, now: int) -> str | None:
        """A connection came in. None: go on (and `leave` later); else why it is closed at once."""
        source, limits = source_of(address), self._limits
        if self._starting.total() >= limits.starts:
            return "too many logins in progress"
        if self._starting[source] >= limits.starts_per_source:
            return "too many logins in progress from this source"
        if self._connected[source] >= limits.connections_per_source:
            return "too many connections from this source"
        if self._recent(source, now) >= limits.failures:
            return "too many failed logins from this source"
        self._starting[source] += 1
        self._connected[source] += 1
        return None

    def authenticated(self, address: str) -> None:
        self._drop(self._starting, source_of(address))

    def leave(self, address: str, authenticated: bool, now: int, *, failed: bool) -> None:
        """An admitted connection closed. `failed`: it tried to log in, and never did.

        One that did not even try (a health check, a scan) is bounded as a start alone: it guessed nothing.
        """
        source = source_of(address)
        self._drop(self._connected, source)
        if not authenticated:
            self._drop(self._starting, source)
        if failed:
            self._failed(source, now)

    def _failed(self, source: str, now: int) -> None:
        times = self._failures.setdefault(source, deque(maxlen=self._limits.failures))
        times.append(now)
        self._failures.move_to_end(source)
        while len(self._failures) > MAX_SOURCES:
            self._failures.popitem(last=False)

    def _recent(self, source: str, now: int) -> int:
        times = self._failures.get(source)
        if times is None:
            return 0
        while times and times[0] < now - self._limits.window:
            times.popleft()
        if not times:
            del self._failures[source]
        return len(times)

    @staticmethod
    def _drop(counter: Counter[str], source: str) -> None:
        counter[source] -= 1
        if counter[source] <= 0:
            del counter[source]


def source_of(address: str) -> str:
    """The address as it is counted: IPv4 whole (also when mapped into IPv6), IPv6 by its /64."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
