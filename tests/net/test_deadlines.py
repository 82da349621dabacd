"""Deadlines: kept to within a second, by one timer for all."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.net.deadlines import NEVER, Deadlines


class One:
    """Something that must not last for ever."""

    def __init__(self, deadline=NEVER, then=lambda: None):
        self.deadline = deadline
        self.place = -1
        self.then = then
        self.passed = 0

    def deadline_passed(self):
        self.passed += 1
        self.then()


class DeadlineTests(SynchronousTestCase):
    """A clock, and what it ends."""

    def setUp(self):
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock)
        self.deadlines.start()
        self.addCleanup(self.deadlines.stop)

    def watch(self, one):
        self.deadlines.watch(one)

    def release(self, one):
        self.deadlines.release(one)

    def watched(self, *ones):
        for one in ones:
            self.watch(one)
        return ones

    def test_passes_once(self):
        """A deadline passes within a second of its moment, and once."""
        (one,) = self.watched(One(5.0))
        self.clock.pump([1] * 4)
        self.assertEqual(one.passed, 0)
        self.clock.pump([1] * 10)
        self.assertEqual((one.passed, one.deadline), (1, NEVER))

    def test_never(self):
        """What waits for nothing is left alone."""
        (one,) = self.watched(One())
        self.clock.pump([1] * 1000)
        self.assertEqual(one.passed, 0)

    def test_released(self):
        """What is released is looked at no more, also when its neighbour ends it in the same second."""
        first, second = One(2.0), One(2.0)
        first.then = lambda: self.release(second)
        second.then = lambda: self.release(first)
        self.watched(first, second)
        self.clock.pump([1] * 5)
        self.assertEqual(first.passed + second.passed, 1)

    def test_more_time(self):
        """What gets more time in the same second has it."""
        first, second = One(2.0), One(2.0)
        for one, other in ((first, second), (second, first)):
            one.then = lambda other=other: setattr(other, "deadline", NEVER)
        self.watched(first, second)
        self.clock.pump([1] * 5)
        self.assertEqual(first.passed + second.passed, 1)

    def test_added_meanwhile(self):
        """What comes to be watched while others end changes nothing for them."""
        (one,) = self.watched(One(1.0, lambda: self.watch(One(1.0))))
        self.clock.pump([1] * 3)
        self.assertEqual((one.passed, len(self.deadlines)), (1, 2))

    def test_bug(self):
        """One that breaks keeps the others from nothing."""

        def bug():
            raise KeyError("bug")

        ones = self.watched(*(One(1.0, bug) for _ in range(3)))
        for _ in range(3):
            self.assertRaises(KeyError, self.clock.advance, 1)
        self.clock.advance(1)
        self.assertEqual([one.passed for one in ones], [1, 1, 1])

    def test_stopped(self):
        """After the end nothing ticks, and stopping twice is no fault."""
        (one,) = self.watched(One(1.0))
        self.deadlines.stop()
        self.deadlines.stop()
        self.clock.advance(10)
        self.assertEqual((one.passed, self.clock.getDelayedCalls()), (0, []))


class InLineTests(DeadlineTests):
    """The same for what stands in line."""

    def watch(self, one):
        self.deadlines.line_up(one)

    def release(self, one):
        self.deadlines.step_out(one)

    def test_step_out(self):
        """Whoever steps out, and twice, the others are still looked at."""
        for gone in range(4):
            ones = self.watched(*(One(self.deadlines.now + 1) for _ in range(4)))
            for _ in range(2):
                self.release(ones[gone])
            self.assertEqual(sorted(one.place for one in ones), [-1, 0, 1, 2])
            self.clock.pump([1] * 3)
            self.assertEqual([one.passed for one in ones], [int(number != gone) for number in range(4)])
            for one in ones:
                self.release(one)
            self.assertEqual(len(self.deadlines), 0)
