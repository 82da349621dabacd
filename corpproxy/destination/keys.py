"""
Entries and destinations as keys of one trie, such that an entry covers what its key begins.

A name is written backwards with a dot behind it (``moc.elpmaxe.``): the key of every name below begins with
it, and whole labels alone match.  Networks are their bits behind ``:4`` or ``:6``, URLs are the
backward name between slashes with the path behind (``/moc.elpmaxe./news``).  No name begins with either
mark, so that the three kinds do not meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from corpproxy.destination.entries import Entry, Kind, network_text
from corpproxy.destination.model import Host

_URL = "/"
_NETWORK = ":"


def entry_key(entry: Entry) -> str:
    """Give the key of an entry (expressions have none: ValueError)."""
    kind, text = entry
    if kind is Kind.NAME:
        return text[::-1] + "."
    if kind is Kind.NETWORK:
        return _bits(ip_network(text))
    if kind is Kind.URL:
        host, slash, path = text.partition("/")
        return f"{_URL}{host.strip('[]')[::-1]}.{slash}{path}"
    raise ValueError("expressions are no keys")


def key_text(key: str) -> str:
    """Give back the text of the entry that a key was made of."""
    mark = key[0]
    if mark == _NETWORK:
        return _network(key)
    if mark == _URL:
        host, path = key[1:].split("./", 1)
        name = host[::-1]
        return f"[{name}]/{path}" if ":" in name else f"{name}/{path}"
    return key[-2::-1]


def is_url_key(key: str) -> bool:
    """Whether a key is that of a URL."""
    return key[:1] == _URL


def is_name_key(key: str) -> bool:
    """Whether a key is that of a name."""
    return key[:1] not in (_URL, _NETWORK)


def host_key(host: Host) -> str:
    """Give the key whose beginnings are those of the entries that cover a host."""
    if host.address is not None:
        return _bits(host.address)
    return host.name[::-1] + "."


def url_keys(host: Host) -> Iterator[str]:
    """Give the beginnings, up to the path, of the keys of URLs on a host and those above it."""
    key = _URL + host.name[::-1] + "."
    if host.address is None:
        border = key.find(".")
        while border < len(key) - 1:
            yield key[: border + 1]
            border = key.find(".", border + 1)
    yield key


def _bits(network: IPv4Network | IPv6Network | IPv4Address | IPv6Address) -> str:
    width: int = network.max_prefixlen
    if isinstance(network, (IPv4Address, IPv6Address)):
        number, length = int(network), width
    else:
        number, length = int(network.network_address), network.prefixlen
    bits = f"{number >> (width - length):0{length}b}" if length else ""
    return f"{_NETWORK}{network.version}{bits}"


def _network(key: str) -> str:
    bits = key[2:]
    if key[1] == "4":
        return network_text(IPv4Network((int(bits or "0", 2) << (32 - len(bits)), len(bits))))
    return network_text(IPv6Network((int(bits or "0", 2) << (128 - len(bits)), len(bits))))
