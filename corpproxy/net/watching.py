"""
Watching: what this process has on the line now, for whoever looks.

Nothing is counted while nobody looks.  A look passes over all connections, in slices so short that nobody
waits for them, and tells rates by what has moved since the pass before; several who look at the same time
share passes.  What is nobody's business in the sums (hosts of some categories, where people go who have
pseudonyms) is not told here either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from corpproxy.accounting.present import (
    MAX_ADDRESSES,
    MAX_PEOPLE,
    Firsts,
    Person,
    Present,
    Question,
    Running,
    View,
    matches,
)
from corpproxy.audit.results import ResultCode
from corpproxy.exchange.exchange import Exchange
from corpproxy.slices import Slices

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.proxy import Proxy

# Rates over less time jump: who looks again sooner is told of the pass before.
PASS_SECONDS = 0.9
# Nobody looks any more who has not looked for so long.
KEPT_SECONDS = 15.0

_REFUSED = frozenset({ResultCode.BLOCKED, ResultCode.WARNED, ResultCode.LIMITED})


class Moved:
    """What was known of an exchange at the pass before."""

    __slots__ = ("received", "received_rate", "sent", "sent_rate", "slowed", "waited")

    def __init__(self) -> None:
        self.received = self.sent = 0
        self.received_rate = self.sent_rate = self.waited = 0.0
        self.slowed: tuple[str, ...] = ()


class Sums:
    """What is known of a person: in this pass, and since somebody began to look."""

    __slots__ = (
        "addresses",
        "categories",
        "connections",
        "ended",
        "groups",
        "moved",
        "rates",
        "refused",
        "running",
        "slowed",
        "totals",
        "tunnels",
    )

    def __init__(self) -> None:
        self.groups: tuple[str, ...] = ()
        self.moved, self.totals, self.rates = [0, 0], [0, 0], [0.0, 0.0]
        self.ended = self.refused = 0
        self.begin()

    def begin(self) -> None:
        """A pass begins: what is open is counted anew."""
        self.connections = self.tunnels = self.running = 0
        self.addresses: dict[str, None] = {}
        self.slowed: set[str] = set()
        self.categories: set[str] = set()

    def finish(self, seconds: float) -> None:
        """A pass is over: what has moved since the one before it is a rate."""
        for way, moved in enumerate(self.moved):
            self.rates[way] = moved / seconds if seconds else 0.0
            self.totals[way] += moved
        self.moved = [0, 0]


_Whom = tuple[str, bool]


class Watching:
    """
    Sees what runs.

    ``worker`` is the number of this process.  ``seconds`` is the clock of its ``slices``.
    """

    def __init__(self, proxy: Proxy, seconds: Callable[[], float] = time.perf_counter) -> None:
        self._proxy = proxy
        self.worker = 0
        self._forget()
        self._forgetting: IDelayedCall | None = None
        self.slices = Slices(proxy.reactor, seconds)

    def _forget(self) -> None:
        self._moved: dict[Exchange, Moved] = {}
        self._people: dict[_Whom, Sums] = {}
        self._ended = self._refused = 0
        self._now = Present()
        self._passed = 0.0
        self._passing: Deferred[Any] | None = None

    @property
    def looks(self) -> bool:
        """Whether anybody looks."""
        return self._forgetting is not None

    def look(self, question: Question) -> Deferred[Present]:
        """Fire with what there is now; rates are told from the second look on."""
        return Deferred.fromCoroutine(self._look(question))

    def stop(self) -> None:
        """Nobody looks any more."""
        forgetting, self._forgetting = self._forgetting, None
        if forgetting is not None and forgetting.active():
            forgetting.cancel()
        self._proxy.books.look = None
        self._forget()

    # A look.

    async def _look(self, question: Question) -> Present:
        self._begin_or_stay()
        await self._pass()
        if question.view is View.PEOPLE:
            return _with(self._now, people=await self._tell_people(question.who))
        found = _Found(question)
        await self.slices.take(self._see(question, found))
        return _with(self._now, found=found.count, running=tuple(found.rows.rows()))

    def _begin_or_stay(self) -> None:
        if self._forgetting is None:
            self._proxy.books.look = self._over
            self._forgetting = self._proxy.reactor.callLater(KEPT_SECONDS, self.stop)
        else:
            self._forgetting.reset(KEPT_SECONDS)

    # A pass.

    async def _pass(self) -> None:
        """Pass over all connections, unless that was done just now; a pass that goes on is waited for."""
        passing = self._passing
        if passing is None:
            began = self._proxy.reactor.seconds()
            over = began - self._passed if self._passed else 0.0
            if self._passed and over < PASS_SECONDS:
                return
            self._passed = began
            passing = self._passing = self.slices.take(self._visits(over))
            passing.addBoth(self._is_over, passing)
        waited: Deferred[None] = Deferred()
        passing.addBoth(_fire, waited)
        await waited

    def _visits(self, over: float) -> Generator[None, None, None]:
        for sums in self._people.values():
            sums.begin()
        admission = self._proxy.admission
        yield
        for downstream, person in list(admission.connections.items()):
            self._visit(downstream, person, over)
            yield
        yield from self._finish(over)

    def _visit(self, downstream: Downstream, person: str, over: float) -> None:
        exchange = downstream.exchange if downstream.is_busy else None
        whom = _whom(exchange) if exchange is not None else (person or downstream.address, bool(person))
        sums = self._sums(whom)
        sums.connections += 1
        if len(sums.addresses) < MAX_ADDRESSES:
            sums.addresses[downstream.address] = None
        if exchange is None:
            return
        sums.running += 1
        sums.tunnels += exchange.opened
        sums.groups = exchange.identity.groups
        if exchange.destination is not None:
            sums.categories.update(exchange.destination.categories)
        moved = self._moved.get(exchange)
        if moved is None:
            moved = self._moved[exchange] = Moved()
            if not self._now.seconds and not over:
                # What moved before anybody looked is no rate.
                moved.received, moved.sent = exchange.account.received, exchange.account.sent
                sums.totals[0] += moved.received
                sums.totals[1] += moved.sent
        self._note(exchange, moved, sums, over)

    def _note(self, exchange: Exchange, moved: Moved, sums: Sums, over: float) -> None:
        received, sent = exchange.account.received, exchange.account.sent
        more = received - moved.received, sent - moved.sent
        sums.moved[0] += more[0]
        sums.moved[1] += more[1]
        moved.received, moved.sent = received, sent
        if over:
            moved.received_rate, moved.sent_rate = more[0] / over, more[1] / over
        held = exchange.held
        if held is not None:
            waited = held.seconds
            moved.slowed = held.names if waited > moved.waited else ()
            moved.waited = waited
            sums.slowed.update(moved.slowed)

    def _finish(self, over: float) -> Generator[None, None, None]:
        received = sent = 0.0
        for whom, sums in list(self._people.items()):
            sums.finish(over)
            received += sums.rates[0]
            sent += sums.rates[1]
            if not (sums.connections or any(sums.totals) or sums.ended):
                del self._people[whom]
            yield
        ended, refused = self._ended, self._refused
        self._ended = self._refused = 0
        admission = self._proxy.admission
        self._now = Present(
            over,
            len(admission.connections),
            len(admission.tunnels),
            len(self._moved),
            received,
            sent,
            ended / over if over else 0.0,
            refused / over if over else 0.0,
            pseudonyms=self._proxy.books.naming is not None,
        )

    def _is_over(self, outcome: object, passing: Deferred[Any]) -> object:
        if self._passing is passing:
            self._passing = None
        return outcome

    def _over(self, exchange: Exchange) -> None:
        """An exchange ends while somebody looks: what it moved since the pass before counts for the next."""
        moved = self._moved.pop(exchange, None)
        sums, account = self._sums(_whom(exchange)), exchange.account
        sums.moved[0] += account.received - (moved.received if moved is not None else 0)
        sums.moved[1] += account.sent - (moved.sent if moved is not None else 0)
        sums.groups = exchange.identity.groups
        sums.ended += 1
        self._ended += 1
        if exchange.result in _REFUSED:
            sums.refused += 1
            self._refused += 1

    def _sums(self, whom: _Whom) -> Sums:
        found = self._people.get(whom)
        if found is None:
            if len(self._people) >= MAX_PEOPLE:
                whom = _OTHERS
                found = self._people.get(whom)
            if found is None:
                found = self._people[whom] = Sums()
        return found

    # What is told.

    async def _tell_people(self, who: str) -> tuple[Person, ...]:
        return tuple(await self.slices.take(self._people_of(who)))

    def _people_of(self, who: str) -> Generator[None, None, list[Person]]:
        told = []
        for whom, sums in list(self._people.items()):
            person = self._person(whom, sums)
            if who in ("", person.who):
                told.append(person)
            yield
        return told

    def _person(self, whom: _Whom, sums: Sums) -> Person:
        who, named = whom
        naming = self._proxy.books.naming
        if naming is not None and not named and whom != _OTHERS:
            who = naming.device(who)
        return Person(
            who,
            named,
            # Where the record has pseudonyms, an address would tell whose exchanges are whose.
            addresses=tuple(sums.addresses) if named and naming is None else (),
            groups=sums.groups,
            connections=sums.connections,
            tunnels=sums.tunnels,
            running=sums.running,
            received=sums.totals[0],
            sent=sums.totals[1],
            received_rate=sums.rates[0],
            sent_rate=sums.rates[1],
            ended=sums.ended,
            refused=sums.refused,
            slowed=tuple(sorted(sums.slowed)),
            categories=tuple(sorted(sums.categories)),
        )

    def _see(self, question: Question, found: _Found) -> Generator[None, None, None]:
        for exchange, moved in list(self._moved.items()):
            # One that has ended meanwhile is not there any more.
            if exchange in self._moved:
                row = self._running(exchange, moved)
                if matches(row, question):
                    found.count += 1
                    found.rows.add(row)
            yield

    def _running(self, exchange: Exchange, moved: Moved) -> Running:
        shown = self._proxy.books.shown(exchange)
        destination = exchange.destination
        return Running(
            exchange.reference,
            self.worker,
            shown.who,
            shown.client,
            exchange.identity.groups,
            exchange.method.decode("latin-1"),
            exchange.opened,
            shown.host,
            destination.port if destination is not None else 0,
            shown.categories,
            shown.rule,
            exchange.started,
            moved.received,
            moved.sent,
            moved.received_rate,
            moved.sent_rate,
            moved.slowed,
        )


class _Found:
    """What was found of what runs: how much, and the rows that are told."""

    __slots__ = ("count", "rows")

    def __init__(self, question: Question) -> None:
        self.count = 0
        self.rows: Firsts[Running] = Firsts(question)


# Where there are more people than are told apart.
_OTHERS = ("*", False)


def _whom(exchange: Exchange) -> _Whom:
    """Who an exchange is for: a person, or an address of which nobody knows whose it is."""
    name = exchange.identity.name
    return (name, True) if name else (exchange.client, False)


def _with(
    now: Present, *, found: int = 0, people: tuple[Person, ...] = (), running: tuple[Running, ...] = ()
) -> Present:
    return replace(now, found=found, people=people, running=running)


def _fire(outcome: object, waited: Deferred[None]) -> object:
    waited.callback(None)
    return outcome
