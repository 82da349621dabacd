"""Grants and requests of a site that has workers: whatever becomes of one, all workers hear of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy.granting import Granting
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.supervisor.board import BATCH
from corpproxy.supervisor.messages import Granted, GrantEnded, Notice, Requested
from corpproxy.supervisor.untold import not_told
from corpproxy.supervisor.wire import Hear

if TYPE_CHECKING:
    from corpproxy.supervisor.seat import Seat
    from corpproxy.supervisor.service import Supervisor

UNTOLD = "a worker could not be told of what was granted"


class SharedGranting(Granting):
    """What the supervisor keeps, and its workers decide by."""

    def __init__(self, supervisor: Supervisor) -> None:
        super().__init__(supervisor.reactor, supervisor.store, supervisor.lasting, supervisor.now)
        # Its crew is made later than this.
        self._supervisor = supervisor

    def _came(self, grant: Grant) -> None:
        self._supervisor.crew.tell(Hear, (Granted(grant),))
        super()._came(grant)

    def _went(self, id: str) -> None:
        self._supervisor.crew.tell(Hear, (GrantEnded(id),))
        super()._went(id)

    def _became(self, request: AccessRequest) -> None:
        self._supervisor.crew.tell(Hear, (Requested(request),))
        super()._became(request)

    def tell(self, seat: Seat) -> None:
        """Tell one worker all that holds."""
        assert seat.employment is not None
        now = self._now()
        told: list[Notice] = [Granted(grant) for grant in self._grants.all(now)]
        told += [Requested(request) for request in reversed(self._requests.all(now))]
        for at in range(0, len(told), BATCH):
            notices = tuple(told[at : at + BATCH])
            seat.employment.link.ask(Hear, notices).addErrback(not_told, UNTOLD)

    def _loaded(self) -> None:
        for seat in self._supervisor.crew.seats:
            if seat.is_serving:
                self.tell(seat)
