"""
Erasing in the SQLite store: who moved octets, who was let through, who asked.

Sums stay: what a person moved counts for nobody from then on.  SQLite is told to overwrite what is deleted
(``secure_delete``), and its log is folded into the file afterwards, so that no octet of a name stays in it.
"""

from __future__ import annotations

import msgspec

from corpproxy.accounting.ledger import OTHER_HOSTS, SLOT_SECONDS
from corpproxy.audit.erasure import ADDRESS, Erasure, Reached, is_below
from corpproxy.backends.store import rollup as store_rollup
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.usage import storable
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


def erase(connection: Connection, erasure: Erasure, now: float, *, counts_only: bool) -> list[Reached]:
    """Erase inside a transaction of the caller's, or only count."""
    rows = _erase_usage(connection, erasure, counts_only=counts_only)
    rows += store_rollup.erase(connection, erasure, counts_only=counts_only)
    if rows and not counts_only:
        store_rollup.drop_unused_terms(connection)
    found = [Reached(USAGE, rows)]
    found.append(_erase_requests(connection, erasure, counts_only=counts_only))
    found.append(_erase_grants(connection, erasure, now, counts_only=counts_only))
    return found


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
    rows = _merge(connection, f"slot < {last} AND ({differs})", {}, instead, counts_only=False)
    old = Erasure(until=float(last), groups=(group,))
    rows += store_rollup.erase(connection, old, counts_only=False)
    if rows:
        store_rollup.drop_unused_terms(connection)
    return rows


def _erase_usage(connection: Connection, erasure: Erasure, *, counts_only: bool) -> int:
    """Count the rows of a person, a device, a host for nobody, or for no host in particular."""
    bounds = {"since": _first(erasure.since), "until": _end(erasure.until)}
    where, instead = ["slot >= :since AND slot < :until"], dict[str, str]()
    for kind, named, nothing in (
        ("user", erasure.user, _NOBODY),
        ("device", erasure.client, _NOBODY),
        ("host", erasure.host, _NOWHERE),
    ):
        if named:
            where.append(f"{kind} IN ({_named(connection, kind, named)})")
            instead.update(nothing)
    if not instead:
        return 0
    to = _terms(connection, instead) if not counts_only else {}
    return _merge(connection, " AND ".join(where), bounds, to, counts_only=counts_only)


def _merge(
    connection: Connection,
    where: str,
    bounds: dict[str, int],
    instead: dict[str, int],
    *,
    counts_only: bool,
) -> int:
    """Add rows to those that have the terms of ``instead``, and take their own away; gives how many."""
    (count,) = connection.execute(f"SELECT count(*) FROM usage WHERE {where}", bounds).fetchone()
    if count and not counts_only:
        # Through a table of its own: a row that is added to must not be one that is taken away.
        to = {column: str(instead.get(column, column)) for column in ("user", "host", "device")}
        connection.execute("DROP TABLE IF EXISTS moved_usage")
        connection.execute(f"CREATE TEMP TABLE moved_usage AS SELECT * FROM usage WHERE {where}", bounds)
        connection.execute(f"DELETE FROM usage WHERE {where}", bounds)
        connection.execute(_MERGE.format(**to))
        connection.execute("DROP TABLE moved_usage")
    return int(count)


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


def _erase_requests(connection: Connection, erasure: Erasure, *, counts_only: bool) -> Reached:
    rows = connection.execute("SELECT id, value FROM request").fetchall()
    requests = [(id, msgspec.json.decode(value, type=AccessRequest)) for id, value in rows]
    concerned = [id for id, request in requests if is_asked_by(erasure, request)]
    if not counts_only:
        connection.executemany("DELETE FROM request WHERE id = ?", [(id,) for id in concerned])
    return Reached(REQUESTS, len(concerned))


def is_asked_by(erasure: Erasure, request: AccessRequest) -> bool:
    """Whether a request is concerned: by who asked or decided, or by where to."""
    hosts = (request.host, *(host for host, _ in request.also))
    return any(
        erasure.concerns(user=name, client=request.client, host=host, at=request.at)
        for host in hosts
        for name in (request.who, request.by)
    )


def _erase_grants(connection: Connection, erasure: Erasure, now: float, *, counts_only: bool) -> Reached:
    """Grants that are over go; those that hold last a day at the most, and stay until then."""
    rows = [
        (id, msgspec.json.decode(value, type=Grant))
        for id, value in connection.execute("SELECT id, value FROM given").fetchall()
    ]
    concerned = [(id, grant) for id, grant in rows if _given(erasure, grant)]
    over = [(id,) for id, grant in concerned if grant.until <= now]
    if not counts_only:
        connection.executemany("DELETE FROM given WHERE id = ?", over)
    hold = len(concerned) - len(over)
    said = f"{hold} still hold and go when they end, within a day" if hold else ""
    return Reached(GRANTS, len(over), said=said)


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
