"""
Whether everything that one rule matches another matches too, as far as this can be told from what is written.

It is what finds rules that can never match.  A *yes* is certain while no list is missing; a *no* only means
that it cannot be told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from ipaddress import IPv4Network, IPv6Network
from operator import and_, or_
from typing import Any

from corpproxy.destination.model import AddressClass
from corpproxy.policy.conditions import (
    KEYS,
    Conditions,
    Part,
    PortRange,
    SizeRange,
    UrlPrefix,
    Who,
    asks_nothing,
    demanded,
)
from corpproxy.policy.networks import IpNetwork, Networks, ranges_of

# Whether something that a part asks follows from what another part says.
_Follows = Callable[[Part], bool]


class Implications:
    """
    Which rows of a table each row implies, without holding every row against every other.

    As in ``columns.py``, each key knows the rows that ask each value.  What these bits leave is then looked
    at closely, which is rarely more than a row or two.
    """

    def __init__(self, rows: Sequence[Conditions], networks: Networks) -> None:
        self._rows = rows
        self._networks = networks
        self._keys = [_Asked(side, key, rows) for side, keys in KEYS.items() for key in keys]

    def before(self, number: int) -> Iterator[int]:
        """The rows before one that it implies, the first of them first."""
        later = self._rows[number]
        found = (1 << number) - 1
        for key in self._keys:
            found &= key.may_follow(later)
            if not found:
                return
        while found:
            row = (found & -found).bit_length() - 1
            found &= found - 1
            if implies(later, self._rows[row], self._networks):
                yield row


class _Asked:
    """One key: the rows that do not ask it, and those that ask each value."""

    def __init__(self, side: str, key: str, rows: Sequence[Conditions]) -> None:
        self._side, self._key = side, key
        self._every = (1 << len(rows)) - 1
        self._asking: dict[object, int] = defaultdict(int)
        for number, row in enumerate(rows):
            for value in self._values(getattr(row, side)):
                self._asking[value] |= 1 << number
        self._free = self._every & ~reduce(or_, self._asking.values(), 0)

    def may_follow(self, later: Conditions) -> int:
        """The rows whose values of this key may follow from what other conditions ask."""
        part = getattr(later, self._side)
        if any(inner is not part and self._said(inner) for inner in demanded(part)):
            return self._every
        if not self._said(part):
            return self._free
        if self._key == "domain":
            names = _names(part)
            return self._free | reduce(and_, (self._above(name) for name in names))
        if self._key in _SPECIAL:
            return self._every
        return self._free | reduce(and_, (self._asking.get(value, 0) for value in self._values(part)))

    def _above(self, name: str) -> int:
        """The rows that ask for a name or one above it."""
        found = self._asking.get(name, 0)
        while "." in name:
            name = name.partition(".")[2]
            found |= self._asking.get(name, 0)
        return found

    def _said(self, part: Part) -> bool:
        return bool(self._values(part)) or (self._key == "domain" and bool(_names(part)))

    def _values(self, part: Part) -> Sequence[object]:
        values = getattr(part, self._key)
        return values if isinstance(values, tuple) else () if values is None else (values,)


def implies(later: Conditions, earlier: Conditions, networks: Networks) -> bool:
    """Whether whatever matches ``later`` matches ``earlier``."""
    return (
        part_implies(later.who, earlier.who, networks)
        and part_implies(later.what, earlier.what, networks)
        and _hours_imply(later, earlier)
    )


def part_implies(later: Part, earlier: Part, networks: Networks) -> bool:
    """Whether each thing that ``earlier`` asks follows from something that ``later`` asks."""
    asked = _keys(earlier)
    wider = earlier.not_
    return (
        all(_tells(later, _of_key(key, earlier, networks)) for key in asked)
        and all(part_implies(later, one, networks) for one in earlier.all_)
        and (not earlier.any_ or _tells(later, lambda said: _is_one(said, earlier, networks)))
        and (wider is None or _tells(later, lambda said: _is_outside(said, wider, networks)))
    )


def excludes_itself(part: Part, networks: Networks) -> bool:
    """Whether ``not`` in a part takes out everything that the rest of it asks for."""
    if part.not_ is None or asks_nothing(part.not_):
        return False
    return part_implies(replace(part, not_=None), part.not_, networks)


def _hours_imply(later: Conditions, earlier: Conditions) -> bool:
    if not earlier.when:
        return True
    mine = {one.hours for one in later.when}
    return bool(mine) and mine <= {one.hours for one in earlier.when}


def _keys(part: Part) -> list[str]:
    """The keys that a part itself asks."""
    keys = KEYS["who" if isinstance(part, Who) else "what"]
    return [key for key in keys if getattr(part, key) not in ((), None)]


def _tells(part: Part, follows: _Follows) -> bool:
    """Whether something follows from a part itself, from what must hold with it, or from each alternative."""
    return (
        follows(part)
        or any(_tells(one, follows) for one in part.all_)
        or (bool(part.any_) and all(_tells(one, follows) for one in part.any_))
    )


def _of_key(key: str, earlier: Part, networks: Networks) -> _Follows:
    special = _SPECIAL.get(key)
    if special is not None:
        return lambda said: special(said, earlier, networks)
    wide = frozenset(getattr(earlier, key))
    return lambda said: bool(getattr(said, key)) and wide.issuperset(getattr(said, key))


def _is_one(said: Part, earlier: Part, networks: Networks) -> bool:
    return any(part_implies(said, one, networks) for one in earlier.any_)


def _is_outside(said: Part, narrow: Part, networks: Networks) -> bool:
    """What is not in a wider part is not in a narrower one."""
    return said.not_ is not None and part_implies(narrow, said.not_, networks)


def _network(said: Any, earlier: Any, networks: Networks) -> bool:
    return bool(said.network) and all(_has_network(earlier.network, one, networks) for one in said.network)


def _has_network(wide: Sequence[str], name: str, networks: Networks) -> bool:
    if name in wide:
        return True
    ranges = [one for written in wide for one in ranges_of(written, networks)]
    return all(any(_is_part(one, other) for other in ranges) for one in ranges_of(name, networks))


def _is_part(narrow: IpNetwork, wide: IpNetwork) -> bool:
    if isinstance(narrow, IPv4Network):
        return isinstance(wide, IPv4Network) and narrow.subnet_of(wide)
    return isinstance(wide, IPv6Network) and narrow.subnet_of(wide)


def _anonymous(said: Any, earlier: Any, networks: Networks) -> bool:
    return bool(said.anonymous == earlier.anonymous)


def _address(said: Any, earlier: Any, networks: Networks) -> bool:
    return bool(said.address) and all(_has_address(earlier.address, one) for one in said.address)


def _has_address(wide: Sequence[AddressClass | IpNetwork], narrow: AddressClass | IpNetwork) -> bool:
    if narrow in wide or isinstance(narrow, AddressClass):
        return narrow in wide
    return any(_is_part(narrow, one) for one in wide if not isinstance(one, AddressClass))


def _uncategorised(said: Any, earlier: Any, networks: Networks) -> bool:
    return bool(said.uncategorised == earlier.uncategorised)


def _domain(said: Any, earlier: Any, networks: Networks) -> bool:
    names = _names(said)
    return bool(names) and all(_is_below(name, earlier.domain) for name in names)


def _port(said: Any, earlier: Any, networks: Networks) -> bool:
    return bool(said.port) and all(any(_has_ports(wide, one) for wide in earlier.port) for one in said.port)


def _has_ports(wide: int | PortRange, narrow: int | PortRange) -> bool:
    if isinstance(wide, int):
        return wide == narrow
    return narrow in wide if isinstance(narrow, int) else narrow.first in wide and narrow.last in wide


def _names(part: Any) -> Sequence[str]:
    """The names of which one must be asked for: those of hosts, else of domains, else of URLs."""
    return part.host or part.domain or [url.host for url in part.url]


def _url(said: Any, earlier: Any, networks: Networks) -> bool:
    return bool(said.url) and all(any(_covers(wide, one) for wide in earlier.url) for one in said.url)


def _media_type(said: Any, earlier: Any, networks: Networks) -> bool:
    wide = earlier.media_type
    return bool(said.media_type) and all(
        one in wide or f"{one.partition('/')[0]}/*" in wide for one in said.media_type
    )


def _size(said: Any, earlier: Any, networks: Networks) -> bool:
    return bool(said.size) and all(any(_has_sizes(wide, one) for wide in earlier.size) for one in said.size)


def _has_sizes(wide: SizeRange, narrow: SizeRange) -> bool:
    if wide.least > narrow.least:
        return False
    return wide.most is None or (narrow.most is not None and narrow.most <= wide.most)


def _is_below(name: str, domains: Sequence[str]) -> bool:
    return any(name == domain or name.endswith("." + domain) for domain in domains)


def _covers(wide: UrlPrefix, narrow: UrlPrefix) -> bool:
    return (
        _is_below(narrow.host, (wide.host,))
        and wide.port in (0, narrow.port)
        and wide.covers_path(narrow.path)
    )


# The keys for which more than the same values must be compared.
_SPECIAL: dict[str, Callable[[Any, Any, Networks], bool]] = {
    "network": _network,
    "address": _address,
    "anonymous": _anonymous,
    "uncategorised": _uncategorised,
    "domain": _domain,
    "port": _port,
    "url": _url,
    "media_type": _media_type,
    "size": _size,
}
