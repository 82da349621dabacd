"""Days, weeks and months in the time of the site."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.policy.days import Days
from corpproxy.reports.period import Every, days_of_reports, last_over, period_with
from tests.support.rows import rows, tabular

LONDON = ZoneInfo("Europe/London")


@tabular
class PeriodTests(SynchronousTestCase):
    """One period."""

    @rows(
        day=(Every.DAY, "2026-11-25", "Wednesday, 25 November 2026", "2026-11-24", 24),
        week=(Every.WEEK, "2026-W48", "23 to 29 November 2026", "2026-W47", 7),
        month=(Every.MONTH, "2026-11", "November 2026", "2026-10", 30),
    )
    def test_names(self, every, name, words, before, slots) -> None:
        """It has a name for files and one for people; it knows the one before, and its hours or days."""
        period = period_with(every, date(2026, 11, 25), Days(UTC, 0))
        self.assertEqual((period.name, period.words, period.before.name), (name, words, before))
        self.assertEqual(len(list(period.slots())), slots)

    @rows(
        year=(date(2026, 12, 30), "28 December 2026 to 3 January 2027", "2026-W53"),
        month=(date(2026, 9, 30), "28 September to 4 October 2026", "2026-W40"),
        monday=(date(2026, 11, 23), "23 to 29 November 2026", "2026-W48"),
        sunday=(date(2026, 11, 29), "23 to 29 November 2026", "2026-W48"),
    )
    def test_weeks(self, day, words, name) -> None:
        """A week begins on Monday, also where it lies in two months or years."""
        period = period_with(Every.WEEK, day, Days(UTC, 0))
        self.assertEqual((period.words, period.name), (words, name))

    @rows(spring=(date(2026, 3, 29), 23), autumn=(date(2026, 10, 25), 25), plain=(date(2026, 11, 25), 24))
    def test_clock_change(self, day, hours) -> None:
        """The day on which a clock is changed has 23 hours or 25, and they follow one another."""
        slots = list(period_with(Every.DAY, day, Days(LONDON, 0)).slots())
        self.assertEqual(len(slots), hours)
        self.assertTrue(all(one[2] == other[1] for one, other in pairwise(slots)))

    @rows(
        day=(Every.DAY, "2026-11-25", 24),
        week=(Every.WEEK, "2026-11-23", 7),
        month=(Every.MONTH, "2026-11-01", 30),
    )
    def test_day_begins(self, every, first, slots) -> None:
        """They begin at the hour at which days of the site begin, and so do the days in them."""
        period = period_with(every, date(2026, 11, 25), days_of_reports(LONDON, 4 * 60 + 30))
        begins = datetime.fromisoformat(f"{first}T04:00+00:00").timestamp()
        self.assertEqual((period.begins, period.before.ends), (begins, begins))
        found = list(period.slots())
        self.assertEqual((len(found), found[0][1], found[-1][2]), (slots, period.begins, period.ends))

    def test_night(self) -> None:
        """What is done at night is of the day before, which is not over then."""
        night = datetime(2026, 11, 30, 3, 59, tzinfo=UTC).timestamp()
        days = days_of_reports(UTC, 4 * 60)
        self.assertEqual(last_over(Every.DAY, night, days).name, "2026-11-28")
        self.assertEqual(last_over(Every.DAY, night + 60, days).name, "2026-11-29")

    @rows(
        monday=(Every.WEEK, datetime(2026, 11, 30, 0, 0, tzinfo=UTC), "2026-W48"),
        sunday=(Every.WEEK, datetime(2026, 11, 29, 23, 59, tzinfo=UTC), "2026-W47"),
        day=(Every.DAY, datetime(2026, 11, 30, 0, 0, tzinfo=UTC), "2026-11-29"),
        month=(Every.MONTH, datetime(2026, 12, 1, 0, 0, tzinfo=UTC), "2026-11"),
    )
    def test_last(self, every, now, name) -> None:
        """The last one that is over."""
        self.assertEqual(last_over(every, now.timestamp(), Days(UTC, 0)).name, name)
