"""The store that several nodes have: PostgreSQL behind threads, and behind a file for when it is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.common import Ledgered, Moved, NodeAsked, NodeLent
from corpproxy.accounting.quotas import Charge
from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.one_thread import OneThread
from corpproxy.backends.store import quotas as store_quotas
from corpproxy.backends.store.interface import Outage, Shared
from corpproxy.backends.store.lending import LendingDatabase
from corpproxy.backends.store.outage import PatientDatabase
from corpproxy.backends.store.postgresql import read_postgresql
from corpproxy.backends.store.threaded import ThreadedStore
from corpproxy.backends.store.usage import read_usage
from corpproxy.repeating import every

# How often what waits for the database is tried again.
TEND_SECONDS = 1.0

log = Logger()


class PostgresqlStore(ThreadedStore):
    """The store in PostgreSQL."""

    is_shared = True
    _database: PatientDatabase

    def __init__(self, reactor: Any, address: StoreAddress, *, now: Callable[[], float] = time.time) -> None:
        self._address = address
        # Loans have a connection and a thread of their own: people wait for them.
        self._lending = LendingDatabase(address, now)
        self._lender = OneThread(reactor, "loans")
        super().__init__(
            reactor,
            PatientDatabase(address, now),
            lambda question: read_postgresql(address, lambda connection: read_usage(connection, question)),
        )
        self._loop = every(TEND_SECONDS, self._tend, reactor)

    @property
    def outage(self) -> Outage | None:
        """What is known of the database being away; None when it is there and nothing waits."""
        return self._database.outage

    @property
    def run(self) -> str:  # type: ignore[override]
        """The name by which the database knows this run of the node."""
        return self._database.run

    def begin_anew(self) -> Deferred[None]:
        """Be another run of this node from now on."""
        return self._writer.run(self._database.begin_anew)

    def charge(self, charges: Sequence[Charge]) -> Deferred[None]:
        """Charge members of quotas: all of it, once."""
        return self._writer.run(lambda: self._database.charge(charges))

    def borrow(self, asked: Sequence[NodeAsked]) -> Deferred[list[NodeLent]]:
        """Tell what moved of quotas, and borrow of them."""
        return self._lender.run(lambda: self._lending.borrow(self.run, asked))

    def settle(self, moved: Sequence[Moved]) -> Deferred[None]:
        """Account for what was lent to runs of this node before."""
        return self._lender.run(lambda: self._lending.settle(self.run, moved))

    def ledgered(self, limit: str | None, whom: str | None, now: float) -> Deferred[Ledgered]:
        """Give how members of quotas stand: all, or those of a limit or of one name; it holds up nobody."""
        address, run = self._address, self.run
        return self._reader.run(
            lambda: read_postgresql(
                address, lambda connection: store_quotas.ledgered(connection, run, limit, whom, now)
            )
        )

    def shared(self, now: float) -> Deferred[Shared | None]:
        """Give what changed since this was asked last; None where that cannot be said now."""
        return self._writer.run(lambda: self._database.shared(now))

    def close(self) -> Deferred[None]:
        """End, once everything given before is done or waits on the disk."""
        if self._loop.running:
            self._loop.stop()
        return super().close()

    async def _close(self) -> None:
        await self._lender.run(self._lending.close)
        self._lender.stop()
        await super()._close()

    def _tend(self) -> Deferred[None]:
        return self._writer.run(self._database.tend).addErrback(_not_tended)


def _not_tended(failure: Failure) -> None:
    log.failure("what waits for the database could not be looked after", failure)
