"""
The SQLite file of the store: its tables, their migrations, and opening it.

Everything that names a person, a host or a set of groups or categories is a *term* with a number, and
the usage rows hold numbers only.  A row then takes some thirty octets, of which a busy school
makes a million a day, and a person can be taken out of all rows by changing one term.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.logger import Logger

from corpproxy.backends.store.aside import move_aside
from corpproxy.backends.store.interface import StoreError

# "corp" as a number: tells our files from those of other programs.
APPLICATION = 0x636F7270

# A report in another process may hold a lock for a moment.
BUSY_SECONDS = 5.0

# Statements that lead from each version of the schema to the next; what is published is never changed.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE term (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,  -- user, host; groups, categories: JSON lists
            text TEXT NOT NULL,
            UNIQUE (kind, text)
        )""",
        """CREATE TABLE usage (
            slot INTEGER NOT NULL,  -- POSIX seconds, whole quarters of an hour
            user INTEGER NOT NULL REFERENCES term,
            groups INTEGER NOT NULL REFERENCES term,
            categories INTEGER NOT NULL REFERENCES term,
            host INTEGER NOT NULL REFERENCES term,
            received INTEGER NOT NULL,
            sent INTEGER NOT NULL,
            exchanges INTEGER NOT NULL,
            PRIMARY KEY (slot, user, groups, categories, host)
        ) WITHOUT ROWID""",
        """CREATE TABLE grants (
            who TEXT NOT NULL,
            host TEXT NOT NULL,
            rule TEXT NOT NULL,
            until REAL NOT NULL,
            given_by TEXT NOT NULL,
            why TEXT NOT NULL,
            PRIMARY KEY (who, host, rule)
        ) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE given (
            id TEXT PRIMARY KEY,
            who TEXT NOT NULL,
            host TEXT NOT NULL,
            rule TEXT NOT NULL,
            until REAL NOT NULL,
            value TEXT NOT NULL  -- the whole grant, as JSON
        ) WITHOUT ROWID""",
        """INSERT INTO given SELECT lower(hex(randomblob(7))), who, host, rule, until, json_object(
            'who', who, 'host', host, 'rule', rule, 'until', until, 'given_by', given_by, 'why', why
        ) FROM grants""",
        "DROP TABLE grants",
        """CREATE TABLE request (
            id TEXT PRIMARY KEY,
            at REAL NOT NULL,  -- when something happened to it last
            value TEXT NOT NULL  -- the whole request, as JSON
        ) WITHOUT ROWID""",
    ),
    # Roll-ups: hours are those of the site, by the POSIX second at which they begin; all else are terms.
    (
        """CREATE TABLE hourly_person (
            hour INTEGER NOT NULL,
            user INTEGER NOT NULL REFERENCES term,
            groups INTEGER NOT NULL REFERENCES term,
            result INTEGER NOT NULL REFERENCES term,
            exchanges INTEGER NOT NULL,
            received INTEGER NOT NULL,
            sent INTEGER NOT NULL,
            PRIMARY KEY (hour, user, groups, result)
        ) WITHOUT ROWID""",
        """CREATE TABLE hourly_place (
            hour INTEGER NOT NULL,
            groups INTEGER NOT NULL REFERENCES term,
            host INTEGER NOT NULL REFERENCES term,
            categories INTEGER NOT NULL REFERENCES term,
            rule INTEGER NOT NULL REFERENCES term,
            result INTEGER NOT NULL REFERENCES term,
            exchanges INTEGER NOT NULL,
            received INTEGER NOT NULL,
            sent INTEGER NOT NULL,
            PRIMARY KEY (hour, groups, host, categories, rule, result)
        ) WITHOUT ROWID""",
        """CREATE TABLE hourly_refusal (
            hour INTEGER NOT NULL,
            user INTEGER NOT NULL REFERENCES term,
            groups INTEGER NOT NULL REFERENCES term,
            host INTEGER NOT NULL REFERENCES term,
            rule INTEGER NOT NULL REFERENCES term,
            result INTEGER NOT NULL REFERENCES term,
            times INTEGER NOT NULL,
            PRIMARY KEY (hour, user, groups, host, rule, result)
        ) WITHOUT ROWID""",
        """CREATE TABLE hourly_deed (
            hour INTEGER NOT NULL,
            deed INTEGER NOT NULL REFERENCES term,
            whom INTEGER NOT NULL REFERENCES term,  -- a user, or group: network: address: and a name
            host INTEGER NOT NULL REFERENCES term,
            rule INTEGER NOT NULL REFERENCES term,
            times INTEGER NOT NULL,
            PRIMARY KEY (hour, deed, whom, host, rule)
        ) WITHOUT ROWID""",
        """CREATE TABLE rolled_up (
            segment TEXT PRIMARY KEY,
            records INTEGER NOT NULL,
            octets INTEGER NOT NULL,
            inode INTEGER NOT NULL,
            is_done INTEGER NOT NULL
        ) WITHOUT ROWID""",
    ),
    # Usage is told apart by device and rule, too, and has active minutes.
    (
        "INSERT INTO term (kind, text) VALUES ('device', ''), ('rule', '') ON CONFLICT DO NOTHING",
        """CREATE TABLE usage_told_apart (
            slot INTEGER NOT NULL,  -- POSIX seconds, whole quarters of an hour
            user INTEGER NOT NULL REFERENCES term,
            groups INTEGER NOT NULL REFERENCES term,
            categories INTEGER NOT NULL REFERENCES term,
            host INTEGER NOT NULL REFERENCES term,
            device INTEGER NOT NULL REFERENCES term,
            rule INTEGER NOT NULL REFERENCES term,
            received INTEGER NOT NULL,
            sent INTEGER NOT NULL,
            exchanges INTEGER NOT NULL,
            minutes INTEGER NOT NULL,
            PRIMARY KEY (slot, user, groups, categories, host, device, rule)
        ) WITHOUT ROWID""",
        """INSERT INTO usage_told_apart
            SELECT slot, user, groups, categories, host, device.id, rule.id, received, sent, exchanges, 0
            FROM usage, term AS device, term AS rule
            WHERE device.kind = 'device' AND device.text = '' AND rule.kind = 'rule' AND rule.text = ''""",
        "DROP TABLE usage",
        "ALTER TABLE usage_told_apart RENAME TO usage",
    ),
)

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_log = Logger()


def open_store(path: Path, now: float) -> sqlite3.Connection:
    """
    Open the store for writing: made where missing, migrated where old, set aside where damaged.

    :raises StoreError: when the file is of a later version, of another program, or cannot be opened.
    """
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise StoreError("store-failed", f"the store {path} cannot be opened: {error}") from error
        set_aside(path, now, error)
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        raise StoreError("store-failed", f"a new store {path} cannot be made: {error}") from error


def open_for_reading(path: Path) -> sqlite3.Connection:
    """
    Open the store for reports; the service may write to it meanwhile.

    :raises StoreError: when there is none, or none that can be read.
    """
    if not path.exists():
        raise StoreError("store-missing", f"there is no store at {path}; the service makes it when it starts")
    connection = None
    try:
        connection = _connect(f"file:{_quoted(path)}?mode=ro")
        if _version(connection, path) < len(MIGRATIONS):
            raise StoreError("store-failed", f"the store {path} is old; start the service once to migrate it")
    except sqlite3.DatabaseError as error:
        raise StoreError("store-failed", f"the store {path} cannot be read: {error}") from error
    return connection


def store_in_memory() -> sqlite3.Connection:
    """Make a store that is gone when it is closed."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _migrate(connection, 0)
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is spoilt, so that trying again cannot help."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def set_aside(path: Path, now: float, error: Exception) -> Path:
    """Move a damaged store out of the way, where it can be looked at and perhaps saved."""
    aside = move_aside(path, now)
    _log.critical(
        "The store {path} is damaged ({error}). It was set aside as {aside} and a new one begun: "
        "usage before now, grants and requests are only in the old one.",
        path=str(path),
        error=str(error),
        aside=str(aside),
    )
    return aside


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all that happens inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back by itself; a commit that failed has not.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its two further files the mode of the first; what people visited is theirs alone.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError("store-failed", f"the store {path} cannot be opened: {error.strerror}") from error
    connection = _connect(f"file:{_quoted(path)}?mode=rw")
    try:
        version = _version(connection, path)
        _write_ahead(connection)
        # A commit waits for the disk: one a second costs nothing, and a power cut then loses no more.
        connection.execute("PRAGMA synchronous = FULL")
        # What is deleted is overwritten: erasing a person leaves no octet of the name.
        connection.execute("PRAGMA secure_delete = ON")
        _migrate(connection, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite does not wait by itself while another process is just doing it."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Give the version of the schema, 0 for an empty file."""
    # One look at all three: another process may be making the store just now.
    connection.execute("BEGIN")
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    finally:
        connection.execute("COMMIT")
    if application != APPLICATION and (application or tables):
        raise StoreError(
            "store-foreign", f"{path} is a database of another program; name another file for the store"
        )
    if version > len(MIGRATIONS):
        raise StoreError(
            "store-newer",
            f"the store {path} was written by a later corpproxy (schema {version}, this one knows "
            f"{len(MIGRATIONS)}); install that version again, or name another file for the store",
        )
    return int(version)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        with transaction(connection):
            if connection.execute("PRAGMA user_version").fetchone()[0] >= number:
                continue  # another process was here first
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {number}")


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
