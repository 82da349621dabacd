"""The rates of limits between workers: what each takes, and the parts that they get, four times a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.sharing import BucketKey, Sharing, Wanted
from corpproxy.net.pacing import TURN_SECONDS, Pacer, person_of
from corpproxy.supervisor.messages import Part, Parts, Took

if TYPE_CHECKING:
    from corpproxy.supervisor.seat import Seat

log = Logger()


class Taking:
    """
    The side of a worker: tells what its people took.

    ``send`` gives it to the supervisor.  Until that answers, a new bucket has its part of the rate.
    """

    def __init__(self, pacer: Pacer, workers: int, send: Callable[[tuple[Took, ...]], Deferred[Any]]) -> None:
        self._pacer = pacer
        self._send = send
        self._told_at = pacer.seconds()
        pacer.rates.part = 1 / workers
        pacer.turned = self._tell
        pacer.idle = self._forget

    def take(self, parts: Parts) -> None:
        """Let through what the supervisor says."""
        rates = self._pacer.rates
        rates.spread = parts.spread
        told = {BucketKey(one.limit, one.whom, one.way): one.rate for one in parts.parts}
        rates.take_parts(told, self._pacer.seconds())

    def _tell(self, now: float) -> Iterator[None]:
        seconds = max(now - self._told_at, TURN_SECONDS)
        self._told_at = now
        wanted = yield from self._pacer.rates.wanted(seconds)
        took = tuple(_took(key, one) for key, one in wanted.items())
        self._send(took).addErrback(_not_told)

    def _forget(self) -> None:
        """Nobody is held here any more: others may have all of it."""
        self._send(()).addErrback(_not_told)


class Dealing:
    """The side of the supervisor: ``send`` gives parts to the worker of a seat."""

    def __init__(self, send: Callable[[Seat, Parts], None]) -> None:
        self._send = send
        self._sharing: Sharing[Seat] = Sharing()
        self._spread: dict[str, int] = {}

    def take(self, seat: Seat, took: tuple[Took, ...]) -> None:
        """A worker says what it took."""
        wanted = {BucketKey(one.limit, one.whom, one.way): _wanted(one) for one in took}
        self._sharing.take(seat, wanted)

    def forget(self, seat: Seat) -> None:
        """A worker is over."""
        self._sharing.forget(seat)

    def waiting(self) -> dict[str, tuple[str, ...]]:
        """Who had to wait for which limit lately, in all workers."""
        return {
            name: tuple({person_of(key) for key in keys}) for name, keys in self._sharing.waiting().items()
        }

    def deal(self) -> None:
        """Tell each worker what is another part than before."""
        spread = self._sharing.spread()
        changed = self._sharing.deal()
        for seat in self._sharing.processes if spread != self._spread else tuple(changed):
            told = changed.get(seat, {}).items()
            self._send(seat, Parts(tuple(Part(*key, rate) for key, rate in told), spread))
        self._spread = spread


def _took(key: BucketKey, wanted: Wanted) -> Took:
    return Took(*key, wanted.whole, wanted.has, wanted.drawn, wanted.content, wanted.eager)


def _wanted(took: Took) -> Wanted:
    return Wanted(took.whole, took.has, took.drawn, took.content, took.eager)


def _not_told(failure: Failure) -> None:
    if not failure.check(ConnectionDone, ConnectionLost):  # type: ignore[no-untyped-call]
        log.failure("what limits let through could not be told", failure)
