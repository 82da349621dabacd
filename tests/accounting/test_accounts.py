"""Running exchanges are counted while they run, each octet once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.ledger import Ledger, Usage

NOW = 1_795_428_000.0


class AccountsTests(SynchronousTestCase):
    """The exchanges that run now."""

    def setUp(self) -> None:
        self.accounts = Accounts(Ledger())

    def batch(self):
        return list(self.accounts.ledger.take_batch())

    def test_short(self) -> None:
        """A short exchange is counted at its end, for the person it belongs to."""
        account = Account("amir", ("pupils",), ("games",), "miniclip.com")
        self.accounts.open(account)
        account.received += 300
        account.sent += 5000
        self.accounts.close(account, NOW)
        self.assertEqual(
            self.batch(), [Usage(int(NOW), "amir", ("pupils",), ("games",), "miniclip.com", 300, 5000, 1)]
        )
        self.assertEqual(len(self.accounts), 0)

    def test_tunnel(self) -> None:
        """A tunnel is counted while it runs, and as one exchange when it ends."""
        account = Account("amir", (), (), "a.example")
        self.accounts.open(account)
        account.received += 100
        self.accounts.collect(NOW)
        self.assertEqual(self.batch(), [Usage(int(NOW), "amir", (), (), "a.example", 100, 0, 0)])
        account.sent += 50
        self.accounts.close(account, NOW + 1)
        self.assertEqual(self.batch(), [Usage(int(NOW), "amir", (), (), "a.example", 0, 50, 1)])

    def test_idle(self) -> None:
        """A tunnel on which nothing moved leaves no row."""
        self.accounts.open(Account("amir", (), (), "a.example"))
        self.accounts.collect(NOW)
        self.assertEqual(self.batch(), [])

    def test_never_opened(self) -> None:
        """The octets of a malformed request count as well, for nobody."""
        account = Account()
        account.received += 17
        account.sent += 200
        self.accounts.close(account, NOW)
        self.assertEqual(self.batch(), [Usage(int(NOW), "", (), (), "", 17, 200, 1)])

    @settings(max_examples=80, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["move", "collect", "take", "close"]), st.integers(0, 4)), max_size=60
        )
    )
    def test_every_interleaving(self, steps) -> None:
        """Whenever it is collected and whichever ends first, the sums are what moved."""
        accounts = Accounts(Ledger())
        running = [Account(f"user{number}", (), (), "a.example") for number in range(5)]
        is_open = [True] * 5
        stored: list[Usage] = []
        for account in running:
            accounts.open(account)
        for moment, (step, number) in enumerate(steps):
            account = running[number]
            if step == "move" and is_open[number]:
                account.received += 3
                account.sent += 1000 + moment
            elif step == "collect":
                accounts.collect(NOW + moment)
            elif step == "take":
                stored += accounts.ledger.take_batch()
            elif step == "close" and is_open[number]:
                is_open[number] = False
                accounts.close(account, NOW + moment)
        for number, account in enumerate(running):
            if is_open[number]:
                accounts.close(account, NOW + 100)
        stored += accounts.ledger.take_batch()
        for account in running:
            mine = [row for row in stored if row.user == account.user]
            self.assertEqual(sum(row.received for row in mine), account.received)
            self.assertEqual(sum(row.sent for row in mine), account.sent)
            self.assertEqual(sum(row.exchanges for row in mine), 1)
        self.assertEqual(len(accounts), 0)
