"""Long work in slices: others have their turn between two of them."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.slices import SLICE_SECONDS, Slices, in_slices


class SlicesTests(SynchronousTestCase):
    """Two pieces of work."""

    def setUp(self):
        self.clock = Clock()
        self.slices = Slices(self.clock)
        self.done = []

    def work(self, name, count):
        for number in range(count):
            self.done.append(f"{name}{number}")
            if number + 1 < count:
                yield
        return name

    def test_short(self):
        """What is one slice is done at once, and nothing is left for later."""
        self.slices.add(self.work("a", 1))
        self.assertEqual((self.done, len(self.slices), self.clock.calls), (["a0"], 0, []))

    def test_turns(self):
        """What is longer takes a turn for each slice, and what is given meanwhile comes after it."""
        self.slices.add(self.work("a", 2))
        self.slices.add(self.work("b", 1))
        self.assertEqual(self.done, ["a0"])
        self.clock.advance(0)
        self.assertEqual((self.done, len(self.slices)), (["a0", "a1", "b0"], 0))

    def test_finish(self):
        """At the end all that is left is done, and no call stays behind."""
        self.slices.add(self.work("a", 3))
        self.slices.add(self.work("b", 2))
        self.slices.finish()
        self.assertEqual((self.done, self.clock.calls), (["a0", "a1", "a2", "b0", "b1"], []))

    def test_bug(self):
        """A bug in one piece of work is logged, and the next is done."""

        def broken():
            yield
            raise ZeroDivisionError

        self.slices.add(broken())
        self.slices.add(self.work("b", 1))
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual((self.done, len(self.slices)), (["b0"], 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop(self):
        """What is left out is done no more, and no call stays behind."""
        self.slices.add(self.work("a", 3))
        self.slices.add(self.work("b", 2))
        self.slices.stop()
        self.assertEqual((self.done, len(self.slices), self.clock.calls), (["a0"], 0, []))

    def test_outcome(self):
        """Who waits for the end is given what came of it."""
        waited = in_slices(self.clock, self.work("a", 2))
        self.assertNoResult(waited)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(waited), "a")

    def test_failure(self):
        """Who waits for the end is told of what went wrong, and the next is done."""

        def broken():
            yield
            raise ZeroDivisionError

        waited = self.slices.take(broken())
        self.slices.add(self.work("b", 1))
        self.clock.advance(0)
        self.failureResultOf(waited, ZeroDivisionError)
        self.clock.advance(0)
        self.assertEqual(self.done, ["b0"])

    def test_again(self):
        """Who is told of the end may give the next work; others have their turn before it."""
        waited = self.slices.take(self.work("a", 2))
        waited.addCallback(lambda _: self.slices.add(self.work("b", 1)))
        waited.addCallback(lambda _: self.clock.callLater(0, self.done.append, "others"))
        self.clock.advance(0)
        self.assertEqual((self.done, self.clock.calls), (["a0", "a1", "others", "b0"], []))


class SmallStepTests(SynchronousTestCase):
    """Work whose steps are much smaller than a slice."""

    def test_room(self):
        """A slice is as many steps as a millisecond has room for, of one piece of work and of the next."""
        clock, moments, done, seen = Clock(), Clock(), [], []

        def work(count):
            for number in range(count):
                moments.advance(SLICE_SECONDS / 3.5)
                done.append(number)
                yield

        slices = Slices(clock, moments.seconds)
        slices.add(work(5))
        slices.add(work(5))
        self.assertEqual(done, [0, 1, 2, 3])
        clock.callLater(0, lambda: seen.extend(done))
        clock.advance(0)
        self.assertEqual(seen, [0, 1, 2, 3, 4, 0, 1, 2])
        self.assertEqual((len(done), len(slices), clock.calls), (10, 0, []))
