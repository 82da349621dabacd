"""What thousands of exchanges move below quotas is told in pieces, and each octet once."""

from __future__ import annotations

from collections import Counter as Sums

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.accounts import Account
from corpproxy.accounting.dividing import SLICE
from corpproxy.net.counting import Counter
from corpproxy.net.pacing import TURN_SECONDS

MANY = 3 * SLICE + 7


class ManyTests(SynchronousTestCase):
    """Tunnels of many people, each with a quota."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.counter = Counter(self.clock)
        self.told: list[dict[tuple[str, str], int]] = []
        self.counter.send = lambda counts: self.told.append(dict(counts))
        self.accounts = [Account() for _ in range(MANY)]
        for number, account in enumerate(self.accounts):
            self.counter.begin(account, (("day", f"p{number}"),), 0)
            account.sent += 100

    def sums(self) -> Sums[tuple[str, str]]:
        found: Sums[tuple[str, str]] = Sums()
        for counts in self.told:
            found.update(counts)
        return found

    def everybody(self, octets: int) -> dict[tuple[str, str], int]:
        return {("day", f"p{number}"): octets for number in range(MANY)}

    def test_pieces(self) -> None:
        """One turn of the reactor tells some, and others have theirs between."""
        self.clock.advance(TURN_SECONDS)
        self.assertEqual([len(counts) for counts in self.told], [SLICE, SLICE, SLICE, 7])
        self.assertEqual(self.sums(), self.everybody(100))
        for account in self.accounts:
            account.received += 1
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(self.sums(), self.everybody(101))

    def test_ends_meanwhile(self) -> None:
        """What ends between two slices is counted once."""
        tell = self.counter.send

        def end_all(counts: object) -> None:
            tell(counts)  # type: ignore[arg-type]
            for account in self.accounts:
                self.counter.end(account)

        self.counter.send = end_all
        self.clock.advance(TURN_SECONDS)
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(self.sums(), self.everybody(100))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """Who stops tells all that moved, and nothing ticks after it."""
        self.clock.callLater(TURN_SECONDS, self.counter.stop)
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(self.sums(), self.everybody(100))
        self.assertEqual(self.clock.getDelayedCalls(), [])
