"""What is used of quotas, on the disk: a small database in the state folder, written behind the service."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred

from corpproxy.accounting.quotas import Kept
from corpproxy.backends.one_thread import WorkThread

QUOTA_FILE = "quotas.db"
_TABLE = """
CREATE TABLE IF NOT EXISTS quota (
    "limit" TEXT NOT NULL, whom TEXT NOT NULL, until REAL NOT NULL, used REAL NOT NULL, granted REAL NOT NULL,
    PRIMARY KEY ("limit", whom)
) WITHOUT ROWID
"""


class QuotaFile:
    """
    Keeps the rows of quotas.

    A file that is damaged is kept aside and a new one is begun: every Deferred then still fires, and
    ``damaged`` says where the old one is.
    """

    def __init__(self, path: Path, thread: WorkThread) -> None:
        self._path = path
        self._thread = thread
        self._connection: sqlite3.Connection | None = None
        self.damaged: Path | None = None

    def load(self, now: float) -> Deferred[list[Kept]]:
        """Give what still counts, and forget the rest."""
        return self._thread.run(lambda: self._load(now))

    def keep(self, rows: Sequence[Kept]) -> Deferred[None]:
        """Write rows, each in the place of the one for the same member: all of them or none."""
        return self._thread.run(lambda: self._keep(rows))

    def close(self) -> None:
        """Write what waits and end."""
        self._thread.run(self._close)
        self._thread.stop()

    def _load(self, now: float) -> list[Kept]:
        try:
            return self._read(now)
        except sqlite3.DatabaseError as problem:
            if isinstance(problem, sqlite3.OperationalError):
                raise
            self._put_aside()
            return self._read(now)

    def _read(self, now: float) -> list[Kept]:
        connection = self._opened()
        with connection:
            connection.execute("DELETE FROM quota WHERE until <= ?", (now,))
            rows = connection.execute('SELECT "limit", whom, until, used, granted FROM quota')
            return [Kept(*row) for row in rows]

    def _keep(self, rows: Sequence[Kept]) -> None:
        connection = self._opened()
        with connection:
            connection.executemany("INSERT OR REPLACE INTO quota VALUES (?, ?, ?, ?, ?)", rows)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            # Made by us, for our eyes only; what SQLite puts beside it takes its mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(self._path, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            # A row that is over leaves no octet of the name.
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute(_TABLE)
            self._connection = connection
        return self._connection

    def _put_aside(self) -> None:
        self._close()
        self.damaged = self._path.with_name(f"{self._path.name}.damaged")
        self._path.replace(self.damaged)
        for more in ("-wal", "-shm"):
            self._path.with_name(self._path.name + more).unlink(missing_ok=True)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
