"""The store as a worker sees it: the supervisor's, at the other end of the link."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Never

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from corpproxy.accounting.common import Ledgered, Moved, NodeAsked, NodeLent
from corpproxy.accounting.ledger import Usage, in_columns
from corpproxy.accounting.quotas import Charge
from corpproxy.accounting.report import UsageQuestion, UsageReport
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.backends.store.interface import Outage, Shared, StoreError
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.supervisor.wire import Book, EndGrant, KeepGrant, KeepRequest, Link


class DistantStore:
    """
    Sends usage and grants to the supervisor.

    Batches are numbered.  A batch fails only when the supervisor says that nothing of it is stored; then it
    is given a new number with what came since.  No answer at all means that the supervisor is gone, and then
    this worker ends too: nothing is ever sent to another one, which could count it again.
    """

    is_shared = False
    run = ""

    def __init__(self, link: Link) -> None:
        self.hides: Callable[[Iterable[str]], bool] = lambda hosts: False
        self._link = link
        self._number = 0

    @property
    def outage(self) -> Outage | None:
        """The supervisor tells of it."""
        return None

    def add_usage(self, batch: Sequence[Usage]) -> Deferred[None]:
        """Store a batch of sums: all of it, or nothing."""
        self._number += 1
        return _stored(self._link.ask(Book, in_columns(batch), number=self._number))

    def save_grant(self, grant: Grant) -> Deferred[None]:
        """Keep a grant."""
        return _stored(self._link.ask(KeepGrant, grant))

    def end_grant(self, id: str) -> Deferred[None]:
        """Forget a grant that was ended."""
        return _stored(self._link.ask(EndGrant, id))

    def load_grants(self, now: float) -> Deferred[list[Grant]]:
        """Nothing: the supervisor tells of the grants that hold when a worker begins."""
        return succeed([])

    def save_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep a request."""
        return _stored(self._link.ask(KeepRequest, request))

    def load_requests(self, now: float) -> Deferred[list[AccessRequest]]:
        """Nothing: the supervisor tells of the requests, too."""
        return succeed([])

    def usage(self, question: UsageQuestion) -> Deferred[UsageReport]:
        """Reports are made where the store is."""
        return fail(StoreError("store-missing", "usage is asked of the supervisor"))

    def erase(self, erasure: Erasure) -> Deferred[list[Reached]]:
        """What is to be forgotten is forgotten where the store is."""
        return fail(StoreError("store-missing", "erasing is for the supervisor"))

    def concerned(self, erasure: Erasure) -> Deferred[list[Reached]]:
        """What would be forgotten is counted where the store is."""
        return fail(StoreError("store-missing", "erasing is for the supervisor"))

    def drop_usage_before(self, moment: float) -> Deferred[int]:
        """What is too old is deleted where the store is."""
        return fail(StoreError("store-missing", "deleting is for the supervisor"))

    def grow_old(self, group: str, moment: float) -> Deferred[int]:
        """Sums grow old where the store is."""
        return fail(StoreError("store-missing", "growing old is for the supervisor"))

    def begin_anew(self) -> Deferred[None]:
        """Loans are the supervisor's."""
        return succeed(None)

    def charge(self, charges: Sequence[Charge]) -> Deferred[None]:
        """Quotas are charged where the store is."""
        return fail(StoreError("store-missing", "charging is for the supervisor"))

    def borrow(self, asked: Sequence[NodeAsked]) -> Deferred[list[NodeLent]]:
        """The supervisor lends what the store lends to it."""
        return fail(StoreError("store-missing", "borrowing is for the supervisor"))

    def settle(self, moved: Sequence[Moved]) -> Deferred[None]:
        """Loans are the supervisor's."""
        return fail(StoreError("store-missing", "borrowing is for the supervisor"))

    def ledgered(self, limit: str | None, whom: str | None, now: float) -> Deferred[Ledgered]:
        """Nothing: the supervisor looks at quotas."""
        return succeed(Ledgered())

    def shared(self, now: float) -> Deferred[Shared | None]:
        """The supervisor tells what changed."""
        return succeed(None)

    def close(self) -> Deferred[None]:
        """Nothing is open here."""
        return succeed(None)


def _stored(answer: Deferred[Any]) -> Deferred[None]:
    return answer.addCallbacks(_done, _not_stored)


def _done(_: object) -> None:
    """Any answer is a good one."""


def _not_stored(failure: Failure) -> Never:
    raise StoreError("store-failed", failure.getErrorMessage()) from failure.value
