"""A real PostgreSQL for the tests of one process: started with its first use, and ended with the process."""

from __future__ import annotations

import atexit
import functools
from pathlib import Path

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.store.postgresql_schema import SCHEMA
from tests.programs.log_servers import Postgresql


@functools.cache
def server() -> Postgresql:
    """The server."""
    made = Postgresql()
    atexit.register(made.stop)
    return made


def empty_store(state: Path) -> StoreAddress:
    """The address of a store that is not made yet, for a node with this state folder."""
    state.mkdir(parents=True, exist_ok=True)
    do(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return StoreAddress(database=server().address, state=str(state))


def do(*statements: str) -> list[tuple]:
    """Do statements; gives the rows of the last."""
    import psycopg

    with psycopg.connect(server().address, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SET search_path = {SCHEMA}")
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def octets_on_disk() -> bytes:
    """What stands in the files of the tables; what the server holds in memory is written first."""
    do("CHECKPOINT")
    folder = server().folder / "data" / "base"
    return b"".join(path.read_bytes() for path in folder.glob("*/*") if path.is_file())
