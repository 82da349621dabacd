"""
A database that may be away: what is given to it meanwhile waits in a file, and goes in once when it is back.

Everything that is given has an identity (who writes, the how-many-eth), which is kept in the database in the
same transaction.  So what was sent when the connection was lost, and may be there or not, is sent again and
counts once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from twisted.logger import Logger

from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.quotas import Charge
from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.store import grants as store_grants
from corpproxy.backends.store import quotas as store_quotas
from corpproxy.backends.store.database import Database
from corpproxy.backends.store.interface import Outage, Shared, StoreError
from corpproxy.backends.store.postgresql import PostgresqlDatabase
from corpproxy.backends.store.spool import (
    SPOOL_FILE,
    Added,
    Asked,
    Charged,
    Ended,
    Entry,
    Given,
    Spool,
)
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.usage import Terms, add_usage
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest

_Outcome = TypeVar("_Outcome")

# How long until a database that is away is asked again: soon at first, and then less often.
FIRST_WAIT_SECONDS = 0.5
LAST_WAIT_SECONDS = 5.0
# So long at most is spent on what waited, before others have their turn.
TURN_SECONDS = 1.0
# How often what nobody can use any more is taken out of the tables.
FORGET_SECONDS = 3600.0

# What asking again may help with; an upgrade of this node helps where the tables are too new for it.
_WAITS_FOR = ("store-away", "store-newer")

log = Logger()


class PatientDatabase(Database):
    """
    A database in PostgreSQL that may be away for a while.

    :ivar outage: what is known of its being away; None when it is there and nothing waits.
    :ivar run: the name of this run of the node.
    """

    def __init__(
        self,
        address: StoreAddress,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(now)
        self._there = PostgresqlDatabase(address, now)
        self._spool = Spool(Path(address.state) / SPOOL_FILE, address.spool_octets)
        self._clock = clock
        # A new one for each run: a state folder that was copied is no other's.
        self.run = secrets.token_hex(8)
        self._number = 0
        self._ask_at = 0.0
        self._wait = FIRST_WAIT_SECONDS
        self._seen = store_quotas.NOTHING_SEEN
        self._granted = -1
        self._forget_at = 0.0
        self.outage: Outage | None = None

    # What is given.

    def add_usage(self, batch: Sequence[Usage]) -> None:
        """Add a batch of sums, now or when the database is back."""
        self._give(Added(list(batch)))

    def save_grant(self, grant: Grant) -> None:
        """Keep a grant, now or when the database is back."""
        self._give(Given(store_grants.plain(grant)))

    def end_grant(self, id: str) -> None:
        """Forget a grant that was ended, now or when the database is back."""
        self._give(Ended(id))

    def save_request(self, request: AccessRequest) -> None:
        """Keep a request as it is now, now or when the database is back."""
        self._give(Asked(store_grants.plain(request)))

    def charge(self, charges: Sequence[Charge]) -> None:
        """Charge members of quotas, now or when the database is back."""
        self._give(Charged(list(charges)))

    # What must be there at once.

    def change(self, work: Callable[[Connection, Terms], _Outcome], *, forgets: bool = False) -> _Outcome:
        """
        Do work in one transaction, behind all that was given before.

        :raises StoreError: when the database is away.
        """
        if not self._deliver(within=float("inf")):
            raise StoreError("store-away", self._said)
        return self._asked(lambda: self._there.change(work, forgets=forgets))

    def begin_anew(self) -> None:
        """Be another run of this node from now on, that has read nothing yet."""
        self.run = secrets.token_hex(8)
        self._seen = store_quotas.NOTHING_SEEN

    def tend(self) -> None:
        """Bring in what waits, if it is time to ask again; called each second."""
        if self._has_waiting or self.outage is not None:
            self._deliver(within=TURN_SECONDS)

    def shared(self, now: float) -> Shared | None:
        """
        Give what other nodes changed since this was asked; None where that cannot be said now.

        What we gave ourselves and has to wait is not there yet: nothing is told before it is.
        """
        if not self._deliver(within=TURN_SECONDS):
            return None
        try:
            return self._asked(
                lambda: self._there.change(lambda connection, _: self._changed(connection, now))
            )
        except StoreError:
            return None

    def _changed(self, connection: Connection, now: float) -> Shared:
        if now >= self._forget_at:
            self._forget_at = now + FORGET_SECONDS
            store_quotas.forget(connection, now)
        rows, self._seen = store_quotas.changed(connection, self.run, self._seen, now)
        (number,) = connection.execute("SELECT value FROM meta WHERE name = 'granted'").fetchone()
        if number == self._granted:
            return Shared(None, None, rows)
        self._granted = number
        return Shared(
            store_grants.load_grants(connection, now), store_grants.load_requests(connection, now), rows
        )

    def close(self) -> None:
        """Close the connection; what waits is on the disk."""
        self._there.close()
        self._spool.close()

    def _fold(self) -> None:
        self._there.fold()

    # Inside.

    @property
    def node(self) -> str:  # type: ignore[override]
        """What stands before the names of this node's own things."""
        return self._there.node

    @property
    def _said(self) -> str:
        return self.outage.reason if self.outage is not None else "what waits for the database is not in yet"

    @property
    def _has_waiting(self) -> bool:
        return self._spool.entries > 0

    def _give(self, what: Added | Given | Ended | Asked | Charged) -> None:
        self._number += 1
        entry = Entry(self.run, self._number, what)
        if self._deliver(within=TURN_SECONDS):
            try:
                self._asked(lambda: self._put_in(entry))
                return
            except StoreError as error:
                if error.code not in _WAITS_FOR:
                    raise
        self._spool.add(entry)
        self._note()

    def _deliver(self, within: float) -> bool:
        """Bring in what waits, for so many seconds at most; whether nothing waits any more."""
        ends = self._clock() + within
        if self.outage is not None and self._clock() < self._ask_at:
            return False
        while (entry := self._first()) is not None:
            try:
                self._asked(lambda: self._put_in(entry))
            except StoreError as error:
                if error.code in _WAITS_FOR:
                    return False
                log.critical(
                    "Something that waited for the database cannot go in and is left out: {reason}",
                    reason=error.message,
                    entry=entry.number,
                )
            self._spool.drop_first()
            if self._clock() > ends:
                break
        if self._has_waiting:
            self._note()
            return False
        if self.outage is not None and not self.outage.is_away:
            self.outage = None
        return True

    def _first(self) -> Entry | None:
        try:
            return self._spool.first()
        except StoreError as error:
            log.critical("{reason}", reason=error.message)
            return None

    def _put_in(self, entry: Entry) -> None:
        self._there.once(entry.writer, entry.number, lambda connection, terms: _do(entry, connection, terms))

    def _asked(self, work: Callable[[], _Outcome]) -> _Outcome:
        """Ask the database, and note whether it answered."""
        try:
            found = work()
        except StoreError as error:
            if error.code in _WAITS_FOR:
                self._note_away(error)
            raise
        self._note_back()
        return found

    def _note_away(self, error: StoreError) -> None:
        self._ask_at = self._clock() + self._wait
        self._wait = min(self._wait * 2, LAST_WAIT_SECONDS)
        is_new = self.outage is None or not self.outage.is_away
        since = self._now() if self.outage is None else self.outage.since
        self.outage = self._outage(since, error.message, is_away=True)
        if is_new:
            log.critical(
                "{reason}. The proxy goes on; what is to be kept waits in {path}.",
                reason=error.message,
                path=SPOOL_FILE,
            )

    def _note_back(self) -> None:
        self._wait, self._ask_at = FIRST_WAIT_SECONDS, 0.0
        if self.outage is None:
            return
        before = self.outage
        self.outage = (
            Outage(
                before.since,
                "what waited for the database goes in",
                False,
                self._spool.entries,
                self._spool.octets,
            )
            if self._has_waiting
            else None
        )
        if before.is_away:
            log.warn(
                "The database answers again after {seconds:.0f} s; what waited goes in.",
                seconds=self._now() - before.since,
            )

    def _note(self) -> None:
        """Note how much waits."""
        if self.outage is not None:
            before = self.outage
            self.outage = self._outage(before.since, before.reason, is_away=before.is_away)

    def _outage(self, since: float, reason: str, *, is_away: bool) -> Outage:
        return Outage(since, reason, is_away, self._spool.entries, self._spool.octets)


def _do(entry: Entry, connection: Connection, terms: Terms) -> None:
    what = entry.what
    if isinstance(what, Added):
        add_usage(connection, terms, what.rows)
    elif isinstance(what, Charged):
        store_quotas.charge(connection, what.charges)
    else:
        if isinstance(what, Given):
            store_grants.save_grant(connection, what.grant)
        elif isinstance(what, Ended):
            store_grants.end_grant(connection, what.id)
        else:
            store_grants.save_request(connection, what.request)
        # In the same transaction: who sees the number sees what was changed.
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'granted'")
