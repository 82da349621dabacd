"""Work that is long, done a slice in each turn of the reactor: others have theirs between."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger

log = Logger()

_Outcome = TypeVar("_Outcome")


async def in_slices(reactor: Any, steps: Generator[None, None, _Outcome]) -> _Outcome:
    """Take all steps, one in each turn of the reactor; gives what comes of them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome: _Outcome = end.value
            return outcome
        await deferLater(reactor, 0)


class Slices:
    """
    Does one piece of work after the other; each is an iterator whose every step is a slice of it.

    What is given while nothing is under way begins at once: what is short is over when `add` is.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._work: deque[Iterator[None]] = deque()
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._work)

    def add(self, work: Iterator[None]) -> None:
        """Do this after all that was given before."""
        self._work.append(work)
        if len(self._work) == 1:
            self._step()

    def finish(self) -> None:
        """Do now what is left."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        while self._work:
            self._take_step()

    def _step(self) -> None:
        self._call = None
        self._take_step()
        if self._work and self._call is None:
            self._call = self._reactor.callLater(0, self._step)

    def _take_step(self) -> None:
        work = self._work[0]
        try:
            next(work)
        except StopIteration:
            self._work.popleft()
        except Exception:
            log.failure("a bug in what is done in slices; the rest of it is left out")
            self._work.popleft()
