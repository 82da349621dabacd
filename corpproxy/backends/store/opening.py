"""Opening the store, whichever database it is in; what PostgreSQL needs is loaded where it is used."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.store.database import Database
from corpproxy.backends.store.interface import Store
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.sqlite import SqliteFile, SqliteStore, read_file

_Outcome = TypeVar("_Outcome")


def store_at(address: StoreAddress, reactor: Any, now: Callable[[], float] = time.time) -> Store:
    """Give the store at an address, on threads of its own."""
    if not address.is_shared:
        return SqliteStore(reactor, Path(address.file), now=now)
    from corpproxy.backends.store.postgresql_store import PostgresqlStore

    return PostgresqlStore(reactor, address, now=now)


def database_at(address: StoreAddress, now: Callable[[], float] = time.time) -> Database:
    """Give the database at an address; it is opened with its first use."""
    if not address.is_shared:
        return SqliteFile(Path(address.file), now)
    from corpproxy.backends.store.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(address, now)


def read_at(address: StoreAddress, work: Callable[[Connection], _Outcome]) -> _Outcome:
    """
    Read in the store, beside services that may be writing to it.

    :raises StoreError: when there is no store, or none that can be read.
    """
    if not address.is_shared:
        return read_file(Path(address.file), work)
    from corpproxy.backends.store.postgresql import read_postgresql

    return read_postgresql(address, work)
