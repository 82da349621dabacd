"""The bookkeeper: more than once a second, what the exchanges moved goes from memory into the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.ledger import Usage
from corpproxy.counted import counted

# A batch takes a moment from a worker to the store, and from there to the disk: when a process is killed, no
# more than one second is lost.
INTERVAL_SECONDS = 0.75


class Taking(Protocol):
    """Takes usage: the intake of the store, or in a worker the way to it."""

    def add_usage(self, batch: Sequence[Usage]) -> Deferred[None]:
        """Add a batch of sums for good: all of it, or, when the Deferred fails, nothing."""


class Bookkeeper:
    """
    Takes the batches from the ledger to the store, one at a time.

    A batch the store refuses goes back into the ledger, which is bounded, and out again with the next:
    no octet is lost while the process lives, and none is counted twice.

    :ivar failing_since: POSIX seconds of the first failure of a row, 0 when all is well.
    :ivar failing_reason: what the store said.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        accounts: Accounts,
        store: Taking,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._interval = interval_seconds
        self._now = now
        # It waits for each batch before it begins to count to the next.
        self._loop = LoopingCall(self._book)
        self._loop.clock = reactor
        self._under_way: Deferred[None] = succeed(None)
        self.failing_since = 0.0
        self.failing_reason = ""

    @property
    def is_failing(self) -> bool:
        """Whether the store refused the last batch."""
        return self.failing_since > 0

    def start(self) -> None:
        """Begin."""
        self._loop.start(self._interval, now=False).addErrback(self._note_bug)

    def settle(self) -> Deferred[None]:
        """Bring what was counted until now into the store; fires when it is there, or could not be."""
        return Deferred.fromCoroutine(self._settle())

    async def _settle(self) -> None:
        await self._under_way
        await self._book()

    def stop(self) -> Deferred[None]:
        """Bring in what is left, and end; the store must still be open."""
        if self._loop.running:
            self._loop.stop()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._under_way
        await self._book()
        left = self._accounts.ledger.take_batch()
        if left:
            self._log.critical(
                "The octets of {counted} could not be stored before the end: {reason}",
                counted=counted(sum(row.exchanges for row in left), "exchange"),
                octets=sum(row.received + row.sent for row in left),
                reason=self.failing_reason,
            )

    def _book(self) -> Deferred[None]:
        self._accounts.collect(self._now())
        batch = self._accounts.ledger.take_batch()
        if not batch:
            return succeed(None)
        booking = self._store.add_usage(batch)
        booking.addCallbacks(self._note_stored, self._put_back, errbackArgs=(batch,))
        self._under_way = Deferred()
        booking.addBoth(self._under_way.callback)
        return booking

    def _note_stored(self, _: None) -> None:
        if self.failing_since:
            self._log.warn(
                "Usage is stored again after {seconds:.0f} s; nothing was lost.",
                seconds=self._now() - self.failing_since,
            )
            self.failing_since, self.failing_reason = 0.0, ""

    def _note_bug(self, failure: Failure) -> None:
        self._log.failure("A bug in bookkeeping; it goes on.", failure)
        self.start()

    def _put_back(self, failure: Failure, batch: Sequence[Usage]) -> None:
        self._accounts.ledger.put_back(batch)
        self.failing_reason = failure.getErrorMessage()
        if not self.failing_since:
            self.failing_since = self._now()
            self._log.critical(
                "Usage cannot be stored: {reason}. It is held in memory and tried again each second.",
                reason=self.failing_reason,
            )
