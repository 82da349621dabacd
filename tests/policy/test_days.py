"""Hours, days, weeks and months of a site."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.policy.days import DAY_BEGINS, DAY_BEGINS_STEP, LATEST_DAY_BEGINS, Days, Unit
from tests.support.rows import rows, tabular

ZONES = (
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/New_York",
    "Africa/Cairo",
    "Pacific/Apia",
)
# When clocks of these zones are changed; and when Samoa left out a day.
CHANGES = (1774746000.0, 1772953200.0, 1775314800.0, 1791041400.0, 1792890000.0, 1325239200.0, 504901800.0)


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
        st.sampled_from(Unit),
        st.floats(0, 4e9) | st.sampled_from(CHANGES).flatmap(lambda one: st.floats(one - 1e5, one + 1e5)),
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
        self.assertLess(following.begins, following.ends)

    @rows(
        missing=("2026-03-29T12:00", "2026-03-29T01:30+00:00", 23),
        twice=("2026-10-25T12:00", "2026-10-25T00:30+00:00", 25),
    )
    def test_changed_hour(self, moment, begins, hours) -> None:
        """A day begins later where its hour is left out, and with the first of two."""
        days = Days(ZoneInfo("Europe/Berlin"), 2 * 60 + 30)
        span = days.span(Unit.DAY, at(moment, "Europe/Berlin"))
        self.assertEqual(span.begins, datetime.fromisoformat(begins).timestamp())
        self.assertEqual((span.ends - span.begins) / 3600, hours)

    @rows(
        before=("2026-04-04T14:59+00:00", "2026-04-05 01:00 +1100", 60),
        back=("2026-04-04T15:00+00:00", "2026-04-05 01:00 +1030", 30),
        late=("2026-10-03T15:29+00:00", "2026-10-04 01:00 +1030", 60),
        forward=("2026-10-03T15:30+00:00", "2026-10-04 02:00 +1100", 30),
    )
    def test_half_hour(self, moment, name, minutes) -> None:
        """Where a clock is changed by half an hour, one hour of it is as long."""
        days = Days(ZoneInfo("Australia/Lord_Howe"))
        span = days.span(Unit.HOUR, datetime.fromisoformat(moment).timestamp())
        self.assertEqual((span.name, (span.ends - span.begins) / 60), (name, minutes))

    def test_default(self) -> None:
        """Days begin at four."""
        self.assertEqual(Days().begins, DAY_BEGINS)
