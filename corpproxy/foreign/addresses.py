"""Addresses as other proxies write them: networks with dotted masks, ranges from one address to another."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
    summarize_address_range,
)

IpNetwork = IPv4Network | IPv6Network

# A range that is cut into more networks than these is a slip.
MAX_NETWORKS = 128


def read_networks(written: str) -> list[IpNetwork]:
    """
    Read ``10.0.0.1``, ``10.0.0.0/8``, ``10.0.0.0/255.0.0.0``, ``10.0.0.1-10.0.0.9``, or a range with a mask.

    Bits behind a mask count for nothing.  Raises ValueError for what is no address.
    """
    rest, slash, mask = written.partition("/")
    first, dash, last = rest.partition("-")
    low = ip_address(first.strip("[]"))
    if not dash:
        return [ip_network(f"{low}/{mask}" if slash else str(low), strict=False)]
    high = ip_address(last.strip("[]"))
    if slash:
        low = ip_network(f"{low}/{mask}", strict=False).network_address
        high = ip_network(f"{high}/{mask}", strict=False).broadcast_address
    return _between(low, high)


def collapsed(networks: list[IpNetwork]) -> list[IpNetwork]:
    """The same addresses in as few networks as can be, IPv4 first."""
    four = [one for one in networks if isinstance(one, IPv4Network)]
    six = [one for one in networks if isinstance(one, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def network_text(network: IpNetwork) -> str:
    """A network as the policy writes it; a single address without a prefix length."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _between(low: IPv4Address | IPv6Address, high: IPv4Address | IPv6Address) -> list[IpNetwork]:
    if isinstance(low, IPv4Address) and isinstance(high, IPv4Address):
        found: list[IpNetwork] = list(summarize_address_range(low, high))
    elif isinstance(low, IPv6Address) and isinstance(high, IPv6Address):
        found = list(summarize_address_range(low, high))
    else:
        raise ValueError("a range has two addresses of one family")
    if len(found) > MAX_NETWORKS:
        raise ValueError(f"the range takes {len(found)} networks")
    return found
