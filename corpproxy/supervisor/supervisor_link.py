"""Our end of the link to one worker: what a worker tells, and asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from corpproxy.accounting.ledger import Batch, Columns
from corpproxy.accounting.quotas import Asked, Lent
from corpproxy.backends.store.interface import StoreError
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.supervisor.crew import UNTOLD
from corpproxy.supervisor.messages import Counted, Notice, Report, Takings
from corpproxy.supervisor.parcels import Parcels
from corpproxy.supervisor.untold import not_told
from corpproxy.supervisor.wire import (
    Book,
    Borrow,
    Count,
    EndGrant,
    GrantQuota,
    KeepGrant,
    KeepRequest,
    Lend,
    Link,
    NotStored,
    ReadDays,
    Taken,
    Tell,
    Tidings,
)

if TYPE_CHECKING:
    from corpproxy.supervisor.seat import Seat
    from corpproxy.supervisor.service import Supervisor


class SupervisorLink(Link):
    """Our end of the link to one worker."""

    def __init__(self, parcels: Parcels, supervisor: Supervisor, seat: Seat) -> None:
        super().__init__(parcels)
        self._supervisor = supervisor
        self._seat = seat

    @Tell.responder
    def told(self, value: tuple[Notice, ...]) -> dict[str, Any]:
        self._supervisor.take_notice(value, self._seat)
        return {}

    @Tidings.responder
    def reported(self, value: Report) -> dict[str, Any]:
        self._supervisor.take_report(value, self._seat)
        return {}

    @Count.responder
    def counted(self, value: tuple[Counted, ...]) -> dict[str, Any]:
        self._supervisor.quota_keeper.count({(one.limit, one.whom): one.octets for one in value})
        return {}

    @ReadDays.responder
    def read_days(self, value: str) -> Deferred[dict[str, Any]]:
        days: Deferred[Any] = self._supervisor.allowances.days(value)
        return days.addCallback(_answer)

    @GrantQuota.responder
    def grant_quota(self, value: tuple[str, str, float]) -> Deferred[dict[str, Any]]:
        given: Deferred[Any] = self._supervisor.allowances.grant(*value)
        return given.addCallback(_answer)

    @Borrow.responder
    def borrowed(self, value: tuple[Asked, ...]) -> dict[str, Any]:
        self._supervisor.quota_keeper.lend(self._seat.borrower, value, self._lend)
        return {}

    def _lend(self, lent: list[Lent]) -> None:
        self.ask(Lend, tuple(lent)).addErrback(not_told, UNTOLD, number=self._seat.number)

    @Taken.responder
    def taken(self, value: Takings) -> dict[str, Any]:
        self._supervisor.dealing.take(self._seat, value)
        return {}

    @Book.responder
    def book(self, value: Columns, number: int) -> Deferred[dict[str, Any]]:
        return self._supervisor.book(Batch(value), number, self._seat).addCallback(lambda _: {})

    @KeepGrant.responder
    def keep_grant(self, value: Grant) -> Deferred[dict[str, Any]]:
        return _kept(self._supervisor.store.save_grant(value))

    @EndGrant.responder
    def end_grant(self, value: str) -> Deferred[dict[str, Any]]:
        return _kept(self._supervisor.store.end_grant(value))

    @KeepRequest.responder
    def keep_request(self, value: AccessRequest) -> Deferred[dict[str, Any]]:
        return _kept(self._supervisor.store.save_request(value))


def _kept(keeping: Deferred[None]) -> Deferred[dict[str, Any]]:
    """The answer to a worker that has something kept; the notice of it comes by itself."""
    return keeping.addCallbacks(lambda _: {}, not_stored)


def _answer(value: object) -> dict[str, Any]:
    return {"value": value}


def not_stored(failure: Failure) -> Never:
    """What the store did not take the worker is told of, in the words of the store."""
    failure.trap(StoreError)  # type: ignore[no-untyped-call]
    raise NotStored(failure.value.message) from failure.value  # type: ignore[union-attr]
