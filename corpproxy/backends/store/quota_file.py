"""
What is used of quotas, on the disk: a small database in the state folder, written behind the service.

A member has a row for each time until it is made good.  Those of the last days stay: a clock that was set
forward and back again comes to a day of which it is known what was used.
"""

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
from corpproxy.steady import JUMP_SECONDS

QUOTA_FILE = "quotas.db"
QUOTA_VERSION = 2
# How long rows stay that were made good.
KEPT_SECONDS = 2 * 86_400.0
COLUMNS = ("limit", "whom", "until", "used", "granted")
_TABLE = """
CREATE TABLE IF NOT EXISTS quota (
    "limit" TEXT NOT NULL, whom TEXT NOT NULL, until REAL NOT NULL, used REAL NOT NULL, granted REAL NOT NULL,
    PRIMARY KEY ("limit", whom, until)
) WITHOUT ROWID
"""
# When the clock was looked at last; and for how many seconds of running it is doubted yet.
_CLOCK = "CREATE TABLE IF NOT EXISTS clock (seen REAL NOT NULL, doubted REAL NOT NULL)"
# A service that was not running for less may have been off; one whose clock went on by more may have a
# clock that is wrong, and both are doubted.
OFF_SECONDS = KEPT_SECONDS / 2
# The first files had one row for a member.
_UPGRADE = (
    "ALTER TABLE quota RENAME TO quota_before",
    _TABLE,
    'INSERT INTO quota SELECT "limit", whom, until, used, granted FROM quota_before',
    "DROP TABLE quota_before",
)

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
        """Give what still counts: of one member more than one row where the clock was set."""
        return self._thread.run(lambda: self._soundly(lambda: self._load(now)))

    def forget(self, now: float, ran: float) -> Deferred[None]:
        """
        Forget what was made good days ago.

        Not while the clock is doubted: one that was set far forward, while the service ran or did not, may be
        wrong, and be set back to a day that is not over.  It is believed when the service has run for as
        long as rows are kept.  ``ran`` is for how many seconds it has since this was called; 0 is a start.
        """
        return self._thread.run(lambda: self._soundly(lambda: self._forget(now, ran)))

    def keep(self, rows: Sequence[Kept]) -> Deferred[None]:
        """Write rows, each in the place of the one for the same member and time: all of them or none."""
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
        asked = 'SELECT "limit", whom, until, used, granted FROM quota WHERE until > ?'
        return [Kept(*row) for row in self._opened().execute(asked, (now,))]

    def _forget(self, now: float, ran: float) -> None:
        connection = self._opened()
        with connection:
            if self._doubts(connection, now, ran):
                return
            connection.execute("DELETE FROM quota WHERE until <= ?", (now - KEPT_SECONDS,))

    def _doubts(self, connection: sqlite3.Connection, now: float, ran: float) -> bool:
        found = connection.execute("SELECT seen, doubted FROM clock").fetchone()
        seen, doubted = found or (now, KEPT_SECONDS)
        ahead = now - seen - ran
        doubted = KEPT_SECONDS if ahead >= (JUMP_SECONDS if ran else OFF_SECONDS) else doubted - ran
        connection.execute("DELETE FROM clock")
        connection.execute("INSERT INTO clock VALUES (?, ?)", (now, max(0.0, doubted)))
        return bool(doubted > 0)

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
            self._make(connection)
        return self._connection

    def _make(self, connection: sqlite3.Connection) -> None:
        """Have the tables of now: all of it or nothing."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        is_there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'quota'").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            tables = _UPGRADE if is_there and version < QUOTA_VERSION else (self.table,)
            for statement in (*tables, _CLOCK):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={QUOTA_VERSION}")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
