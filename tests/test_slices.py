"""Long work in slices: others have their turn between two of them."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.slices import Slices


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
