"""The sums of the last periods: what is told is made of one look through the roll-ups."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.reports.figures import About, read_figures
from corpproxy.backends.store.schema import store_in_memory
from corpproxy.policy.days import Days
from corpproxy.reports.period import Every, period_with


class LooksTests(SynchronousTestCase):
    """A report of a month."""

    def test_looks(self):
        """Each roll-up is looked through once, and that of people once more for the days of the month."""
        statements = []
        with closing(store_in_memory()) as connection:
            connection.set_trace_callback(statements.append)
            month = period_with(Every.MONTH, date(2026, 11, 23), Days(UTC))
            read_figures(connection, About("Hillside", month, 0.0))
        looks = {
            table: sum(f"FROM {table} " in statement for statement in statements)
            for table in ("hourly_place", "hourly_person", "hourly_refusal", "hourly_deed")
        }
        expected = {"hourly_place": 1, "hourly_person": 2, "hourly_refusal": 1, "hourly_deed": 1}
        self.assertEqual(looks, expected)
