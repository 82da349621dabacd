"""The key ``address``: the kinds of network that the addresses of a host belong to, and networks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from ipaddress import ip_address
from operator import or_

from corpproxy.destination.addresses import embedded
from corpproxy.destination.model import AddressClass
from corpproxy.policy.column import Bits, Column, asked_values, refusing
from corpproxy.policy.conditions import Conditions
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import IpNetwork

# Addresses of servers remembered with the rows that accept them, 0.2 KiB each.
MAX_REMEMBERED = 16_384


def address(rows: Sequence[Conditions]) -> Column | None:
    """
    Compile the key; None where no row asks it.

    The addresses themselves are read only where a row names a network.
    """
    asked = asked_values([row.what.address for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_class = {one: rows for one, rows in bits.rows.items() if isinstance(one, AddressClass)}
    by_network = {one: rows for one, rows in bits.rows.items() if not isinstance(one, AddressClass)}
    free = bits.free
    without_class = refusing(rows, reduce(or_, by_class.values(), 0))
    without_addresses = refusing(rows, reduce(or_, by_network.values(), 0))
    inside = _Inside(by_network)

    def mask(facts: Facts) -> int:
        found = free
        classes = facts.address_classes
        if classes is None:
            found |= without_class
        else:
            for kind in classes:
                found |= by_class.get(kind, 0)
        if by_network:
            addresses = facts.addresses
            if addresses is None:
                return found | without_addresses
            for one in addresses:
                found |= inside[one]
        return found

    reads = ("address_classes", "addresses") if by_network else ("address_classes",)
    return Column("address", reads, mask, free)


def is_inside(written: str, network: IpNetwork) -> bool:
    """Whether an address, or an IPv4 address that it leads to, lies in a network."""
    outer = ip_address(written)
    return any(one in network for one in (outer, *embedded(outer)))


class _Inside(dict[str, int]):
    """The rows that accept each address, by the networks that they name."""

    def __init__(self, by_network: Mapping[IpNetwork, int]) -> None:
        super().__init__()
        self._by_network = by_network

    def __missing__(self, written: str) -> int:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        accepting = (rows for network, rows in self._by_network.items() if is_inside(written, network))
        answer = self[written] = reduce(or_, accepting, 0)
        return answer
