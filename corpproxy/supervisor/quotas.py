"""Quotas between workers: what each counts goes to the supervisor, how everybody stands to all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.quotas import Asked
from corpproxy.net.counting import Counts
from corpproxy.policy.quota import Member, Standing
from corpproxy.supervisor.messages import Counted, Stands

log = Logger()

# Standings told together: some 40 KiB.
BATCH = 500


class CountedElsewhere:
    """In a worker, in the place of what adds quotas up: the supervisor, who is told and asked for more."""

    problem = ""
    shut = 0

    def __init__(
        self,
        send: Callable[[tuple[Counted, ...]], Deferred[Any]],
        ask: Callable[[tuple[Asked, ...]], Deferred[Any]],
    ) -> None:
        self._send = send
        self._ask = ask

    def start(self) -> None:
        """Nothing is kept here."""

    def stop(self) -> None:
        """Nothing is kept here."""

    def define(self) -> None:
        """The supervisor knows."""

    def count(self, counts: Counts) -> None:
        """Members moved octets."""
        told = tuple(Counted(*member, octets) for member, octets in counts.items())
        if told:
            self._send(told).addErrback(_not_told)

    def borrow(self, asked: Sequence[Asked]) -> None:
        """Ask for more of quotas; the supervisor lends it."""
        for at in range(0, len(asked), BATCH):
            self._ask(tuple(asked[at : at + BATCH])).addErrback(_not_told)


def batches(standings: Mapping[Member, Standing]) -> Iterator[tuple[Stands, ...]]:
    """Standings in pieces that can be told."""
    told = [Stands(*member, *standing) for member, standing in standings.items()]
    for at in range(0, len(told), BATCH):
        yield tuple(told[at : at + BATCH])


def standings_of(told: tuple[Stands, ...]) -> dict[Member, Standing]:
    """What was told."""
    return {(one.limit, one.whom): Standing(one.used, one.allowed, one.until) for one in told}


def _not_told(failure: Failure) -> None:
    if not failure.check(ConnectionDone, ConnectionLost):  # type: ignore[no-untyped-call]
        log.failure("what moved below quotas could not be told", failure)
