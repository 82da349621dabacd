"""
Quotas in a store that nodes share: each charges what its people moved, and reads what stands for all.

Charges are differences, so that their order does not matter.  Each transaction that charges has a number, and
rows carry that of the last: whoever knows the number it saw last reads what changed since, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpproxy.accounting.quotas import Charge, Kept
from corpproxy.backends.store.sql import Connection

NOTHING_SEEN = -1

_CHARGE = """
INSERT INTO quota ("limit", whom, until, used, granted, changed) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT ("limit", whom) DO UPDATE SET
    used = CASE WHEN quota.until < excluded.until THEN excluded.used ELSE quota.used + excluded.used END,
    granted = CASE
        WHEN quota.until < excluded.until THEN excluded.granted ELSE quota.granted + excluded.granted
    END,
    until = excluded.until,
    changed = excluded.changed
WHERE quota.until <= excluded.until
"""
_CHANGED = 'SELECT "limit", whom, until, used, granted FROM quota WHERE changed > ? AND until > ?'


def charge(connection: Connection, charges: Sequence[Charge]) -> None:
    """Charge members; what is late for a quota that was made good meanwhile is left out."""
    # Whoever charges waits for the one before: the numbers are seen in the order in which they were given.
    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'charged'")
    number = _number(connection)
    connection.executemany(_CHARGE, [(*one, number) for one in sorted(charges)])


def changed(connection: Connection, seen: int, now: float) -> tuple[list[Kept], int]:
    """Give how members stand that were charged since the number ``seen``, and the number that is seen now."""
    number = _number(connection)
    if number == seen:
        return [], seen
    rows = connection.execute(_CHANGED, (seen, now)).fetchall()
    return [Kept(*row) for row in rows], number


def forget(connection: Connection, now: float) -> None:
    """Forget what was made good again."""
    connection.execute("DELETE FROM quota WHERE until <= ?", (now,))


def _number(connection: Connection) -> int:
    (number,) = connection.execute("SELECT value FROM meta WHERE name = 'charged'").fetchone()
    return int(number)
