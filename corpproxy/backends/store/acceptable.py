"""
Whether the databases of the state folder are ours, and of a version that is known: asked before a start.

What a later corpproxy wrote, or another program, cannot be counted with.  To begin anew beside it would give
everybody what they have used up already; so the service does not start, and says what to do.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.opening import read_at
from corpproxy.backends.store.quota_file import COLUMNS, QUOTA_FILE, QUOTA_VERSION
from corpproxy.backends.store.schema import APPLICATION, BUSY_SECONDS, MIGRATIONS, is_damage


def refuse_unknown(state: Path, store: StoreAddress) -> None:
    """
    Look at the databases that are there; one that is damaged is set aside by whoever opens it.

    :raises StoreError: when one is of a later version, of another program, or cannot be read.
    """
    if store.is_shared:
        _refuse_shared(store)
    else:
        _refuse(Path(store.file), len(MIGRATIONS))
    _refuse(state / QUOTA_FILE, QUOTA_VERSION)


def _refuse_shared(store: StoreAddress) -> None:
    """Look at the tables of a database; one that is away is no reason not to start."""
    try:
        read_at(store, lambda connection: None)
    except StoreError as error:
        if error.code not in ("store-away", "store-missing"):
            raise


def _refuse(path: Path, known: int) -> None:
    if not path.exists():
        return
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
            _look(connection, path, known)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            said = f"{path} cannot be read: {error}; see to it that the service may read and write it"
            raise StoreError("store-failed", said) from error


def _look(connection: sqlite3.Connection, path: Path, known: int) -> None:
    # At one moment: a service that begins just now makes its tables and says whose they are.
    connection.execute("BEGIN")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (application or tables) and not _has_quotas(connection, path):
        said = f"{path} is a database of another program; move it elsewhere, for the service makes its own"
        raise StoreError("store-foreign", said)
    if version > known:
        raise StoreError(
            "store-newer",
            f"{path} was written by a later corpproxy (schema {version}, this one knows {known}); install "
            "that version again, or move the file elsewhere and begin without what is in it",
        )


def _has_quotas(connection: sqlite3.Connection, path: Path) -> bool:
    """The first files of quotas did not say whose they are; they have the one table."""
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(quota)")]
    return path.name == QUOTA_FILE and columns == list(COLUMNS)
