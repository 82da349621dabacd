"""
Hours, days, weeks and months of a site: its time zone, and the hour at which its days begin.

A day that begins at 04:00 has what is done at night where people look for it: with the evening before.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

from corpproxy.policy.calendar import clock_change

# When days begin, in minutes after midnight, where the policy says nothing: nobody is up, and nobody saves up
# for it.
DAY_BEGINS = 4 * 60
# Sums are kept by quarters of an hour; so a day can begin with any of them.
DAY_BEGINS_STEP = 15
# Nobody calls it the same day after noon.
LATEST_DAY_BEGINS = 12 * 60


class Unit(enum.StrEnum):
    """A span of the calendar."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Span(NamedTuple):
    """One hour, day, week or month: what it is called, and its beginning and end in POSIX seconds."""

    name: str
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Days:
    """How a site counts its days; ``begins`` is in minutes after midnight."""

    zone: tzinfo = UTC
    begins: int = DAY_BEGINS

    def span(self, unit: Unit, at: float) -> Span:
        """Give the span in which a moment lies."""
        if unit is Unit.HOUR:
            return self._hour(at)
        day = self.day(at)
        if unit is Unit.DAY:
            return self._between(day.isoformat(), day, _after(day, 1))
        if unit is Unit.WEEK:
            year, week, weekday = day.isocalendar()
            monday = _after(day, 1 - weekday)
            return self._between(f"{year}-W{week:02d}", monday, _after(monday, 7))
        first = day.replace(day=1)
        return self._between(f"{day:%Y-%m}", first, _after(first, 32).replace(day=1))

    def day(self, at: float) -> date:
        """
        Give the day in which a moment lies.

        Beginnings are compared, and no clock is turned back: a clock that is changed in that very hour would
        put a moment into neither day, or into both.
        """
        day = datetime.fromtimestamp(at, self.zone).date()
        # Two steps back where a whole day was left out, as in Samoa once: that day is nobody's.
        while at < self.beginning(day):
            day = _after(day, -1)
        while at >= self.beginning(_after(day, 1)):
            day = _after(day, 1)
        return day

    def beginning(self, day: date) -> float:
        """When a day begins, in POSIX seconds."""
        hour, minute = divmod(self.begins, 60)
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone).timestamp()

    def _between(self, name: str, first: date, behind: date) -> Span:
        return Span(name, self.beginning(first), self.beginning(behind))

    def _hour(self, at: float) -> Span:
        local = datetime.fromtimestamp(int(at // 1), self.zone)
        begins = at // 1 - local.minute * 60 - local.second
        ends = begins + 3600
        if self._offset(begins) != local.utcoffset() or self._offset(ends - 1) != local.utcoffset():
            # A clock that is changed by half an hour ends one hour of its own, and begins another.
            for change in clock_change(begins, self.zone):
                begins, ends = (begins, min(ends, change)) if at < change else (max(begins, change), ends)
        return Span(f"{local:%Y-%m-%d %H}:00 {local:%z}", begins, ends)

    def _offset(self, at: float) -> timedelta | None:
        return datetime.fromtimestamp(at, self.zone).utcoffset()


def clock_text(minutes: int) -> str:
    """Minutes after midnight as a clock shows them."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _after(day: date, days: int) -> date:
    return day + timedelta(days=days)
