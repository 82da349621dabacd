"""The figures of several workers are those of one proxy, and counters never fall."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.admin.telemetry import Telemetry
from corpproxy.audit.results import Kind
from corpproxy.supervisor.messages import Report
from corpproxy.supervisor.sums import OF_WORKERS, Sums, report_of
from tests.audit.test_record import a_record


class SumsTests(SynchronousTestCase):
    """Reports of workers, added up."""

    def setUp(self):
        self.telemetry = Telemetry(lambda: 0.0)
        self.sums = Sums(self.telemetry)
        self.sums.measure()

    def value(self, name):
        return self.telemetry.sources[f"corpproxy_{name}"]()

    def counted(self, count):
        """What a worker reports after so many exchanges."""
        worker = Telemetry(lambda: 0.0)
        worker.measure("corpproxy_open_connections", lambda: 2)
        worker.measure("corpproxy_upstream_connections", lambda: {"kept": 1, "in_use": 3})
        worker.measure("corpproxy_records_written_total", lambda: count)
        worker.measure("corpproxy_ledger_lag_seconds", lambda: count / 10)
        for _ in range(count):
            worker.exchange(a_record(decision="allow", method="GET", status=200, received=10, sent=100))
        worker.exchange(a_record(kind=Kind.CLOSING, seconds=70.0))
        # As it arrives.
        return msgspec.msgpack.decode(msgspec.msgpack.encode(report_of(worker)), type=Report)

    def test_added(self):
        """Counts of two workers are added; a later report of one adds only what is new."""
        self.sums.take("one", self.counted(3))
        self.sums.take("two", self.counted(4))
        self.sums.take("one", self.counted(5))
        self.assertEqual(self.telemetry.counts(0, 1)["allow", "forwarded"], 9)
        self.assertEqual((self.telemetry.received, self.telemetry.sent), (90, 900))
        self.assertEqual(sum(self.telemetry.exchanges.counts), 9)
        self.assertEqual((sum(self.telemetry.tunnels.counts), self.telemetry.tunnels.sum), (2, 140.0))
        self.assertEqual(self.value("records_written_total"), 9)
        self.assertEqual(self.value("open_connections"), 4)
        self.assertEqual(self.value("upstream_connections"), {"kept": 2, "in_use": 6})
        self.assertEqual(self.value("ledger_lag_seconds"), 0.5)

    def test_dead(self):
        """What a dead worker counted stays; what it had open is gone; its successor begins at nought."""
        self.sums.take((1, 1), self.counted(3))
        self.sums.forget((1, 1))
        self.assertEqual(self.value("open_connections"), 0)
        self.assertEqual(self.value("records_written_total"), 3)
        self.sums.take((1, 2), self.counted(1))
        self.assertEqual(self.telemetry.counts(0, 1)["allow", "forwarded"], 4)
        self.assertEqual(self.value("records_written_total"), 4)

    def test_all_measured(self):
        """Every figure of workers has a value from the first moment."""
        for name in OF_WORKERS:
            self.assertIn(self.telemetry.sources[name](), ({}, 0.0), name)
