"""Hours, days, weeks and months of a site."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.policy.days import DAY_BEGINS, DAY_BEGINS_STEP, LATEST_DAY_BEGINS, Days, Unit
from tests.support.rows import rows, tabular

ZONES = ("UTC", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "America/New_York", "Africa/Cairo")


def at(text: str, zone: str = "Europe/London") -> float:
    """A moment of a place."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@tabular
class DaysTests(SynchronousTestCase):
    """Where a moment belongs."""

    @rows(
        hour=(Unit.HOUR, "2026-11-23T10:59:59", "2026-11-23 10:00 +0000"),
        day=(Unit.DAY, "2026-11-23T04:00", "2026-11-23"),
        night=(Unit.DAY, "2026-11-23T03:59:59", "2026-11-22"),
        week=(Unit.WEEK, "2026-11-23T03:59:59", "2026-W47"),
        monday=(Unit.WEEK, "2026-11-23T04:00", "2026-W48"),
        month=(Unit.MONTH, "2026-12-01T03:59:59", "2026-11"),
        new_year=(Unit.MONTH, "2027-01-01T00:30", "2026-12"),
        week_of_two_years=(Unit.WEEK, "2027-01-01T12:00", "2026-W53"),
    )
    def test_names(self, unit, moment, name) -> None:
        """What is done at night is of the day before."""
        self.assertEqual(Days(ZoneInfo("Europe/London")).span(unit, at(moment)).name, name)

    @rows(
        short=("2026-03-28T12:00", 23),
        plain=("2026-06-01T12:00", 24),
        long=("2026-10-24T12:00", 25),
    )
    def test_changed_clocks(self, moment, hours) -> None:
        """The day in which a clock is changed has an hour less, or more."""
        span = Days(ZoneInfo("Europe/London")).span(Unit.DAY, at(moment))
        self.assertEqual((span.ends - span.begins) / 3600, hours)

    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from(ZONES),
        st.integers(0, LATEST_DAY_BEGINS // DAY_BEGINS_STEP).map(lambda one: one * DAY_BEGINS_STEP),
        st.sampled_from([Unit.DAY, Unit.WEEK, Unit.MONTH]),
        st.floats(0, 4e9),
    )
    def test_one_after_the_other(self, zone, begins, unit, moment) -> None:
        """Every moment is in one span, and where one ends the next begins, whatever clocks do."""
        days = Days(ZoneInfo(zone), begins)
        span = days.span(unit, moment)
        self.assertTrue(span.begins <= moment < span.ends)
        self.assertEqual(days.span(unit, span.begins), span)
        following = days.span(unit, span.ends)
        self.assertEqual(following.begins, span.ends)
        self.assertNotEqual(following.name, span.name)

    def test_default(self) -> None:
        """Days begin at four."""
        self.assertEqual(Days().begins, DAY_BEGINS)
