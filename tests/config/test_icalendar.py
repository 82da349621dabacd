"""Calendars of other programs, from the file to the hours of a rule."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from tests.config.support import load
from tests.support.rows import rows, tabular

LONDON = ZoneInfo("Europe/London")
POLICY = """\
time_zone: Europe/London
listen: [{{name: rooms, forward: "127.0.0.1:3128"}}]
calendars:
  tried: {calendar}
  terms: {{terms: {{summer: 2026-04-20/2026-07-22, exams: [2026-05-11/2026-05-15]}}}}
rules:
  - {{name: tried, do: block, when: [tried, terms]}}
  - {{name: everything else, do: allow}}
"""
EVENTS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Hillside//EN
BEGIN:VTIMEZONE
TZID:Own Zone
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
UID:1
SUMMARY:Half Term
CATEGORIES:School,Holiday
DTSTART;VALUE=DATE:20261026
DTEND;VALUE=DATE:20261031
END:VEVENT
BEGIN:VEVENT
UID:2
SUMMARY:Assembly
DTSTART;TZID=Europe/London:20260601T090000
DURATION:PT45M
RRULE:FREQ=WEEKLY;BYDAY=MO
EXDATE;TZID=Europe/London:20260615T090000
END:VEVENT
BEGIN:VEVENT
UID:2
SUMMARY:Assembly
RECURRENCE-ID;TZID=Europe/London:20260622T090000
DTSTART;TZID=Europe/London:20260622T140000
DURATION:PT45M
END:VEVENT
BEGIN:VEVENT
UID:3
SUMMARY:Floating
DTSTART:20260603T090000
DTEND:20260603T100000
END:VEVENT
BEGIN:VEVENT
UID:4
SUMMARY:Video call
DTSTART;TZID=Own Zone:20260604T090000
DTEND;TZID=Own Zone:20260604T100000
END:VEVENT
BEGIN:VEVENT
UID:5
SUMMARY:Called off
STATUS:CANCELLED
DTSTART:20260605T090000
DTEND:20260605T100000
END:VEVENT
END:VCALENDAR
"""


def at(written):
    """POSIX seconds of a local time."""
    return datetime.fromisoformat(written).replace(tzinfo=LONDON).timestamp()


def calendar(written, events=EVENTS):
    """The calendar of a policy, with the events beside it."""
    loaded = load(POLICY.format(calendar=written), {"events.ics": events})
    if loaded.errors:
        raise AssertionError(loaded.problems)
    return loaded.configuration.calendars["tried"]


@tabular
class EventTests(SynchronousTestCase):
    """What RFC 5545 says, as rules meet it."""

    if importlib.util.find_spec("recurring_ical_events") is None:
        skip = "icalendar is not installed"

    @rows(
        all_day=("2026-10-26T00:00", True),
        all_day_last=("2026-10-30T23:59", True),
        all_day_end_is_not_included=("2026-10-31T00:00", False),
        weekly=("2026-06-08T09:00", True),
        weekly_years_later=("2031-06-09T09:44", True),
        weekly_in_winter=("2026-12-07T09:10", True),
        duration=("2026-06-08T09:45", False),
        exception=("2026-06-15T09:10", False),
        moved_from=("2026-06-22T09:10", False),
        moved_to=("2026-06-22T14:10", True),
        floating=("2026-06-03T09:30", True),
        own_zone=("2026-06-04T08:30", True),
        own_zone_end=("2026-06-04T09:30", False),
        cancelled=("2026-06-05T09:30", False),
        nothing=("2026-06-09T09:30", False),
    )
    def test_holds(self, moment, expected):
        """An event holds from its beginning to its end, as often as it comes."""
        self.assertEqual(calendar("{file: events.ics}").contains(at(moment)), expected)

    @rows(
        summary=("{file: events.ics, events: half term}", "2026-10-27T10:00", True),
        category=("{file: events.ics, events: holiday}", "2026-10-27T10:00", True),
        other=("{file: events.ics, events: holiday}", "2026-06-08T09:10", False),
        with_hours=('{file: events.ics, hours: "10:00-11:00"}', "2026-10-27T10:30", True),
        outside_hours=('{file: events.ics, hours: "10:00-11:00"}', "2026-10-27T11:30", False),
        taken_out=("{days: mon-fri, except: {file: events.ics}}", "2026-10-27T10:30", False),
        floating_elsewhere=("{file: events.ics, time_zone: America/New_York}", "2026-06-03T14:30", True),
    )
    def test_with_others(self, written, moment, expected):
        """Events are chosen by words, and stand beside hours as anything does."""
        self.assertEqual(calendar(written).contains(at(moment)), expected)

    @rows(
        begins=("2026-06-01T08:00", "2026-06-01T09:00"),
        ends=("2026-06-01T09:10", "2026-06-01T09:45"),
        next_month=("2026-10-31T12:00", "2026-11-02T09:00"),
    )
    def test_next_change(self, moment, expected):
        """Whoever holds a decision learns until when it holds."""
        self.assertEqual(calendar("{file: events.ics}").next_change(at(moment)), at(expected))

    def test_names(self):
        """The events that take place, and the terms, are known by name."""
        self.assertEqual(calendar("{file: events.ics}").names_at(at("2026-10-27T10:00")), ("Half Term",))
        loaded = load(POLICY.format(calendar="{file: events.ics}"), {"events.ics": EVENTS})
        terms = loaded.configuration.calendars["terms"]
        self.assertEqual(terms.names_at(at("2026-05-12T10:00")), ("summer", "exams"))
        self.assertFalse(terms.contains(at("2026-08-01T10:00")))

    def test_part_of_the_policy(self):
        """The file counts into the version, and a broken one leaves no configuration."""
        text = POLICY.format(calendar="{file: events.ics}")
        good, other = (load(text, {"events.ics": one}) for one in (EVENTS, EVENTS.replace("Half", "Whole")))
        self.assertNotEqual(good.version, other.version)
        self.assertIn("events.ics", good.texts)
        self.assertIsNone(load(text, {"events.ics": "torn"}).configuration)
        self.assertIsNone(load(text).configuration)

    def test_imported_when_needed(self):
        """The libraries are no part of a start without such a file."""
        script = (
            "import sys; from tests.config.support import load, SOUND; load(SOUND);"
            "print('icalendar' in sys.modules, 'dateutil' in sys.modules)"
        )
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual(told.stdout, "False False\n")
