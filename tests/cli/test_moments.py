"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.cli.moments import end_moment, moment
from tests.support.rows import rows, tabular

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=BERLIN).timestamp()


@tabular
class MomentTests(SynchronousTestCase):
    """Reading moments in the time of the site."""

    @rows(
        day=("2026-11-20", "2026-11-19T23:00"),
        minute=("2026-11-20T10:05", "2026-11-20T09:05"),
        space=("2026-11-20 10:05", "2026-11-20T09:05"),
        summer=("2026-07-01T10:00", "2026-07-01T08:00"),
        utc=("2026-11-20T10:05:00Z", "2026-11-20T10:05"),
        offset=("2026-11-20T10:05+05:45", "2026-11-20T04:20"),
        clock=("08:15", "2026-11-23T07:15"),
        short_clock=("8:15", "2026-11-23T07:15"),
        today=("today", "2026-11-22T23:00"),
        yesterday=("yesterday", "2026-11-21T23:00"),
        now=("now", "2026-11-23T11:30"),
        minutes=("30m", "2026-11-23T11:00"),
        hours=("2h", "2026-11-23T09:30"),
        days=("7d", "2026-11-16T11:30"),
        before_all=("9000w", "1970-01-01T00:00"),
    )
    def test_read(self, written, expected) -> None:
        """Each form is a moment."""
        read = datetime.fromtimestamp(moment(written, NOW, BERLIN), UTC)
        self.assertEqual(read.strftime("%Y-%m-%dT%H:%M"), expected)

    @rows(
        day=("2026-11-20", "2026-11-20T23:00"),
        today=("today", "2026-11-23T23:00"),
        short_day=("2026-03-29", "2026-03-29T22:00"),
        minute=("2026-11-20T10:05", "2026-11-20T09:05"),
    )
    def test_end(self, written, expected) -> None:
        """A day that ends something is included, also the one with 23 hours."""
        read = datetime.fromtimestamp(end_moment(written, NOW, BERLIN), UTC)
        self.assertEqual(read.strftime("%Y-%m-%dT%H:%M"), expected)

    @rows(
        words=("last tuesday",),
        empty=("",),
        hour=("25:00",),
        month=("2026-13-01",),
        huge=("99999999999d",),
        sign=("-2h",),
    )
    def test_refused(self, written) -> None:
        """What is no moment is told so."""
        self.assertIn("is no moment", str(self.assertRaises(ValueError, moment, written, NOW, BERLIN)))
