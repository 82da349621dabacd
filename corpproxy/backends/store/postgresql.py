"""The store in PostgreSQL, for nodes that share one: the connection, and what is done in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.store.advice import with_advice
from corpproxy.backends.store.database import Database
from corpproxy.backends.store.dialect import translated
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.node import node_of
from corpproxy.backends.store.postgresql_schema import SCHEMA, WRITING, check_version, facts, migrate
from corpproxy.backends.store.sql import Connection, Cursor
from corpproxy.backends.store.usage import Terms

_Outcome = TypeVar("_Outcome")

CONNECT_SECONDS = 5
# A database that does not answer is one that is away; what somebody else holds locked is not waited for
# without end.  Sums of a month are sorted in memory.
_OPTIONS = (
    f"-c search_path={SCHEMA} -c statement_timeout=60000 -c lock_timeout=20000 -c work_mem=64MB "
    "-c idle_in_transaction_session_timeout=60000 -c timezone=UTC -c client_min_messages=warning"
)
# So long octets that were sent may be without an answer, before the connection counts as lost.
_LOST_MILLISECONDS = 10_000
# So often work is tried again that had to give way to another node's.
_TRIES = 4

# SQLSTATE: what may go by itself (connections, resources, somebody in the way, a server that ends or begins).
_PASSING = ("08", "40", "53", "55", "57", "58")
_GAVE_WAY = ("40001", "40P01")

_IS_NEW = """
INSERT INTO writer (id, number, at) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET number = excluded.number, at = excluded.at
WHERE writer.number < excluded.number
"""
# Tables that have names in them; all others have numbers.
_NAMING = ("term", "given", "request")


class PostgresqlDatabase(Database):
    """The tables in a database, behind one connection that is made anew when it was lost."""

    def __init__(self, address: StoreAddress, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self._address = address
        self._connection: Any = None
        self._terms: Terms | None = None
        self._epoch = -1
        self._node = ""

    @property
    def node(self) -> str:  # type: ignore[override]
        """What stands before the names of this node's own things."""
        if not self._node:
            self._node = node_of(Path(self._address.state))
        return f"{self._node}/"

    def change(self, work: Callable[[Connection, Terms], _Outcome], *, forgets: bool = False) -> _Outcome:
        """Do work in one transaction; once more where it gave way to another node's."""
        tries = 1
        while True:
            try:
                with told(self._address):
                    return self._once(work, forgets=forgets)
            except StoreError as error:
                self._forget(error)
                if sqlstate(error) not in _GAVE_WAY or tries >= _TRIES:
                    raise
            tries += 1

    def once(self, writer: str, number: int, work: Callable[[Connection, Terms], None]) -> bool:
        """
        Do work that has an identity, unless it has been done; gives whether it had not.

        What a writer does is numbered in its order, and the number changes with what is done.
        """

        def known(connection: Connection, terms: Terms) -> bool:
            is_new = connection.execute(_IS_NEW, (writer, number, self._now())).rowcount == 1
            if is_new:
                work(connection, terms)
            return is_new

        return self.change(known)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _forget(self, error: StoreError) -> None:
        """Forget numbers that were undone, and a connection that may be lost."""
        if self._terms is not None:
            self._terms.forget()
        if error.code == "store-away":
            with suppress(Exception):
                self.close()

    def _once(self, work: Callable[[Connection, Terms], _Outcome], *, forgets: bool) -> _Outcome:
        if self._connection is None:
            connection = connected(self._address)
            try:
                migrate(connection, self._address.written)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._terms = Terms(Adapter(connection))
        assert self._terms is not None
        with self._connection.transaction():
            self._begin(forgets=forgets)
            found = work(Adapter(self._connection), self._terms)
        if forgets:
            self._terms.forget()
        return found

    def _begin(self, *, forgets: bool) -> None:
        """
        Hold off whoever takes terms away, or, to take them, everybody; and look whether that was done.

        A number at hand that is gone would be counted for nobody.
        """
        assert self._terms is not None
        shared = "" if forgets else "_shared"
        self._connection.execute(f"SELECT pg_advisory_xact_lock{shared}(%s)", (WRITING,))
        if forgets:
            self._connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'terms'")
        known = self._check()
        if known["terms"] != self._epoch:
            self._terms.forget()
            self._epoch = known["terms"]

    def _check(self) -> dict[str, int]:
        known = dict(self._connection.execute("SELECT name, value FROM meta").fetchall())
        check_version(known, self._address.written)
        return known

    def fold(self) -> None:
        """See to it that nothing that was deleted stays on the disk."""
        self._fold()

    def _fold(self) -> None:
        """Write the tables with names anew: what was deleted stays in theirs until it is written over."""
        with told(self._address):
            for table in _NAMING:
                self._connection.execute(f"VACUUM FULL {table}")


class Adapter:
    """A connection to PostgreSQL that takes the statements of the store."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Any = (), /) -> Cursor:
        """Do one statement."""
        cursor: Cursor = self._connection.execute(translated(statement), _stored(values))
        return cursor

    def executemany(self, statement: str, rows: Iterable[Any], /) -> Any:
        """Do a statement with the values of each row; they are sent together."""
        with self._connection.cursor() as cursor:
            cursor.executemany(translated(statement), [_stored(row) for row in rows])


def _stored(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: _value(value) for name, value in values.items()}
    return tuple([_value(value) for value in values])


def _value(value: Any) -> Any:
    """Spell out NUL, which no text of PostgreSQL can have; numbers that are whole are compared as such."""
    if type(value) is str:
        return value.replace("\0", "\\x00") if "\0" in value else value
    if type(value) is bool or (type(value) is float and value.is_integer()):
        return int(value)
    return value


def read_postgresql(address: StoreAddress, work: Callable[[Connection], _Outcome]) -> _Outcome:
    """
    Read in the database, beside services that may be writing to it; all of it is of one moment.

    :raises StoreError: when there is no store, or none that can be read.
    """
    with told(address):
        connection = connected(address)
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                if facts(connection.cursor(), address.written) is None:
                    said = f"there is no store in {address.written}; the service makes it when it starts"
                    raise StoreError("store-missing", said)
                return work(Adapter(connection))
        finally:
            connection.close()


def connected(address: StoreAddress) -> Any:
    """
    Connect to the database; a password that is nowhere said is looked for in ``~/.pgpass``.

    :raises StoreError: when the driver is missing.
    :raises OSError: when the password cannot be read.
    """
    try:
        import psycopg
    except ImportError:
        said = "the library psycopg is not installed; install it with: pip install 'corpproxy[postgresql]'"
        raise StoreError("store-failed", said) from None
    more: dict[str, Any] = {}
    if address.password:
        # A password may begin or end with a space, and no line end belongs to it.
        more["password"] = Path(address.password).read_text(encoding="utf-8").rstrip("\r\n")
    if address.authorities:
        more |= {"sslrootcert": address.authorities, "sslmode": "verify-full"}
    if address.certificate:
        more |= {"sslcert": address.certificate, "sslkey": address.key}
    connection = psycopg.connect(
        address.database,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        options=_OPTIONS,
        application_name="corpproxy",
        tcp_user_timeout=_LOST_MILLISECONDS,
        keepalives_idle=5,
        keepalives_interval=5,
        keepalives_count=2,
        **more,
    )
    # Sums of whole numbers come as numbers of any length.
    connection.adapters.register_loader("numeric", _whole_loader())
    return connection


def _whole_loader() -> Any:
    from psycopg.adapt import Loader

    class Whole(Loader):
        """Reads sums of whole numbers."""

        def load(self, octets: Any) -> int:
            return int(bytes(octets))

    return Whole


@contextmanager
def told(address: StoreAddress) -> Iterator[None]:
    """
    Tell what goes wrong with the database in one line, without secrets.

    What may go by itself is ``store-away``.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        said = (
            f"the store {address.written}: the password cannot be read: {address.password}: {error.strerror}"
        )
        raise StoreError("store-away", said) from error
    except UnicodeDecodeError as error:
        said = f"the store {address.written}: the password cannot be read: {address.password}: "
        raise StoreError("store-away", said + "it is no text in UTF-8") from error
    except Exception as error:
        if not type(error).__module__.startswith("psycopg"):
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        code = "store-away" if _passes(error) else "store-failed"
        said = with_advice(f"the store {address.written}: the database says: {lines[0]}")
        raise StoreError(code, said) from error


def _passes(error: Exception) -> bool:
    state = getattr(error, "sqlstate", None)
    if state is None:
        # The connection was lost, or none came about.
        return type(error).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
    # A password that is refused, or a database that is not there, is mended by somebody meanwhile.
    return str(state)[:2] in (*_PASSING, "28", "3D")


def sqlstate(error: StoreError) -> str:
    """What PostgreSQL calls what went wrong, empty where it said nothing."""
    return str(getattr(error.__cause__, "sqlstate", None) or "")
