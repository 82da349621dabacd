"""Once a second, what moved goes into the store; a store that fails costs nothing."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.backends.bookkeeping import Bookkeeper
from corpproxy.backends.store.interface import StoreError

NOW = 1_795_428_000.0


class FakeStore:
    """Keeps batches; full when told so, slow when told so."""

    def __init__(self) -> None:
        self.rows = []
        self.is_full = False
        self.slow = None

    def add_usage(self, batch):
        """Take a batch, or not."""
        if self.slow is not None:
            self.slow.append((batch, Deferred()))
            return self.slow[-1][1]
        if self.is_full:
            return fail(StoreError("store-failed", "database or disk is full"))
        self.rows += batch
        return succeed(None)


class BookkeeperTests(SynchronousTestCase):
    """From memory into the store."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.accounts = Accounts(Ledger())
        self.store = FakeStore()
        self.keeper = Bookkeeper(self.clock, self.accounts, self.store, now=self.clock.seconds)
        self.keeper.start()
        self.seen = []
        globalLogPublisher.addObserver(self.seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.seen.append)

    def move(self, octets: int) -> None:
        account = Account("amir", (), (), "a.example")
        account.received += octets
        self.accounts.close(account, self.clock.seconds())

    def levels(self) -> list[str]:
        return [
            event["log_level"].name
            for event in self.seen
            if event.get("log_namespace", "").startswith("corpproxy")
        ]

    def stored(self) -> int:
        return sum(row.received for row in self.store.rows)

    def test_each_second(self) -> None:
        """What moved is in the store a second later, tunnels that go on included."""
        tunnel = Account("beth", (), (), "b.example")
        self.accounts.open(tunnel)
        tunnel.received += 5
        self.move(100)
        self.assertEqual(self.stored(), 0)
        self.clock.advance(1)
        self.assertEqual(self.stored(), 105)
        tunnel.received += 1000
        self.clock.advance(1)
        self.assertEqual(self.stored(), 1105)

    def test_quiet(self) -> None:
        """A second in which nothing moved leaves the store alone."""
        asked = []
        self.store.add_usage = asked.append
        self.clock.pump([1] * 5)
        self.assertEqual(asked, [])

    def test_full(self) -> None:
        """While the store is full nothing is lost; the log says so once, and once when it is over."""
        self.store.is_full = True
        for _ in range(5):
            self.move(100)
            self.clock.advance(1)
        self.assertTrue(self.keeper.is_failing)
        self.assertEqual(self.keeper.failing_since, NOW + 1)
        self.assertIn("full", self.keeper.failing_reason)
        self.store.is_full = False
        self.clock.advance(1)
        self.assertEqual(self.stored(), 500)
        self.assertFalse(self.keeper.is_failing)
        self.assertEqual(self.levels(), ["critical", "warn"])

    def test_slow(self) -> None:
        """One batch is under way at a time; what moves meanwhile is in the next."""
        self.store.slow = []
        self.move(1)
        self.clock.advance(1)
        self.move(2)
        self.clock.pump([1] * 5)
        self.assertEqual(len(self.store.slow), 1)
        self.store.slow[0][1].callback(None)
        self.clock.advance(1)
        self.assertEqual([sum(row.received for row in batch) for batch, _ in self.store.slow], [1, 2])

    def test_bug(self) -> None:
        """A bug in the taking of one batch is logged and does not end bookkeeping."""
        self.keeper._accounts = None
        self.move(100)
        self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.keeper._accounts = self.accounts
        self.clock.advance(1)
        self.assertEqual(self.stored(), 100)

    def test_stop(self) -> None:
        """At the end, the batch under way is waited for and the rest brought in."""
        self.store.slow = slow = []
        self.move(1)
        self.clock.advance(1)
        self.move(2)
        stopping = self.keeper.stop()
        self.assertNoResult(stopping)
        self.store.slow = None
        slow[0][1].callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.stored(), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_failing(self) -> None:
        """What cannot be stored at the end is said to be lost."""
        self.store.is_full = True
        self.move(7)
        self.clock.advance(1)
        self.successResultOf(self.keeper.stop())
        self.assertEqual(self.levels(), ["critical", "critical"])
        self.assertEqual(self.seen[-1]["octets"], 7)
