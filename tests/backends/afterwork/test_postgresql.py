"""Roll-ups in PostgreSQL are those in a file: each record once, and people and old hours out of them."""

from __future__ import annotations

from corpproxy.accounting.store_address import StoreAddress
from tests.backends.afterwork import test_making
from tests.support.postgresql import empty_store


class OnPostgresql(test_making.RollUpCase):
    """A store in PostgreSQL in the place of one in a file."""

    def made(self) -> StoreAddress:
        """Where the store is, which is not made yet."""
        return empty_store(self.state)


class PostgresqlOnceTests(OnPostgresql, test_making.OnceTests):
    """Each record counts once."""


class PostgresqlSumTests(OnPostgresql, test_making.SumTests):
    """What is added up."""


class PostgresqlForgettingTests(OnPostgresql, test_making.ForgettingTests):
    """What goes out again."""
