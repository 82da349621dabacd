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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from corpproxy.policy.conditions import Conditions, PortRange, UrlPrefix, compile_expression
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import ClientNetworks, Networks
from corpproxy.policy.target import normal_path, target_uri

# A member of the missing categories that stands for all: a list is missing that might give any category.
EVERY_CATEGORY = "*"

_Value = TypeVar("_Value")
Mask = Callable[[Facts], int]


@dataclass(frozen=True, slots=True)
class Column:
    """
    One key of the grammar over all rows of a table.

    ``key`` is its name in the policy, ``reads`` the attributes of `Facts` that it looks at (dotted), and
    ``mask`` gives the rows that accept an exchange, row 0 in the lowest bit.
    """

    key: str
    reads: tuple[str, ...]
    mask: Mask


class _Bits(Generic[_Value]):
    """The rows of one key: those that do not ask it, and for each value those that accept it."""

    def __init__(self, asked: Sequence[Iterable[_Value] | None]) -> None:
        self.free = 0
        self.rows: dict[_Value, int] = defaultdict(int)
        for number, values in enumerate(asked):
            if values is None:
                self.free |= 1 << number
            for value in values or ():
                self.rows[value] |= 1 << number

    def or_free(self) -> dict[_Value, int]:
        """The rows of each value together with those that ask for none."""
        return {value: rows | self.free for value, rows in self.rows.items()}


def columns(rows: Sequence[Conditions], networks: Networks, missing: frozenset[str]) -> tuple[Column, ...]:
    """
    Compile the keys that any row asks, cheap ones first; the hours are not among them.

    Raises ValueError for a network that does not exist and for an expression that is none.
    """
    made = (
        _user(rows),
        _anonymous(rows),
        _group(rows),
        _network(rows, networks),
        _single(rows, "listener", "listener", [row.who.listener for row in rows]),
        _category(rows, missing),
        _uncategorised(rows, missing),
        _domain(rows),
        _single(rows, "method", "method", [row.what.method for row in rows]),
        _single(rows, "scheme", "scheme", [row.what.scheme for row in rows]),
        _port(rows),
        _address(rows),
        _url(rows),
        _expression(rows),
    )
    return tuple(column for column in made if column is not None)


def _asked(values: Sequence[Sequence[_Value]]) -> list[Sequence[_Value] | None] | None:
    """For each row its values, or None where it has none; None altogether where no row asks."""
    return [row or None for row in values] if any(values) else None


def _refusing(rows: Sequence[Conditions], asking: int) -> int:
    """Of the rows in ``asking`` those that take something away."""
    return sum(1 << number for number, row in enumerate(rows) if row.refuses and asking >> number & 1)


def _single(
    rows: Sequence[Conditions], key: str, reads: str, values: Sequence[Sequence[str | int]]
) -> Column | None:
    """A key for which an exchange has one value."""
    asked = _asked(values)
    if asked is None:
        return None
    bits = _Bits(asked)
    by_value, free = bits.or_free(), bits.free
    return Column(key, (reads,), lambda facts: by_value.get(getattr(facts, reads), free))


def _port(rows: Sequence[Conditions]) -> Column | None:
    """Single ports are looked up; ranges are cut at their ends into pieces that the same rows accept."""
    if not any(isinstance(port, PortRange) for row in rows for port in row.what.port):
        singles = [[port for port in row.what.port if isinstance(port, int)] for row in rows]
        return _single(rows, "port", "port", singles)
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
    asked = _asked([row.who.user for row in rows])
    if asked is None:
        return None
    bits = _Bits(asked)
    by_name, free = bits.or_free(), bits.free
    return Column("user", ("identity.name",), lambda facts: by_name.get(facts.identity.name, free))


def _anonymous(rows: Sequence[Conditions]) -> Column | None:
    asked = [None if row.who.anonymous is None else (row.who.anonymous,) for row in rows]
    if not any(asked):
        return None
    bits = _Bits(asked)
    named, unnamed = bits.rows[False] | bits.free, bits.rows[True] | bits.free
    return Column("anonymous", ("identity.name",), lambda facts: named if facts.identity.name else unnamed)


def _group(rows: Sequence[Conditions]) -> Column | None:
    asked = _asked([row.who.group for row in rows])
    if asked is None:
        return None
    bits = _Bits(asked)
    by_group, free = dict(bits.rows), bits.free

    def mask(facts: Facts) -> int:
        found = free
        for group in facts.identity.groups:
            if group in by_group:
                found |= by_group[group]
        return found

    return Column("group", ("identity.groups",), mask)


def _network(rows: Sequence[Conditions], networks: Networks) -> Column | None:
    asked = _asked([row.who.network for row in rows])
    if asked is None:
        return None
    bits = _Bits(asked)
    by_network, free = dict(bits.rows), bits.free
    known = ClientNetworks(by_network, networks)

    def mask(facts: Facts) -> int:
        found = free
        for name in known.of(facts.client):
            found |= by_network[name]
        return found

    return Column("network", ("client",), mask)


def _category(rows: Sequence[Conditions], missing: frozenset[str]) -> Column | None:
    asked = _asked([row.what.category for row in rows])
    if asked is None:
        return None
    bits = _Bits(asked)
    by_category = dict(bits.rows)
    unknown = 0
    for category, asking in by_category.items():
        if category in missing or EVERY_CATEGORY in missing:
            unknown |= asking
    free = bits.free | _refusing(rows, unknown)

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
    bits = _Bits(asked)
    without, having = bits.rows[True] | bits.free, bits.rows[False] | bits.free
    if missing:
        # The missing list might know the name; what gives something because no list knows it has to wait.
        without = bits.free | _refusing(rows, bits.rows[True])
    return Column("uncategorised", ("categories",), lambda facts: having if facts.categories else without)


def _domain(rows: Sequence[Conditions]) -> Column | None:
    asked = _asked([row.what.domain for row in rows])
    if asked is None:
        return None
    bits = _Bits(asked)
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


def _address(rows: Sequence[Conditions]) -> Column | None:
    asked = _asked([row.what.address for row in rows])
    if asked is None:
        return None
    bits = _Bits(asked)
    by_class, free = dict(bits.rows), bits.free
    every = (1 << len(rows)) - 1
    unknown = free | _refusing(rows, every & ~free)

    def mask(facts: Facts) -> int:
        if facts.address_classes is None:
            return unknown
        found = free
        for kind in facts.address_classes:
            found |= by_class.get(kind, 0)
        return found

    return Column("address", ("address_classes",), mask)


def _url(rows: Sequence[Conditions]) -> Column | None:
    asked = _asked([row.what.url for row in rows])
    if asked is None:
        return None
    bits = _Bits(asked)
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
    asked = _asked([row.what.expression for row in rows])
    if asked is None:
        return None
    bits = _Bits(asked)
    free = bits.free
    each = [(compile_expression(written), accepting) for written, accepting in bits.rows.items()]
    found_any = _union(list(bits.rows))

    def mask(facts: Facts) -> int:
        uri = target_uri(facts).encode("utf-8", "replace")
        found = free
        # One search for all of them settles the common case, in which none is there.
        if found_any(uri):
            for expression, accepting in each:
                if expression.search(uri):
                    found |= accepting
        return found

    return Column("expression", ("host.name", "port", "scheme", "path"), mask)


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
