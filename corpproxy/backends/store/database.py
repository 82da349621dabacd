"""The database of the store: what is done in it, whichever database it is."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from corpproxy.accounting.ledger import Usage
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.backends.store import grants as store_grants
from corpproxy.backends.store.erase import concerned, drop_before, erase, grow_old
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.usage import Terms, add_usage
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest

_Outcome = TypeVar("_Outcome")


class Database(ABC):
    """
    One writing connection; everything here waits on a disk or on the network, and belongs into a thread.

    It is opened with its first use.

    :ivar node: what stands before the names of this node's own things, empty where there is one node.
    """

    node = ""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    @abstractmethod
    def change(self, work: Callable[[Connection, Terms], _Outcome], *, forgets: bool = False) -> _Outcome:
        """
        Do work in one transaction, all of it or nothing; with ``forgets`` terms may go, and nobody else
        writes meanwhile.

        :raises StoreError: when it cannot be done.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def _fold(self) -> None:
        """See to it that nothing that was deleted stays on the disk."""

    def add_usage(self, batch: Sequence[Usage]) -> None:
        """Add a batch of sums: all of it, or nothing when it raises :exc:`StoreError`."""
        self.change(lambda connection, terms: add_usage(connection, terms, batch))

    def save_grant(self, grant: Grant) -> None:
        """Keep a grant, in the place of one for the same person, host and rule."""
        self.change(lambda connection, _: store_grants.save_grant(connection, grant))

    def end_grant(self, id: str) -> None:
        """Forget a grant that was ended."""
        self.change(lambda connection, _: store_grants.end_grant(connection, id))

    def load_grants(self, now: float) -> list[Grant]:
        """Give the grants that hold at ``now`` and forget the others."""
        return self.change(lambda connection, _: store_grants.load_grants(connection, now))

    def save_request(self, request: AccessRequest) -> None:
        """Keep a request as it is now."""
        self.change(lambda connection, _: store_grants.save_request(connection, request))

    def load_requests(self, now: float) -> list[AccessRequest]:
        """Give the requests that may still be worth showing, and forget the others."""
        return self.change(lambda connection, _: store_grants.load_requests(connection, now))

    def erase(self, erasure: Erasure) -> list[Reached]:
        """Forget what an erasure is about; no octet of it stays in the database."""
        found = self.change(lambda connection, _: erase(connection, erasure, self._now()), forgets=True)
        self._fold()
        return found

    def concerned(self, erasure: Erasure) -> list[Reached]:
        """Say what an erasure would reach."""
        return self.change(lambda connection, _: concerned(connection, erasure, self._now()))

    def drop_usage_before(self, moment: float) -> int:
        """Delete the sums of before a moment, POSIX seconds; gives how many there were."""
        gone = self.change(lambda connection, _: drop_before(connection, moment), forgets=True)
        if gone:
            self._fold()
        return gone

    def grow_old(self, group: str, moment: float) -> int:
        """Take hosts or people out of the sums of before a moment; gives how many lost something."""
        rows = self.change(lambda connection, _: grow_old(connection, group, moment), forgets=True)
        if rows:
            self._fold()
        return rows
