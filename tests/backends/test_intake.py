"""The intake tells active minutes once for all workers."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.quotas import ACTIVE_OCTETS
from corpproxy.backends.intake import Intake
from corpproxy.backends.store.interface import StoreError

BEGAN = 1_795_428_000.0
MUCH = Usage(int(BEGAN) + 60, "amir", (), (), "a.example", 0, ACTIVE_OCTETS + 1, 1)


class Shelf:
    """A store that takes batches, unless it is full."""

    def __init__(self) -> None:
        self.taken: list[Usage] = []
        self.is_full = False

    def add_usage(self, batch) -> Deferred[None]:
        """Take one."""
        if self.is_full:
            return fail(StoreError("store-failed", "no room"))
        self.taken += batch
        return succeed(None)


class IntakeTests(SynchronousTestCase):
    """Between the workers and the store."""

    def setUp(self) -> None:
        self.shelf = Shelf()
        self.now = BEGAN
        self.intake = Intake(self.shelf, lambda: self.now)
        self.now += 65

    def minutes(self) -> int:
        return sum(row.minutes for row in self.shelf.taken)

    def test_two_workers(self) -> None:
        """A minute in which a person is served by two workers counts once, though neither sees it whole."""
        half = MUCH._replace(sent=ACTIVE_OCTETS // 2 + 1)
        for _ in range(2):
            self.successResultOf(self.intake.add_usage([half]))
        self.assertEqual(self.minutes(), 1)
        self.assertEqual(sum(row.sent for row in self.shelf.taken), 2 * half.sent)
        self.assertEqual(sum(row.exchanges for row in self.shelf.taken), 2)

    def test_full(self) -> None:
        """A batch that is refused and comes again has its minute once."""
        self.shelf.is_full = True
        self.failureResultOf(self.intake.add_usage([MUCH]), StoreError)
        self.shelf.is_full = False
        self.successResultOf(self.intake.add_usage([MUCH]))
        self.assertEqual(self.minutes(), 1)
