"""Workers that borrow of one quota: they move what there is, and hold no more of it than they need."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.leases import TERM_SECONDS
from corpproxy.accounting.quotas import Asked, Quotas
from corpproxy.net.borrowing import AGAIN_SECONDS, Borrowing
from corpproxy.net.pacing import TURN_SECONDS, Pacer
from corpproxy.policy.limits import Limit, Limits
from corpproxy.policy.quota import Quota

MIB = 1 << 20
MEMBER = ("day", "amir")
NOW = 1_795_430_700.0


class Worker:
    """One process: a connection that moves as much as it may, when it has an appetite."""

    def __init__(self, name: str, clock: Clock, quotas: Quotas) -> None:
        self.name, self.clock, self.quotas = name, clock, quotas
        self.pacer = Pacer(clock)
        self.borrowing = Borrowing(self.pacer, clock)
        self.pacer.looked, self.pacer.lacking = self.borrowing.turning, self.borrowing.lack
        self.borrowing.send = self.ask
        self.is_heard = True
        self.asked: list[Asked] = []
        self.moved = self.counted = 0
        self.appetite = 0
        self.claim = None

    def begin(self, appetite: int) -> None:
        self.appetite = appetite
        self.claim = self.pacer.join("amir", [(self.borrowing.key(MEMBER), 0.0)], self.go_on)
        self.go_on()

    def go_on(self) -> None:
        while self.claim is not None and self.appetite > 0 and (may := self.pacer.ask(self.claim)) > 0:
            octets = min(may, self.appetite)
            self.claim.allowance -= octets
            self.moved += octets
            self.appetite -= octets

    def end(self) -> None:
        self.pacer.leave(self.claim)
        self.claim = None

    def count(self) -> None:
        self.borrowing.count({MEMBER: self.moved - self.counted})
        self.counted = self.moved

    def ask(self, asked) -> None:
        self.asked += asked
        if self.is_heard:
            self.borrowing.take([self.lent(one) for one in asked])

    def lent(self, one: Asked):
        return self.quotas.lend(self.name, one, NOW, self.clock.seconds())

    @property
    def holds(self) -> int:
        held = self.borrowing._held.get(MEMBER)
        return 0 if held is None else held.borrower.holds


class BorrowingTests(SynchronousTestCase):
    """Two workers and one lender."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100.0)
        self.quotas = Quotas()
        self.workers: list[Worker] = []

    def begin(self, volume: int, count: int = 2) -> list[Worker]:
        self.quotas.define(Limits([Limit("day", quota=Quota(volume=volume))]))
        self.workers = [Worker(f"w{number}", self.clock, self.quotas) for number in range(count)]
        for one in self.workers:
            self.addCleanup(one.pacer.stop)
        return self.workers

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / (TURN_SECONDS / 5))):
            self.clock.advance(TURN_SECONDS / 5)
            for one in self.workers:
                one.go_on()
                one.count()

    def is_spent(self) -> bool:
        return self.quotas.standing(*MEMBER, NOW).is_spent

    def test_to_the_end(self) -> None:
        """Together they move what there is and not an octet more, and then it is used up."""
        one, two = self.begin(10 * MIB)
        one.begin(100 * MIB)
        two.begin(100 * MIB)
        self.wait(20)
        moved = one.moved + two.moved
        self.assertLessEqual(moved, 10 * MIB)
        self.assertGreater(moved, 10 * MIB - 32 * 1024)
        self.assertTrue(self.is_spent())
        self.assertGreater(min(one.moved, two.moved), MIB)

    def test_begins_at_once(self) -> None:
        """Who begins waits for an answer, not for a turn."""
        one, _ = self.begin(10 * MIB)
        one.begin(100_000)
        self.clock.advance(0)
        self.clock.advance(0.05)
        self.assertEqual(one.moved, 100_000)

    def test_given_back(self) -> None:
        """What nobody needs any more goes back, and nothing is kept of it here."""
        one, two = self.begin(10 * MIB)
        one.begin(MIB)
        self.wait(1)
        one.end()
        self.wait(3)
        self.assertEqual((one.holds, len(one.borrowing), one.pacer.rates.buckets), (0, 0, {}))
        self.assertEqual((self.quotas.lent(*MEMBER), self.quotas.standing(*MEMBER, NOW).used), (0, MIB))
        two.begin(100 * MIB)
        self.wait(20)
        self.assertGreater(two.moved, 9 * MIB - 32 * 1024)

    def test_again_and_again(self) -> None:
        """Somebody who comes back has what they used before, however long nothing was moved."""
        one, two = self.begin(10 * MIB)
        for _ in range(4):
            for worker in (one, two):
                worker.begin(MIB)
                self.wait(0.3)
                worker.end()
                self.wait(5)
                self.assertEqual(len(worker.borrowing), 0)
        self.assertEqual(self.quotas.standing(*MEMBER, NOW).used, 8 * MIB)
        self.assertEqual(one.moved + two.moved, 8 * MIB)

    def test_idle(self) -> None:
        """A connection that is open and moves nothing keeps nothing from others at the end."""
        one, two = self.begin(10 * MIB)
        one.begin(MIB)
        self.wait(1)
        two.begin(100 * MIB)
        self.wait(20)
        self.assertGreater(one.moved + two.moved, 10 * MIB - 32 * 1024)

    def test_dies(self) -> None:
        """A worker is killed in the middle: what it held counts as used, the other goes on to the end."""
        one, two = self.begin(10 * MIB)
        one.begin(100 * MIB)
        two.begin(100 * MIB)
        self.clock.advance(0.1)
        self.workers.remove(one)
        one.is_heard = False
        for _ in self.quotas.burying(one.name):
            pass
        self.wait(20)
        self.assertLessEqual(one.moved + two.moved, 10 * MIB)
        self.assertTrue(self.is_spent())

    def test_silent_lender(self) -> None:
        """When nobody answers any more, it stops before its time is over, and goes on when it hears again."""
        one, _ = self.begin(100 * MIB)
        one.begin(MIB)
        self.wait(1)
        one.is_heard = False
        self.wait(TERM_SECONDS + 1)
        one.appetite, before = 10 * MIB, one.moved
        self.wait(1)
        self.assertEqual(one.moved, before)
        one.is_heard = True
        self.wait(AGAIN_SECONDS + 5)
        self.assertEqual(one.moved - before, 10 * MIB)

    def test_asked_again(self) -> None:
        """A question that is not answered is asked again, and no sooner."""
        one, _ = self.begin(10 * MIB)
        one.is_heard = False
        one.begin(MIB)
        self.wait(AGAIN_SECONDS - TURN_SECONDS)
        self.assertEqual(len(one.asked), 1)
        self.wait(2 * TURN_SECONDS)
        self.assertEqual(len(one.asked), 2)

    def test_stops(self) -> None:
        """A process that ends tells what moved and gives back the rest, though an answer is under way."""
        one, _ = self.begin(10 * MIB)
        one.begin(MIB)
        self.wait(1)
        one.is_heard = False
        one.appetite = 8 * MIB
        self.wait(0.5)
        one.borrowing.stop()
        self.quotas.lend(one.name, one.asked[-1], NOW, self.clock.seconds())
        self.assertEqual((one.asked[-1].wants, self.quotas.lent(*MEMBER)), (0, 0))
        self.assertEqual(self.quotas.standing(*MEMBER, NOW).used, one.moved)

    def test_not_lent(self) -> None:
        """What moves for members who borrow nothing is left to be counted."""
        one, _ = self.begin(10 * MIB)
        one.begin(10)
        counts = {MEMBER: 5, ("film", "amir"): 7}
        self.assertEqual(one.borrowing.count(counts), {("film", "amir"): 7})
