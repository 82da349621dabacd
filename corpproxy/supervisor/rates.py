"""The rates of limits between workers: what each takes, and the parts that they get, four times a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.dividing import SLICE
from corpproxy.accounting.sharing import BucketKey, Sharing, Wanted
from corpproxy.net.pacing import TURN_SECONDS, Pacer, person_of
from corpproxy.supervisor.messages import Part, Parts, Takings, Took

if TYPE_CHECKING:
    from corpproxy.supervisor.seat import Seat

log = Logger()


class Taking:
    """
    The side of a worker: tells what its people took.

    ``send`` gives it to the supervisor, in pieces.  Until that answers, a new bucket has its part of the
    rate.
    """

    def __init__(self, pacer: Pacer, workers: int, send: Callable[[Takings], Deferred[Any]]) -> None:
        self._pacer = pacer
        self._send = send
        self._told_at = pacer.seconds()
        pacer.rates.part = 1 / workers
        pacer.turned = self._tell
        pacer.idle = self._forget

    def take(self, parts: Parts) -> None:
        """Let through what the supervisor says."""
        rates = self._pacer.rates
        if parts.spread is not None:
            rates.spread = parts.spread
        told = {BucketKey(one.limit, one.whom, one.way): one.rate for one in parts.parts}
        rates.take_parts(told, self._pacer.seconds())

    def _tell(self, now: float) -> Iterator[None]:
        seconds = max(now - self._told_at, TURN_SECONDS)
        self._told_at = now
        wanted = yield from self._pacer.rates.wanted(seconds)
        told = list(wanted.items())
        for at in range(0, max(len(told), 1), SLICE):
            took = tuple(_took(key, one) for key, one in told[at : at + SLICE])
            is_last = at + SLICE >= len(told)
            self._send(Takings(took, is_last)).addErrback(_not_told)
            if not is_last:
                yield

    def _forget(self) -> None:
        """Nobody is held here any more: others may have all of it."""
        self._send(Takings(())).addErrback(_not_told)


class Dealing:
    """
    The side of the supervisor: ``send`` gives parts to the worker of a seat.

    Where there are thousands of buckets it is done in slices, and others have their turn between these.
    """

    def __init__(self, send: Callable[[Seat, Parts], None], clock: Any) -> None:
        self._send = send
        self._clock = clock
        self._steps: Iterator[None] = iter(())
        self._call: IDelayedCall | None = None
        # What workers have told of a turn that they have not told all of yet.
        self._coming: dict[Seat, dict[BucketKey, Wanted]] = {}
        self._sharing: Sharing[Seat] = Sharing()
        self._spread: dict[str, int] = {}

    def stop(self) -> None:
        """Deal no more."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def take(self, seat: Seat, takings: Takings) -> None:
        """A worker says what it took."""
        coming = self._coming.setdefault(seat, {})
        for one in takings.took:
            coming[BucketKey(one.limit, one.whom, one.way)] = _wanted(one)
        if takings.is_last:
            self._sharing.take(seat, self._coming.pop(seat))

    def forget(self, seat: Seat) -> None:
        """A worker is over."""
        self._coming.pop(seat, None)
        self._sharing.forget(seat)

    def waiting(self) -> dict[str, tuple[str, ...]]:
        """Who had to wait for which limit lately, in all workers."""
        return {
            name: tuple({person_of(key) for key in keys}) for name, keys in self._sharing.waiting().items()
        }

    def deal(self) -> None:
        """Tell each worker what is another part than before, unless the dealing before is not over yet."""
        if self._call is None:
            self._steps = self._dealing()
            self._step()

    def _step(self) -> None:
        self._call = None
        if next(self._steps, self) is not self:
            self._call = self._clock.callLater(0, self._step)

    def _dealing(self) -> Iterator[None]:
        spread = yield from self._sharing.spreading()
        changed = yield from self._sharing.dealing()
        is_news, self._spread = spread != self._spread, spread
        for seat in self._sharing.processes if is_news else tuple(changed):
            told = list(changed.get(seat, {}).items())
            for at in range(0, max(len(told), 1), SLICE):
                # The worker may be over by now.
                if seat in self._sharing.processes:
                    parts = tuple(Part(*key, rate) for key, rate in told[at : at + SLICE])
                    self._send(seat, Parts(parts, spread if is_news and not at else None))
                if at + SLICE < len(told):
                    yield


def _took(key: BucketKey, wanted: Wanted) -> Took:
    return Took(*key, wanted.whole, wanted.has, wanted.drawn, wanted.content, wanted.eager)


def _wanted(took: Took) -> Wanted:
    return Wanted(took.whole, took.has, took.drawn, took.content, took.eager)


def _not_told(failure: Failure) -> None:
    if not failure.check(ConnectionDone, ConnectionLost):  # type: ignore[no-untyped-call]
        log.failure("what limits let through could not be told", failure)
