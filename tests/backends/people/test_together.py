"""Checks that are cheaper several at a time go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.bounded_threads import MAX_WAITING
from corpproxy.backends.people.directory import DirectoryBusy
from corpproxy.backends.people.together import MOST_TURNS, Together


class Turning:
    """A loop: what is to be done soon is done in its next turn."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callLater(self, delay: float, call: Callable[[], None]) -> None:
        """Call this in the next turn."""
        self.calls.append(call)

    def turn(self) -> None:
        """Take one turn."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class TogetherTests(SynchronousTestCase):
    """A class that signs in at once."""

    def setUp(self):
        self.clock = Turning()
        self.done: list[list[int]] = []
        self.together = Together(self.clock, self.work, 4)

    def work(self, numbers: Sequence[int]) -> list[int]:
        """Note what came together; a negative one cannot be done."""
        self.done.append(list(numbers))
        if min(numbers) < 0:
            raise ValueError("negative")
        return [number * number for number in numbers]

    def come(self, *numbers: int) -> list[Deferred[int]]:
        """Some come in one turn."""
        told: list[Deferred[int]] = [Deferred() for _ in numbers]
        for number, one in zip(numbers, told, strict=True):
            self.together.run(number, one.callback)
        return told

    def turn(self, times: int = 1) -> None:
        """The loop turns."""
        for _ in range(times):
            self.clock.turn()

    def test_alone(self):
        """Who comes alone waits until a turn brought nobody else."""
        (told,) = self.come(3)
        self.turn()
        self.assertEqual(self.done, [])
        self.turn()
        self.assertEqual(self.successResultOf(told), 9)
        self.assertEqual(self.clock.calls, [])

    def test_together(self):
        """Those of one turn go together, and with those of the next, each with its own answer."""
        told = self.come(1, 2)
        self.turn()
        told += self.come(3)
        self.turn(2)
        self.assertEqual(self.done, [[1, 2, 3]])
        self.assertEqual([self.successResultOf(one) for one in told], [1, 4, 9])

    def test_full(self):
        """As many as go together wait for nobody; those beyond them go in the turn after."""
        told = self.come(*range(10))
        self.turn()
        self.assertEqual(self.done, [[0, 1, 2, 3]])
        told += self.come(10, 11)
        self.turn()
        self.assertEqual(self.done[1:], [[4, 5, 6, 7]])
        self.turn()
        self.assertEqual(self.done[2:], [[8, 9, 10, 11]])
        self.assertEqual([self.successResultOf(one) for one in told], [n * n for n in range(12)])
        self.assertEqual(self.clock.calls, [])

    def test_trickle(self):
        """Where each turn brings one more, nobody waits for many turns."""
        together = Together(self.clock, self.work, 100)
        for number in range(2 * MOST_TURNS):
            together.run(number, lambda outcome: None)
            self.turn()
        self.assertEqual(self.done[0], list(range(MOST_TURNS + 1)))

    def test_afterwards(self):
        """Who comes when all others are gone begins anew."""
        self.come(1)
        self.turn(2)
        self.come(2)
        self.turn(2)
        self.assertEqual(self.done, [[1], [2]])

    def test_failed(self):
        """What cannot be done is told to all who came together, and the next ones are done."""
        told = self.come(3, -1, 5, 6, 7)
        self.turn(3)
        for one in told[:4]:
            self.failureResultOf(one, ValueError)
        self.assertEqual(self.successResultOf(told[4]), 49)

    def test_bug(self):
        """A bug of one who is told keeps nothing from the others, and is in the log."""
        self.together.run(1, lambda outcome: 1 / 0)
        (told,) = self.come(2)
        self.turn(2)
        self.assertEqual(self.successResultOf(told), 4)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_busy(self):
        """No more than a bound wait; who comes then is told so, and the others are done."""
        told = self.come(*range(MAX_WAITING))
        self.failureResultOf(self.come(1)[0], DirectoryBusy)
        self.turn(MAX_WAITING)
        self.assertEqual(sum(map(self.successResultOf, told)), sum(n * n for n in range(MAX_WAITING)))
