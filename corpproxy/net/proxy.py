"""What all connections of the proxy share."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed

from corpproxy import twins
from corpproxy.accounting.last_days import DayUse
from corpproxy.accounting.present import Shown
from corpproxy.audit.deeds import Deed
from corpproxy.audit.pseudonyms import Naming
from corpproxy.audit.reference import References
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.in_force import InForce
from corpproxy.identity.grants import Grant
from corpproxy.identity.model import Identity
from corpproxy.identity.requests import AccessRequest
from corpproxy.net.admission import Admission
from corpproxy.net.borrowing import Borrowing
from corpproxy.net.counting import Counter
from corpproxy.net.deadlines import Deadlines
from corpproxy.net.heads import Heads
from corpproxy.net.leeways import Leeways
from corpproxy.net.names import Names
from corpproxy.net.pacing import Pacer
from corpproxy.net.pool import Pool
from corpproxy.net.rounds import Rounds
from corpproxy.net.watching import Watching


class Books(Protocol):
    """Where exchanges are accounted for and recorded."""

    def running(self, exchange: Exchange) -> None:
        """It is known whose exchange this is; its octets count from now on."""

    def opened(self, exchange: Exchange) -> None:
        """A tunnel or upgraded connection is open."""

    def close(self, exchange: Exchange) -> None:
        """An exchange is over: its octets are counted and its closing record is written, once."""

    def deed(self, deed: Deed, policy: str) -> None:
        """Record what a person did to the access of others."""

    look: Callable[[Exchange], None] | None

    naming: Naming | None

    def shown(self, exchange: Exchange) -> Shown:
        """Whose an exchange is and where it goes, as its record will say it."""

    def accepts(self) -> bool:
        """Whether records can be kept now; exchanges are refused while they cannot, if the policy says so."""


class SignIn(Protocol):
    """Checks credentials off the reactor."""

    def check(self, value: bytes, address: str) -> Deferred[Identity]:
        """Give the identity behind a Proxy-Authorization field; fails with SignInRefused."""

    def change_password(self, name: str, address: str, old: str, new: str) -> Deferred[str]:
        """Change a password; gives what is wrong, or nothing."""


class GrantStore(Protocol):
    """Keeps grants and requests over restarts, and tells other processes of them."""

    def save_grant(self, grant: Grant) -> Deferred[None]:
        """Keep a grant."""

    def end_grant(self, id: str) -> Deferred[None]:
        """Forget a grant that was ended before its time."""

    def save_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep a request for access as it is now."""


class Allowances(Protocol):
    """Knows what people used, and gives them more."""

    def days(self, user: str) -> Deferred[tuple[DayUse, ...] | None]:
        """Fire with what a person moved in the last days; with None where that cannot be read."""

    def grant(self, limit: str, whom: str, more: float) -> Deferred[bool]:
        """Give a member of a quota more until it is made good again; fires with whether there is one."""


class NoAllowances:
    """Nothing is known of what anybody used."""

    def days(self, user: str) -> Deferred[tuple[DayUse, ...] | None]:
        """It cannot be read."""
        return succeed(None)

    def grant(self, limit: str, whom: str, more: float) -> Deferred[bool]:
        """There are no quotas."""
        return succeed(False)


class Proxy:
    """
    The collaborators of all connections.

    ``in_force`` is replaced as a whole by a reload: each exchange reads it once, when it begins; ``rounds``
    has those that last decided again.
    ``connector`` makes connections to servers (``connectTCP``), by default the reactor.  ``now`` is POSIX
    seconds.
    """

    __slots__ = (
        "_date",
        "_date_second",
        "admission",
        "allowances",
        "books",
        "borrowing",
        "connector",
        "counter",
        "deadlines",
        "grants",
        "heads",
        "in_force",
        "leeways",
        "names",
        "now",
        "pacer",
        "pool",
        "reactor",
        "references",
        "rounds",
        "sign_in",
        "stopping",
        "watching",
    )

    def __init__(
        self,
        *,
        reactor: Any,
        connector: Any = None,
        in_force: InForce,
        deadlines: Deadlines,
        names: Names,
        pool: Pool,
        books: Books,
        sign_in: SignIn,
        grants: GrantStore,
        references: References,
        now: Callable[[], float],
    ) -> None:
        self.reactor = reactor
        self.connector = connector or reactor
        self.in_force = in_force
        self.deadlines = deadlines
        self.names = names
        self.pool = pool
        self.books = books
        self.sign_in = sign_in
        self.grants = grants
        self.references = references
        self.now = now
        self.admission = Admission(self)
        self.heads = Heads(in_force)
        self.rounds = Rounds(self)
        self.watching = Watching(self)
        self.allowances: Allowances = NoAllowances()
        self.pacer = Pacer(reactor)
        self.counter = Counter(reactor)
        self.borrowing = Borrowing(self.pacer, reactor)
        self.pacer.looked, self.pacer.lacking = self.borrowing.turning, self.borrowing.lack
        self.leeways = Leeways(reactor, now, self.pacer, self.counter, self.borrowing)
        self.stopping = False
        self._date = b""
        self._date_second = -1

    def date(self) -> bytes:
        """The value for a Date field (RFC 9110, section 6.6.1), made once a second."""
        second = int(self.now())
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date


if twins.ahead is not None:
    twins.ahead.set_proxy(Proxy)
