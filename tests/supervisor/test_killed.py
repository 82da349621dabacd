"""
Workers are killed again and again under load, while the service goes on.

Clients measure what they sent.  The store never has more, and has all that they sent but for the last moment
of each worker that died.

A run is short by default; ``CORPPROXY_KILLS=100`` makes it long.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from datetime import UTC

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion
from corpproxy.audit.results import Kind
from corpproxy.backends.store.sqlite import report_from
from tests.service.case import ALLOW
from tests.service.origin import Origin
from tests.service.test_killed import CLIENTS, UNWRITTEN_SECONDS, Load
from tests.service.whole import WholeService, policy_for
from tests.supervisor.test_whole import workers_of

KILLS = int(os.environ.get("CORPPROXY_KILLS", "3"))
# Reports and batches come once a second; a worker is back within a few.
LIFE_SECONDS = (2.0, 5.0)


class KilledTests(SynchronousTestCase):
    """kill -9, at random instants."""

    timeout = 600

    def test_killed(self) -> None:
        """Nothing is counted twice, little is lost, and counters never fall."""
        origin = Origin()
        self.addCleanup(origin.stop)
        service = WholeService(policy_for(origin, ALLOW), workers=2)
        self.addCleanup(service.forget)
        load = [Load(service.forward, f"http://origin.test:{origin.port}/", seed) for seed in range(CLIENTS)]
        for one in load:
            one.goes.set()
            one.start()
            self.addCleanup(setattr, one, "over", True)
        dice, kills, supervisor = random.Random(), [], service.process.pid
        for _ in range(KILLS):
            time.sleep(dice.uniform(*LIFE_SECONDS))
            workers = workers_of(supervisor)
            if workers:
                kills.append(time.monotonic())
                os.kill(dice.choice(workers), signal.SIGKILL)
        time.sleep(LIFE_SECONDS[0])
        for one in load:
            one.over = True
            one.goes.clear()
        for one in load:
            one.join(20)
        self.assertEqual(service.ended(signal.SIGTERM), 0)
        usage = report_from(service.state / "corpproxy.db", UsageQuestion(By.USER, UTC)).total
        done = [(at, octets) for one in load for at, octets in one.done]
        sure = [octets for at, octets in done if not any(0 < kill - at < UNWRITTEN_SECONDS for kill in kills)]
        self.assertGreater(len(sure), 0)
        self.assertLessEqual(usage.received, sum(one.sent for one in load))
        self.assertGreaterEqual(usage.received, sum(sure))
        closings = Counter(one.id for one in service.records() if one.kind in {Kind.EXCHANGE, Kind.CLOSING})
        self.assertEqual(max(closings.values()), 1)
        self.assertGreaterEqual(len(closings), len(sure))
