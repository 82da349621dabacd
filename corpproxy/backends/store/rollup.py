"""
Roll-ups in the store: how sums come in, once each, and how people and old hours go out of them.

How far the record has been added up stands in the same database and changes in the same transaction as the
sums; so a crash at any moment leaves each record counted once, or not yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from corpproxy.accounting.ledger import OTHER_HOSTS
from corpproxy.accounting.rollup import Sums
from corpproxy.audit.erasure import Erasure, is_below
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.usage import Terms, groups_text, storable

_PEOPLE = """
INSERT INTO hourly_person (hour, user, groups, result, exchanges, received, sent) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, user, groups, result) DO UPDATE SET
    exchanges = hourly_person.exchanges + excluded.exchanges,
    received = hourly_person.received + excluded.received,
    sent = hourly_person.sent + excluded.sent
"""
_PLACES = """
INSERT INTO hourly_place (hour, groups, host, categories, rule, result, exchanges, received, sent)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, groups, host, categories, rule, result) DO UPDATE SET
    exchanges = hourly_place.exchanges + excluded.exchanges,
    received = hourly_place.received + excluded.received,
    sent = hourly_place.sent + excluded.sent
"""
_REFUSALS = """
INSERT INTO hourly_refusal (hour, user, groups, host, rule, result, times) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, user, groups, host, rule, result) DO UPDATE SET
    times = hourly_refusal.times + excluded.times
"""
_DEEDS = """
INSERT INTO hourly_deed (hour, deed, whom, host, rule, times) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, deed, whom, host, rule) DO UPDATE SET times = hourly_deed.times + excluded.times
"""
_PROGRESS = """
INSERT INTO rolled_up (segment, records, octets, inode, is_done) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (segment) DO UPDATE SET
    records = excluded.records, octets = excluded.octets, inode = excluded.inode, is_done = excluded.is_done
"""


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


def progress(connection: Connection, node: str = "") -> dict[str, Progress]:
    """Give how far each segment of a node has been added up, by its name with that of the node before it."""
    rows = connection.execute("SELECT segment, records, octets, inode, is_done FROM rolled_up")
    return {
        segment: Progress(records, octets, inode, bool(done))
        for segment, records, octets, inode, done in rows
        if segment.startswith(node)
    }


def add_sums(
    connection: Connection,
    segment: str,
    before: Progress,
    sums: Sums,
    now: Progress,
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
    terms.learn(_by_kind(_terms_of(sums)))
    connection.executemany(_PEOPLE, _people(sums, terms.number))
    connection.executemany(_PLACES, _places(sums, terms.number))
    connection.executemany(_REFUSALS, _refusals(sums, terms.number))
    connection.executemany(_DEEDS, _deeds(sums, terms.number))
    connection.execute(_PROGRESS, (segment, now.records, now.octets, now.inode, now.is_done))
    return True


# The rows of the tables, in which names are numbers.
_Number = Callable[[str, str], int]


def _people(sums: Sums, number: _Number) -> list[tuple[object, ...]]:
    return [
        (hour, number("user", storable(user)), number("groups", groups_text(groups)),
         number("result", storable(result)), *counts)
        for (hour, user, groups, result), counts in sums.people.items()
    ]  # fmt: skip


def _places(sums: Sums, number: _Number) -> list[tuple[object, ...]]:
    return [
        (hour, number("groups", groups_text(groups)), number("host", storable(host)),
         number("categories", groups_text(categories)), number("rule", storable(rule)),
         number("result", storable(result)), *counts)
        for (hour, groups, host, categories, rule, result), counts in sums.places.items()
    ]  # fmt: skip


def _refusals(sums: Sums, number: _Number) -> list[tuple[object, ...]]:
    return [
        (hour, number("user", storable(user)), number("groups", groups_text(groups)),
         number("host", storable(host)), number("rule", storable(rule)),
         number("result", storable(result)), times)
        for (hour, user, groups, host, rule, result), times in sums.refusals.items()
    ]  # fmt: skip


def _deeds(sums: Sums, number: _Number) -> list[tuple[object, ...]]:
    return [
        (hour, number("deed", storable(deed)), number("user", storable(whom)),
         number("host", storable(host)), number("rule", storable(rule)), times)
        for (hour, deed, whom, host, rule), times in sums.deeds.items()
    ]  # fmt: skip


def _by_kind(terms: Iterable[tuple[str, str]]) -> Mapping[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for kind, text in terms:
        found[kind].add(text)
    return found


def _terms_of(sums: Sums) -> Iterator[tuple[str, str]]:
    """All names in some sums."""
    for _, user, groups, result in sums.people:
        yield from (("user", storable(user)), ("groups", groups_text(groups)), ("result", storable(result)))
    for _, groups, host, categories, rule, result in sums.places:
        yield from (("groups", groups_text(groups)), ("host", storable(host)), ("rule", storable(rule)))
        yield from (("categories", groups_text(categories)), ("result", storable(result)))
    for _, user, groups, host, rule, result in sums.refusals:
        yield from (("user", storable(user)), ("groups", groups_text(groups)), ("host", storable(host)))
        yield from (("rule", storable(rule)), ("result", storable(result)))
    for _, deed, whom, host, rule in sums.deeds:
        yield from (("deed", storable(deed)), ("user", storable(whom)))
        yield from (("host", storable(host)), ("rule", storable(rule)))


def forget_segments(connection: Connection, gone: Iterable[str]) -> None:
    """Forget how far segments were added up that are no more."""
    connection.executemany("DELETE FROM rolled_up WHERE segment = ?", [(name,) for name in gone])


def drop_before(connection: Connection, moment: float) -> int:
    """Delete the sums of hours that begin before a moment; gives how many rows those were."""
    return sum(
        connection.execute(f"DELETE FROM {table.name} WHERE hour < ?", (moment,)).rowcount
        for table in _FORGETTING
    )


def erase(connection: Connection, erasure: Erasure) -> int:
    """
    Erase from all sums; gives how many rows are concerned.

    What a person did stays in the sums, as that of nobody; a host becomes one that is not told apart.  The
    hour in which the erasure ends belongs to it.  Sums have no address of a client.  Names that nothing has
    any more are dropped by `drop_unused_terms`.
    """
    rows = 0
    for table, where, bounds, count in _found(connection, erasure):
        _merge(connection, table, table.change(erasure), where, bounds)
        rows += count
    return rows


def concerned(connection: Connection, erasure: Erasure) -> int:
    """How many rows `erase` would reach."""
    return sum(count for *_, count in _found(connection, erasure))


def _found(connection: Connection, erasure: Erasure) -> Iterator[tuple[_Table, str, dict[str, float], int]]:
    """The tables that have something of an erasure: its condition, what is bound in it, and how many rows."""
    if erasure.client:
        return
    _note_concerned(connection, erasure)
    for table in _FORGETTING:
        if table.change(erasure):
            where = table.where(erasure)
            bounds = {"since": erasure.since, "until": min(erasure.until, 2.0**62)}
            counting = f"SELECT count(*) FROM {table.name} WHERE {where}"
            (count,) = connection.execute(counting, bounds).fetchone()
            if count:
                yield table, where, bounds, int(count)


def drop_unused_terms(connection: Connection) -> None:
    """Delete the names of people, devices and hosts that stand in no sum any more."""
    for kind, used in (
        ("user", (("usage", "user"), ("hourly_person", "user"), ("hourly_refusal", "user"),
                  ("hourly_deed", "whom"))),
        ("host", (("usage", "host"), ("hourly_place", "host"), ("hourly_refusal", "host"),
                  ("hourly_deed", "host"))),
        ("device", (("usage", "device"),)),
    ):  # fmt: skip
        nowhere = " AND ".join(f"id NOT IN (SELECT {column} FROM {table})" for table, column in used)
        connection.execute(f"DELETE FROM term WHERE kind = '{kind}' AND {nowhere}")


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of sums: its columns of people and of hosts (empty where it has none), the others, the sums."""

    name: str
    user: str
    host: str
    others: tuple[str, ...]
    sums: tuple[str, ...]

    def change(self, erasure: Erasure) -> dict[str, str]:
        """Which columns get which terms instead; none where the table is not concerned."""
        if (erasure.user and not self.user) or (erasure.host and not self.host):
            return {}
        everything = not erasure.is_about_somebody
        change = {}
        if self.user and (erasure.user or (everything and "who" in erasure.groups)):
            change[self.user] = "user"
        if self.host and (erasure.host or (everything and "where" in erasure.groups)):
            change[self.host] = "host"
        return change

    def where(self, erasure: Erasure) -> str:
        """Which rows are concerned."""
        where = ["hour >= :since AND hour < :until"]
        if erasure.user:
            where.append(f"{self.user} IN (SELECT id FROM concerned)")
        if erasure.host:
            where.append(f"{self.host} IN (SELECT id FROM concerned)")
        return " AND ".join(where)


_FORGETTING = (
    _Table("hourly_person", "user", "", ("groups", "result"), ("exchanges", "received", "sent")),
    _Table(
        "hourly_place",
        "",
        "host",
        ("groups", "categories", "rule", "result"),
        ("exchanges", "received", "sent"),
    ),
    _Table("hourly_refusal", "user", "host", ("groups", "rule", "result"), ("times",)),
    _Table("hourly_deed", "whom", "host", ("deed", "rule"), ("times",)),
)


def _note_concerned(connection: Connection, erasure: Erasure) -> None:
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS concerned (id INTEGER PRIMARY KEY)")
    connection.execute("DELETE FROM concerned")
    terms = connection.execute("SELECT id, kind, text FROM term WHERE kind IN ('user', 'host')").fetchall()
    connection.executemany(
        "INSERT INTO concerned VALUES (?)",
        [
            (id,)
            for id, kind, text in terms
            if (kind == "user" and erasure.user and text == storable(erasure.user))
            or (kind == "host" and erasure.host and is_below(text, erasure.host))
        ],
    )


def _merge(
    connection: Connection,
    table: _Table,
    change: dict[str, str],
    where: str,
    bounds: dict[str, float],
) -> None:
    """Add rows to those of nobody, or of no host in particular, and take their own away."""
    terms = Terms(connection)
    instead = {"user": terms.number("user", ""), "host": terms.number("host", OTHER_HOSTS)}
    kept = [column for column in (table.user, table.host, *table.others) if column]
    sums = ", ".join(table.sums)
    moved = ", ".join(str(instead[change[column]]) if column in change else column for column in kept)
    added = ", ".join(f"SUM({name}) AS {name}" for name in table.sums)
    connection.execute("DROP TABLE IF EXISTS moved")
    names = ", ".join(kept)
    connection.execute(
        f"CREATE TEMP TABLE moved AS SELECT hour, {names}, {sums} FROM {table.name} WHERE {where}", bounds
    )
    connection.execute(f"DELETE FROM {table.name} WHERE {where}", bounds)
    grow = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in table.sums)
    places = ", ".join(str(number) for number in range(1, len(kept) + 2))
    connection.execute(
        f"INSERT INTO {table.name} (hour, {names}, {sums}) SELECT hour, {moved}, {added} FROM moved "
        f"WHERE true GROUP BY {places} ON CONFLICT (hour, {names}) DO UPDATE SET {grow}"
    )
    connection.execute("DROP TABLE moved")
