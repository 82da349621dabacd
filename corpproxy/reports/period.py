"""
The days, weeks and months that reports are about, in the time of the site.

They begin when days of the site begin, at the whole hour: what reports are made of is added up by hours.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from corpproxy.policy.days import Days


class Every(enum.StrEnum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """
    One day, week (from Monday) or month of the calendar.

    ``first`` is its first day, ``behind`` the first day that is not in it.
    """

    every: Every
    first: date
    behind: date
    days: Days

    @property
    def zone(self) -> tzinfo:
        """The time zone of the site."""
        return self.days.zone

    @property
    def begins(self) -> float:
        """When it begins, in POSIX seconds."""
        return self.days.beginning(self.first)

    @property
    def ends(self) -> float:
        """When it is over, in POSIX seconds."""
        return self.days.beginning(self.behind)

    @property
    def before(self) -> Period:
        """The one before."""
        return period_with(self.every, self.first - timedelta(days=1), self.days)

    def last(self, count: int) -> tuple[Period, ...]:
        """So many periods up to this one, the earliest first."""
        found = [self]
        while len(found) < count:
            found.append(found[-1].before)
        return tuple(reversed(found))

    @property
    def name(self) -> str:
        """What it is called in the names of files: ``2026-11-23``, ``2026-W48``, ``2026-11``."""
        if self.every is Every.DAY:
            return self.first.isoformat()
        if self.every is Every.WEEK:
            year, week, _ = self.first.isocalendar()
            return f"{year}-W{week:02d}"
        return f"{self.first:%Y-%m}"

    @property
    def words(self) -> str:
        """What people call it."""
        if self.every is Every.DAY:
            return f"{self.first:%A}, {_day(self.first)}"
        if self.every is Every.WEEK:
            return _span(self.first, self.behind - timedelta(days=1))
        return f"{self.first:%B %Y}"

    def slots(self) -> Iterator[tuple[str, float, float]]:
        """
        The hours of a day, or the days of what is longer: a name, the beginning and the end of each.

        The day on which a clock is changed has 23 hours, or 25.
        """
        if self.every is Every.DAY:
            at = self.begins
            while at < self.ends:
                yield f"{datetime.fromtimestamp(at, self.zone):%H:%M}", at, at + 3600
                at += 3600
            return
        day = self.first
        while day < self.behind:
            following = day + timedelta(days=1)
            name = f"{day:%a %d}" if self.every is Every.WEEK else f"{day.day}"
            yield name, self.days.beginning(day), self.days.beginning(following)
            day = following


def days_of_reports(zone: tzinfo, day_begins: int) -> Days:
    """Give the days of reports, where days of the site begin so many minutes after midnight."""
    return Days(zone, day_begins // 60 * 60)


def period_with(every: Every, day: date, days: Days) -> Period:
    """Give the period in which a day lies."""
    if every is Every.DAY:
        return Period(every, day, day + timedelta(days=1), days)
    if every is Every.WEEK:
        monday = day - timedelta(days=day.weekday())
        return Period(every, monday, monday + timedelta(days=7), days)
    first = day.replace(day=1)
    return Period(every, first, (first + timedelta(days=32)).replace(day=1), days)


def last_over(every: Every, now: float, days: Days) -> Period:
    """Give the last period that was over at a moment."""
    return period_with(every, days.day(now), days).before


def _span(first: date, last: date) -> str:
    if first.year != last.year:
        return f"{_day(first)} to {_day(last)}"
    if first.month != last.month:
        return f"{first.day} {first:%B} to {_day(last)}"
    return f"{first.day} to {_day(last)}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
