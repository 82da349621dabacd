"""
Roll-ups in SQLite: how sums come in, once each, and how people and old hours go out of them.

How far the record has been added up stands in the same file and changes in the same transaction as the sums;
so a crash at any moment leaves each record counted once, or not yet.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from corpproxy.accounting.rollup import Sums
from corpproxy.backends.store_usage import Terms, groups_text, storable

_PEOPLE = """
INSERT INTO hourly_person (hour, user, groups, result, exchanges, received, sent) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    exchanges = exchanges + excluded.exchanges,
    received = received + excluded.received,
    sent = sent + excluded.sent
"""
_PLACES = """
INSERT INTO hourly_place (hour, groups, host, categories, rule, result, exchanges, received, sent)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    exchanges = exchanges + excluded.exchanges,
    received = received + excluded.received,
    sent = sent + excluded.sent
"""
_REFUSALS = """
INSERT INTO hourly_refusal (hour, user, groups, host, rule, result, times) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET times = times + excluded.times
"""
_DEEDS = """
INSERT INTO hourly_deed (hour, deed, whom, host, rule, times) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET times = times + excluded.times
"""
_TABLES = ("hourly_person", "hourly_place", "hourly_refusal", "hourly_deed")


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a segment has been added up.

    ``octets`` are those of its text, in the file of this ``inode``; ``is_done`` when there is no more to
    come.
    """

    records: int = 0
    octets: int = 0
    inode: int = 0
    is_done: bool = False


def progress(connection: sqlite3.Connection) -> dict[str, Progress]:
    """Give how far each segment has been added up, by its name."""
    rows = connection.execute("SELECT segment, records, octets, inode, is_done FROM rolled_up")
    return {
        segment: Progress(records, octets, inode, bool(done))
        for segment, records, octets, inode, done in rows
    }


def add_sums(
    connection: sqlite3.Connection, segment: str, before: Progress, sums: Sums, now: Progress
) -> bool:
    """
    Add sums of records of a segment that stand between two states of it, inside a transaction of the
    caller's.

    Gives whether it was done: it is not when somebody else has added them meanwhile.
    """
    row = connection.execute("SELECT records FROM rolled_up WHERE segment = ?", (segment,)).fetchone()
    if (row[0] if row else 0) != before.records:
        return False
    terms = Terms(connection)
    number = terms.number
    connection.executemany(
        _PEOPLE,
        [
            (hour, number("user", storable(user)), number("groups", groups_text(groups)),
             number("result", storable(result)), *counts)
            for (hour, user, groups, result), counts in sums.people.items()
        ],
    )  # fmt: skip
    connection.executemany(
        _PLACES,
        [
            (hour, number("groups", groups_text(groups)), number("host", storable(host)),
             number("categories", groups_text(categories)), number("rule", storable(rule)),
             number("result", storable(result)), *counts)
            for (hour, groups, host, categories, rule, result), counts in sums.places.items()
        ],
    )  # fmt: skip
    connection.executemany(
        _REFUSALS,
        [
            (hour, number("user", storable(user)), number("groups", groups_text(groups)),
             number("host", storable(host)), number("rule", storable(rule)),
             number("result", storable(result)), times)
            for (hour, user, groups, host, rule, result), times in sums.refusals.items()
        ],
    )  # fmt: skip
    connection.executemany(
        _DEEDS,
        [
            (hour, number("deed", storable(deed)), number("user", storable(whom)),
             number("host", storable(host)), number("rule", storable(rule)), times)
            for (hour, deed, whom, host, rule), times in sums.deeds.items()
        ],
    )  # fmt: skip
    connection.execute(
        "INSERT OR REPLACE INTO rolled_up VALUES (?, ?, ?, ?, ?)",
        (segment, now.records, now.octets, now.inode, now.is_done),
    )
    return True


def forget_segments(connection: sqlite3.Connection, gone: Iterable[str]) -> None:
    """Forget how far segments were added up that are no more."""
    connection.executemany("DELETE FROM rolled_up WHERE segment = ?", [(name,) for name in gone])


def drop_before(connection: sqlite3.Connection, moment: float) -> int:
    """Delete the sums of hours that begin before a moment; gives how many rows those were."""
    return sum(
        connection.execute(f"DELETE FROM {table} WHERE hour < ?", (moment,)).rowcount for table in _TABLES
    )


def forget_person(
    connection: sqlite3.Connection, user: str, until: float | None = None, since: float = 0.0
) -> int:
    """
    Take a person out of all sums of hours that begin before a moment; gives how many rows were about them.

    What they did stays in the sums, as that of nobody.  The hour in which ``until`` lies is not one of them.
    """
    end = 2**62 if until is None else until
    numbered = "SELECT id FROM term WHERE kind = 'user' AND text = ?"
    row = connection.execute(numbered, (storable(user),)).fetchone()
    if row is None or not user:
        return 0
    nobody = Terms(connection).number("user", "")
    rows = 0
    for table, column, others, sums in (
        ("hourly_person", "user", "groups, result", ("exchanges", "received", "sent")),
        ("hourly_refusal", "user", "groups, host, rule, result", ("times",)),
        ("hourly_deed", "whom", "deed, host, rule", ("times",)),
    ):
        which = f"{column} = :who AND hour >= :since AND hour < :end"
        bound = {"who": row[0], "nobody": nobody, "since": since, "end": end}
        names = ", ".join(sums)
        grow = ", ".join(f"{name} = {name} + excluded.{name}" for name in sums)
        connection.execute(
            f"INSERT INTO {table} (hour, {column}, {others}, {names}) "
            f"SELECT hour, :nobody, {others}, {names} FROM {table} WHERE {which} "
            f"ON CONFLICT DO UPDATE SET {grow}",
            bound,
        )
        rows += connection.execute(f"DELETE FROM {table} WHERE {which}", bound).rowcount
    return rows
