"""What is used of quotas, on the disk: a small database in the state folder, written behind the service."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred

from corpproxy.accounting.quotas import Kept
from corpproxy.backends.one_thread import WorkThread
from corpproxy.backends.store.aside import move_aside
from corpproxy.backends.store.schema import APPLICATION, is_damage

QUOTA_FILE = "quotas.db"
QUOTA_VERSION = 1
COLUMNS = ("limit", "whom", "until", "used", "granted")
_TABLE = """
CREATE TABLE IF NOT EXISTS quota (
    "limit" TEXT NOT NULL, whom TEXT NOT NULL, until REAL NOT NULL, used REAL NOT NULL, granted REAL NOT NULL,
    PRIMARY KEY ("limit", whom)
) WITHOUT ROWID
"""

_Outcome = TypeVar("_Outcome")


class QuotaFile:
    """
    Keeps the rows of quotas.

    A file that turns out to be damaged is set aside, a new one begun, and what was being done is done there;
    ``damaged`` says where the old one is.
    """

    table = _TABLE

    def __init__(self, path: Path, thread: WorkThread, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._thread = thread
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self.damaged: Path | None = None

    def load(self, now: float) -> Deferred[list[Kept]]:
        """Give what still counts, and forget the rest."""
        return self._thread.run(lambda: self._soundly(lambda: self._load(now)))

    def keep(self, rows: Sequence[Kept]) -> Deferred[None]:
        """Write rows, each in the place of the one for the same member: all of them or none."""
        return self._thread.run(lambda: self._soundly(lambda: self._keep(rows)))

    def close(self) -> None:
        """Write what waits and end."""
        self._thread.run(self._close)
        self._thread.stop()

    def _soundly(self, work: Callable[[], _Outcome]) -> _Outcome:
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
        self._close()
        self.damaged = move_aside(self._path, self._now())
        return work()

    def _load(self, now: float) -> list[Kept]:
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
            connection = self._connection = sqlite3.connect(self._path, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            # A row that is over leaves no octet of the name.
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute(self.table)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={QUOTA_VERSION}")
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
