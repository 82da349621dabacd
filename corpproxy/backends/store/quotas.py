"""
Quotas in a store that nodes share: what stands for all, and what each of them has on loan.

``quota`` says how a member stands in all, for each time that it is made good; ``loan`` what each run of each
node was lent of the rest.  Each transaction that changes any has a number, and rows carry that of the last:
whoever knows the number it saw last reads what changed since, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from corpproxy.accounting.common import (
    CALL_SECONDS,
    NODE_TERM_SECONDS,
    Budget,
    Common,
    Moved,
    NodeAsked,
    NodeLent,
    NodeLoan,
)
from corpproxy.accounting.minutes import Minutes
from corpproxy.accounting.quotas import Charge
from corpproxy.backends.store.quota_file import KEPT_SECONDS
from corpproxy.backends.store.sql import Connection

NOTHING_SEEN = -1

_CHARGE = """
INSERT INTO quota ("limit", whom, until, used, granted, changed) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT ("limit", whom, until) DO UPDATE SET
    used = quota.used + excluded.used, granted = quota.granted + excluded.granted, changed = excluded.changed
"""
# By the clock of the database alone, which is one for all nodes.
_NOW = "extract(epoch FROM clock_timestamp())::float8"
_RELEASE = f"""
UPDATE loan SET returned = granted - moved, wants = 0
WHERE "limit" = ? AND whom = ? AND until = ? AND granted - returned > moved AND heard <= {_NOW} - ?
"""
_CHANGED = f"""
SELECT quota."limit", quota.whom, quota.until, quota.used - coalesce(max(moved) FILTER (WHERE run = ?), 0),
    quota.granted, coalesce(sum(greatest(loan.granted - returned - moved, 0)), 0),
    coalesce(sum(wants) FILTER (WHERE run <> ? AND heard > {_NOW} - ?), 0)
FROM quota LEFT JOIN loan
    ON loan."limit" = quota."limit" AND loan.whom = quota.whom AND loan.until = quota.until
WHERE changed > ? AND quota.until > ?
GROUP BY quota."limit", quota.whom, quota.until
"""

_MEMBERS = "unnest(?::text[], ?::text[], ?::float8[]) AS member (named, person, ends)"
_BUDGETS = f"""
SELECT "limit", whom, until, used, granted, minute, minutes FROM quota
JOIN {_MEMBERS} ON "limit" = named AND whom = person AND until = ends
"""
_LOANS = f"""
SELECT "limit", whom, until, run, node, granted, moved, returned, wants, {_NOW} - heard FROM loan
JOIN {_MEMBERS} ON "limit" = named AND whom = person AND until = ends
"""
_OLD_LOANS = """
SELECT DISTINCT "limit", whom, until FROM loan WHERE node = ? AND run <> ?
"""
# All rows go in with one statement: a third of what one for each costs.
_PUT_BUDGETS = """
INSERT INTO quota ("limit", whom, until, used, granted, minute, minutes, changed)
SELECT *, ?::bigint FROM unnest(
    ?::text[], ?::text[], ?::float8[], ?::float8[], ?::float8[], ?::bigint[], ?::bigint[]
)
ON CONFLICT ("limit", whom, until) DO UPDATE SET
    used = excluded.used, minute = excluded.minute, minutes = excluded.minutes, changed = excluded.changed
"""
_PUT_LOANS = f"""
INSERT INTO loan ("limit", whom, until, run, node, granted, moved, returned, wants, heard)
SELECT *, {_NOW} FROM unnest(
    ?::text[], ?::text[], ?::float8[], ?::text[], ?::text[],
    ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[]
)
ON CONFLICT ("limit", whom, until, run) DO UPDATE SET
    granted = excluded.granted, moved = excluded.moved, returned = excluded.returned,
    wants = excluded.wants, heard = excluded.heard
"""


class Place(NamedTuple):
    """A member of a quota, until that is made good; as the database writes it."""

    limit: str
    whom: str
    until: float


def charge(connection: Connection, charges: Sequence[Charge]) -> None:
    """
    Charge members with differences.

    Who begins anew is not charged any more with what a node was lent that has stopped.
    """
    number = _turn(connection)
    connection.executemany(_CHARGE, [(*one, number) for one in sorted(charges)])
    anew = [(*one[:3], NODE_TERM_SECONDS) for one in charges if one.used < 0]
    if anew:
        connection.executemany(_RELEASE, anew)


def borrow(connection: Connection, node: str, run: str, asked: Sequence[NodeAsked]) -> list[NodeLent]:
    """Take down what a run of a node tells, and lend it what it may have."""
    number = _turn(connection)
    places = [_place(one) for one in asked]
    budgets = _budgets(connection, places)
    lent = [budgets[place].lend(node, run, one) for place, one in zip(places, asked, strict=True)]
    _put(connection, number, budgets, [(place, run) for place in budgets])
    return lent


def settle(connection: Connection, node: str, run: str, moved: Iterable[Moved]) -> None:
    """
    A node runs anew: what its runs before were lent is accounted for.

    ``moved`` is what it knows that they moved at most; a loan of which it knows nothing counts as used.
    """
    number = _turn(connection)
    known = {(one.run, _place(one)): one.moved for one in moved if one.run != run}
    old = connection.execute(_OLD_LOANS, (node, run)).fetchall()
    places = dict.fromkeys([*(Place(*row) for row in old), *(place for _, place in known)])
    budgets = _budgets(connection, list(places))
    # What it moved while the database was away stands nowhere yet.
    over = {(place, name): None for name, place in known}
    for place, budget in budgets.items():
        over |= {
            (place, name): None for name, loan in budget.loans.items() if loan.node == node and name != run
        }
    for place, name in over:
        budgets[place].settle(node, name, known.get((name, place)))
    _put(connection, number, budgets, over)


def changed(connection: Connection, run: str, seen: int, now: float) -> tuple[list[Common], int]:
    """Give how members stand that changed since the number ``seen``, and the number that is seen now."""
    number = _number(connection)
    if number == seen:
        return [], seen
    rows = connection.execute(_CHANGED, (run, run, CALL_SECONDS, seen, now)).fetchall()
    return [Common(*row) for row in rows], number


def forget(connection: Connection, now: float) -> None:
    """
    Forget what was made good days ago.

    It must be over by the clock of the database, too: a node whose clock is far ahead would take from all the
    others what they count by.
    """
    for table in ("loan", "quota"):
        connection.execute(f"DELETE FROM {table} WHERE until <= least(?, {_NOW})", (now - KEPT_SECONDS,))


def _budgets(connection: Connection, places: Sequence[Place]) -> dict[Place, Budget]:
    budgets = {place: Budget() for place in places}
    columns = _columns(budgets) or [[], [], []]
    for *place, used, granted, minute, minutes in connection.execute(_BUDGETS, columns):
        budget = budgets[Place(*place)]
        budget.used, budget.granted, budget.minutes = used, granted, Minutes(minute, minutes)
    for *place, run, node, granted, moved, returned, wants, silent in connection.execute(_LOANS, columns):
        loan = NodeLoan(node, granted, moved, returned, wants, silent)
        budgets[Place(*place)].loans[run] = loan
    return budgets


def _put(
    connection: Connection, number: int, budgets: Mapping[Place, Budget], loans: Iterable[tuple[Place, str]]
) -> None:
    rows = [
        (*place, one.used, one.granted, one.minutes.last, one.minutes.bits) for place, one in budgets.items()
    ]
    if rows:
        connection.execute(_PUT_BUDGETS, (number, *_columns(rows)))
        lent = [(*place, run, *_counts(budgets[place].loans[run])) for place, run in loans]
        connection.execute(_PUT_LOANS, _columns(lent))


def _counts(loan: NodeLoan) -> tuple[Any, ...]:
    return loan.node, loan.granted, loan.moved, loan.returned, loan.wants


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _place(one: NodeAsked | Moved) -> Place:
    return Place(_spelt(one.limit), _spelt(one.whom), float(one.until))


def _spelt(name: str) -> str:
    """As names stand in the database, in which no text has a NUL."""
    return name.replace("\0", "\\x00") if "\0" in name else name


def _turn(connection: Connection) -> int:
    """
    Begin to change something.

    Whoever does waits for the one before: the numbers are seen in the order in which they were given.
    """
    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'charged'")
    return _number(connection)


def _number(connection: Connection) -> int:
    (number,) = connection.execute("SELECT value FROM meta WHERE name = 'charged'").fetchone()
    return int(number)
