"""
Erasing in the SQLite store: who moved octets, who was let through, who asked.

Sums stay: what a person moved counts for nobody from then on.  SQLite is told to overwrite what is deleted
(``secure_delete``), and its log is folded into the file afterwards, so that no octet of a name stays in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from corpproxy.accounting.ledger import OTHER_HOSTS, SLOT_SECONDS
from corpproxy.audit.erasure import ADDRESS, Erasure, Reached, is_below
from corpproxy.backends.store import rollup as store_rollup
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.usage import storable
from corpproxy.counted import counted
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest

USAGE = "usage"
REQUESTS = "requests"
GRANTS = "grants"

_COLUMNS = "slot, user, groups, categories, host, device, rule, received, sent, exchanges, minutes"
_MERGE = f"""
INSERT INTO usage ({_COLUMNS})
SELECT slot, {{user}}, groups, categories, {{host}}, {{device}}, rule,
    SUM(received), SUM(sent), SUM(exchanges), SUM(minutes)
FROM moved_usage WHERE true GROUP BY 1, 2, 3, 4, 5, 6, 7
ON CONFLICT (slot, user, groups, categories, host, device, rule) DO UPDATE SET
    received = usage.received + excluded.received,
    sent = usage.sent + excluded.sent,
    exchanges = usage.exchanges + excluded.exchanges,
    minutes = usage.minutes + excluded.minutes
"""
# What stands for nobody, and for no host in particular.
_NOBODY = {"user": "", "device": ""}
_NOWHERE = {"host": OTHER_HOSTS}
_HOLDS = "still holds and goes when it ends", "still hold and go when they end"


def erase(connection: Connection, erasure: Erasure, now: float) -> list[Reached]:
    """Erase inside a transaction of the caller's; gives what was reached."""
    rows = _erase_usage(connection, erasure)
    rows += store_rollup.erase(connection, erasure)
    if rows:
        store_rollup.drop_unused_terms(connection)
    requests = _requests(connection, erasure)
    connection.executemany("DELETE FROM request WHERE id = ?", requests)
    grants, hold = _grants(connection, erasure, now)
    connection.executemany("DELETE FROM given WHERE id = ?", grants)
    return _reached(rows, len(requests), len(grants), hold)


def concerned(connection: Connection, erasure: Erasure, now: float) -> list[Reached]:
    """What `erase` would reach."""
    rows = _count_usage(connection, erasure) + store_rollup.concerned(connection, erasure)
    grants, hold = _grants(connection, erasure, now)
    return _reached(rows, len(_requests(connection, erasure)), len(grants), hold)


def _reached(usage: int, requests: int, grants: int, hold: int) -> list[Reached]:
    said = f"{counted(hold, *_HOLDS)}, within a day" if hold else ""
    return [Reached(USAGE, usage), Reached(REQUESTS, requests), Reached(GRANTS, grants, said=said)]


def drop_before(connection: Connection, moment: float) -> int:
    """Delete the sums of slots that ended before ``moment``; gives how many."""
    last = int(moment) // SLOT_SECONDS * SLOT_SECONDS
    gone = connection.execute("DELETE FROM usage WHERE slot < ?", (last,)).rowcount
    gone += store_rollup.drop_before(connection, last)
    if gone:
        store_rollup.drop_unused_terms(connection)
    return gone


def grow_old(connection: Connection, group: str, moment: float) -> int:
    """
    Take hosts (the group ``where``) or people (``who``) out of the sums of before a moment.

    The sums stay, for hosts that are not told apart or for nobody; gives how many lost something.
    """
    last = int(moment) // SLOT_SECONDS * SLOT_SECONDS
    instead = _terms(connection, _NOWHERE if group == "where" else _NOBODY)
    differs = " OR ".join(f"{column} <> {number}" for column, number in instead.items())
    rows = _merge(connection, _Rows(f"slot < {last} AND ({differs})", {}), instead)
    old = Erasure(until=float(last), groups=(group,))
    rows += store_rollup.erase(connection, old)
    if rows:
        store_rollup.drop_unused_terms(connection)
    return rows


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of usage: the condition, and what is bound in it."""

    where: str
    bounds: dict[str, int]


def _count_usage(connection: Connection, erasure: Erasure) -> int:
    return _count(connection, _concerned(connection, erasure)) if _instead(erasure) else 0


def _erase_usage(connection: Connection, erasure: Erasure) -> int:
    """Count the rows of a person, a device, a host for nobody, or for no host in particular."""
    instead = _instead(erasure)
    if not instead:
        return 0
    rows = _concerned(connection, erasure)
    return _merge(connection, rows, _terms(connection, instead))


def _instead(erasure: Erasure) -> dict[str, str]:
    """What stands in the place of what is erased; nothing where no sum is concerned."""
    nobody = _NOBODY if erasure.user or erasure.client else {}
    return {**nobody, **(_NOWHERE if erasure.host else {})}


def _concerned(connection: Connection, erasure: Erasure) -> _Rows:
    named = (("user", erasure.user), ("device", erasure.client), ("host", erasure.host))
    terms = [f"{kind} IN ({_named(connection, kind, name)})" for kind, name in named if name]
    bounds = {"since": _first(erasure.since), "until": _end(erasure.until)}
    return _Rows(" AND ".join(["slot >= :since AND slot < :until", *terms]), bounds)


def _count(connection: Connection, rows: _Rows) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM usage WHERE {rows.where}", rows.bounds).fetchone()
    return int(count)


def _merge(connection: Connection, rows: _Rows, instead: dict[str, int]) -> int:
    """Add rows to those that have the terms of ``instead``, and take their own away; gives how many."""
    count = _count(connection, rows)
    if count:
        # Through a table of its own: a row that is added to must not be one that is taken away.
        to = {column: str(instead.get(column, column)) for column in ("user", "host", "device")}
        connection.execute("DROP TABLE IF EXISTS moved_usage")
        moved = f"CREATE TEMP TABLE moved_usage AS SELECT * FROM usage WHERE {rows.where}"
        connection.execute(moved, rows.bounds)
        connection.execute(f"DELETE FROM usage WHERE {rows.where}", rows.bounds)
        connection.execute(_MERGE.format(**to))
        connection.execute("DROP TABLE moved_usage")
    return count


def _named(connection: Connection, kind: str, name: str) -> str:
    """The numbers of a term; of a host and all below it."""
    if kind != "host":
        rows = connection.execute("SELECT id FROM term WHERE kind = ? AND text = ?", (kind, storable(name)))
        return ", ".join(str(id) for (id,) in rows) or "NULL"
    terms = connection.execute("SELECT id, text FROM term WHERE kind = 'host'")
    return ", ".join(str(id) for id, text in terms.fetchall() if is_below(text, name)) or "NULL"


def _terms(connection: Connection, texts: dict[str, str]) -> dict[str, int]:
    return {kind: _term(connection, kind, text) for kind, text in texts.items()}


def _term(connection: Connection, kind: str, text: str) -> int:
    connection.execute("INSERT INTO term (kind, text) VALUES (?, ?) ON CONFLICT DO NOTHING", (kind, text))
    (id,) = connection.execute("SELECT id FROM term WHERE kind = ? AND text = ?", (kind, text)).fetchone()
    return int(id)


def _requests(connection: Connection, erasure: Erasure) -> list[tuple[str]]:
    """The ids of the requests that are concerned."""
    rows = connection.execute("SELECT id, value FROM request").fetchall()
    requests = [(id, msgspec.json.decode(value, type=AccessRequest)) for id, value in rows]
    return [(id,) for id, request in requests if is_asked_by(erasure, request)]


def is_asked_by(erasure: Erasure, request: AccessRequest) -> bool:
    """Whether a request is concerned: by who asked or decided, or by where to."""
    hosts = (request.host, *(host for host, _ in request.also))
    return any(
        erasure.concerns(user=name, client=request.client, host=host, at=request.at)
        for host in hosts
        for name in (request.who, request.by)
    )


def _grants(connection: Connection, erasure: Erasure, now: float) -> tuple[list[tuple[str]], int]:
    """
    The ids of the grants that are concerned and over, and how many are concerned and hold.

    Those last a day at the most, and stay until then.
    """
    rows = connection.execute("SELECT id, value FROM given").fetchall()
    grants = [(id, msgspec.json.decode(value, type=Grant)) for id, value in rows]
    found = [(id, grant) for id, grant in grants if _given(erasure, grant)]
    over = [(id,) for id, grant in found if grant.until <= now]
    return over, len(found) - len(over)


def _given(erasure: Erasure, grant: Grant) -> bool:
    client = grant.who.removeprefix(ADDRESS) if grant.who.startswith(ADDRESS) else ""
    return any(
        erasure.concerns(user=name, client=client, host=host, at=grant.since)
        for host in grant.hosts
        for name in (grant.who, grant.given_by)
    )


def _first(since: float) -> int:
    return -int(-since // SLOT_SECONDS) * SLOT_SECONDS if since else 0


def _end(until: float) -> int:
    """The slot in which an erasure ends belongs to it: rather a quarter of an hour more than less."""
    return 2**62 if until > 2**62 else -int(-until // SLOT_SECONDS) * SLOT_SECONDS
