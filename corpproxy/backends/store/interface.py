"""The store: what must outlive the process, behind one interface that several databases can serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.report import UsageQuestion, UsageReport
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.errors import CorpproxyError
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest

# Below the state folder of the policy.
STORE_FILE = "corpproxy.db"


class StoreError(CorpproxyError):
    """
    The store cannot do what was asked.

    Codes: ``store-failed`` (full disk, damage, a lock held too long: asking again may help),
    ``store-newer`` (written by a later version), ``store-foreign`` (another program's file),
    ``store-missing`` (nothing to read there).
    """


class Store(Protocol):
    """Keeps accounts, grants and requests.  Every Deferred fails with :class:`StoreError`."""

    def add_usage(self, batch: Sequence[Usage]) -> Deferred[None]:
        """Add a batch of sums for good: all of it, or, when the Deferred fails, nothing."""

    def usage(self, question: UsageQuestion) -> Deferred[UsageReport]:
        """Answer a question about usage."""

    def save_grant(self, grant: Grant) -> Deferred[None]:
        """Keep a grant, in the place of one for the same person, host and rule."""

    def end_grant(self, id: str) -> Deferred[None]:
        """Forget a grant that was ended before its time."""

    def load_grants(self, now: float) -> Deferred[list[Grant]]:
        """Give the grants that still hold at ``now``, POSIX seconds, and forget the others."""

    def save_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep a request for access as it is now."""

    def load_requests(self, now: float) -> Deferred[list[AccessRequest]]:
        """Give the requests that may still be worth showing, the oldest first, and forget the others."""

    def erase(self, erasure: Erasure, *, counts_only: bool = False) -> Deferred[list[Reached]]:
        """Forget what an erasure is about, or only count it; no octet of it stays on the disk."""

    def drop_usage_before(self, moment: float) -> Deferred[int]:
        """Delete the sums of before a moment, POSIX seconds; gives how many there were."""

    def grow_old(self, group: str, moment: float) -> Deferred[int]:
        """Take hosts (``where``) or people (``who``) out of the sums of before a moment; gives how many."""

    def close(self) -> Deferred[None]:
        """End, once everything given before is done."""
