"""Work that is long, done a slice in each turn of the reactor: others have theirs between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger()

# Where steps are small, a slice goes on for so long.
SLICE_SECONDS = 0.001

_Outcome = TypeVar("_Outcome")


def in_slices(reactor: Any, steps: Generator[None, None, _Outcome]) -> Deferred[_Outcome]:
    """Take all steps, one in each turn of the reactor; fires with what comes of them."""
    return Slices(reactor).take(steps)


class _Work(NamedTuple):
    """What is to be done, and who waits for its end."""

    steps: Iterator[None]
    over: Deferred[Any]


class Slices:
    """
    Does one piece of work after the other; each is an iterator whose every step is a slice of it.

    What is given while nothing is under way begins at once: what is short is over when `add` is.  Where steps
    are much smaller than a slice, ``seconds`` is a clock: a slice is then as many of them as a millisecond
    has room for.
    """

    def __init__(self, reactor: Any, seconds: Callable[[], float] | None = None) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._work: deque[_Work] = deque()
        self._call: IDelayedCall | None = None
        self._is_at_work = False

    def __len__(self) -> int:
        return len(self._work)

    @property
    def doing(self) -> str:
        """The name of what is under way, for whoever measures how long a slice takes."""
        return getattr(self._work[0].steps, "__qualname__", "") if self._work else ""

    def take(self, work: Generator[None, None, _Outcome]) -> Deferred[_Outcome]:
        """Do this after all that was given before; fires with what comes of it."""
        return self._begin(work)

    def add(self, work: Iterator[None]) -> None:
        """Do this after all that was given before; a bug in it is logged."""
        self._begin(work).addErrback(_left_out)

    def finish(self) -> None:
        """Do now what is left."""
        self._cancel()
        while self._work:
            self._take_step()

    def stop(self) -> None:
        """Leave out what is left."""
        self._cancel()
        self._work.clear()

    # Inside.

    def _begin(self, steps: Iterator[None]) -> Deferred[Any]:
        over: Deferred[Any] = Deferred()
        self._work.append(_Work(steps, over))
        if not self._is_at_work and self._call is None:
            self._go_on()
        return over

    def _go_on(self) -> None:
        """Do a slice; others have their turn before the next."""
        self._call = None
        self._is_at_work = True
        try:
            self._take_slice()
        finally:
            self._is_at_work = False
        if self._work:
            self._call = self._reactor.callLater(0, self._go_on)

    def _take_slice(self) -> None:
        seconds = self._seconds
        if seconds is None:
            self._take_step()
            return
        until = seconds() + SLICE_SECONDS
        while self._work:
            self._take_step()
            if seconds() >= until:
                return

    def _take_step(self) -> None:
        work = self._work[0]
        try:
            next(work.steps)
        except StopIteration as end:
            self._is_over(work)
            work.over.callback(end.value)
        except Exception:
            self._is_over(work)
            work.over.errback()

    def _is_over(self, work: _Work) -> None:
        # It may have been left out by its own last step.
        if self._work and self._work[0] is work:
            self._work.popleft()

    def _cancel(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()


def _left_out(failure: Failure) -> None:
    log.failure("a bug in what is done in slices; the rest of it is left out", failure)
