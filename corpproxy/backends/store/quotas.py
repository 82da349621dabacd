"""
Quotas in a store that nodes share: what stands for all, and what each of them has on loan.

``quota`` says how a member stands in all, for each time that it is made good; ``loan`` what each run of each
node was lent of the rest.

Whoever changes a member holds its row of ``quota``, and whoever has held it reads its loans: nodes with other
people do not wait for each other.  All take what they change in two steps, and in the same order in each
(`_hold`): first the rows that are not there yet, then all.  Whoever waits in the first step holds only rows
that nobody in the second can know of, so that no two wait for each other.

A node is told of those it has lent to lately when another one changes them (``loan.turn``), and of what is
about everybody: who was given more, began anew or came to the end (``quota.turn``).  A turn is the number
of the transaction that changed it.  Who remembers which of those were over when it read reads the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from corpproxy.accounting.common import (
    CALL_SECONDS,
    NODE_TERM_SECONDS,
    Budget,
    Common,
    Ledgered,
    Moved,
    NodeAsked,
    NodeLent,
    NodeLoan,
    OnLoan,
)
from corpproxy.accounting.minutes import Minutes
from corpproxy.accounting.quotas import Charge
from corpproxy.backends.store.quota_file import KEPT_SECONDS
from corpproxy.backends.store.sql import Connection

# Nothing was read yet.
NOTHING_SEEN = ""
# Who was not heard of a member for so long is told of it when it asks for it again.
LISTENS_SECONDS = NODE_TERM_SECONDS
# All are told of somebody of whose quota so small a part is left, and when nothing is.
NEAR_PART = 64

_TURN = "pg_current_xact_id()"
_CHARGE = f"""
INSERT INTO quota ("limit", whom, until, used, granted, turn) VALUES (?, ?, ?, ?, ?, {_TURN})
ON CONFLICT ("limit", whom, until) DO UPDATE SET
    used = greatest(0, quota.used + excluded.used), turn = excluded.turn,
    granted = greatest(0, quota.granted + excluded.granted)
"""
# By the clock of the database alone, which is one for all nodes.
_NOW = "extract(epoch FROM clock_timestamp())::float8"
_RELEASE = f"""
UPDATE loan SET returned = granted - moved, wants = 0
WHERE "limit" = ? AND whom = ? AND until = ? AND granted - returned > moved AND heard <= {_NOW} - ?
"""
_IS_NEW = """turn >= pg_snapshot_xmin(CAST(? AS pg_snapshot))
    AND NOT pg_visible_in_snapshot(turn, CAST(? AS pg_snapshot))"""
_TOLD = f"""
SELECT "limit", whom, until FROM quota WHERE {_IS_NEW} AND until > ?
UNION SELECT "limit", whom, until FROM loan WHERE run = ? AND {_IS_NEW} AND until > ?
"""
_NAMED = """
SELECT "limit", whom, until FROM quota
WHERE until > ? AND "limit" = coalesce(?, "limit") AND whom = coalesce(?, whom)
"""
_ON_LOAN = f"""
SELECT "limit", whom, until, node, coalesce(min(host), ''), sum(granted - returned - moved),
    {_NOW} - max(heard), bool_or(run = ?)
FROM ({_NAMED}) AS named JOIN loan USING ("limit", whom, until) LEFT JOIN node ON node.id = loan.node
WHERE granted - returned > moved GROUP BY "limit", whom, until, node
"""
_HOST = "INSERT INTO node (id, host) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET host = excluded.host"
_ALL = 'SELECT "limit", whom, until FROM quota WHERE until > ?'
_CHANGED = f"""
SELECT quota."limit", quota.whom, quota.until, quota.used - coalesce(max(moved) FILTER (WHERE run = ?), 0),
    quota.granted, coalesce(sum(greatest(loan.granted - returned - moved, 0)), 0),
    coalesce(sum(wants) FILTER (WHERE run <> ? AND heard > {_NOW} - ?), 0)
FROM (%s) AS told JOIN quota USING ("limit", whom, until) LEFT JOIN loan USING ("limit", whom, until)
GROUP BY quota."limit", quota.whom, quota.until
"""

_MEMBERS = "unnest(?::text[], ?::text[], ?::float8[]) AS member (named, person, ends)"
_MAKE = """
INSERT INTO quota ("limit", whom, until, used, granted)
SELECT *, 0, 0 FROM unnest(?::text[], ?::text[], ?::float8[]) ON CONFLICT DO NOTHING
"""
_HOLD = """
SELECT "limit", whom, until, used, granted, minute, minutes FROM quota
JOIN unnest(?::text[], ?::text[], ?::float8[]) WITH ORDINALITY AS member (named, person, ends, position)
    ON "limit" = named AND whom = person AND until = ends
ORDER BY position FOR UPDATE OF quota
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
UPDATE quota SET used = now.used, minute = now.minute, minutes = now.minutes
FROM unnest(?::text[], ?::text[], ?::float8[], ?::float8[], ?::bigint[], ?::bigint[])
    AS now (named, person, ends, used, minute, minutes)
WHERE "limit" = named AND whom = person AND until = ends
"""
_TELL_ALL = f"""
UPDATE quota SET turn = {_TURN} FROM {_MEMBERS} WHERE "limit" = named AND whom = person AND until = ends
"""
_TELL = f"""
UPDATE loan SET turn = {_TURN}
FROM unnest(?::text[], ?::text[], ?::float8[], ?::text[]) AS member (named, person, ends, listener)
WHERE "limit" = named AND whom = person AND until = ends AND run = listener
"""
_FORGET = (
    # Whoever is about to change one of them goes first.
    f"""
    DELETE FROM quota USING (
        SELECT "limit", whom, until FROM quota WHERE until <= least(?, {_NOW}) FOR UPDATE SKIP LOCKED
    ) AS old WHERE quota."limit" = old."limit" AND quota.whom = old.whom AND quota.until = old.until
    """,
    f"""
    DELETE FROM loan WHERE until <= least(?, {_NOW}) AND NOT EXISTS (
        SELECT FROM quota
        WHERE quota."limit" = loan."limit" AND quota.whom = loan.whom AND quota.until = loan.until
    )
    """,
)
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


class Known(NamedTuple):
    """A loan of a member: which run of a node has it."""

    place: Place
    run: str


def charge(connection: Connection, charges: Sequence[Charge]) -> None:
    """
    Charge members with differences.

    Who begins anew is not charged any more with what a node was lent that has stopped.
    """
    _hold(connection, [_place(one) for one in charges])
    connection.executemany(_CHARGE, sorted(charges))
    anew = [(*one[:3], NODE_TERM_SECONDS) for one in charges if one.used < 0 or one.granted <= 0]
    if anew:
        connection.executemany(_RELEASE, anew)


def borrow(connection: Connection, node: str, run: str, asked: Sequence[NodeAsked]) -> list[NodeLent]:
    """Take down what a run of a node tells, and lend it what it may have."""
    places = [_place(one) for one in asked]
    budgets = _budgets(connection, places)
    listening = _listening(budgets, run)
    lent, ending = [], []
    for place, one in zip(places, asked, strict=True):
        budget = budgets[place]
        before = _stage(budget, one.allowed)
        lent.append(budget.lend(node, run, one))
        if _stage(budget, one.allowed) != before:
            ending.append(place)
    _put(connection, budgets, [Known(place, run) for place in budgets])
    _tell(connection, listening, ending)
    return lent


def settle(connection: Connection, node: str, run: str, moved: Iterable[Moved]) -> None:
    """
    A node runs anew: what its runs before were lent is accounted for.

    ``moved`` is what it knows that they moved at most; a loan of which it knows nothing counts as used.
    """
    known = {Known(_place(one), one.run): one.moved for one in moved if one.run != run}
    old = connection.execute(_OLD_LOANS, (node, run)).fetchall()
    places = dict.fromkeys([*(Place(*row) for row in old), *(place for place, _ in known)])
    budgets = _budgets(connection, list(places))
    listening = _listening(budgets, run)
    # What it moved while the database was away stands nowhere yet.
    over = dict.fromkeys(known)
    for place, budget in budgets.items():
        over |= {
            Known(place, name): None
            for name, loan in budget.loans.items()
            if loan.node == node and name != run
        }
    for one in over:
        budgets[one.place].settle(node, one.run, known.get(one))
    _put(connection, budgets, over)
    _tell(connection, [one for one in listening if one not in over], [])


def changed(connection: Connection, run: str, seen: str, now: float) -> tuple[list[Common], str]:
    """
    Give how members stand that changed since ``seen``, and what is seen now.

    Some may be told twice: what is seen is read first, and the rows after it.
    """
    (current,) = connection.execute("SELECT CAST(pg_current_snapshot() AS text)").fetchone()
    told = _TOLD
    values: tuple[Any, ...] = (seen, seen, now, run, seen, seen, now)
    if seen == NOTHING_SEEN or _next(current) < _next(seen):
        # Nothing was read yet, or the database is another one: a copy of a time before, where numbers begin
        # lower.
        told, values = _ALL, (now,)
    rows = connection.execute(_CHANGED % told, (run, run, CALL_SECONDS, *values)).fetchall()
    return [Common(*row) for row in rows], current


def ledgered(connection: Connection, run: str, limit: str | None, whom: str | None, now: float) -> Ledgered:
    """How all stand, or those of a limit or of one name, and what is on loan of it."""
    named = now, limit and _spelt(limit), whom and _spelt(whom)
    rows = connection.execute(_CHANGED % _NAMED, (run, run, CALL_SECONDS, *named)).fetchall()
    loans = connection.execute(_ON_LOAN, (run, *named)).fetchall()
    return Ledgered([Common(*row) for row in rows], [OnLoan(*row) for row in loans])


def name_host(connection: Connection, node: str, host: str) -> None:
    """A node runs on this machine."""
    connection.execute(_HOST, (node, host))


def forget(connection: Connection, now: float) -> None:
    """
    Forget what was made good days ago.

    It must be over by the clock of the database, too: a node whose clock is far ahead would take from all the
    others what they count by.
    """
    for statement in _FORGET:
        connection.execute(statement, (now - KEPT_SECONDS,))


def _hold(connection: Connection, places: Iterable[Place]) -> list[tuple[Any, ...]]:
    """Let nobody else change these until it is over; gives their rows, also of those that had none."""
    columns = _columns(sorted(set(places))) or [[], [], []]
    connection.execute(_MAKE, columns)
    return connection.execute(_HOLD, columns).fetchall()


def _budgets(connection: Connection, places: Sequence[Place]) -> dict[Place, Budget]:
    budgets = {place: Budget() for place in places}
    for *place, used, granted, minute, minutes in _hold(connection, budgets):
        budget = budgets[Place(*place)]
        budget.used, budget.granted, budget.minutes = used, granted, Minutes(minute, minutes)
    columns = _columns(budgets) or [[], [], []]
    for *place, run, node, granted, moved, returned, wants, silent in connection.execute(_LOANS, columns):
        loan = NodeLoan(node, granted, moved, returned, wants, silent)
        budgets[Place(*place)].loans[run] = loan
    return budgets


def _put(connection: Connection, budgets: Mapping[Place, Budget], loans: Iterable[Known]) -> None:
    rows = [(*place, one.used, one.minutes.last, one.minutes.bits) for place, one in budgets.items()]
    if rows:
        connection.execute(_PUT_BUDGETS, _columns(rows))
        lent = [(*place, run, *_counts(budgets[place].loans[run])) for place, run in loans]
        connection.execute(_PUT_LOANS, _columns(lent))


def _listening(budgets: Mapping[Place, Budget], run: str) -> list[Known]:
    """
    Who is to be told how these stand: the nodes that were heard of them lately.

    And whoever asks, where it was not told of them before.
    """
    found = []
    for place, budget in budgets.items():
        found += [
            Known(place, name)
            for name, loan in budget.loans.items()
            if name != run and loan.silent < LISTENS_SECONDS
        ]
        mine = budget.loans.get(run)
        if mine is None or mine.silent >= LISTENS_SECONDS:
            found.append(Known(place, run))
    return found


def _tell(connection: Connection, listening: Iterable[Known], ending: Iterable[Place]) -> None:
    rows = [(*place, run) for place, run in listening]
    if rows:
        connection.execute(_TELL, _columns(rows))
    places = list(dict.fromkeys(ending))
    if places:
        connection.execute(_TELL_ALL, _columns(places))


def _stage(budget: Budget, allowed: int) -> int:
    """How near the end of a budget is: all nodes are told when that changes."""
    left = allowed + budget.granted - budget.used
    if left <= 0:
        return 2
    return 1 if left <= allowed / NEAR_PART else 0


def _counts(loan: NodeLoan) -> tuple[Any, ...]:
    return loan.node, loan.granted, loan.moved, loan.returned, loan.wants


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _place(one: NodeAsked | Moved | Charge) -> Place:
    return Place(_spelt(one.limit), _spelt(one.whom), float(one.until))


def _spelt(name: str) -> str:
    """As names stand in the database, in which no text has a NUL."""
    return name.replace("\0", "\\x00") if "\0" in name else name


def _next(seen: str) -> int:
    """The number of the first transaction that had not begun: ``xmin:xmax:those under way``."""
    return int(seen.split(":")[1])
