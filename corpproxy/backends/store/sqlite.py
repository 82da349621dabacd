"""The store in one SQLite file: what a site on one machine needs, with nothing to install or to run."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads

from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.report import UsageQuestion, UsageReport
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.backends.one_thread import OneThread, WorkThread
from corpproxy.backends.store import grants as store_grants
from corpproxy.backends.store.erase import drop_before, erase, grow_old
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.schema import is_damage, open_for_reading, open_store, set_aside, transaction
from corpproxy.backends.store.usage import Terms, add_usage, read_usage
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest

_Outcome = TypeVar("_Outcome")


class SqliteFile:
    """
    The file and its one writing connection; everything here waits on the disk and belongs into a thread.

    It is opened with its first use.  A file that turns out to be damaged is set aside, a new one begun, and
    what was being done is done there.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._terms: Terms | None = None

    def add_usage(self, batch: Sequence[Usage]) -> None:
        """Add a batch of sums: all of it, or nothing when it raises :exc:`StoreError`."""
        self._change(lambda connection, terms: add_usage(connection, terms, batch))

    def save_grant(self, grant: Grant) -> None:
        """Keep a grant, in the place of one for the same person, host and rule."""
        self._change(lambda connection, _: store_grants.save_grant(connection, grant))

    def end_grant(self, id: str) -> None:
        """Forget a grant that was ended."""
        self._change(lambda connection, _: store_grants.end_grant(connection, id))

    def load_grants(self, now: float) -> list[Grant]:
        """Give the grants that hold at ``now`` and forget the others."""
        return self._change(lambda connection, _: store_grants.load_grants(connection, now))

    def save_request(self, request: AccessRequest) -> None:
        """Keep a request as it is now."""
        self._change(lambda connection, _: store_grants.save_request(connection, request))

    def load_requests(self, now: float) -> list[AccessRequest]:
        """Give the requests that may still be worth showing, and forget the others."""
        return self._change(lambda connection, _: store_grants.load_requests(connection, now))

    def erase(self, erasure: Erasure, *, counts_only: bool = False) -> list[Reached]:
        """Forget what an erasure is about, or only count it; no octet of it stays in the file."""
        found = self._change(
            lambda connection, terms: _forgetting(
                terms, erase(connection, erasure, self._now(), counts_only=counts_only)
            )
        )
        if not counts_only:
            self._fold()
        return found

    def drop_usage_before(self, moment: float) -> int:
        """Delete the sums of before a moment, POSIX seconds; gives how many there were."""
        gone = self._change(lambda connection, terms: _forgetting(terms, drop_before(connection, moment)))
        if gone:
            self._fold()
        return gone

    def grow_old(self, group: str, moment: float) -> int:
        """Take hosts or people out of the sums of before a moment; gives how many lost something."""
        rows = self._change(lambda connection, terms: _forgetting(terms, grow_old(connection, group, moment)))
        if rows:
            self._fold()
        return rows

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

    def close(self) -> None:
        """Close the file; its log is folded into it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _change(self, work: Callable[[sqlite3.Connection, Terms], _Outcome]) -> _Outcome:
        try:
            return self._once(work)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise StoreError("store-failed", f"the store {self._path}: {error}") from error
            self.close()
            set_aside(self._path, self._now(), error)
        try:
            return self._once(work)
        except sqlite3.DatabaseError as error:
            raise StoreError("store-failed", f"the store {self._path}, begun anew: {error}") from error

    def _once(self, work: Callable[[sqlite3.Connection, Terms], _Outcome]) -> _Outcome:
        if self._connection is None:
            self._connection = open_store(self._path, self._now())
            self._terms = Terms(self._connection)
        assert self._terms is not None
        try:
            with transaction(self._connection):
                return work(self._connection, self._terms)
        except BaseException:
            self._terms.forget()
            raise


class SqliteStore:
    """
    The :class:`~corpproxy.backends.store.interface.Store` in a SQLite file.

    One thread writes, in the order given; another reads for reports, so that a long report holds up nothing.

    :ivar hides: whether there is one among some hosts that nothing that is kept may name; grants and requests
        about it are not kept.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        path: Path,
        *,
        writer: WorkThread | None = None,
        reader: WorkThread | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._file = SqliteFile(path, now)
        self._writer = writer or OneThread(reactor, "store")
        self._reader = reader or OneThread(reactor, "reports")
        self.hides: Callable[[Iterable[str]], bool] = lambda hosts: False

    def add_usage(self, batch: Sequence[Usage]) -> Deferred[None]:
        """Add a batch of sums for good: all of it, or, when the Deferred fails, nothing."""
        return self._writer.run(lambda: self._file.add_usage(batch))

    def usage(self, question: UsageQuestion) -> Deferred[UsageReport]:
        """Answer a question about usage."""
        return self._reader.run(lambda: report_from(self._path, question))

    def save_grant(self, grant: Grant) -> Deferred[None]:
        """Keep a grant, in the place of one for the same person, host and rule."""
        if self.hides(grant.hosts):
            # It holds in memory; what is kept may not name the host.
            return succeed(None)
        return self._writer.run(lambda: self._file.save_grant(grant))

    def end_grant(self, id: str) -> Deferred[None]:
        """Forget a grant that was ended."""
        return self._writer.run(lambda: self._file.end_grant(id))

    def load_grants(self, now: float) -> Deferred[list[Grant]]:
        """Give the grants that still hold at ``now``, POSIX seconds, and forget the others."""
        return self._writer.run(lambda: self._file.load_grants(now))

    def save_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep a request as it is now."""
        if self.hides((request.host, *(host for host, _ in request.also))):
            return succeed(None)
        return self._writer.run(lambda: self._file.save_request(request))

    def load_requests(self, now: float) -> Deferred[list[AccessRequest]]:
        """Give the requests that may still be worth showing, and forget the others."""
        return self._writer.run(lambda: self._file.load_requests(now))

    def erase(self, erasure: Erasure, *, counts_only: bool = False) -> Deferred[list[Reached]]:
        """Forget what an erasure is about, or only count it."""
        return self._writer.run(lambda: self._file.erase(erasure, counts_only=counts_only))

    def drop_usage_before(self, moment: float) -> Deferred[int]:
        """Delete the sums of before a moment, POSIX seconds; gives how many there were."""
        return self._writer.run(lambda: self._file.drop_usage_before(moment))

    def grow_old(self, group: str, moment: float) -> Deferred[int]:
        """Take hosts (``where``) or people (``who``) out of the sums of before a moment; gives how many."""
        return self._writer.run(lambda: self._file.grow_old(group, moment))

    def close(self) -> Deferred[None]:
        """End, once everything given before is done."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        await self._writer.run(self._file.close)
        self._writer.stop()
        self._reader.stop()


def _forgetting(terms: Terms, found: _Outcome) -> _Outcome:
    """Forget the numbers at hand: terms are gone."""
    terms.forget()
    return found


def report_from(path: Path, question: UsageQuestion) -> UsageReport:
    """
    Answer a question from the file at ``path``, beside a service that may be writing to it.

    :raises StoreError: when there is no store, or none that can be read.
    """
    connection = open_for_reading(path)
    try:
        return read_usage(connection, question)
    except sqlite3.DatabaseError as error:
        raise StoreError("store-failed", f"the store {path} cannot be read: {error}") from error
    finally:
        connection.close()
