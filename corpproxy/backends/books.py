"""The books: where every exchange is accounted for and recorded, once, however it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from corpproxy import twins
from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.present import Shown
from corpproxy.audit.deeds import Deed
from corpproxy.audit.erasure import Erasing, Erasure
from corpproxy.audit.pseudonyms import Naming
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends.at_once import tell_twin
from corpproxy.backends.counted import name_account, shown
from corpproxy.backends.deeds import deed_record
from corpproxy.backends.recorded import Recorded, bare
from corpproxy.exchange.exchange import Exchange

log = Logger()

# A tunnel that stays open is recorded again after so long, so that a record that is lost with the process
# costs no more than this of it.
PROGRESS_SECONDS = 300.0


class Writer(Protocol):
    """
    Keeps records.

    Where it has a `corpproxy.audit.sheet.Sheet` as its ``sheet``, lines are written there without a record.
    """

    def write(self, record: Record) -> None:
        """Take one."""

    def accepts(self) -> bool:
        """Whether a new exchange may begin."""


class BooksInPython:
    """
    Closes exchanges: octets go to the ledger, the record to the writer, figures to whoever watches.

    ``watch`` is called with each closing record.  ``now`` is POSIX seconds.  ``native/books.c`` is made after
    this.

    :ivar hides: whether there is one among some hosts that the record may not name.
    :ivar naming: gives pseudonyms, where the record has them.
    :ivar forgotten: what was erased while exchanges ran that it is about; see `forget`.
    :ivar look: is told of each exchange that is over, while somebody looks at what runs.
    """

    __slots__ = (
        "_accounts",
        "_now",
        "_recorded",
        "_sheet",
        "_watch",
        "_writer",
        "accepts",
        "forgotten",
        "hides",
        "look",
        "naming",
    )

    def __init__(
        self,
        accounts: Accounts,
        writer: Writer,
        now: Callable[[], float],
        watch: Callable[[Record], None],
    ) -> None:
        self._accounts = accounts
        self._writer = writer
        self._sheet = getattr(writer, "sheet", None)
        self._now = now
        self._watch = watch
        self.accepts = writer.accepts
        self.hides: Callable[[Iterable[str]], bool] = _hides_nothing
        self.naming: Naming | None = None
        self.forgotten: tuple[Erasure, ...] = ()
        self.look: Callable[[Exchange], None] | None = None
        self._recorded = Recorded()

    def running(self, exchange: Exchange) -> None:
        """It is known whose exchange this is: its octets are counted from now on while they move."""
        self._name(exchange)
        self._accounts.open(exchange.account)

    def opened(self, exchange: Exchange) -> None:
        """A tunnel or upgraded connection is open."""
        self.running(exchange)
        record = self._recorded.opened(exchange, self._now())
        self._writer.write(self._kept(record, exchange))

    def progress(self, exchanges: Iterable[Exchange]) -> None:
        """Record tunnels that are still open."""
        for exchange in exchanges:
            record = self._recorded.made(exchange, Kind.PROGRESS, ResultCode.OPEN, self._now())
            self._writer.write(self._kept(record, exchange))

    def close(self, exchange: Exchange) -> None:
        """An exchange is over; whatever is wrong with what is known of it, it is counted and recorded."""
        now = self._now()
        # A call saved is worth a look: most sites keep names and are discreet about nothing.
        levels = exchange.in_force.discretion.levels
        is_plain = self.naming is None and not levels and not self.forgotten
        self._count(exchange, now, is_plain)
        try:
            record = self._recorded.ended(exchange, now)
            if not is_plain:
                record = self._kept(record, exchange)
        except Exception:
            record = self._bare(exchange, now)
        self._keep(record, exchange)

    def _keep(self, record: Record, exchange: Exchange) -> None:
        """Write down the record of an exchange that is over, and tell who is to be told."""
        try:
            self._writer.write(record)
        except Exception:
            record = self._bare(exchange, self._now())
            self._writer.write(record)
        self._watch(record)
        if self.look is not None:
            self.look(exchange)

    def _bare(self, exchange: Exchange, now: float) -> Record:
        """What is recorded where a bug is in the way of the details."""
        log.failure("exchange {reference} is recorded without its details", reference=exchange.reference)
        return bare(exchange, now, names=self.naming is None and not self.forgotten)

    def _count(self, exchange: Exchange, now: float, is_plain: bool) -> None:
        """Count what is left of an exchange that is over, and the exchange itself."""
        account, identity, destination = exchange.account, exchange.identity, exchange.destination
        decision = exchange.decision
        if account.host or destination is None or not is_plain:
            # An open tunnel counts for whom and for what it did, but where its first octets decided it again.
            same = account.host and decision is not None and account.rule == decision.rule
            if not (is_plain and exchange.opened and same):
                self._name(exchange)
            self._accounts.close(account, now)
        else:
            self._accounts.count(
                account,
                now,
                identity.name,
                identity.groups,
                destination.categories,
                destination.host.name,
                exchange.client,
                decision.rule if decision is not None else "",
            )

    def shown(self, exchange: Exchange) -> Shown:
        """Whose an exchange is and where it goes, as its record will say it, for who looks while it runs."""
        return shown(exchange, self.naming)

    def forget(self, erasure: Erasure, running: Iterable[Exchange]) -> None:
        """
        Something is erased: what of it runs now is recorded without, and counts for nobody from now on.

        An exchange that began before the end of what is erased would else bring back at its own end what
        was just forgotten: a tunnel that is open for hours.
        """
        if erasure not in self.forgotten:
            self.forgotten = (*self.forgotten, erasure)
        for exchange in running:
            # One without a host in its account is named when it closes.
            if exchange.account.host:
                self._name(exchange)

    def let_go(self, oldest: float) -> None:
        """Nothing runs that began before ``oldest``: what was erased before need not be known any more."""
        self.forgotten = tuple(one for one in self.forgotten if one.until > oldest)

    def deed(self, deed: Deed, policy: str) -> None:
        """Record what somebody did to the access of others; hosts that nobody may learn are left out."""
        self._writer.write(deed_record(deed, policy, self.naming, self.hides))

    def _kept(self, record: Record, exchange: Exchange) -> Record:
        """A record as it is kept: without what is erased or nobody's business, and with pseudonyms."""
        in_force = exchange.in_force
        if self.forgotten:
            record = Erasing(self.forgotten).spared(record)
        if in_force.discretion:
            further = in_force.categories_of(record.server_name) if record.server_name != record.host else ()
            record = in_force.discretion.apply(record, further)
        return record if self.naming is None else self.naming.apply(record)

    def _name(self, exchange: Exchange) -> None:
        name_account(exchange, self.naming, self.forgotten)


def _hides_nothing(hosts: Iterable[str]) -> bool:
    """Every host may be named."""
    return False


if TYPE_CHECKING or twins.books is None:
    Books = BooksInPython
else:

    class Books(twins.books.Books, BooksInPython):
        """The compiled twin, which leaves to the one in Python what did not go as nearly all go."""

        __slots__ = ()
        _close_in_python = BooksInPython.close
        _opened_in_python = BooksInPython.opened

    tell_twin(twins.books, BooksInPython)
