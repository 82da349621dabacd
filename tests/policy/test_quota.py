"""Quotas: when they are made good again, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.policy.calendar import Hours, parse_dates, parse_spans
from corpproxy.policy.conditions import When
from corpproxy.policy.quota import Every, Quota, Standing, Standings, Then
from tests.support.rows import rows, tabular

LONDON = ZoneInfo("Europe/London")
LESSON = When("lesson", Hours(spans=parse_spans("09:00-10:00"), time_zone=UTC))


def at(written, zone=LONDON):
    return datetime.fromisoformat(written).replace(tzinfo=zone).timestamp()


@tabular
class EndTests(SynchronousTestCase):
    """When what is used is made good again, in the time of the site."""

    @rows(
        hour=(Every.HOUR, "2026-11-23T10:20", "2026-11-23T11:00"),
        day=(Every.DAY, "2026-11-23T10:20", "2026-11-24T04:00"),
        night=(Every.DAY, "2026-11-23T03:59", "2026-11-23T04:00"),
        new_day=(Every.DAY, "2026-11-23T04:00", "2026-11-24T04:00"),
        week=(Every.WEEK, "2026-11-25T12:00", "2026-11-30T04:00"),
        sunday_night=(Every.WEEK, "2026-11-23T03:00", "2026-11-23T04:00"),
        month=(Every.MONTH, "2026-12-31T12:00", "2027-01-01T04:00"),
        short_month=(Every.MONTH, "2026-02-01T04:00", "2026-03-01T04:00"),
        summer=(Every.DAY, "2026-03-28T12:00", "2026-03-29T04:00"),
        winter=(Every.DAY, "2026-10-24T12:00", "2026-10-25T04:00"),
    )
    def test_ends(self, every, now, end):
        """An hour, a day from four in the morning, a week from Monday, a month; clocks may change."""
        self.assertEqual(Quota(volume=1, every=every, time_zone=LONDON).ends(at(now)), at(end))

    def test_occasion(self):
        """Each time that a calendar holds it begins anew, and counts then alone."""
        quota = Quota(minutes=20, every=None, occasion=LESSON)
        self.assertTrue(quota.holds(at("2026-11-23T09:30", UTC)))
        self.assertFalse(quota.holds(at("2026-11-23T10:30", UTC)))
        self.assertEqual(quota.ends(at("2026-11-23T09:30", UTC)), at("2026-11-23T10:00", UTC))


TERM = When("term", Hours(dates=(parse_dates("2026-09-01/2026-12-18"),), time_zone=LONDON))
ALWAYS = When("always", Hours(time_zone=LONDON))


@tabular
class LongTests(SynchronousTestCase):
    """Occasions that are longer than a calendar looks ahead."""

    @rows(
        first=("2026-09-01T08:00", "2026-12-19T00:00"),
        middle=("2026-10-25T12:00", "2026-12-19T00:00"),
        last=("2026-12-18T23:59", "2026-12-19T00:00"),
        before=("2026-05-01T12:00", "2026-09-01T00:00"),
    )
    def test_term(self, now, end):
        """A quota for a term is made good with its end, whenever in it somebody begins to use it."""
        quota = Quota(volume=1, every=None, occasion=TERM)
        self.assertEqual(quota.ends(at(now)), at(end))

    def test_asked_anew(self):
        """It says the same whatever it was asked before, as the clock goes on and back."""
        quota = Quota(volume=1, every=None, occasion=TERM)
        moments = (
            "2026-09-02T08:00",
            "2026-12-01T08:00",
            "2026-12-19T08:00",
            "2026-08-31T08:00",
            "2026-09-01T00:00",
        )
        said = [quota.ends(at(one)) for one in moments]
        self.assertEqual(said, [Quota(volume=1, every=None, occasion=TERM).ends(at(one)) for one in moments])

    @rows(january=("2026-01-05T00:00",), june=("2026-06-05T12:00",), december=("2026-12-31T23:59",))
    def test_always(self, now):
        """One whose calendar has no end is made good with the year."""
        quota = Quota(volume=1, every=None, occasion=ALWAYS, time_zone=LONDON)
        self.assertEqual(quota.ends(at(now)), at("2027-01-01T04:00"))

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from(
            ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
        ),
        st.sampled_from(["01:30-02:15", "02:00-03:00", "02:30-02:45", "22:00-02:30", "00:00-24:00"]),
        st.sampled_from([1774746000.0, 1772953200.0, 1775314800.0, 1791041400.0, 1792890000.0]),
        st.floats(-2e5, 2e5),
    )
    def test_changed_clocks(self, zone, hours, change, away):
        """All moments of an occasion have the same end, which is behind them, while clocks are changed."""
        where = ZoneInfo(zone)
        calendar = Hours(days=frozenset(range(6)), spans=parse_spans(hours), time_zone=where)
        now = change + away
        end = Quota(volume=1, every=None, occasion=When("hours", calendar), time_zone=where).ends(now)
        self.assertGreater(end, now)
        self.assertNotEqual(calendar.contains(end), calendar.contains(now))
        for part in (0.25, 0.5, 0.99):
            between = now + (end - now) * part
            fresh = Quota(volume=1, every=None, occasion=When("hours", calendar), time_zone=where)
            self.assertEqual(fresh.ends(between), end)


class WordsTests(SynchronousTestCase):
    """What a quota says, for people."""

    def test_words(self):
        """How much, how often, and what then."""
        slow = Quota(volume=2 << 30, then=Then.SLOW, download=256 << 10, upload=256 << 10)
        self.assertEqual(slow.in_words, "2 GiB each day, then slow to 256 KiB/s each way")
        self.assertEqual(
            Quota(minutes=30, every=None, occasion=LESSON).in_words, "30 min each 'lesson', then block"
        )


class StandingsTests(SynchronousTestCase):
    """How members stand."""

    def test_versions(self):
        """Only what makes another question of it counts as a change: nothing left, or something again."""
        standings, member = Standings(), ("day", "amir")
        for used, version in ((10, 0), (80, 0), (100, 1), (101, 1), (20, 2)):
            standings.take({member: Standing(used, 100, 5000.0)})
            self.assertEqual(standings.version, version, used)

    def test_time(self):
        """What was made good again says nothing any more, and it is known when that is."""
        standings = Standings()
        standings.take(
            {("day", "amir"): Standing(100, 100, 5000.0), ("day", "beth"): Standing(1, 100, 4000.0)}
        )
        self.assertEqual(standings.next_end(1000.0), 5000.0)
        self.assertTrue(standings.of("day", "amir", 4999.0).is_spent)
        self.assertIsNone(standings.of("day", "amir", 5000.0))
        for _ in standings.forgetting(5000.0):
            pass
        self.assertEqual(standings.all, {})

    def test_notice(self):
        """At four fifths a person is told."""
        self.assertFalse(Standing(79, 100, 1.0).is_noticed)
        self.assertTrue(Standing(80, 100, 1.0).is_noticed)
