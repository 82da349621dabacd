"""Quotas between workers: what each counts goes to the supervisor, how everybody stands to all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from corpproxy.accounting.quotas import Asked
from corpproxy.net.counting import Counts
from corpproxy.policy.quota import Member, Standing, Standings
from corpproxy.repeating import every
from corpproxy.slices import Slices
from corpproxy.supervisor.messages import Counted, Stands
from corpproxy.supervisor.untold import not_told

UNTOLD = "what moved below quotas could not be told"

# Standings told together: some 40 KiB.
BATCH = 500

# How often it is looked for what was made good.
FORGET_SECONDS = 60.0


class CountedElsewhere:
    """In a worker, in the place of what adds quotas up: the supervisor, who is told and asked for more."""

    problem = ""
    shut = 0

    def __init__(
        self,
        send: Callable[[tuple[Counted, ...]], Deferred[Any]],
        ask: Callable[[tuple[Asked, ...]], Deferred[Any]],
        standings: Standings,
        reactor: Any,
        now: Callable[[], float],
    ) -> None:
        self._send = send
        self._ask = ask
        self._standings = standings
        self._reactor = reactor
        self._now = now
        self._work = Slices(reactor)
        self._loop: LoopingCall | None = None

    def start(self) -> None:
        """Forget now and then what was made good again; nothing is kept here."""
        self._loop = every(FORGET_SECONDS, self._forget, self._reactor)

    def stop(self) -> None:
        """Nothing is kept here."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        self._work.finish()

    def define(self) -> None:
        """The supervisor knows."""

    def count(self, counts: Counts) -> None:
        """Members moved octets."""
        told = tuple(Counted(*member, octets) for member, octets in counts.items())
        for at in range(0, len(told), BATCH):
            self._send(told[at : at + BATCH]).addErrback(not_told, UNTOLD)

    def borrow(self, asked: Sequence[Asked]) -> None:
        """Ask for more of quotas; the supervisor lends it."""
        for at in range(0, len(asked), BATCH):
            self._ask(tuple(asked[at : at + BATCH])).addErrback(not_told, UNTOLD)

    def _forget(self) -> None:
        if not self._work:
            self._work.add(self._standings.forgetting(self._now()))


def batches(standings: Mapping[Member, Standing]) -> Iterator[tuple[Stands, ...]]:
    """Standings in pieces that can be told."""
    told = [Stands(*member, *standing) for member, standing in standings.items()]
    for at in range(0, len(told), BATCH):
        yield tuple(told[at : at + BATCH])


def telling(standings: Standings, tell: Callable[[tuple[Stands, ...]], object]) -> Iterator[None]:
    """Tell a worker that begins how all stand: those first who have nothing left, a piece at each step."""
    members = standings.in_order()
    for at in range(0, len(members), BATCH):
        # As they stand by now: what has changed meanwhile was told before.
        some = members[at : at + BATCH]
        for batch in batches({one: standings.all[one] for one in some if one in standings.all}):
            tell(batch)
        if at + BATCH < len(members):
            yield


def standings_of(told: tuple[Stands, ...]) -> dict[Member, Standing]:
    """What was told; what many have in common is there once."""
    common: dict[Any, Any] = {}

    def one_of(value: Any) -> Any:
        return common.setdefault(value, value)

    return {
        (one_of(one.limit), one.whom): Standing(one.used, one_of(one.allowed), one_of(one.until))
        for one in told
    }
