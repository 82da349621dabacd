"""The connection over which a node borrows of quotas: behind no report, no batch of sums and no erasure."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from corpproxy.accounting.common import Moved, NodeAsked, NodeLent
from corpproxy.backends.store import quotas as store_quotas
from corpproxy.backends.store.postgresql import PostgresqlDatabase
from corpproxy.backends.store.sql import Connection


class LendingDatabase(PostgresqlDatabase):
    """
    Loans in the database.

    They have no terms in them, and do not wait for whoever takes those away.
    """

    def borrow(self, run: str, asked: Sequence[NodeAsked]) -> list[NodeLent]:
        """Take down what this run of the node tells, and lend it what it may have."""
        name = self._name
        return self.change(lambda connection, _: store_quotas.borrow(connection, name, run, asked))

    def settle(self, run: str, moved: Sequence[Moved]) -> None:
        """Account for what was lent to runs of this node before."""
        name = self._name

        def work(connection: Connection, _: object) -> None:
            store_quotas.name_host(connection, name, socket.gethostname())
            store_quotas.settle(connection, name, run, moved)

        self.change(work)

    @property
    def _name(self) -> str:
        return self.node.removesuffix("/")

    def _begin(self, *, forgets: bool) -> None:
        """See that the tables are still what this version knows."""
        self._check()
