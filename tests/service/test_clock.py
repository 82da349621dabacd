"""The clock of the machine is set while a service with workers runs."""

from __future__ import annotations

import os
import time
from datetime import UTC
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion, UsageReport
from corpproxy.accounting.store_address import STORE_FILE
from corpproxy.backends.store.sqlite import report_from
from tests.service.client import Client
from tests.service.origin import Origin
from tests.service.whole import WholeService, policy_for
from tests.support.shifted_clock import ShiftedClock

HOUR = 3600.0
DAY = 24 * HOUR
PATIENCE_SECONDS = 40.0
POLICY = """
time_zone: Europe/London
limits:
  - {name: day, per: device, volume: 1MiB, every: day}
rules:
  - {name: everything else, do: allow}
"""


class ClockTests(SynchronousTestCase):
    """One person with a megabyte a day."""

    timeout = 120

    def setUp(self) -> None:
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        folder = Path(self.mktemp())
        folder.mkdir()
        self.clock = ShiftedClock(folder.absolute())
        self.patch(os, "environ", {**os.environ, **self.clock.environment})
        # No test of this runs into the next day by itself.
        self.noon = (12 * HOUR - time.time() % DAY) // HOUR * HOUR
        self.clock.set(self.noon)
        self.service = WholeService(policy_for(self.origin, POLICY), workers=2)
        self.addCleanup(self.service.forget)
        self.sent = self.received = self.exchanges = 0

    def ask(self, octets: int) -> int:
        """Ask for so many octets; gives the status."""
        client = Client(self.service.forward)
        target = f"http://origin.test:{self.origin.port}/octets/{octets}"
        try:
            status = client.ask("GET", target, "Connection: close").status
        except (OSError, ValueError):
            status = 0
        client.close()
        self.sent, self.received, self.exchanges = (
            self.sent + client.sent,
            self.received + client.received,
            self.exchanges + 1,
        )
        return status

    def usage(self, by: By = By.HOUR) -> UsageReport:
        return report_from(self.service.state / STORE_FILE, UsageQuestion(by, UTC))

    def wait_for(self, holds, what: str) -> None:
        ends = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            self.assertLess(
                time.monotonic(), ends, f"{what}: {self.usage()} {self.service.log_text()[-2000:]}"
            )
            time.sleep(0.05)

    def assert_counted(self) -> None:
        """Soon all that moved is in the store."""
        self.wait_for(lambda: self.usage().total.exchanges == self.exchanges, "all exchanges in the store")
        total = self.usage().total
        self.assertEqual((total.received, total.sent), (self.sent, self.received))

    def test_set_while_it_runs(self) -> None:
        """Every octet counts at its time, what waits goes on, and quotas are where they were."""
        self.assertEqual(self.ask(100_000), 200)
        self.assert_counted()
        self.clock.set(self.noon + HOUR)
        self.assertEqual(self.ask(100_000), 200)
        self.assert_counted()
        self.assertEqual(len(self.usage().rows), 2)
        self.clock.set(self.noon - HOUR)
        self.assertEqual(self.ask(800_000), 200)
        self.assert_counted()
        self.assertEqual(len(self.usage().rows), 3)
        self.wait_for(lambda: self.ask(5_000) != 200, "the quota is used up, whatever the clock says")
        self.clock.set(self.noon + DAY)
        self.wait_for(lambda: self.ask(10) == 200, "the next day has a quota of its own")
        self.assert_counted()
        for way in ("back", "forward"):
            said = f"The clock of this machine was set {way} by "
            self.wait_for(lambda said=said: said in self.service.log_text(), said)
