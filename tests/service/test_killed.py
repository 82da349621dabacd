"""
The service is killed again and again under load, and started on what is left.

Clients measure what they sent.  The store never has more, and has all that they sent until shortly before the
end of each life; record files have at most a cut last line.

A run is short by default; ``CORPPROXY_KILLS=100`` makes it long.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from datetime import UTC

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion
from corpproxy.audit.record import UnreadableRecord, decode
from corpproxy.audit.results import Kind
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.sqlite import report_from
from tests.service.case import ALLOW
from tests.service.client import Client
from tests.service.origin import Origin
from tests.service.whole import WholeService, policy_for

KILLS = int(os.environ.get("CORPPROXY_KILLS", "6"))
CLIENTS = 4
# The service writes once a second; a machine with other things to do takes its time over it.
UNWRITTEN_SECONDS = 3.0
LIFE_SECONDS = (0.1, 4.0)


class Load(threading.Thread):
    """One client that posts without a pause while there is a service."""

    def __init__(self, port: int, url: str, seed: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._url = url
        self._dice = random.Random(seed)
        self.goes = threading.Event()
        self.over = False
        self.sent = 0
        self.done: list[tuple[float, int]] = []

    def run(self) -> None:
        while not self.over:
            self.goes.wait()
            client = Client(self._port)
            try:
                while self.goes.is_set() and not self.over:
                    self.exchange(client)
            except (OSError, ValueError, IndexError):
                time.sleep(0.02)
            finally:
                client.close()

    def exchange(self, client: Client) -> None:
        """One exchange; what it sent counts as soon as it may have left, and as done with its answer."""
        before = client.sent
        content = b"x" * self._dice.randrange(1, 20_000)
        # What a request has at most, counted before it is sent: the service may have all of it at once.
        self.sent += len(content) + 300
        client.ask("POST", self._url, content=content)
        self.sent += client.sent - before - len(content) - 300
        self.done.append((time.monotonic(), client.sent - before))


class KilledTests(SynchronousTestCase):
    """kill -9, at random instants."""

    timeout = 600

    def test_killed(self) -> None:
        """Nothing is counted twice, and no more than the last moment is lost."""
        origin = Origin()
        self.addCleanup(origin.stop)
        service = WholeService(policy_for(origin, ALLOW))
        self.addCleanup(service.forget)
        url = f"http://origin.test:{origin.port}/"
        load = [Load(service.forward, url, seed) for seed in range(CLIENTS)]
        for one in load:
            one.start()
            self.addCleanup(setattr, one, "over", True)
            self.addCleanup(one.goes.set)
        dice, must_be_there, must_be_recorded = random.Random(), 0, 0
        for _ in range(KILLS):
            for one in load:
                one.done.clear()
                one.goes.set()
            time.sleep(dice.uniform(*LIFE_SECONDS))
            killed_at = time.monotonic()
            service.kill()
            for one in load:
                one.goes.clear()
            time.sleep(0.1)
            written = [
                octets for one in load for at, octets in one.done if at < killed_at - UNWRITTEN_SECONDS
            ]
            must_be_there += sum(written)
            must_be_recorded += len(written)
            service.start_again()
            stored = self.stored(service)
            self.assertLessEqual(stored, sum(one.sent for one in load))
            self.assertGreaterEqual(stored, must_be_there)
            must_be_there = stored
            must_be_recorded = self.recorded(service, must_be_recorded)
        self.assertGreater(stored, 0)

    def stored(self, service: WholeService) -> int:
        """Octets from clients, as the store has them."""
        try:
            return report_from(service.state / "corpproxy.db", UsageQuestion(By.USER, UTC)).total.received
        except StoreError:
            return 0

    def recorded(self, service: WholeService, at_least: int) -> int:
        """Look through all record files; give how many exchanges are in them."""
        closings: Counter[str] = Counter()
        for segment in (service.state / "records").glob("records-*.jsonl"):
            *whole, last = segment.read_bytes().split(b"\n")
            for line in whole:
                record = decode(line)
                closings[record.id] += record.kind in {Kind.EXCHANGE, Kind.CLOSING}
            if last:
                with self.assertRaises(UnreadableRecord):
                    decode(last)
        self.assertLessEqual(max(closings.values(), default=0), 1)
        self.assertGreaterEqual(len(closings), at_least)
        return len(closings)
