"""The service has the record worked up by a child, now and then, one at a time."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from corpproxy.audit.record import encode
from corpproxy.backends.afterwork.child import Afterwork
from corpproxy.backends.afterwork.job import AfterworkJob
from tests.audit.test_record import a_record


class AfterworkTests(TestCase):
    """With real children."""

    timeout = 60

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        (self.state / "records").mkdir(parents=True)
        for number in (1, 2):
            path = self.state / "records" / f"records-20261123T080000Z-000{number}.jsonl"
            path.write_bytes(encode(a_record()))
        self.afterwork = Afterwork(reactor, lambda: AfterworkJob(str(self.state), "UTC"))
        self.addCleanup(self.afterwork.stop)

    async def done(self) -> None:
        """Wait until no child is at work."""
        while self.afterwork.is_busy:
            await deferLater(reactor, 0.05)

    async def test_done(self) -> None:
        """Indexes and sums are there when the child has ended; a look meanwhile begins no other one."""
        self.afterwork.look()
        self.afterwork.look()
        await self.done()
        self.assertEqual(self.afterwork.failing, "")
        self.assertTrue((self.state / "corpproxy.db").exists())
        self.assertEqual(len(list((self.state / "records" / "index").iterdir())), 1)

    async def test_failing(self) -> None:
        """What the child cannot do is told once, as long as it stays the same."""
        told: list[str] = []

        def observe(event) -> None:
            if "said" in event:
                told.append(event["said"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        (self.state / "corpproxy.db").mkdir()
        for _ in range(2):
            self.afterwork.look()
            await self.done()
        self.assertEqual(len(told), 1)
        self.assertIn("roll-ups could not be made", told[0])
        self.assertEqual(self.afterwork.failing, told[0])

    async def test_stopped(self) -> None:
        """A service that ends waits for no child: what it does is whole at any moment."""
        self.afterwork.look()
        await self.afterwork.stop()
        self.assertFalse(self.afterwork.is_busy)
