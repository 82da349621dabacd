"""The store in one SQLite file: what a site on one machine needs, with nothing to install or to run."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from twisted.internet.interfaces import IReactorFromThreads

from corpproxy.accounting.report import UsageQuestion, UsageReport
from corpproxy.backends.one_thread import WorkThread
from corpproxy.backends.store.database import Database
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.schema import is_damage, open_for_reading, open_store, set_aside, transaction
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.threaded import ThreadedStore
from corpproxy.backends.store.usage import Terms, read_usage

_Outcome = TypeVar("_Outcome")


class SqliteFile(Database):
    """
    The database in a file.

    A file that turns out to be damaged is set aside, a new one begun, and what was being done is done there.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._terms: Terms | None = None

    def close(self) -> None:
        """Close the file; its log is folded into it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def change(self, work: Callable[[Connection, Terms], _Outcome], *, forgets: bool = False) -> _Outcome:
        """Do work in one transaction, all of it or nothing."""
        try:
            return self._once(work, forgets=forgets)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise StoreError("store-failed", f"the store {self._path}: {error}") from error
            self.close()
            set_aside(self._path, self._now(), error)
        try:
            return self._once(work, forgets=forgets)
        except sqlite3.DatabaseError as error:
            raise StoreError("store-failed", f"the store {self._path}, begun anew: {error}") from error

    def _fold(self) -> None:
        """Fold the log into the file: what was deleted stands in it, too."""
        assert self._connection is not None
        try:
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreError("store-failed", f"the store {self._path}: {error}") from error
        if busy:
            said = f"the store {self._path} is being read; what was erased is in its log until it is not"
            raise StoreError("store-failed", said + ": do it once more")

    def _once(self, work: Callable[[Connection, Terms], _Outcome], *, forgets: bool) -> _Outcome:
        if self._connection is None:
            self._connection = open_store(self._path, self._now())
            self._terms = Terms(self._connection, counts=True)
        assert self._terms is not None
        try:
            with transaction(self._connection):
                found = work(self._connection, self._terms)
        except BaseException:
            # What it learnt of numbers was taken back with it.
            self._terms.forget()
            raise
        # The system has the pages of the file at hand; two megabytes are not kept here, too.  The work
        # is done: whoever heard of a failure now would have it done once more.
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA shrink_memory")
        if forgets:
            self._terms.forget()
        return found


def read_file(path: Path, work: Callable[[Connection], _Outcome]) -> _Outcome:
    """
    Read in the file at ``path``, beside a service that may be writing to it.

    :raises StoreError: when there is no store, or none that can be read.
    """
    with closing(open_for_reading(path)) as connection:
        try:
            return work(connection)
        except sqlite3.DatabaseError as error:
            raise StoreError("store-failed", f"the store {path} cannot be read: {error}") from error


def report_from(path: Path, question: UsageQuestion) -> UsageReport:
    """Answer a question from the file at ``path``; raises as `read_file` does."""
    return read_file(path, lambda connection: read_usage(connection, question))


class SqliteStore(ThreadedStore):
    """The store in a SQLite file."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        path: Path,
        *,
        writer: WorkThread | None = None,
        reader: WorkThread | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            reactor,
            SqliteFile(path, now),
            lambda question: report_from(path, question),
            writer=writer,
            reader=reader,
        )
