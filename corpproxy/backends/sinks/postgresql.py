"""
PostgreSQL: records in a table with a partition for each month, by COPY.

How far the sink is in each segment stands in a table too, and is written with the records in one transaction:
whatever breaks, and whenever, each record is there once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from corpproxy.audit.formats.texts import began, url_of
from corpproxy.audit.record import Record
from corpproxy.audit.sinks import SinkSettings
from corpproxy.backends.sinks.delivery import Entry, SinkFailure
from corpproxy.backends.sinks.follow import Position, Positions

CONNECT_SECONDS = 10
# A table that somebody else holds locked is not waited for without end.
_OPTIONS = "-c statement_timeout=60000 -c lock_timeout=20000 -c timezone=UTC"

# Each is applied once, in this order; one that was released is never changed.
MIGRATIONS = (
    """
    CREATE TABLE corpproxy_record (
        at timestamptz NOT NULL,
        reference text NOT NULL,
        kind text NOT NULL,
        result text NOT NULL,
        seconds double precision NOT NULL,
        listener text, source text, groups text[],
        method text, scheme text, port integer, categories text[], media_type text,
        decision text, rule text, place text, category text, list text, policy text, exception text,
        would_block text, failure text, status integer,
        received bigint, sent bigint, up_sent bigint, up_received bigint,
        deed text, within text,
        client text, user_name text, agent text, whom text,
        host text, upstream text, server_name text, reason text, url text,
        record json
    ) PARTITION BY RANGE (at);
    CREATE INDEX ON corpproxy_record (user_name, at);
    CREATE INDEX ON corpproxy_record (host, at);
    CREATE INDEX ON corpproxy_record (reference);
    CREATE TABLE corpproxy_position (
        sink text, segment text, lines bigint NOT NULL, PRIMARY KEY (sink, segment)
    );
    CREATE TABLE corpproxy_checkpoint (
        number bigint, line text, PRIMARY KEY (number, line)
    );
    """,
)

COLUMNS = (
    "at reference kind result seconds listener source groups method scheme port categories media_type "
    "decision rule place category list policy exception would_block failure status received sent up_sent "
    "up_received deed within client user_name agent whom host upstream server_name reason url record"
).split()

# What two services that begin at once must not do both.
_LOCK = 7_034_117_001


class PostgresqlSink:
    """Copies records into a table."""

    confirm_seconds = 0.0

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._connection: Any = None
        self._months: set[str] = set()

    def send(self, entries: Sequence[Entry], positions: Positions) -> int:
        """
        Copy records, all or none; none is refused.

        :raises SinkFailure: when the database does not take them now.
        """
        with told():
            connection = self._open()
            with connection.transaction(), connection.cursor() as cursor:
                self._make_months(cursor, {_month(_at(one.record)) for one in entries})
                columns = ", ".join(COLUMNS)
                with cursor.copy(f"COPY corpproxy_record ({columns}) FROM STDIN") as copy:
                    for one in entries:
                        copy.write_row(_row(one.record, one.line))
                cursor.executemany(
                    "INSERT INTO corpproxy_position VALUES (%s, %s, %s) ON CONFLICT (sink, segment) "
                    "DO UPDATE SET lines = EXCLUDED.lines",
                    [(self._settings.name, segment, one.lines) for segment, one in positions.items()],
                )
        return 0

    def send_checkpoint(self, line: bytes) -> None:
        """
        Insert a checkpoint.

        :raises SinkFailure: when the database does not take it now.
        """
        written = line.decode().rstrip("\n")
        with told():
            self._open().execute(
                "INSERT INTO corpproxy_checkpoint VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (json.loads(written)["number"], written),
            )

    def positions(self) -> Positions:
        """
        How far the database says that it is.

        :raises SinkFailure: when it cannot be asked.
        """
        with told():
            rows = self._open().execute(
                "SELECT segment, lines FROM corpproxy_position WHERE sink = %s", (self._settings.name,)
            )
            return {segment: Position(lines) for segment, lines in rows}

    def is_taken(self) -> bool:
        """It was committed."""
        return True

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._months.clear()

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = connected(self._settings)
            migrate(self._connection)
        return self._connection

    def _make_months(self, cursor: Any, months: set[str]) -> None:
        for month in sorted(months - self._months):
            year, number = int(month[:4]), int(month[4:])
            following = f"{year + number // 12}-{number % 12 + 1:02}-01"
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS corpproxy_record_{month} PARTITION OF corpproxy_record "
                f"FOR VALUES FROM ('{month[:4]}-{month[4:]}-01') TO ('{following}')"
            )
        # Known only once it is committed; a transaction that fails closes the connection, and forgets them.
        self._months |= months


def connected(settings: SinkSettings) -> Any:
    """
    Connect to the database of a sink.

    :raises SinkFailure: when the driver is missing.
    :raises OSError: when the password cannot be read.
    """
    try:
        import psycopg
    except ImportError:
        raise SinkFailure(
            "the library psycopg is not installed; install it with: pip install 'corpproxy[postgresql]'"
        ) from None
    more: dict[str, Any] = {}
    if settings.password:
        more["password"] = Path(settings.password).read_text(encoding="utf-8").strip()
    if settings.authorities:
        more |= {"sslrootcert": settings.authorities, "sslmode": "verify-full"}
    if settings.certificate:
        more |= {"sslcert": settings.certificate, "sslkey": settings.key}
    return psycopg.connect(
        settings.to,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        options=_OPTIONS,
        application_name="corpproxy",
        **more,
    )


def migrate(connection: Any) -> None:
    """Bring the tables to the newest version, each step once whoever else does it at the same time."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute("CREATE TABLE IF NOT EXISTS corpproxy_migration (number integer PRIMARY KEY)")
        cursor.execute("SELECT coalesce(max(number), 0) FROM corpproxy_migration")
        (done,) = cursor.fetchone()
        for number, statements in enumerate(MIGRATIONS, 1):
            if number > done:
                cursor.execute(statements)
                cursor.execute("INSERT INTO corpproxy_migration VALUES (%s)", (number,))


@contextmanager
def told() -> Iterator[None]:
    """Tell what goes wrong with the database as a failure of the sink, in one line and without secrets."""
    try:
        yield
    except OSError as error:
        raise SinkFailure(f"the password cannot be read: {error.strerror}") from None
    except Exception as error:
        if not type(error).__module__.startswith("psycopg"):
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise SinkFailure(f"the database says: {lines[0]}") from None


def _row(record: Record, line: bytes) -> list[Any]:
    values: dict[str, Any] = {
        "at": _at(record),
        "reference": record.id,
        "user_name": record.user,
        "groups": list(record.groups) or None,
        "categories": list(record.categories) or None,
        "url": url_of(record),
        "record": line.decode("utf-8", "backslashreplace"),
    }
    return [_cleaned(values[name] if name in values else getattr(record, name)) for name in COLUMNS]


def _cleaned(value: Any) -> Any:
    """Spell out NUL, which no text of PostgreSQL can have; the column ``record`` has it as JSON does."""
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if type(value) is int or type(value) is float or value is None or isinstance(value, datetime):
        return value
    return str(value).replace("\0", "\\x00") or None


def _at(record: Record) -> datetime:
    return datetime.fromtimestamp(began(record), UTC)


def _month(moment: datetime) -> str:
    return f"{moment:%Y%m}"
