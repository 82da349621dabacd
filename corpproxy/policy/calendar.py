"""
Weekly hours and dates: when a rule is in force.

Hours are what the clock on the wall shows.  A span that starts at 22:00 and ends at 06:00 belongs to the day
on which it starts.  Where the clock is put forward, the minutes that are left out are never reached, and
a span begins or ends at the leap; where it is put back, the repeated minutes count both times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Weekly hours change within two weeks even if a change of the clock swallows one span, so that a longer look
# could only find dates; whoever remembers an answer asks again after this long.
LOOK_AHEAD_DAYS = 16

_DAY_MINUTES = 24 * 60
_DAY_SECONDS = 86_400
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Part of a day in minutes after midnight, its end not included; past midnight when it ends first."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.start // 60:02}:{self.start % 60:02}-{self.end // 60:02}:{self.end % 60:02}"


@dataclass(frozen=True, slots=True, order=True)
class Dates:
    """From one date to another, both included; a term or exam weeks have a name."""

    first: date
    last: date
    name: str = ""

    def __str__(self) -> str:
        if self.name:
            return self.name
        return str(self.first) if self.first == self.last else f"{self.first}/{self.last}"


class Calendar:
    """When something holds; hours, dates, or several of these taken together."""

    __slots__ = ()

    def contains(self, at: float) -> bool:
        """Whether it holds at a time in POSIX seconds."""
        raise NotImplementedError

    def edges(self, at: float) -> Iterator[float]:
        """Every instant in the days ahead at which the answer can change, in no order."""
        raise NotImplementedError

    def names_at(self, at: float) -> tuple[str, ...]:
        """What the terms and events are called that a time lies in."""
        return ()

    def next_change(self, at: float) -> float:
        """
        The first instant after ``at`` when the answer changes, in POSIX seconds.

        If nothing changes within sixteen days, the end of those: the answer holds until then, ask again.
        """
        now = self.contains(at)
        for edge in sorted(set(self.edges(at))):
            if edge > at and self.contains(edge) != now:
                return edge
        return at + LOOK_AHEAD_DAYS * _DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Several(Calendar):
    """Calendars that hold together in some way."""

    calendars: tuple[Calendar, ...]

    def edges(self, at: float) -> Iterator[float]:
        """Those of all of them."""
        for one in self.calendars:
            yield from one.edges(at)

    def names_at(self, at: float) -> tuple[str, ...]:
        """Those of the ones that hold."""
        return tuple(name for one in self.calendars if one.contains(at) for name in one.names_at(at))


@dataclass(frozen=True, slots=True)
class AnyOf(Several):
    """What holds while one of several does."""

    def contains(self, at: float) -> bool:
        """Whether one of them holds."""
        return any(one.contains(at) for one in self.calendars)


@dataclass(frozen=True, slots=True)
class AllOf(Several):
    """What holds while several do at once."""

    def contains(self, at: float) -> bool:
        """Whether all of them hold."""
        return all(one.contains(at) for one in self.calendars)


@dataclass(frozen=True, slots=True)
class NotIn(Calendar):
    """What holds while another calendar does not."""

    calendar: Calendar

    def contains(self, at: float) -> bool:
        """Whether the other does not hold."""
        return not self.calendar.contains(at)

    def edges(self, at: float) -> Iterator[float]:
        """Those of the other."""
        return self.calendar.edges(at)


@dataclass(frozen=True, slots=True)
class Hours(Calendar):
    """
    Hours of the week, or dates.

    A day counts when its weekday is in ``days`` (0 is Monday) and, if there are ``dates``, one has it;
    no ``spans`` mean the whole day.  What ``except_`` contains is taken out.
    """

    days: frozenset[int] = EVERY_DAY
    spans: tuple[Span, ...] = ()
    time_zone: tzinfo = UTC
    dates: tuple[Dates, ...] = ()
    except_: Calendar | None = None

    def contains(self, at: float) -> bool:
        """Whether these hours hold at a time in POSIX seconds."""
        if self.except_ is not None and self.except_.contains(at):
            return False
        clock = datetime.fromtimestamp(at, self.time_zone)
        today = clock.date()
        if not self.spans:
            return self._has_day(today)
        minute = clock.hour * 60 + clock.minute
        return any(self._in_span(span, today, minute) for span in self.spans)

    def names_at(self, at: float) -> tuple[str, ...]:
        """The names of the dates that a time lies in."""
        today = datetime.fromtimestamp(at, self.time_zone).date()
        return tuple(one.name for one in self.dates if one.name and one.first <= today <= one.last)

    def _has_day(self, day: date) -> bool:
        return day.weekday() in self.days and (
            not self.dates or any(dates.first <= day <= dates.last for dates in self.dates)
        )

    def _in_span(self, span: Span, today: date, minute: int) -> bool:
        if span.start < span.end:
            return span.start <= minute < span.end and self._has_day(today)
        if minute >= span.start:
            return self._has_day(today)
        return minute < span.end and self._has_day(today - timedelta(days=1))

    def edges(self, at: float) -> Iterator[float]:
        """Every instant in the days ahead at which the answer can change."""
        if self.except_ is not None:
            yield from self.except_.edges(at)
        walls = {0, *(edge % _DAY_MINUTES for span in self.spans for edge in (span.start, span.end))}
        first = datetime.fromtimestamp(at, self.time_zone).date()
        for number in range(LOOK_AHEAD_DAYS + 1):
            day = first + timedelta(days=number)
            midnight = datetime(day.year, day.month, day.day, tzinfo=self.time_zone)
            for wall in walls:
                shown = midnight.replace(hour=wall // 60, minute=wall % 60)
                yield shown.timestamp()
                yield shown.replace(fold=1).timestamp()
            yield from clock_change(midnight.timestamp(), self.time_zone)


def clock_change(start: float, time_zone: tzinfo) -> Iterator[float]:
    """The instant within the day after ``start`` at which the clock is put forward or back, if it is."""
    low, high = int(start), int(start) + _DAY_SECONDS + 2 * 3600
    before = _offset(low, time_zone)
    if _offset(high, time_zone) == before:
        return
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, time_zone) == before:
            low = middle
        else:
            high = middle
    yield float(high)


def _offset(at: float, time_zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(at, time_zone).utcoffset()


def parse_days(written: str | Sequence[str]) -> frozenset[int]:
    """
    Read weekdays: ``mon-fri``, ``sat``, ``fri-mon``, ``mon, wed`` or a list of these.

    Raises ValueError with what is wrong.
    """
    parts = written.replace(",", " ").split() if isinstance(written, str) else written
    if not parts:
        raise ValueError("no day is named; write days such as mon-fri or [sat, sun]")
    return frozenset(day for part in parts for day in _days_of(part))


def days_in_words(days: frozenset[int]) -> str:
    """Weekdays as they are written: ``mon-fri``, ``sat sun``."""
    words: list[str] = []
    for _, run in groupby(enumerate(sorted(days)), lambda pair: pair[1] - pair[0]):
        names = [_DAYS[day][:3] for _, day in run]
        words += [f"{names[0]}-{names[-1]}"] if len(names) > 2 else names
    return " ".join(words)


def _days_of(part: str) -> Iterator[int]:
    first, dash, last = part.strip().partition("-")
    start = _day(first)
    end = _day(last) if dash else start
    for number in range((end - start) % 7 + 1):
        yield (start + number) % 7


def _day(written: str) -> int:
    word = written.strip().lower()
    for number, name in enumerate(_DAYS):
        if len(word) >= 2 and name.startswith(word):
            return number
    raise ValueError(f"'{written}' is no day; days are mon tue wed thu fri sat sun, ranges mon-fri")


def parse_spans(written: str | Sequence[str]) -> tuple[Span, ...]:
    """Read one span or several, ``08:30-12:00``; raises ValueError with what is wrong."""
    parts = written.split(",") if isinstance(written, str) else written
    if not parts:
        raise ValueError('no hours are given; write hours such as "08:30-15:30", or leave the key out')
    return tuple(parse_span(part) for part in parts)


def parse_span(written: str) -> Span:
    """
    Read ``08:30-15:30``; ``22:00-06:00`` goes past midnight, and ``24:00`` may be an end.

    Raises ValueError with what is wrong.
    """
    first, dash, last = written.strip().partition("-")
    if not dash:
        raise ValueError(f"'{written}' is no span of hours; write it as 08:30-15:30")
    span = Span(_minutes(first, _DAY_MINUTES - 1), _minutes(last, _DAY_MINUTES))
    if span.start == span.end:
        raise ValueError(f"'{written}' ends when it starts; the whole day is 00:00-24:00")
    if span.end == 0:
        return Span(span.start, _DAY_MINUTES)
    return span


def _minutes(written: str, most: int) -> int:
    hours, colon, minutes = written.strip().partition(":")
    if not (colon and hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit()):
        raise ValueError(f"'{written.strip()}' is no time of day; write hours and minutes, such as 08:30")
    total = int(hours) * 60 + int(minutes)
    if len(hours) > 2 or len(minutes) != 2 or int(minutes) > 59 or total > most:
        raise ValueError(f"'{written.strip()}' is no time of day; times go from 00:00 to 24:00")
    return total


def parse_dates(written: str) -> Dates:
    """Read ``2026-12-25`` or ``2026-12-19/2027-01-04``, both included; raises ValueError for others."""
    first, slash, last = written.strip().partition("/")
    dates = Dates(_date(first), _date(last if slash else first))
    if dates.last < dates.first:
        raise ValueError(f"'{written}' ends before it starts")
    return dates


def _date(written: str) -> date:
    try:
        return date.fromisoformat(written.strip())
    except ValueError:
        raise ValueError(
            f"'{written.strip()}' is no date; write 2026-12-25, or 2026-12-19/2027-01-04 for several days"
        ) from None


def parse_time_zone(written: str) -> ZoneInfo:
    """Read the name of a time zone, such as ``Europe/London``; raises ValueError when there is none."""
    try:
        return ZoneInfo(written)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{written}' is no time zone; write a name such as Europe/London or UTC") from None


def parse_instant(written: str, time_zone: tzinfo) -> float:
    """
    Read a date and time of day as POSIX seconds: ``2026-11-23T10:00``, local unless it carries an offset.

    A repeated local time means the first of the two.  Raises ValueError with what is wrong.
    """
    try:
        read = datetime.fromisoformat(written.strip())
        return (read if read.tzinfo else read.replace(tzinfo=time_zone)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"'{written}' is no time; write date and time such as 2026-11-23T10:00") from None
