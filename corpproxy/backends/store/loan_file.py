"""
What this node moved of loans, on the disk: who begins anew after a crash can account for them.

It stands beside what is used of quotas, and is written behind the service like that.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from corpproxy.accounting.common import Moved
from corpproxy.backends.store.quota_file import QuotaFile

LOAN_FILE = "loans.db"


class LoanFile(QuotaFile):
    """Keeps, for each run of this node, what it moved at most of each loan."""

    table = """
    CREATE TABLE IF NOT EXISTS loan (
        run TEXT NOT NULL, "limit" TEXT NOT NULL, whom TEXT NOT NULL, until REAL NOT NULL,
        moved INTEGER NOT NULL,
        PRIMARY KEY (run, "limit", whom, until)
    ) WITHOUT ROWID
    """

    def load_moved(self) -> Deferred[list[Moved]]:
        """Give what runs before moved, of which nobody else knows yet."""
        return self._thread.run(lambda: self._soundly(self._load_moved))

    def keep_moved(self, rows: Sequence[Moved]) -> Deferred[None]:
        """Write rows, each in the place of the one for the same loan: all of them or none."""
        return self._thread.run(lambda: self._soundly(lambda: self._keep_moved(rows)))

    def forget_moved(self, run: str, now: float) -> Deferred[None]:
        """Forget all runs but this one, and what was made good again."""
        return self._thread.run(lambda: self._soundly(lambda: self._forget_moved(run, now)))

    def _load_moved(self) -> list[Moved]:
        rows = self._opened().execute('SELECT run, "limit", whom, until, moved FROM loan')
        return [Moved(*row) for row in rows]

    def _keep_moved(self, rows: Sequence[Moved]) -> None:
        connection = self._opened()
        with connection:
            connection.executemany("INSERT OR REPLACE INTO loan VALUES (?, ?, ?, ?, ?)", rows)

    def _forget_moved(self, run: str, now: float) -> None:
        connection = self._opened()
        with connection:
            connection.execute("DELETE FROM loan WHERE run <> ? OR until <= ?", (run, now))
