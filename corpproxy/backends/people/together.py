"""
Checks that are cheaper several at a time: who comes in one turn of the loop goes together.

They are done on the loop itself, so many at most in each of its turns.  That is for work which is shorter
than an exchange: handing it to a thread and back would cost as much again, and the thread would stand in line
for the interpreter's lock behind those exchanges that it is to make way for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.backends.bounded_threads import MAX_WAITING
from corpproxy.backends.people.directory import DirectoryBusy, failing

log = Logger()

# So many turns are waited for company, at most: a turn of a busy loop takes some milliseconds.
MOST_TURNS = 4

_One = TypeVar("_One")
_Outcome = TypeVar("_Outcome")


class Together(Generic[_One, _Outcome]):
    """
    Does ``work`` for up to ``most`` at a time; ``clock`` keeps time (IReactorTime).

    They go once they are so many, or a turn of the loop brought nobody: a school that signs in after a start
    comes by the dozen, and who comes alone waits for nothing but that.
    """

    def __init__(
        self, clock: IReactorTime, work: Callable[[Sequence[_One]], Sequence[_Outcome]], most: int
    ) -> None:
        self._clock = clock
        self._work = work
        self._most = most
        self._waiting: deque[tuple[_One, Callable[[_Outcome | Failure], None]]] = deque()
        # How many waited a turn ago, and how many turns the first of them has waited; -1: none is waited for.
        self._seen = 0
        self._turns = -1

    def run(self, one: _One, tell: Callable[[_Outcome | Failure], None]) -> None:
        """Call ``tell`` with its outcome, with what went wrong, or with `DirectoryBusy`: at once then."""
        if len(self._waiting) >= MAX_WAITING:
            tell(failing(DirectoryBusy("directory-busy", f"{MAX_WAITING} password checks wait already")))
            return
        self._waiting.append((one, tell))
        if self._turns < 0:
            self._seen = 0
            self._wait(0)

    def _wait(self, turns: int) -> None:
        self._turns = turns
        self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        waiting = len(self._waiting)
        if waiting < self._most and waiting > self._seen and self._turns < MOST_TURNS:
            self._seen = waiting
            self._wait(self._turns + 1)
            return
        some = [self._waiting.popleft() for _ in range(min(self._most, waiting))]
        if self._waiting:
            # Those who are left have waited a turn: they go in the next one, with all who come in this.
            self._seen = len(self._waiting)
            self._wait(MOST_TURNS)
        else:
            self._turns = -1
        self._go(some)

    def _go(self, some: Sequence[tuple[_One, Callable[[_Outcome | Failure], None]]]) -> None:
        outcomes: Sequence[_Outcome | Failure]
        try:
            outcomes = self._work([one for one, _ in some])
        except Exception:
            outcomes = [Failure()] * len(some)  # type: ignore[no-untyped-call]
        for (_, tell), outcome in zip(some, outcomes, strict=True):
            try:
                tell(outcome)
            except Exception:
                # The others have their outcomes to be told.
                log.failure("the outcome of a password check could not be told")
