"""Reports from PostgreSQL say what those from a file do, for what all nodes have."""

from __future__ import annotations

from datetime import UTC

import msgspec

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.afterwork.making import roll_up
from corpproxy.backends.reports.make import figures_of
from corpproxy.backends.store.interface import StoreError
from corpproxy.reports.figures import Figures
from tests.backends.reports import test_make
from tests.backends.reports.test_make import FIRST, NOW
from tests.support.postgresql import empty_store


class PostgresqlReportTests(test_make.ReportTests):
    """Two weeks of a small school whose store is a database."""

    def made(self) -> StoreAddress:
        """Where the store is, which is not made yet."""
        return empty_store(self.state)

    def figures(self, **more) -> Figures:
        """The figures of the week; what there is goes into the roll-ups here, and not in a child."""
        (self.state / "records" / FIRST).write_bytes(b"".join(self.lines))
        roll_up(self.state / "records", self.address, UTC, NOW)
        return figures_of(self.order(is_rolled_up=True, **more), NOW, self.said.append)

    def test_nodes(self) -> None:
        """A report has what all nodes recorded, each of them in files that have the same names."""
        other = self.state / "other"
        (other / "records").mkdir(parents=True)
        (other / "records" / FIRST).write_bytes(b"".join(self.lines[:3]))
        roll_up(other / "records", msgspec.structs.replace(self.address, state=str(other)), UTC, NOW)
        self.assertEqual(self.figures().total.exchanges, 12)

    def test_not_rolled_up(self) -> None:
        """Where the database is away there is no report, and it is said why."""
        self.address = msgspec.structs.replace(self.address, database="postgresql://u@127.0.0.1:1/d")
        order = self.order(is_rolled_up=True)
        error = self.assertRaises(StoreError, figures_of, order, NOW, self.said.append)
        self.assertEqual(error.code, "store-away")
