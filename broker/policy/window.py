"""When a policy holds: days, hours and an end, in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_DAYS = frozenset(range(7))
WHOLE_DAY = (0, 24 * 60)


@dataclass(frozen=True, slots=True)
class Window:
    """Hours are minutes since local midnight, `start` included, `end` not; `start > end` runs over
    midnight and belongs to the day it starts on. `until` is the last day on which it holds."""

    zone: ZoneInfo
    days: frozenset[int] = ALL_DAYS
    hours: tuple[tuple[int, int], ...] = (WHOLE_DAY,)
    until: date | None = None

    def closed(self, at: int) -> str | None:
        """None while it holds at `at` (microseconds since the epoch), else why not and when it opens."""
        now = datetime.fromtimestamp(at // 1_000_000, self.zone)
        if self.until is not None and now.date() > self.until:
            return f"ended after {self.until.isoformat()} {self.zone.key}"
        if self._open(now):
            return None
        opening = self._next(now)
        if opening is None:
            return "window closed, does not open again"
        moment = f"{DAYS[opening.weekday()].capitalize()} {opening:%H:%M}"
        return f"window closed, opens {moment} {self.zone.key}"

    def _open(self, now: datetime) -> bool:
        minute = now.hour * 60 + now.minute
        today, yesterday = now.weekday(), (now.weekday() - 1) % 7
        for start, end in self.hours:
            if start < end:
                if today in self.days and start <= minute < end:
                    return True
            elif (today in self.days and minute >= start) or (yesterday in self.days and minute < end):
                return True
        return False

    def _next(self, now: datetime) -> datetime | None:
        """The next moment it opens, by the wall clock of the zone."""
        midnight = datetime(now.year, now.month, now.day)
        wall = now.replace(tzinfo=None)
        starts = [
            day + timedelta(minutes=start)
            for day in (midnight + timedelta(days=n) for n in range(8))
            if day.weekday() in self.days and (self.until is None or day.date() <= self.until)
            for start, _ in self.hours
        ]
        return min((moment for moment in starts if moment > wall), default=None)
