"""Thousands who begin in the same moment: no turn of the reactor does much for them, and all is done."""

from __future__ import annotations

from collections import Counter as Most

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.dividing import SLICE
from corpproxy.accounting.quotas import Quotas
from corpproxy.net.borrowing import ASKED_AT_ONCE, RENEW_SECONDS, Borrowing, Held
from corpproxy.net.counting import Counter
from corpproxy.net.leeways import KEEP_SECONDS, LOOK_SECONDS, Leeways
from corpproxy.net.pacing import TURN_SECONDS, Pacer
from corpproxy.policy.limits import Applied, Limit, Limits
from corpproxy.policy.quota import Quota

KIB, MIB = 1 << 10, 1 << 20
AT = 1_795_430_700.0
CROWD = 5 * SLICE
DAY = Limit("day", download=100 * MIB, quota=Quota(volume=100 * MIB))


class CountingClock(Clock):
    """A clock that notes the ``most`` that one turn of the reactor did, by what it was."""

    def __init__(self):
        super().__init__()
        self.done = Most()
        self.most = Most()

    def did(self, what, count=1):
        self.done[what] += count

    def callLater(self, delay, what, *args):
        def turn():
            self.done.clear()
            what(*args)
            self.most |= self.done

        return super().callLater(delay, turn)


class CrowdTests(SynchronousTestCase):
    """Fifteen hundred people below a quota and a rate each, whose exchanges are short."""

    def setUp(self):
        clock = self.clock = CountingClock()
        self.quotas, self.limiting = Quotas(), Limits([DAY])
        self.quotas.define(self.limiting)
        self.pacer, self.counter = Pacer(clock), Counter(clock)
        self.borrowing = Borrowing(self.pacer, clock)
        self.leeways = Leeways(clock, lambda: AT, self.pacer, self.counter, self.borrowing)
        self.pacer.looked, self.pacer.lacking = self.borrowing.turning, self.borrowing.lack
        self.borrowing.send, self.counter.send = self.lend, self.count
        self.counted = Most()
        measure, see_off = Held.measure, self.borrowing.see_off
        self.patch(Held, "measure", lambda held, now: (clock.did("looked"), measure(held, now)))
        self.borrowing.see_off = lambda stocks: (clock.did("ended"), see_off(stocks))
        for part in (self.counter, self.leeways, self.pacer):
            self.addCleanup(part.stop)

    def lend(self, asked):
        self.clock.did("asked", len(asked))
        self.borrowing.take([self.quotas.lend("worker", one, AT, self.clock.seconds()) for one in asked])

    def count(self, counts):
        self.clock.did("counted", len(counts))
        self.counted.update(counts)
        self.borrowing.count(counts)

    def begin(self):
        for number in range(CROWD):
            name = f"p{number}"
            leeway = self.leeways.of(name, (Applied(DAY, name),), self.limiting, AT)
            leeway.charge(0, KIB, self.clock.seconds())

    def wait(self, seconds):
        self.clock.pump([TURN_SECONDS] * round(seconds / TURN_SECONDS))

    def test_begin(self):
        """What they moved is counted, and more asked for, of some at a time; nobody is left out."""
        self.begin()
        self.wait(2)
        self.assertEqual(self.counted, {("day", f"p{number}"): KIB for number in range(CROWD)})
        self.assertEqual(len(self.borrowing), CROWD)
        most = self.clock.most
        self.assertLessEqual(most["counted"], SLICE)
        self.assertLessEqual(most["asked"], ASKED_AT_ONCE)
        self.assertLessEqual(most["looked"], SLICE)

    def test_end(self):
        """Who does nothing any more is forgotten, of some at a time, until nothing is left of anybody."""
        self.begin()
        self.wait(KEEP_SECONDS + LOOK_SECONDS + 3)
        self.assertEqual((len(self.leeways), len(self.borrowing), self.pacer.rates.stocks), (0, 0, {}))
        self.assertLessEqual(self.clock.most["ended"], SLICE)
        self.assertLessEqual(self.clock.most["looked"], SLICE)

    def test_renewed(self):
        """What was lent to all of them in one moment is not looked for in one step when its time has come."""
        self.begin()
        self.wait(2)
        times = self.borrowing._times
        waiting = len(times)
        for _ in self.borrowing.turning(self.clock.seconds() + RENEW_SECONDS):
            self.assertLessEqual(waiting - len(times), SLICE)
            waiting = len(times)

    def test_stopped(self):
        """A worker that ends just then tells all that moved."""
        self.begin()
        self.clock.advance(TURN_SECONDS)
        self.begin()
        self.leeways.stop()
        self.counter.stop()
        self.assertEqual(sum(self.counted.values()), 2 * CROWD * KIB)
