"""Sums become reports in the time of the site."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion, UsageSum, report
from tests.support.rows import rows, tabular


def slot(text: str) -> int:
    """The slot that begins at a moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class ReportTests(SynchronousTestCase):
    """Rows and totals."""

    def test_overlap(self) -> None:
        """A person in two groups counts in both, and once in the total."""
        asked = UsageQuestion(By.GROUP, UTC)
        sums = [(("pupils", "year-9"), 1, 10, 1, 5), (("pupils",), 2, 20, 1, 6), ((), 4, 40, 1, 0)]
        made = report(asked, sums)
        expected = UsageSum("", 4, 40, 1), UsageSum("pupils", 3, 30, 2, 11), UsageSum("year-9", 1, 10, 1, 5)
        self.assertEqual(made.rows, expected)
        self.assertEqual(made.total, UsageSum("", 7, 70, 3, 11))

    def test_time_keeps_its_order(self) -> None:
        """Hours stay in their order, also where the clock goes back and one comes twice."""
        asked = UsageQuestion(By.HOUR, ZoneInfo("Europe/London"))
        slots = [slot("2026-10-25T00:15"), slot("2026-10-25T00:45"), slot("2026-10-25T01:00")]
        made = report(asked, [((asked.span(one).name,), 1, 1, 1, 0) for one in slots])
        self.assertEqual(
            [(row.name, row.exchanges) for row in made.rows],
            [("2026-10-25 01:00 +0100", 2), ("2026-10-25 01:00 +0000", 1)],
        )


@tabular
class SlotNameTests(SynchronousTestCase):
    """Quarters of an hour in UTC serve every zone."""

    @rows(
        london=("Europe/London", By.HOUR, "2026-11-23T10:45", "2026-11-23 10:00 +0000"),
        adelaide=("Australia/Adelaide", By.HOUR, "2026-11-23T10:45", "2026-11-23 21:00 +1030"),
        kathmandu=("Asia/Kathmandu", By.HOUR, "2026-11-23T10:15", "2026-11-23 16:00 +0545"),
        next_day=("Australia/Adelaide", By.DAY, "2026-11-23T17:30", "2026-11-24"),
        same_day=("Australia/Adelaide", By.DAY, "2026-11-23T17:15", "2026-11-23"),
        night_of_sunday=("Europe/London", By.WEEK, "2026-11-30T03:45", "2026-W48"),
        monday=("Europe/London", By.WEEK, "2026-11-30T04:00", "2026-W49"),
        night_of_new_year=("Europe/London", By.MONTH, "2027-01-01T03:45", "2026-12"),
    )
    def test_local(self, zone, by, begins, name) -> None:
        """A slot belongs to the hour or day of the site."""
        self.assertEqual(UsageQuestion(by, ZoneInfo(zone)).span(slot(begins)).name, name)

    @rows(
        whole=(900.0, 1800.0, 900, 1800),
        widened=(901.5, 1801.0, 900, 2700),
        open_ends=(None, None, 0, 2**62),
    )
    def test_bounds(self, since, until, first, end) -> None:
        """What is asked for is widened to whole slots."""
        asked = UsageQuestion(By.USER, UTC, since, until)
        self.assertEqual((asked.first_slot, asked.end_slot), (first, end))
