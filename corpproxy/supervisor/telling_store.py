"""The store of a worker, which tells the other workers of what is kept."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.supervisor.distant_store import DistantStore
from corpproxy.supervisor.messages import Granted, GrantEnded, Notice, Requested
from corpproxy.supervisor.teller import Teller
from corpproxy.supervisor.wire import Link


class TellingStore(DistantStore):
    """Tells the other workers of grants and requests when they are kept."""

    def __init__(self, link: Link, teller: Teller) -> None:
        super().__init__(link)
        self._teller = teller

    def save_grant(self, grant: Grant) -> Deferred[None]:
        """Keep a grant; it holds everywhere, whether it can be kept or not."""
        self._tell(Granted(grant))
        return super().save_grant(grant)

    def end_grant(self, id: str) -> Deferred[None]:
        """End a grant everywhere."""
        self._tell(GrantEnded(id))
        return super().end_grant(id)

    def save_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep a request, and let those find it who decide on it elsewhere."""
        self._tell(Requested(request))
        return super().save_request(request)

    def _tell(self, notice: Notice) -> None:
        self._teller.tell(notice)
        self._teller.flush()
