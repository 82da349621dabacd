"""
The tables of the store in PostgreSQL, and their migrations.

They stand in a schema of their own, so that the database may have other tables.  Several nodes use them, and
nodes are upgraded one after the other: while a node of the version before runs on, the tables may be newer
than it.  So a change comes in two releases.  The first *expands*: it adds tables, or columns that have a
default, and the version before goes on as it did.  A later one *contracts*: it takes away what nobody uses
any more, and says by ``oldest`` from which version on nodes can live with that; older ones are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from corpproxy.backends.store.interface import StoreError

SCHEMA = "corpproxy"
# "corp" as a number: tells our tables from those of other programs.
APPLICATION = 0x636F7270

# Advisory locks: for making tables, and for taking terms away (which no writer must do meanwhile).
MIGRATING = 7_034_117_010
WRITING = 7_034_117_011


@dataclass(frozen=True, slots=True)
class Migration:
    """
    The statements that lead to the next version of the tables; what is published is never changed.

    ``oldest`` is the oldest version of which a node can use the tables afterwards.
    """

    statements: tuple[str, ...]
    oldest: int


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        (
            """CREATE TABLE term (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                kind text NOT NULL,
                text text NOT NULL,
                UNIQUE (kind, text)
            )""",
            """CREATE TABLE usage (
                slot bigint, "user" bigint, groups bigint, categories bigint, host bigint, device bigint,
                rule bigint,
                received bigint NOT NULL, sent bigint NOT NULL, exchanges bigint NOT NULL,
                minutes bigint NOT NULL,
                PRIMARY KEY (slot, "user", groups, categories, host, device, rule)
            )""",
            """CREATE TABLE given (
                id text PRIMARY KEY, who text NOT NULL, host text NOT NULL, rule text NOT NULL,
                until double precision NOT NULL, value text NOT NULL
            )""",
            "CREATE TABLE request (id text PRIMARY KEY, at double precision NOT NULL, value text NOT NULL)",
            """CREATE TABLE hourly_person (
                hour bigint, "user" bigint, groups bigint, result bigint,
                exchanges bigint NOT NULL, received bigint NOT NULL, sent bigint NOT NULL,
                PRIMARY KEY (hour, "user", groups, result)
            )""",
            """CREATE TABLE hourly_place (
                hour bigint, groups bigint, host bigint, categories bigint, rule bigint, result bigint,
                exchanges bigint NOT NULL, received bigint NOT NULL, sent bigint NOT NULL,
                PRIMARY KEY (hour, groups, host, categories, rule, result)
            )""",
            """CREATE TABLE hourly_refusal (
                hour bigint, "user" bigint, groups bigint, host bigint, rule bigint, result bigint,
                times bigint NOT NULL,
                PRIMARY KEY (hour, "user", groups, host, rule, result)
            )""",
            """CREATE TABLE hourly_deed (
                hour bigint, deed bigint, whom bigint, host bigint, rule bigint,
                times bigint NOT NULL,
                PRIMARY KEY (hour, deed, whom, host, rule)
            )""",
            """CREATE TABLE rolled_up (
                segment text PRIMARY KEY,  -- the node, a slash and the name
                records bigint NOT NULL, octets bigint NOT NULL, inode bigint NOT NULL,
                is_done bigint NOT NULL
            )""",
            # How far each run of each node is in: what comes again is not counted again.
            """CREATE TABLE writer (
                id text PRIMARY KEY, number bigint NOT NULL, at double precision NOT NULL
            )""",
            # ``changed`` is the number of the charge that changed it last, of all nodes.
            """CREATE TABLE quota (
                "limit" text, whom text, until double precision NOT NULL, used double precision NOT NULL,
                granted double precision NOT NULL, changed bigint NOT NULL,
                PRIMARY KEY ("limit", whom)
            )""",
            "CREATE INDEX quota_changed ON quota (changed)",
            "INSERT INTO meta VALUES ('terms', 0), ('granted', 0), ('charged', 0)",
        ),
        oldest=1,
    ),
    # Nodes lend: what one moves that only charges would be above what others were lent.
    Migration(
        (
            'ALTER TABLE quota DROP CONSTRAINT quota_pkey, ADD PRIMARY KEY ("limit", whom, until)',
            # What is lent to a run of a node, by counts that only grow; ``heard`` is by the database's clock.
            """CREATE TABLE loan (
                "limit" text, whom text, until double precision, run text, node text NOT NULL,
                granted bigint NOT NULL, moved bigint NOT NULL, returned bigint NOT NULL,
                wants bigint NOT NULL, heard double precision NOT NULL,
                PRIMARY KEY ("limit", whom, until, run)
            )""",
            "CREATE INDEX loan_node ON loan (node, run)",
        ),
        oldest=2,
    ),
    # Which of the last minutes count: the number of the last, and a bit for it and each before it.
    Migration(
        (
            "ALTER TABLE quota ADD COLUMN minute bigint NOT NULL DEFAULT 0, "
            "ADD COLUMN minutes bigint NOT NULL DEFAULT 0",
        ),
        oldest=2,
    ),
    # Nodes hold the rows of those they change, and no number that all change any more: who goes by that
    # one would not wait for them.  ``turn`` is the transaction of what a node is to be told.
    Migration(
        (
            "DELETE FROM meta WHERE name = 'charged'",
            "ALTER TABLE quota DROP COLUMN changed, ADD COLUMN turn xid8 NOT NULL DEFAULT '0'",
            "CREATE INDEX quota_turn ON quota (turn)",
            "ALTER TABLE loan ADD COLUMN turn xid8 NOT NULL DEFAULT '0'",
            "CREATE INDEX loan_turn ON loan (run, turn)",
            # The machines of nodes, for people.
            "CREATE TABLE node (id text PRIMARY KEY, host text NOT NULL)",
            # Each row changes again and again; in its place where there is room beside it.
            "ALTER TABLE quota SET (fillfactor = 60)",
            "ALTER TABLE loan SET (fillfactor = 60)",
        ),
        oldest=4,
    ),
)


def migrate(connection: Any, written: str) -> None:
    """
    Bring the tables to our version, each step once whoever else does it at the same time.

    :raises StoreError: when they are another program's, or too new for us.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
        known = facts(cursor, written)
        if known is None:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            cursor.execute("CREATE TABLE meta (name text PRIMARY KEY, value bigint NOT NULL)")
            cursor.execute(
                "INSERT INTO meta VALUES ('application', %s), ('schema', 0), ('oldest', 0)", (APPLICATION,)
            )
            known = {"schema": 0}
        for number, migration in enumerate(MIGRATIONS, 1):
            if number > known["schema"]:
                for statement in migration.statements:
                    cursor.execute(statement)
                cursor.execute("UPDATE meta SET value = %s WHERE name = 'schema'", (number,))
                cursor.execute("UPDATE meta SET value = %s WHERE name = 'oldest'", (migration.oldest,))


def facts(cursor: Any, written: str) -> dict[str, int] | None:
    """
    What the tables say of themselves; None when there are none yet.

    :raises StoreError: when they are another program's, or too new for us.
    """
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}.meta",))
    (ours,) = cursor.fetchone()
    if not ours:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", (SCHEMA,))
        (tables,) = cursor.fetchone()
        if not tables:
            return None
        raise _foreign(written)
    cursor.execute(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = %s AND table_name = 'meta' "
        "AND (column_name, data_type) IN (('name', 'text'), ('value', 'bigint'))",
        (SCHEMA,),
    )
    if cursor.fetchone() != (2,):
        raise _foreign(written)
    cursor.execute("SELECT name, value FROM meta")
    known = dict(cursor.fetchall())
    if known.get("application") != APPLICATION:
        raise _foreign(written)
    check_version(known, written)
    return known


def check_version(known: dict[str, int], written: str) -> None:
    """
    Refuse tables that a node of our version cannot use.

    :raises StoreError: when they are too new.
    """
    if known["oldest"] > len(MIGRATIONS):
        raise StoreError(
            "store-newer",
            f"the store {written} was changed by a later corpproxy (schema {known['schema']}, for nodes from "
            f"schema {known['oldest']} on; this one knows {len(MIGRATIONS)}); upgrade this node",
        )


def _foreign(written: str) -> StoreError:
    said = f"the schema '{SCHEMA}' of {written} has tables of another program"
    return StoreError("store-foreign", f"{said}; name another database for the store")
