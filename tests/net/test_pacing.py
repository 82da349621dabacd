"""Paces: many who wait are dealt to and woken little by little, so that nobody else waits for them."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.sharing import BucketKey
from corpproxy.net.pacing import AT_ONCE, TURN_SECONDS, Pacer

LINE = BucketKey("the line", "", 0)
PEOPLE = 1000


class TurnsClock(Clock):
    """A clock that notes, of each turn of the reactor, what ``count`` had become by its end."""

    def __init__(self, count):
        super().__init__()
        self.turns = []
        self._count = count

    def callLater(self, delay, what, *args):
        def turn():
            before = self._count()
            what(*args)
            self.turns.append(self._count() - before)

        return super().callLater(delay, turn)


class ManyTests(SynchronousTestCase):
    """A thousand people below one limit."""

    def setUp(self):
        self.woken = []
        self.clock = TurnsClock(lambda: len(self.woken))
        self.pacer = Pacer(self.clock)
        self.addCleanup(self.pacer.stop)
        for number in range(PEOPLE):
            self.join(number)

    def join(self, number):
        def wake():
            self.woken.append(number)
            # It moves all of it, and wants more.
            claim.allowance = 0
            self.pacer.ask(claim)

        claim = self.pacer.join(f"down p{number}", [(LINE, 100_000_000.0)], wake)
        while self.pacer.ask(claim):
            claim.allowance = 0

    def test_turns(self):
        """A dealing takes several turns of the reactor, and in none more than a few are woken."""
        self.clock.pump([TURN_SECONDS, *[TURN_SECONDS / 100] * 60])
        self.assertEqual(sorted(self.woken[:PEOPLE]), list(range(PEOPLE)))
        self.assertGreater(self.clock.turns.count(0), 10)
        self.assertLessEqual(max(self.clock.turns), AT_ONCE)

    def test_four_a_second(self):
        """However many turns a dealing takes, nobody is woken more than four times a second."""
        self.clock.pump([0.005] * 400)
        self.assertLessEqual(self.woken.count(7), 8)
        self.assertGreaterEqual(self.woken.count(7), 7)

    def test_stopped(self):
        """Who stops in the midst of a dealing leaves nothing behind."""
        self.clock.advance(TURN_SECONDS)
        self.pacer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
