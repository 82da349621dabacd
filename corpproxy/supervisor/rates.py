"""The rates of limits between workers: what each takes, and the parts that they get, four times a second."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from corpproxy.accounting.dividing import SLICE, Pauses
from corpproxy.accounting.sharing import BucketKey, Sharing, Wanted
from corpproxy.accounting.telling import News
from corpproxy.net.pacing import TURN_SECONDS, Pacer, person_of
from corpproxy.slices import Slices
from corpproxy.supervisor.messages import Part, Parts, Takings, Took
from corpproxy.supervisor.untold import not_told

if TYPE_CHECKING:
    from corpproxy.supervisor.seat import Seat

# Names in one message.
MOST_NAMES = 2 * SLICE


class Taking:
    """
    The side of a worker: tells what its people took, where that is something else than before.

    ``send`` gives it to the supervisor, in pieces.  Until that answers, a new bucket has its part of the
    rate.
    """

    def __init__(self, pacer: Pacer, workers: int, send: Callable[[Takings], Deferred[Any]]) -> None:
        self._pacer = pacer
        self._send = send
        self._told_at = pacer.seconds()
        # Whether the supervisor may know nothing, or something that is not so.
        self._is_anew = True
        pacer.rates.part = 1 / workers
        pacer.turned = self._tell
        pacer.idle = self._forget

    def take(self, parts: Parts) -> None:
        """Let through what the supervisor says."""
        rates = self._pacer.rates
        for person, count in parts.spread.items():
            if count > 1:
                rates.spread[person] = count
            else:
                rates.spread.pop(person, None)
        told = {BucketKey(one.limit, one.whom, one.way): one.rate for one in parts.parts}
        rates.take_parts(told, self._pacer.seconds())

    def _tell(self, now: float) -> Iterator[None]:
        seconds = max(now - self._told_at, TURN_SECONDS)
        self._told_at = now
        is_anew, self._is_anew = self._is_anew, False
        if is_anew:
            self._pacer.rates.tell_anew()
        news = yield from self._pacer.rates.news(seconds)
        if not (news.wanted or news.gone or is_anew):
            return
        for took, gone in _pieces(news):
            self._say(Takings(took, gone, is_anew))
            is_anew = False
            yield

    def _forget(self) -> None:
        """Nobody is held here any more: others may have all of it."""
        self._pacer.rates.tell_anew()
        self._say(Takings((), is_anew=True))

    def _say(self, takings: Takings) -> None:
        self._send(takings).addErrback(self._not_told)

    def _not_told(self, failure: Failure) -> None:
        self._is_anew = True
        not_told(failure, "what limits let through could not be told")


class Dealing:
    """
    The side of the supervisor: ``send`` gives parts to the worker of a seat.

    Where there are thousands of buckets it is done in slices, and others have their turn between these.
    """

    def __init__(self, send: Callable[[Seat, Parts], None], clock: Any) -> None:
        self._send = send
        self._work = Slices(clock)
        # The names of those who wait for a bucket, where more of them come.
        self._names: dict[Seat, tuple[str, ...]] = {}
        self._sharing: Sharing[Seat] = Sharing()
        # The people who wait in several workers, and the seats that were told of them.
        self._spread: dict[str, int] = {}
        self._knowing: set[Seat] = set()

    def stop(self) -> None:
        """Deal no more."""
        self._work.stop()

    def take(self, seat: Seat, takings: Takings) -> None:
        """A worker says what it took."""
        if takings.is_anew:
            self._names.pop(seat, None)
            self._sharing.forget(seat)
        wanted = {}
        for one in takings.took:
            names = self._names.pop(seat, ()) + one.eager
            if one.goes_on:
                self._names[seat] = names
            else:
                key = BucketKey(one.limit, one.whom, one.way)
                wanted[key] = Wanted(one.whole, one.has, one.drawn, one.content, names)
        self._sharing.take(seat, wanted, (BucketKey(*one) for one in takings.gone))

    def forget(self, seat: Seat) -> None:
        """A worker is over."""
        self._names.pop(seat, None)
        self._knowing.discard(seat)
        self._sharing.forget(seat)

    def waiting(self) -> dict[str, tuple[str, ...]]:
        """Who had to wait for which limit lately, in all workers."""
        return {
            name: tuple({person_of(key) for key in keys}) for name, keys in self._sharing.waiting().items()
        }

    @property
    def is_dealing(self) -> bool:
        """Whether a dealing is not over yet."""
        return bool(self._work)

    def deal(self) -> None:
        """Tell each worker what is another part than before, unless the dealing before is not over yet."""
        if not self.is_dealing:
            self._work.add(self._dealing())

    def _dealing(self) -> Iterator[None]:
        spread = yield from self._sharing.spreading()
        changed = yield from self._sharing.dealing()
        news = yield from self._news(spread)
        self._spread = spread
        for seat in self._sharing.processes:
            told = list(changed.get(seat, {}).items())
            people = list((news if seat in self._knowing else spread).items())
            self._knowing.add(seat)
            for at in range(0, max(len(told), len(people)), SLICE):
                # The worker may be over by now.
                if seat in self._sharing.processes:
                    parts = tuple(Part(*key, rate) for key, rate in told[at : at + SLICE])
                    self._send(seat, Parts(parts, dict(people[at : at + SLICE])))
                yield

    def _news(self, spread: dict[str, int]) -> Generator[None, None, dict[str, int]]:
        """Who waits in another number of workers than before."""
        pauses = Pauses()
        news = {}
        for person, count in spread.items():
            if self._spread.get(person, 1) != count:
                news[person] = count
            if pauses.is_due():
                yield
        for person in self._spread:
            if person not in spread:
                news[person] = 1
            if pauses.is_due():
                yield
        return news


def _pieces(news: News) -> Iterator[tuple[tuple[Took, ...], tuple[BucketKey, ...]]]:
    """What is told in one message: what was taken of some buckets, and some that are gone."""
    gone = [tuple(news.gone[at : at + SLICE]) for at in range(0, len(news.gone), SLICE)]
    for one in gone[:-1]:
        yield (), one
    some: list[Took] = []
    size = 0
    for took in _tooks(news.wanted):
        if size + len(took.eager) >= MOST_NAMES or len(some) == SLICE:
            yield tuple(some), gone.pop() if gone else ()
            some, size = [], 0
        some.append(took)
        size += len(took.eager)
    yield tuple(some), gone.pop() if gone else ()


def _tooks(wanted: dict[BucketKey, Wanted]) -> Iterator[Took]:
    """What is told of each bucket: one piece, or more where many wait for it."""
    while wanted:
        key, one = wanted.popitem()
        count = len(one.eager)
        for at in range(0, max(count, 1), SLICE):
            names, goes_on = one.eager[at : at + SLICE], at + SLICE < count
            yield Took(*key, one.whole, one.has, one.drawn, one.content, names, goes_on)
