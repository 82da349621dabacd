"""The store: what must outlive the process, behind one interface that several databases can serve."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from corpproxy.accounting.common import Common, Ledgered, Moved, NodeAsked, NodeLent
from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.quotas import Charge
from corpproxy.accounting.report import UsageQuestion, UsageReport
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.errors import CorpproxyError
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest


class StoreError(CorpproxyError):
    """
    The store cannot do what was asked.

    Codes: ``store-failed`` (full disk, damage, a lock held too long: asking again may help),
    ``store-away`` (the database does not answer, or cannot now: asking again may help),
    ``store-newer`` (written by a later version), ``store-foreign`` (another program's file),
    ``store-missing`` (nothing to read there).
    """


@dataclass(frozen=True, slots=True)
class Outage:
    """
    A database that is away, or was until just now: since when, POSIX seconds, what it said, and what waits.
    """

    since: float
    reason: str
    is_away: bool
    entries: int
    octets: int


@dataclass(frozen=True, slots=True)
class Shared:
    """
    What changed in a store that several nodes have: all grants and requests (None where none did), and how
    the members of quotas stand that used any, or got more.
    """

    grants: list[Grant] | None
    requests: list[AccessRequest] | None
    quotas: list[Common]


class Store(Protocol):
    """
    Keeps accounts, grants and requests.  Every Deferred fails with :class:`StoreError`.

    :ivar is_shared: whether other nodes have it, too.
    :ivar hides: whether there is one among some hosts that nothing that is kept may name; grants and requests
        about it are not kept.
    """

    is_shared: bool
    hides: Callable[[Iterable[str]], bool]

    @property
    def outage(self) -> Outage | None:
        """What is known of a database that is away; None when it is there and nothing waits for it."""

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

    def erase(self, erasure: Erasure) -> Deferred[list[Reached]]:
        """Forget what an erasure is about; no octet of it stays on the disk."""

    def concerned(self, erasure: Erasure) -> Deferred[list[Reached]]:
        """Say what an erasure would reach, and change nothing."""

    def drop_usage_before(self, moment: float) -> Deferred[int]:
        """Delete the sums of before a moment, POSIX seconds; gives how many there were."""

    def grow_old(self, group: str, moment: float) -> Deferred[int]:
        """Take hosts (``where``) or people (``who``) out of the sums of before a moment; gives how many."""

    @property
    def run(self) -> str:
        """The name by which it knows this run of the node."""

    def begin_anew(self) -> Deferred[None]:
        """Be another run of this node from now on, with loans of its own."""

    def charge(self, charges: Sequence[Charge]) -> Deferred[None]:
        """Charge members of quotas, in a store that is shared: all of it, once."""

    def borrow(self, asked: Sequence[NodeAsked]) -> Deferred[list[NodeLent]]:
        """Tell what moved of quotas that are shared, and borrow of them."""

    def settle(self, moved: Sequence[Moved]) -> Deferred[None]:
        """Account for what was lent to runs of this node before; ``moved`` is what is known of them."""

    def ledgered(self, limit: str | None, whom: str | None, now: float) -> Deferred[Ledgered]:
        """Give how members of quotas stand that are shared: all, or those of a limit or of one name."""

    def shared(self, now: float) -> Deferred[Shared | None]:
        """Give what changed since this was asked last, in a store that is shared; None where it is away."""

    def close(self) -> Deferred[None]:
        """End, once everything given before is done."""
