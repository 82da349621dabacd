"""The store on threads of its own: whatever waits on a disk or on the network holds up nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads

from corpproxy.accounting.common import Ledgered, Moved, NodeAsked, NodeLent
from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.quotas import Charge
from corpproxy.accounting.report import UsageQuestion, UsageReport
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.backends.one_thread import OneThread, WorkThread
from corpproxy.backends.store.database import Database
from corpproxy.backends.store.interface import Outage, Shared
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest


class ThreadedStore:
    """
    The :class:`~corpproxy.backends.store.interface.Store` over a database.

    One thread writes, in the order given; another reads for reports, so that a long report holds up nothing.
    """

    is_shared = False
    run = ""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        database: Database,
        report: Callable[[UsageQuestion], UsageReport],
        *,
        writer: WorkThread | None = None,
        reader: WorkThread | None = None,
    ) -> None:
        self._database = database
        self._report = report
        self._writer = writer or OneThread(reactor, "store")
        self._reader = reader or OneThread(reactor, "reports")
        self.hides: Callable[[Iterable[str]], bool] = lambda hosts: False

    @property
    def outage(self) -> Outage | None:
        """A file is never away."""
        return None

    def add_usage(self, batch: Sequence[Usage]) -> Deferred[None]:
        """Add a batch of sums for good: all of it, or, when the Deferred fails, nothing."""
        return self._writer.run(lambda: self._database.add_usage(batch))

    def usage(self, question: UsageQuestion) -> Deferred[UsageReport]:
        """Answer a question about usage."""
        return self._reader.run(lambda: self._report(question))

    def save_grant(self, grant: Grant) -> Deferred[None]:
        """Keep a grant, in the place of one for the same person, host and rule."""
        if self.hides(grant.hosts):
            # It holds in memory; what is kept may not name the host.
            return succeed(None)
        return self._writer.run(lambda: self._database.save_grant(grant))

    def end_grant(self, id: str) -> Deferred[None]:
        """Forget a grant that was ended."""
        return self._writer.run(lambda: self._database.end_grant(id))

    def load_grants(self, now: float) -> Deferred[list[Grant]]:
        """Give the grants that still hold at ``now``, POSIX seconds, and forget the others."""
        return self._writer.run(lambda: self._database.load_grants(now))

    def save_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep a request as it is now."""
        if self.hides((*filter(None, (request.host,)), *(host for host, _ in request.also))):
            return succeed(None)
        return self._writer.run(lambda: self._database.save_request(request))

    def load_requests(self, now: float) -> Deferred[list[AccessRequest]]:
        """Give the requests that may still be worth showing, and forget the others."""
        return self._writer.run(lambda: self._database.load_requests(now))

    def erase(self, erasure: Erasure) -> Deferred[list[Reached]]:
        """Forget what an erasure is about."""
        return self._writer.run(lambda: self._database.erase(erasure))

    def concerned(self, erasure: Erasure) -> Deferred[list[Reached]]:
        """Say what an erasure would reach."""
        return self._writer.run(lambda: self._database.concerned(erasure))

    def drop_usage_before(self, moment: float) -> Deferred[int]:
        """Delete the sums of before a moment, POSIX seconds; gives how many there were."""
        return self._writer.run(lambda: self._database.drop_usage_before(moment))

    def grow_old(self, group: str, moment: float) -> Deferred[int]:
        """Take hosts (``where``) or people (``who``) out of the sums of before a moment; gives how many."""
        return self._writer.run(lambda: self._database.grow_old(group, moment))

    def begin_anew(self) -> Deferred[None]:
        """Nobody shares it."""
        return succeed(None)

    def charge(self, charges: Sequence[Charge]) -> Deferred[None]:
        """Nobody shares it."""
        return succeed(None)

    def borrow(self, asked: Sequence[NodeAsked]) -> Deferred[list[NodeLent]]:
        """Nobody shares it."""
        return succeed([])

    def settle(self, moved: Sequence[Moved]) -> Deferred[None]:
        """Nobody shares it."""
        return succeed(None)

    def ledgered(self, limit: str | None, whom: str | None, now: float) -> Deferred[Ledgered]:
        """Nobody shares it."""
        return succeed(Ledgered())

    def shared(self, now: float) -> Deferred[Shared | None]:
        """Nobody shares it."""
        return succeed(None)

    def close(self) -> Deferred[None]:
        """End, once everything given before is done."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        await self._writer.run(self._database.close)
        self._writer.stop()
        self._reader.stop()
