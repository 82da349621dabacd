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
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from corpproxy.policy.column import BY_NETWORK, Bits, Column, asked_values, refusing
from corpproxy.policy.columns_address import address
from corpproxy.policy.columns_answer import media_type, size
from corpproxy.policy.conditions import Conditions, PortRange, UrlPrefix, compile_expression
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import ClientNetworks, Networks
from corpproxy.policy.target import extensions_of, normal_path, target_uri

# A member of the missing categories that stands for all: a list is missing that might give any category.
EVERY_CATEGORY = "*"

# Agents remembered with the rows that accept them, 0.3 KiB each.
MAX_AGENTS = 2_048

_Value = TypeVar("_Value")


def columns(rows: Sequence[Conditions], networks: Networks, missing: frozenset[str]) -> tuple[Column, ...]:
    """
    Compile the keys that any row asks, cheap ones first; the hours are not among them.

    Raises ValueError for a network that does not exist and for an expression that is none.
    """
    who, what = [row.who for row in rows], [row.what for row in rows]
    made = (
        _user(rows),
        _anonymous(rows),
        _group(rows),
        _network(rows, networks),
        _single("listener", "listener", [one.listener for one in who]),
        _device(rows, networks),
        _category(rows, missing),
        _uncategorised(rows, missing),
        _domain(rows),
        _host(rows),
        _single("method", "method", [one.method for one in what]),
        _single("scheme", "scheme", [one.scheme for one in what]),
        _port(rows),
        address(rows),
        _looked_up(rows, "country", "countries", [one.country for one in what]),
        _looked_up(rows, "asn", "asns", [one.asn for one in what]),
        media_type(rows),
        size(rows),
        _extension(rows),
        _url(rows),
        _expression(rows),
        _agent(rows),
    )
    return tuple(column for column in made if column is not None)


def _single(key: str, reads: str, values: Sequence[Sequence[str | int]]) -> Column | None:
    """A key for which an exchange has one value."""
    asked = asked_values(values)
    if asked is None:
        return None
    bits = Bits(asked)
    by_value, free = bits.or_free(), bits.free
    return Column(key, (reads,), lambda facts: by_value.get(getattr(facts, reads), free))


def _port(rows: Sequence[Conditions]) -> Column | None:
    """Single ports are looked up; ranges are cut at their ends into pieces that the same rows accept."""
    if not any(isinstance(port, PortRange) for row in rows for port in row.what.port):
        singles = [[port for port in row.what.port if isinstance(port, int)] for row in rows]
        return _single("port", "port", singles)
    asked = [[_ends(port) for port in row.what.port] for row in rows]
    cuts = sorted({0} | {cut for ends in asked for low, high in ends for cut in (low, high + 1)})
    accepted = [
        sum(
            1 << number
            for number, ends in enumerate(asked)
            if not ends or any(low <= cut <= high for low, high in ends)
        )
        for cut in cuts
    ]
    return Column("port", ("port",), lambda facts: accepted[bisect_right(cuts, facts.port) - 1])


def _ends(port: int | PortRange) -> tuple[int, int]:
    return (port, port) if isinstance(port, int) else (port.first, port.last)


def _user(rows: Sequence[Conditions]) -> Column | None:
    asked = asked_values([row.who.user for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_name, free = bits.or_free(), bits.free
    return Column("user", ("identity.name",), lambda facts: by_name.get(facts.identity.name, free))


def _anonymous(rows: Sequence[Conditions]) -> Column | None:
    asked = [None if row.who.anonymous is None else (row.who.anonymous,) for row in rows]
    if not any(asked):
        return None
    bits = Bits(asked)
    named, unnamed = bits.rows[False] | bits.free, bits.rows[True] | bits.free
    return Column("anonymous", ("identity.name",), lambda facts: named if facts.identity.name else unnamed)


def _group(rows: Sequence[Conditions]) -> Column | None:
    asked = asked_values([row.who.group for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_group, free = dict(bits.rows), bits.free

    def mask(facts: Facts) -> int:
        found = free
        for group in facts.identity.groups:
            if group in by_group:
                found |= by_group[group]
        return found

    return Column("group", ("identity.groups",), mask)


def _network(rows: Sequence[Conditions], networks: Networks) -> Column | None:
    asked = asked_values([row.who.network for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_network, free = dict(bits.rows), bits.free
    known = ClientNetworks(by_network, networks)

    def mask(facts: Facts) -> int:
        found = free
        for name in known.of(facts.client):
            found |= by_network[name]
        return found

    return Column("network", ("client",), mask)


def _device(rows: Sequence[Conditions], networks: Networks) -> Column | None:
    asked = asked_values([row.who.device for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_device, free = dict(bits.rows), bits.free
    known = ClientNetworks(by_device, networks)

    def mask(facts: Facts) -> int:
        found = free
        if facts.identity.source == BY_NETWORK:
            for name in known.of(facts.client):
                found |= by_device[name]
        return found

    return Column("device", ("client", "identity.source"), mask)


def _category(rows: Sequence[Conditions], missing: frozenset[str]) -> Column | None:
    asked = asked_values([row.what.category for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_category = dict(bits.rows)
    unknown = 0
    for category, asking in by_category.items():
        if category in missing or EVERY_CATEGORY in missing:
            unknown |= asking
    free = bits.free | refusing(rows, unknown)

    def mask(facts: Facts) -> int:
        found = free
        for category in facts.categories:
            if category in by_category:
                found |= by_category[category]
        return found

    return Column("category", ("categories",), mask)


def _uncategorised(rows: Sequence[Conditions], missing: frozenset[str]) -> Column | None:
    asked = [None if row.what.uncategorised is None else (row.what.uncategorised,) for row in rows]
    if not any(asked):
        return None
    bits = Bits(asked)
    without, having = bits.rows[True] | bits.free, bits.rows[False] | bits.free
    if missing:
        # The missing list might know the name; what gives something because no list knows it has to wait.
        without = bits.free | refusing(rows, bits.rows[True])
    return Column("uncategorised", ("categories",), lambda facts: having if facts.categories else without)


def _domain(rows: Sequence[Conditions]) -> Column | None:
    asked = asked_values([row.what.domain for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_domain, free = dict(bits.rows), bits.free

    def mask(facts: Facts) -> int:
        found = free
        host = facts.host
        name = host.name
        if host.address is not None:
            return found | by_domain.get(name, 0)
        while True:
            if name in by_domain:
                found |= by_domain[name]
            dot = name.find(".") + 1
            if not dot:
                return found
            name = name[dot:]

    return Column("domain", ("host.name",), mask)


def _host(rows: Sequence[Conditions]) -> Column | None:
    asked = asked_values([row.what.host for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_host, free = bits.or_free(), bits.free
    return Column("host", ("host.name",), lambda facts: by_host.get(facts.host.name, free))


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

    def mask(facts: Facts) -> int:
        known = getattr(facts, reads)
        if known is None:
            return unknown
        found = free
        for value in known:
            found |= by_value.get(value, 0)
        return found

    return Column(key, (reads,), mask)


def _extension(rows: Sequence[Conditions]) -> Column | None:
    asked = asked_values([row.what.extension for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_extension, free = dict(bits.rows), bits.free

    def mask(facts: Facts) -> int:
        found = free
        for extension in extensions_of(facts.path):
            found |= by_extension.get(extension, 0)
        return found

    return Column("extension", ("path",), mask)


def _url(rows: Sequence[Conditions]) -> Column | None:
    asked = asked_values([row.what.url for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    free = bits.free
    by_host: dict[str, list[tuple[UrlPrefix, int]]] = defaultdict(list)
    for prefix, accepting in bits.rows.items():
        by_host[prefix.host].append((prefix, accepting))

    def mask(facts: Facts) -> int:
        found = free
        name = facts.host.name
        is_name = facts.host.address is None
        path: str | None = None
        while True:
            for prefix, accepting in by_host.get(name, ()):
                if path is None:
                    path = normal_path(facts.path)
                if prefix.port in (0, facts.port) and prefix.covers_path(path):
                    found |= accepting
            dot = name.find(".") + 1
            if not dot or not is_name:
                return found
            name = name[dot:]

    return Column("url", ("host.name", "port", "path"), mask)


def _expression(rows: Sequence[Conditions]) -> Column | None:
    found_in = _searched([row.what.expression for row in rows])
    if found_in is None:
        return None
    reads = ("host.name", "port", "scheme", "path")
    return Column("expression", reads, lambda facts: found_in(target_uri(facts)))


def _agent(rows: Sequence[Conditions]) -> Column | None:
    found_in = _searched([row.who.agent for row in rows])
    if found_in is None:
        return None
    # A site has a few hundred different ones, and a search costs as much as all other keys together.
    remembered: dict[str, int] = {}

    def mask(facts: Facts) -> int:
        found = remembered.get(facts.agent)
        if found is None:
            if len(remembered) >= MAX_AGENTS:
                remembered.clear()
            found = remembered[facts.agent] = found_in(facts.agent)
        return found

    return Column("agent", ("agent",), mask)


def _searched(values: Sequence[Sequence[str]]) -> Callable[[str], int] | None:
    """A key of expressions: the rows of which one is found in a text."""
    asked = asked_values(values)
    if asked is None:
        return None
    bits = Bits(asked)
    free = bits.free
    each = [(compile_expression(written), accepting) for written, accepting in bits.rows.items()]
    found_any = _union(list(bits.rows))

    def found_in(text: str) -> int:
        octets = text.encode("utf-8", "replace")
        found = free
        # One search for all of them settles the common case, in which none is there.
        if found_any(octets):
            for expression, accepting in each:
                if expression.search(octets):
                    found |= accepting
        return found

    return found_in


def _union(written: list[str]) -> Callable[[bytes], bool]:
    """Give a search for any of some expressions at once; those too large for one program stay apart."""
    try:
        search = compile_expression("|".join(f"(?:{one})" for one in written)).search
    except ValueError:
        half = len(written) // 2
        if not half:
            raise
        left, right = _union(written[:half]), _union(written[half:])
        return lambda uri: left(uri) or right(uri)
    return lambda uri: search(uri) is not None
