"""Checks that are cheaper several at a time: those that wait while the threads are busy go in one piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from corpproxy.backends.bounded_threads import MAX_WAITING, THREADS, Threads
from corpproxy.backends.people.directory import DirectoryBusy

_One = TypeVar("_One")
_Outcome = TypeVar("_Outcome")


class Together(Generic[_One, _Outcome]):
    """
    Does ``work`` in threads, for up to ``most`` at a time.

    The first ones begin at once and alone, as ever: nobody waits for company.  What comes while every thread
    has work is taken together by the next that is free: a school that signs in after a start.
    """

    def __init__(
        self, threads: Threads, work: Callable[[Sequence[_One]], Sequence[_Outcome]], most: int
    ) -> None:
        self._threads = threads
        self._work = work
        self._most = most
        self._running = 0
        self._waiting: deque[tuple[_One, Deferred[_Outcome]]] = deque()

    def run(self, one: _One) -> Deferred[_Outcome]:
        """
        Fire with its outcome, or fail with `DirectoryBusy`.

        Cancelling it does not take it out of the queue, so that it goes on to count.
        """
        if len(self._waiting) >= MAX_WAITING:
            return fail(DirectoryBusy("directory-busy", f"{len(self._waiting)} password checks wait already"))
        told: Deferred[_Outcome] = Deferred()
        self._waiting.append((one, told))
        self._go_on()
        return told

    def _go_on(self) -> None:
        while self._waiting and self._running < THREADS:
            some = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            self._running += 1
            done = self._threads.run(partial(self._work, [one for one, _ in some]))
            done.addBoth(self._done, [told for _, told in some])

    def _done(self, outcome: Sequence[_Outcome] | Failure, told: Sequence[Deferred[_Outcome]]) -> None:
        self._running -= 1
        self._go_on()
        for place, one in enumerate(told):
            if isinstance(outcome, Failure):
                one.errback(outcome)
            else:
                one.callback(outcome[place])
