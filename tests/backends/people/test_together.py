"""Checks that wait while the threads are busy go in one piece."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.bounded_threads import MAX_WAITING, THREADS
from corpproxy.backends.people.directory import DirectoryBusy
from corpproxy.backends.people.together import Together
from tests.support.threads import HeldThread


class TogetherTests(SynchronousTestCase):
    """A class that signs in at once."""

    def setUp(self):
        self.threads = HeldThread()
        self.done: list[list[int]] = []
        self.together = Together(self.threads, self.work, 4)

    def work(self, numbers: Sequence[int]) -> list[int]:
        """Note what came together; a negative one cannot be done."""
        self.done.append(list(numbers))
        if min(numbers) < 0:
            raise ValueError("negative")
        return [number * number for number in numbers]

    def test_alone(self):
        """Nobody waits for company: while a thread is free each begins at once."""
        told = [self.together.run(number) for number in range(THREADS)]
        self.assertEqual(len(self.threads.held), THREADS)
        self.threads.release()
        self.assertEqual(self.done, [[number] for number in range(THREADS)])
        self.assertEqual([self.successResultOf(one) for one in told], [0, 1])

    def test_together(self):
        """What comes while every thread has work goes together, so many at most, each with its own answer."""
        told = [self.together.run(number) for number in range(THREADS + 6)]
        self.assertEqual(len(self.threads.held), THREADS)
        self.threads.release()
        self.assertEqual(self.done, [[0], [1], [2, 3, 4, 5], [6, 7]])
        self.assertEqual([self.successResultOf(one) for one in told], [n * n for n in range(8)])

    def test_cancelled(self):
        """Who goes away does not end it for those who came with him."""
        told = [self.together.run(number) for number in range(THREADS + 2)]
        told[-1].addErrback(lambda _: "gone").cancel()
        self.threads.release()
        self.assertEqual([self.successResultOf(one) for one in told], [0, 1, 4, "gone"])
        self.assertEqual(self.done[-1], [2, 3])

    def test_failed(self):
        """What cannot be done is told to all who came together, and the next ones are done."""
        told = [self.together.run(number) for number in (1, 2, 3, -1, 5, 6, 7)]
        self.threads.release()
        for one in told[2:6]:
            self.failureResultOf(one, ValueError)
        self.assertEqual([self.successResultOf(one) for one in (told[0], told[1], told[6])], [1, 4, 49])

    def test_busy(self):
        """No more than a bound wait; who comes then is told so, and the others are done."""
        told = [self.together.run(number) for number in range(THREADS + MAX_WAITING)]
        self.failureResultOf(self.together.run(1), DirectoryBusy)
        self.threads.release()
        self.assertEqual(sum(map(self.successResultOf, told)), sum(n * n for n in range(len(told))))
