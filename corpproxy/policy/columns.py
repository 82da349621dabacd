"""
Conditions compiled: which rows of a table match an exchange, without asking row after row.

A table is a square: a row for each rule, a column for each key of the grammar.  A column knows for each
value (``games``, ``pupils``, ``443``) the rows that accept it, as the bits of one integer; rows that do not
ask the key accept everything.  What a column says of an exchange is one look-up, what the table says is the
``&`` of its columns, and the first match is the lowest bit.  So a decision costs the number of keys, not of
rules.  `explain` reads the same columns, bit by bit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import TypeVar

from corpproxy.policy import columns_host, columns_search
from corpproxy.policy.column import BY_NETWORK, Bits, Column, any_of, asked_values, one_of, refusing
from corpproxy.policy.columns_address import address
from corpproxy.policy.columns_answer import media_type, size
from corpproxy.policy.conditions import Conditions, PortRange
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import ClientNetworks, Networks
from corpproxy.policy.target import extensions_of

# A member of the missing categories that stands for all: a list is missing that might give any category.
EVERY_CATEGORY = "*"

_Value = TypeVar("_Value")


def columns(rows: Sequence[Conditions], networks: Networks, missing: frozenset[str]) -> tuple[Column, ...]:
    """
    Compile the keys that any row asks, cheap ones first; the hours are not among them.

    Raises ValueError for a network that does not exist and for an expression that is none.
    """
    who, what = [row.who for row in rows], [row.what for row in rows]
    groups = attrgetter("identity.groups")
    made = (
        one_of("user", "identity.name", [one.user for one in who], attrgetter("identity.name")),
        _anonymous(rows),
        any_of("group", ("identity.groups",), [one.group for one in who], groups),
        _network(rows, networks),
        one_of("listener", "listener", [one.listener for one in who], attrgetter("listener")),
        _device(rows, networks),
        _category(rows, missing),
        _uncategorised(rows, missing),
        columns_host.domain(rows),
        columns_host.host(rows),
        one_of("method", "method", [one.method for one in what], attrgetter("method")),
        one_of("scheme", "scheme", [one.scheme for one in what], attrgetter("scheme")),
        _port(rows),
        address(rows),
        _looked_up(rows, "country", "countries", [one.country for one in what]),
        _looked_up(rows, "asn", "asns", [one.asn for one in what]),
        media_type(rows),
        size(rows),
        any_of("extension", ("path",), [one.extension for one in what], lambda f: extensions_of(f.path)),
        columns_host.url(rows),
        columns_search.expression(rows),
        columns_search.agent(rows),
    )
    return tuple(column for column in made if column is not None)


def _anonymous(rows: Sequence[Conditions]) -> Column | None:
    asked = [() if row.who.anonymous is None else (row.who.anonymous,) for row in rows]
    return one_of("anonymous", "identity.name", asked, lambda facts: facts.identity.is_anonymous)


def _network(rows: Sequence[Conditions], networks: Networks) -> Column | None:
    asked = [row.who.network for row in rows]
    known = ClientNetworks((name for names in asked for name in names), networks)
    return any_of("network", ("client",), asked, lambda facts: known.of(facts.client))


def _device(rows: Sequence[Conditions], networks: Networks) -> Column | None:
    asked = [row.who.device for row in rows]
    known = ClientNetworks((name for names in asked for name in names), networks)

    def networks_of(facts: Facts) -> tuple[str, ...]:
        return known.of(facts.client) if facts.identity.source == BY_NETWORK else ()

    return any_of("device", ("client", "identity.source"), asked, networks_of)


def _category(rows: Sequence[Conditions], missing: frozenset[str]) -> Column | None:
    def unknown(asking: dict[str, int]) -> int:
        """Where the list is missing that might give a category, what refuses by it refuses everything."""
        found = 0
        for category, rows_asking in asking.items():
            if category in missing or EVERY_CATEGORY in missing:
                found |= rows_asking
        return refusing(rows, found)

    asked = [row.what.category for row in rows]
    return any_of("category", ("categories",), asked, attrgetter("categories"), unknown)


def _uncategorised(rows: Sequence[Conditions], missing: frozenset[str]) -> Column | None:
    asked = [None if row.what.uncategorised is None else (row.what.uncategorised,) for row in rows]
    if not any(asked):
        return None
    bits = Bits(asked)
    without, having = bits.rows[True] | bits.free, bits.rows[False] | bits.free
    if missing:
        # The missing list might know the name; what gives something because no list knows it has to wait.
        without = bits.free | refusing(rows, bits.rows[True])
    return Column(
        "uncategorised", ("categories",), lambda facts: having if facts.categories else without, bits.free
    )


def _port(rows: Sequence[Conditions]) -> Column | None:
    """Single ports are looked up; ranges are cut at their ends into pieces that the same rows accept."""
    if not any(isinstance(port, PortRange) for row in rows for port in row.what.port):
        singles = [[port for port in row.what.port if isinstance(port, int)] for row in rows]
        return one_of("port", "port", singles, attrgetter("port"))
    asked = [[_ends(port) for port in row.what.port] for row in rows]
    free = sum(1 << number for number, ends in enumerate(asked) if not ends)
    cuts = sorted({0} | {cut for ends in asked for low, high in ends for cut in (low, high + 1)})
    accepted = [
        free
        | sum(
            1 << number for number, ends in enumerate(asked) if any(low <= cut <= high for low, high in ends)
        )
        for cut in cuts
    ]
    return Column("port", ("port",), lambda facts: accepted[bisect_right(cuts, facts.port) - 1], free)


def _ends(port: int | PortRange) -> tuple[int, int]:
    return (port, port) if isinstance(port, int) else (port.first, port.last)


def _looked_up(
    rows: Sequence[Conditions], key: str, reads: str, values: Sequence[Sequence[_Value]]
) -> Column | None:
    """A key of which an exchange has several values, found with its address, or None: not known."""
    asked = asked_values(values)
    if asked is None:
        return None
    bits = Bits(asked)
    by_value, free = dict(bits.rows), bits.free
    unknown = free | refusing(rows, ~free)
    known_of = attrgetter(reads)

    def mask(facts: Facts) -> int:
        known = known_of(facts)
        if known is None:
            return unknown
        found = free
        for value in known:
            found |= by_value.get(value, 0)
        return found

    return Column(key, (reads,), mask, free)
