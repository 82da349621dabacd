"""Accounts: the exchanges that run now, so that their octets reach the ledger while they run."""

from __future__ import annotations

from corpproxy.accounting.ledger import Ledger
from corpproxy.accounting.meter import Meter


class Account(Meter):
    """The meter of one exchange together with whom and what its octets are counted for."""

    __slots__ = ("categories", "device", "groups", "host", "rule", "user")

    def __init__(
        self,
        user: str = "",
        groups: tuple[str, ...] = (),
        categories: tuple[str, ...] = (),
        host: str = "",
        device: str = "",
        rule: str = "",
    ) -> None:
        # Written out, not through Meter: one is made for every exchange.
        self.received = self.sent = self.counted_received = self.counted_sent = 0
        self.user = user
        self.groups = groups
        self.categories = categories
        self.host = host
        self.device = device
        self.rule = rule


class Accounts:
    """
    The accounts of the running exchanges.

    An exchange is opened here once it is known whose it is, and closed at its end, once, however it ended;
    one that ends before (malformed, challenged) is closed without having been opened.
    """

    __slots__ = ("_running", "ledger")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        # A dictionary, because a set of thousands takes up to four times the memory.
        self._running: dict[Account, None] = {}

    def __len__(self) -> int:
        return len(self._running)

    def open(self, account: Account) -> None:
        """Count this exchange from now on while it runs."""
        self._running[account] = None

    def close(self, account: Account, at: float) -> None:
        """Count what is left of an exchange, and the exchange itself."""
        self._running.pop(account, None)
        self.ledger.add(
            at,
            account.user,
            account.groups,
            account.categories,
            account.host,
            account.received - account.counted_received,
            account.sent - account.counted_sent,
            1,
            account.device,
            account.rule,
        )
        account.counted_received, account.counted_sent = account.received, account.sent

    def count(
        self,
        account: Account,
        at: float,
        user: str,
        groups: tuple[str, ...],
        categories: tuple[str, ...],
        host: str,
        device: str = "",
        rule: str = "",
    ) -> None:
        """Count an exchange that was over before it was opened, as most are."""
        received, sent = account.received, account.sent
        account.counted_received, account.counted_sent = received, sent
        self.ledger.add(at, user, groups, categories, host, received, sent, 1, device, rule)

    def collect(self, at: float) -> None:
        """Bring what the running exchanges moved since the last time into the ledger."""
        for account in self._running:
            if account.received == account.counted_received and account.sent == account.counted_sent:
                continue
            received, sent = account.take()
            self.ledger.add(
                at,
                account.user,
                account.groups,
                account.categories,
                account.host,
                received,
                sent,
                0,
                account.device,
                account.rule,
            )
