"""When a calendar holds in a week, day by day, as people read it: times on the wall, a bar of half hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from corpproxy.policy.calendar import Calendar, clock_change

HALF_HOURS = 48


@dataclass(frozen=True, slots=True)
class Day:
    """
    One day of a week.

    ``spans`` are from one instant to another, in POSIX seconds, cut at midnight.  ``halves`` are the half
    hours that the clock on the wall shows: ``#`` where the calendar holds for all of it, ``+`` for part,
    ``.`` not at all, and a space where the clock never shows it.  ``changed`` is the instant at which the
    clock is put forward or back.
    """

    date: date
    spans: tuple[tuple[float, float], ...]
    halves: str
    changed: float | None


def monday_of(day: date) -> date:
    """The Monday of the week that a day is in."""
    return day - timedelta(days=day.weekday())


def week_of(calendar: Calendar, monday: date, time_zone: tzinfo) -> tuple[Day, ...]:
    """The seven days from a Monday on, in a time zone."""
    return tuple(_day(calendar, monday + timedelta(days=number), time_zone) for number in range(7))


def _day(calendar: Calendar, day: date, time_zone: tzinfo) -> Day:
    start, end = _midnight(day, time_zone), _midnight(day + timedelta(days=1), time_zone)
    spans = tuple(_spans(calendar, start, end))
    changed = next((at for at in clock_change(start, time_zone) if start < at < end), None)
    return Day(day, spans, _halves(spans, day, start, end, time_zone), changed)


def _midnight(day: date, time_zone: tzinfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=time_zone).timestamp()


def _spans(calendar: Calendar, start: float, end: float) -> Iterator[tuple[float, float]]:
    at = start
    while at < end:
        change = min(calendar.next_change(at), end)
        if calendar.contains(at):
            yield at, change
        at = change


def _halves(
    spans: tuple[tuple[float, float], ...], day: date, start: float, end: float, time_zone: tzinfo
) -> str:
    """The bar: each half hour of the day goes to where the clock on the wall shows it."""
    held, shown = [0.0] * HALF_HOURS, [0.0] * HALF_HOURS
    at = start
    while at < end:
        clock = datetime.fromtimestamp(at, time_zone)
        number = clock.hour * 2 + clock.minute // 30
        after = min(at + 1800 - (clock.minute % 30) * 60 - clock.second, end)
        shown[number] += after - at
        held[number] += sum(max(0.0, min(after, last) - max(at, first)) for first, last in spans)
        at = after
    return "".join(_mark(part, whole) for part, whole in zip(held, shown, strict=True))


def _mark(held: float, shown: float) -> str:
    if not shown:
        return " "
    return "#" if held >= shown else "+" if held else "."
