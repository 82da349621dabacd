"""Grants and requests in the store: few, short-lived, and read as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import msgspec

from corpproxy.backends.store.sql import Connection
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import KEPT_SECONDS, AccessRequest

_SAVE_GRANT = """
INSERT INTO given (id, who, host, rule, until, value) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    who = excluded.who, host = excluded.host, rule = excluded.rule,
    until = excluded.until, value = excluded.value
"""
_IN_ITS_PLACE = "DELETE FROM given WHERE who = ? AND host = ? AND rule = ? AND id <> ?"
_SAVE_REQUEST = """
INSERT INTO request (id, at, value) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET at = excluded.at, value = excluded.value
"""

_Kept = TypeVar("_Kept")


def save_grant(connection: Connection, grant: Grant) -> None:
    """Keep a grant, in the place of one for the same person, host and rule."""
    named = plain(grant)
    connection.execute(_IN_ITS_PLACE, (named.who, named.host, named.rule, named.id))
    row = (named.id, named.who, named.host, named.rule, named.until, _written(named))
    connection.execute(_SAVE_GRANT, row)


def end_grant(connection: Connection, id: str) -> None:
    """Forget a grant that was ended."""
    connection.execute("DELETE FROM given WHERE id = ?", (id,))


def load_grants(connection: Connection, now: float) -> list[Grant]:
    """Give the grants that hold at ``now``, the one that ends first first, and forget the others."""
    connection.execute("DELETE FROM given WHERE until <= ?", (now,))
    rows = connection.execute("SELECT id, value FROM given ORDER BY until").fetchall()
    # Those of the first version of the store have no id in them.
    return [replace(msgspec.json.decode(value, type=Grant), id=id) for id, value in rows]


def save_request(connection: Connection, request: AccessRequest) -> None:
    """Keep a request as it is now."""
    named = plain(request)
    connection.execute(_SAVE_REQUEST, (named.id, named.last_at, _written(named)))


def load_requests(connection: Connection, now: float) -> list[AccessRequest]:
    """Give the requests that may still be worth showing, the oldest first, and forget the others."""
    connection.execute("DELETE FROM request WHERE at <= ?", (now - KEPT_SECONDS,))
    rows = connection.execute("SELECT value FROM request ORDER BY at").fetchall()
    return [msgspec.json.decode(value, type=AccessRequest) for (value,) in rows]


def _written(kept: Grant | AccessRequest) -> str:
    return msgspec.json.encode(kept).decode()


def plain(kept: _Kept) -> _Kept:
    """Spell out half characters, which neither JSON nor a database can hold."""
    values = {name: _storable(getattr(kept, name)) for name in kept.__dataclass_fields__}  # type: ignore[attr-defined]
    return replace(kept, **values)  # type: ignore[type-var]


def _storable(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_storable(one) for one in value)
    if type(value) is str:
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value
