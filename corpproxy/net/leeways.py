"""
Leeways: who is far below all limits has one for as long as they do something, and their exchanges nothing.

See `corpproxy.accounting.leeway`.  What moved is counted and told a few times a second, for all exchanges of
a person together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from corpproxy.accounting.dividing import Pauses, drained, finished
from corpproxy.accounting.leeway import Leeway, Term
from corpproxy.accounting.rates import PIECE_OCTETS
from corpproxy.accounting.sharing import DOWN, UP, BucketKey
from corpproxy.exchange.limited import limits_of
from corpproxy.net.pacing import TURN_SECONDS
from corpproxy.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from corpproxy.exchange.exchange import Exchange
    from corpproxy.net.borrowing import Borrowing
    from corpproxy.net.counting import Counter
    from corpproxy.net.pacing import Pacer
    from corpproxy.net.proxy import Proxy
    from corpproxy.policy.limits import Applied, Limits

log = Logger()

# Who moved nothing for so long has none any more, and what was lent for it goes back.  From one page to the
# next it is less.
KEEP_SECONDS = 15.0
# How often it is looked who that is.
LOOK_SECONDS = 3.0
# To have counted what one moved, or to end it, takes as long as to look at so many more.
SETTLING = ENDING = 3

_Key = tuple[str, ...]


class Leeways:
    """
    All leeways of one process; the clock runs only while there are any.

    ``now`` is POSIX seconds, for limits; all else goes by the clock.
    """

    def __init__(
        self, clock: Any, now: Callable[[], float], pacer: Pacer, counter: Counter, borrowing: Borrowing
    ) -> None:
        self._clock = clock
        self._now = now
        self._pacer = pacer
        self._counter = counter
        self._borrowing = borrowing
        self._all: dict[_Key, Leeway] = {}
        self._noted: list[Leeway] = []
        # One for all: each leeway is looked at by the collector with all that it has.
        self._note = self._noted_later
        self._term: Term | None = None
        self._call: IDelayedCall | None = None
        self._work = Slices(clock)
        self._look_at = 0.0

    def __len__(self) -> int:
        return len(self._all)

    def of(self, person: str, applied: tuple[Applied, ...], limiting: Limits, at: float) -> Leeway | None:
        """The leeway of a person below limits that were found just now; None where one is nearly used up."""
        key = (person, *(word for one in applied for word in (one.limit.name, one.whom)))
        found, term = self._all.get(key), self._term_of(limiting, at)
        if found is not None and found.term is term:
            return found
        made = None if _is_near(limiting, applied, at) else self._made(person, applied, term)
        if found is not None:
            self._end(key, found)
        if made is None:
            return None
        self._all[key] = made
        self._run()
        return made

    def stop(self) -> None:
        """Tell what moved, and run no more."""
        self._work.finish()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        finished(self._settling())
        for key, leeway in list(self._all.items()):
            self._end(key, leeway)

    def _term_of(self, limiting: Limits, at: float) -> Term:
        term = self._term
        if term is None or term.limiting is not limiting or not term.holds(at):
            term = self._term = Term(limiting, at)
        return term

    def _made(self, person: str, applied: tuple[Applied, ...], term: Term) -> Leeway:
        down, up = (self._pacer.invite(_rates(applied, way)) for way in (DOWN, UP))
        members = [
            (one.limit.name, one.whom)
            for one in applied
            if one.limit.quota is not None and one.limit.quota.lands
        ]
        stocks = [self._borrowing.invite(member) for member in members]
        now = self._pacer.seconds()
        return Leeway(person, applied, term, down, up, stocks, self._note, now)

    def _noted_later(self, leeway: Leeway) -> None:
        self._noted.append(leeway)
        self._run()

    def _run(self) -> None:
        """Have a turn after a while, unless one is under way."""
        if self._call is None and not self._work:
            self._call = self._clock.callLater(TURN_SECONDS, self._turn)

    def _turn(self) -> None:
        self._call = None
        self._work.add(self._turning())

    def _turning(self) -> Iterator[None]:
        """Tell what moved, and look now and then who does nothing any more, a slice at each step."""
        try:
            yield from self._settling()
            now = self._pacer.seconds()
            if now >= self._look_at:
                self._look_at = now + LOOK_SECONDS
                yield from self._looking(now)
        except Exception:
            log.failure("what moves far below limits could not be told")
        if self._all or self._noted:
            self._call = self._clock.callLater(TURN_SECONDS, self._turn)

    def _settling(self) -> Generator[None]:
        """Have counted what moved since the last time."""
        pauses = Pauses()
        noted, self._noted = self._noted, []
        for leeway in noted:
            self._counter.add(leeway.members, leeway.settle())
            if pauses.is_due(SETTLING):
                yield
        yield from self._counter.telling()

    def _looking(self, now: float) -> Iterator[None]:
        """
        Forget who does nothing any more, and who is not far below all limits any more.

        What is left of a budget is not kept for the short exchanges of one process while others wait for it.
        """
        at, pauses = self._now(), Pauses()
        for key in drained(list(self._all)):
            # While others had their turn it may have ended.
            leeway = self._all.get(key)
            is_ended = leeway is not None and _may_end(leeway, at, now)
            if leeway is not None and is_ended:
                self._end(key, leeway)
            if pauses.is_due(1 + is_ended * ENDING):
                yield

    def _end(self, key: _Key, leeway: Leeway) -> None:
        del self._all[key]
        leeway.is_over = True
        self._pacer.rates.see_off((*leeway.down, *leeway.up))
        self._borrowing.see_off(leeway.lent)


def begins_below(proxy: Proxy, exchange: Exchange) -> bool:
    """
    Find what an exchange may move that is about to begin; False where it may have to wait, or to be told
    how much is used: its road finds that out.
    """
    limiting, known, at = exchange.in_force.limiting, exchange.known, exchange.started
    assert limiting is not None
    leeway = known.leeway if known is not None else None
    if leeway is None or not leeway.holds(at):
        leeway = leeway_of(proxy, exchange, limits_of(exchange, exchange.in_force, at))
    if leeway is None or not leeway.covers(exchange.account.received, PIECE_OCTETS, proxy.pacer.seconds()):
        return False
    exchange.leeway = leeway
    return True


def leeway_of(proxy: Proxy, exchange: Exchange, applied: tuple[Applied, ...]) -> Leeway | None:
    """The leeway of an exchange below limits that were found just now; it is known for those like it."""
    limiting, known = exchange.in_force.limiting, exchange.known
    assert limiting is not None
    person = exchange.identity.name or exchange.client
    leeway = proxy.leeways.of(person, applied, limiting, exchange.started)
    if known is not None and limiting.is_lasting:
        known.leeway = leeway
    return leeway


def _may_end(leeway: Leeway, at: float, now: float) -> bool:
    is_idle = not leeway.is_noted and now - leeway.used_at >= KEEP_SECONDS
    return is_idle or (not leeway.term.holds(at) and _is_near(leeway.term.limiting, leeway.applied, at))


def _rates(applied: tuple[Applied, ...], way: int) -> list[tuple[BucketKey, float]]:
    found = [(BucketKey(one.limit.name, one.whom, way), float(one.rate(way))) for one in applied]
    return [one for one in found if one[1]]


def _is_near(limiting: Limits, applied: tuple[Applied, ...], at: float) -> bool:
    """Whether so much of one of the quotas is used that the person is told."""
    for one in applied:
        standing = (
            limiting.standings.of(one.limit.name, one.whom, at) if one.limit.quota is not None else None
        )
        if standing is not None and standing.is_noticed:
            return True
    return False
