"""Trends of usage: spans of time beside each other."""

from __future__ import annotations

import itertools
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion, UsageReport, UsageSum
from corpproxy.accounting.trend import TREND, last_over, last_spans, questions, trend
from corpproxy.policy.days import Days, Unit
from tests.support.builders import MONDAY
from tests.support.rows import rows, tabular

DAYS = Days(ZoneInfo("Europe/London"), 240)
SPANS = last_spans(Unit.DAY, MONDAY, DAYS)


def sums(*told: tuple[str, str, int]) -> tuple[UsageSum, ...]:
    """Rows of a report: a span, a name, octets."""
    return tuple(UsageSum(name, octets, 1, 1, 0, span) for span, name, octets in told)


@tabular
class SpanTests(SynchronousTestCase):
    """Which spans of time stand beside each other."""

    @rows(
        hour=(Unit.HOUR, "2026-11-23 03:00 +0000", "2026-11-23 10:00 +0000"),
        day=(Unit.DAY, "2026-11-16", "2026-11-23"),
        week=(Unit.WEEK, "2026-W41", "2026-W48"),
        month=(Unit.MONTH, "2026-04", "2026-11"),
    )
    def test_last(self, unit, first, last):
        """Eight, without a gap, up to the one that is asked for; over a change of the clock, too."""
        spans = last_spans(unit, MONDAY, DAYS)
        self.assertEqual((len(spans), spans[0].name, spans[-1].name), (TREND, first, last))
        for before, after in itertools.pairwise(spans):
            self.assertEqual(before.ends, after.begins)

    def test_over(self):
        """Without a choice the last is the one that is over."""
        self.assertEqual(last_over(Unit.WEEK, MONDAY, DAYS)[-1].name, "2026-W47")

    def test_questions(self):
        """The sums of each span are asked for, and each octet once."""
        asked, whole = questions(UsageQuestion(By.GROUP, user="amir"), Unit.DAY, SPANS)
        self.assertEqual((asked.per, asked.by, whole.by, whole.per), (Unit.DAY, By.GROUP, By.DAY, None))
        for one in (asked, whole):
            self.assertEqual((one.since, one.until, one.user), (SPANS[0].begins, SPANS[-1].ends, "amir"))


class TrendTests(SynchronousTestCase):
    """The rows."""

    def made(self, now: float = MONDAY):
        asked = UsageReport(
            UsageQuestion(By.USER),
            sums(
                ("2026-11-16", "old", 999),
                ("2026-11-22", "amir", 9),
                ("2026-11-23", "amir", 4),
                ("2026-11-23", "beth", 7),
            ),
            UsageSum("", 0, 0, 0),
        )
        whole = UsageReport(UsageQuestion(By.DAY), sums(("", "2026-11-23", 11)), UsageSum("", 0, 0, 0))
        return trend(asked, whole, SPANS, Unit.DAY, now)

    def test_rows(self):
        """Who moved most in the last span comes first; who moved nothing in it is there, with nought."""
        made = self.made()
        self.assertEqual([row.name for row in made.rows], ["beth", "amir", "old"])
        self.assertEqual(made.rows[1].octets, (0, 0, 0, 0, 0, 0, 10, 5))
        self.assertEqual((made.rows[1].before, made.rows[1].now, made.rows[2].now), (10, 5, 0))
        self.assertEqual(made.total.octets, (0, 0, 0, 0, 0, 0, 0, 12))

    def test_is_over(self):
        """It says whether the last span is over."""
        self.assertFalse(self.made().is_over)
        self.assertTrue(self.made(SPANS[-1].ends).is_over)
