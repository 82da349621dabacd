"""
Calendars of other programs: iCalendar files (RFC 5545), as Google, Outlook and school programs write them.

The libraries that read them are imported only when a policy names such a file; they are those of
``pip install corpproxy[calendars]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from corpproxy.errors import Place, Problem
from corpproxy.policy.calendar_events import Event

# An event that comes more often would be worked out into more times than anybody has written hours for.
TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY"})
MAX_TIMES_AN_HOUR = 12

# A school has a few hundred in a year.
MAX_EVENTS = 5_000

# What the libraries raise for a file that is not as it should be; what else they raise is a bug.
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError)

_MISSING = "calendars of other programs need two libraries more; run: pip install 'corpproxy[calendars]'"


class EventsFile:
    """
    The events of one file, worked out for a time when they are asked for.

    ``problems`` are those of the file; with any there are no events.  Dates, and times without a zone, are
    those of ``time_zone``.
    """

    def __init__(self, octets: bytes, file: str, named_at: Place) -> None:
        self.problems: list[Problem] = []
        self._file, self._named_at = file, named_at
        self._lines = octets.decode("utf-8", "replace").splitlines()
        self._calendar: Any = None
        try:
            import icalendar
            import recurring_ical_events
        except ImportError:
            self.problems.append(Problem(named_at, "no-calendar-library", _MISSING))
            return
        self._of = recurring_ical_events.of
        try:
            self._calendar = icalendar.Calendar.from_ical(octets)
        except _BROKEN as error:
            self._tell(1, f"this is no calendar that can be read: {_one_line(error)}")
            return
        self._check()

    @property
    def summaries(self) -> list[str]:
        """What each event is called, and its categories, in small letters."""
        return [_called(event) for event in self._events()]

    def between(self, start: float, end: float, wanted: Sequence[str], time_zone: tzinfo) -> Iterator[Event]:
        """The events that overlap with a time; with ``wanted`` those in whose summary or category one is."""
        first, last = (datetime.fromtimestamp(edge, UTC) for edge in (start - 86_400, end + 86_400))
        for event in self._of(self._calendar, components=["VEVENT"]).between(first, last):
            called = _called(event)
            if wanted and not any(word.lower() in called for word in wanted):
                continue
            if str(event.get("STATUS", "")).upper() == "CANCELLED":
                continue
            begins, ends = (_instant(edge, time_zone) for edge in (event.start, event.end))
            if begins < end and ends > start:
                yield Event(begins, ends, str(event.get("SUMMARY", "")))

    def _events(self) -> list[Any]:
        return list(self._calendar.walk("VEVENT"))

    def _check(self) -> None:
        """Say what is wrong with each event, so that nothing is found out only when its time comes."""
        lines = enumerate(self._lines, 1)
        places = [number for number, line in lines if line.strip().upper() == "BEGIN:VEVENT"]
        events = self._events()
        if len(events) > MAX_EVENTS:
            self._tell(places[MAX_EVENTS], f"{len(events)} events are too many ({MAX_EVENTS} at most)")
            return
        for number, event in enumerate(events):
            line = places[number] if number < len(places) else 1
            said = self._wrong(event)
            if said:
                self._tell(line, said)
        if not self.problems:
            try:
                self._of(self._calendar, components=["VEVENT"]).between(date(2026, 1, 1), date(2026, 2, 1))
            except _BROKEN as error:
                self._tell(1, f"the events cannot be worked out: {_one_line(error)}")

    def _wrong(self, event: Any) -> str:
        name = f"event '{event.get('SUMMARY', '')}'"
        if event.errors:
            field, said = event.errors[0]
            return f"{name} has a {field} that cannot be read: {_one_line(said)}"
        if "DTSTART" not in event:
            return f"{name} does not say when it begins (DTSTART)"
        rules = event.get("RRULE", [])
        for rule in rules if isinstance(rules, list) else [rules]:
            often = str((rule.get("FREQ") or [""])[0]).upper()
            if often in TOO_OFTEN or "BYSECOND" in rule or len(rule.get("BYMINUTE", ())) > MAX_TIMES_AN_HOUR:
                return f"{name} comes more often than every few minutes; write hours for it"
        if not rules:
            return ""
        try:
            list(self._of(event, components=["VEVENT"]).between(event.start, timedelta(days=1)))
        except _BROKEN as error:
            return f"{name} cannot be worked out: {_one_line(error)}"
        return ""

    def _tell(self, line: int, said: str) -> None:
        self.problems.append(Problem(Place(self._file, line, 1), "bad-calendar-file", said))


def _called(event: Any) -> str:
    categories = event.get("CATEGORIES", [])
    words = [str(event.get("SUMMARY", ""))]
    for one in categories if isinstance(categories, list) else [categories]:
        words += [str(word) for word in getattr(one, "cats", [one])]
    return "\n".join(words).lower()


def _instant(edge: date, time_zone: tzinfo) -> float:
    """A date or time of an event as POSIX seconds."""
    if not isinstance(edge, datetime):
        return datetime(edge.year, edge.month, edge.day, tzinfo=time_zone).timestamp()
    return (edge if edge.tzinfo else edge.replace(tzinfo=time_zone)).timestamp()


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]
