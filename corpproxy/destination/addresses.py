"""
What kind of network an address belongs to, by the IANA registries of special-purpose addresses.

The class decides whether the proxy dials an address at all, so doubt counts against it: an address
that carries another one inside (NAT64, 6to4, Teredo, IPv4-mapped) has the worst class of all that it
can lead to, and IPv6 space that is given to nobody is reserved.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from corpproxy.destination.model import AddressClass

PUBLIC = AddressClass.PUBLIC
RESERVED = AddressClass.RESERVED
MULTICAST = AddressClass.MULTICAST
CARRIER_GRADE = AddressClass.CARRIER_GRADE
PRIVATE = AddressClass.PRIVATE
LINK_LOCAL = AddressClass.LINK_LOCAL
LOOPBACK = AddressClass.LOOPBACK
METADATA = AddressClass.METADATA

# From harmless to worst: what somebody gains who makes the proxy connect there.
SEVERITY = (PUBLIC, RESERVED, MULTICAST, CARRIER_GRADE, PRIVATE, LINK_LOCAL, LOOPBACK, METADATA)
_RANK = {kind: rank for rank, kind in enumerate(SEVERITY)}

# Addresses remembered with their class; 0.2 KiB each.
MAX_REMEMBERED = 16_384

# network, class, whose it is.  The longest prefix wins.
_TABLE: tuple[tuple[str, AddressClass, str], ...] = (
    ("0.0.0.0/0", PUBLIC, "IPv4"),
    ("0.0.0.0/8", RESERVED, "this network (RFC 791)"),
    # Linux connects it to the machine itself.
    ("0.0.0.0/32", LOOPBACK, "this host (RFC 1122)"),
    ("10.0.0.0/8", PRIVATE, "RFC 1918"),
    ("100.64.0.0/10", CARRIER_GRADE, "shared address space (RFC 6598)"),
    ("100.100.100.200/32", METADATA, "Alibaba Cloud"),
    ("127.0.0.0/8", LOOPBACK, "RFC 1122"),
    # No special-purpose block, but the host agent of every machine in Azure.
    ("168.63.129.16/32", METADATA, "Azure"),
    ("169.254.0.0/16", LINK_LOCAL, "RFC 3927"),
    ("169.254.169.254/32", METADATA, "AWS, Azure, Google Cloud and others"),
    ("169.254.170.2/32", METADATA, "AWS containers"),
    ("169.254.170.23/32", METADATA, "AWS pods"),
    ("169.254.0.23/32", METADATA, "Tencent Cloud"),
    ("169.254.42.42/32", METADATA, "Scaleway"),
    ("172.16.0.0/12", PRIVATE, "RFC 1918"),
    ("192.0.0.0/24", RESERVED, "IETF protocol assignments (RFC 6890)"),
    ("192.0.0.9/32", PUBLIC, "port control anycast (RFC 7723)"),
    ("192.0.0.10/32", PUBLIC, "TURN anycast (RFC 8155)"),
    ("192.0.0.192/32", METADATA, "Oracle Cloud"),
    ("192.0.2.0/24", RESERVED, "documentation (RFC 5737)"),
    ("192.88.99.0/24", RESERVED, "6to4 relay anycast, withdrawn (RFC 7526)"),
    ("192.168.0.0/16", PRIVATE, "RFC 1918"),
    ("198.18.0.0/15", RESERVED, "benchmarking (RFC 2544)"),
    ("198.51.100.0/24", RESERVED, "documentation (RFC 5737)"),
    ("203.0.113.0/24", RESERVED, "documentation (RFC 5737)"),
    ("224.0.0.0/4", MULTICAST, "RFC 5771"),
    ("240.0.0.0/4", RESERVED, "RFC 1112; with the limited broadcast address"),
    ("::/0", RESERVED, "IPv6 that is given to nobody"),
    ("::/128", LOOPBACK, "unspecified (RFC 4291); Linux connects it to the machine itself"),
    ("::1/128", LOOPBACK, "RFC 4291"),
    ("::/96", RESERVED, "IPv4-compatible, withdrawn (RFC 4291)"),
    ("::ffff:0:0/96", PUBLIC, "IPv4-mapped (RFC 4291)"),
    ("::ffff:0:0:0/96", RESERVED, "IPv4-translated (RFC 2765)"),
    ("64:ff9b::/96", PUBLIC, "NAT64 (RFC 6052)"),
    ("64:ff9b:1::/48", PRIVATE, "NAT64 inside a site (RFC 8215)"),
    ("100::/64", RESERVED, "discarded (RFC 6666)"),
    ("2000::/3", PUBLIC, "global unicast (RFC 4291)"),
    ("2001::/23", RESERVED, "IETF protocol assignments (RFC 2928)"),
    ("2001::/32", PUBLIC, "Teredo (RFC 4380)"),
    ("2001:1::1/128", PUBLIC, "port control anycast (RFC 7723)"),
    ("2001:1::2/128", PUBLIC, "TURN anycast (RFC 8155)"),
    ("2001:1::3/128", PUBLIC, "DNS-SD registration anycast (RFC 9665)"),
    ("2001:3::/32", PUBLIC, "multicast tunnels (RFC 7450)"),
    ("2001:4:112::/48", PUBLIC, "AS112 (RFC 7535)"),
    ("2001:20::/28", PUBLIC, "ORCHIDv2 (RFC 7343)"),
    ("2001:30::/28", PUBLIC, "drone identifiers (RFC 9374)"),
    ("2001:db8::/32", RESERVED, "documentation (RFC 3849)"),
    ("2002::/16", PUBLIC, "6to4 (RFC 3056)"),
    ("3fff::/20", RESERVED, "documentation (RFC 9637)"),
    ("5f00::/16", RESERVED, "segment routing identifiers (RFC 9602)"),
    ("fc00::/7", PRIVATE, "unique local (RFC 4193)"),
    ("fd00:ec2::254/128", METADATA, "AWS"),
    ("fd00:ec2::23/128", METADATA, "AWS pods"),
    ("fd20:ce::254/128", METADATA, "Google Cloud"),
    ("fd00:c1::a9fe:a9fe/128", METADATA, "Oracle Cloud"),
    ("fd00:42::42/128", METADATA, "Scaleway"),
    ("fe80::/10", LINK_LOCAL, "RFC 4291"),
    ("fec0::/10", PRIVATE, "site-local, withdrawn (RFC 3879)"),
    ("ff00::/8", MULTICAST, "RFC 4291"),
)


def _by_prefix(version: int) -> tuple[tuple[int, int, AddressClass], ...]:
    """Give the table's rows of one IP version as (shift, prefix bits, class), the longest prefix first."""
    networks = [(ip_network(written), kind) for written, kind, _ in _TABLE]
    ordered = sorted((n for n in networks if n[0].version == version), key=lambda n: -n[0].prefixlen)
    return tuple(
        (shift := net.max_prefixlen - net.prefixlen, int(net.network_address) >> shift, kind)
        for net, kind in ordered
    )


_ROWS = {4: _by_prefix(4), 6: _by_prefix(6)}
# What came before, with its class; whoever looks here first asks `address_class` for the rest.
remembered: dict[object, AddressClass] = {}


def address_class(address: IPv4Address | IPv6Address | str) -> AddressClass:
    """
    Give the class of an address, the worst of all that it leads to.

    A zone (``fe80::1%eth0``) changes nothing.  Raises ValueError for a text that is no address.
    """
    known = remembered.get(address)
    if known is not None:
        return known
    parsed = ip_address(address)
    kind = max((_listed(each) for each in (parsed, *embedded(parsed))), key=_RANK.__getitem__)
    if len(remembered) >= MAX_REMEMBERED:
        remembered.clear()
    remembered[address] = kind
    return kind


def embedded(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that packets to this one can end at, or that it carries."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if any(address in network for network in _LAST_32_BITS):
        yield IPv4Address(number & 0xFFFFFFFF)
    elif address in _6TO4:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in _TEREDO:
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)
        yield IPv4Address(~number & 0xFFFFFFFF)
    elif address in _SITE_NAT64:
        yield from _translated(number)


_LAST_32_BITS: tuple[IPv6Network, ...] = tuple(
    IPv6Network(net) for net in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_6TO4 = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_SITE_NAT64 = IPv6Network("64:ff9b:1::/48")


def _translated(number: int) -> Iterator[IPv4Address]:
    """
    Yield what an address under a site's own NAT64 prefix can stand for (RFC 6052, section 2.2).

    The site chose a prefix of 48, 56, 64 or 96 bits, which cannot be seen; bits 64 to 71 are skipped
    in the first three.  A reading of all zeros is another one's padding.
    """
    without_u = (number >> 64 << 56) | (number & (1 << 56) - 1)
    readings = [
        number & 0xFFFFFFFF,
        *(without_u >> (120 - 32 - length) & 0xFFFFFFFF for length in (48, 56, 64)),
    ]
    yield from (IPv4Address(reading) for reading in readings if reading)


def _listed(address: IPv4Address | IPv6Address) -> AddressClass:
    number = int(address)
    return next(kind for shift, prefix, kind in _ROWS[address.version] if number >> shift == prefix)


def networks() -> Iterator[tuple[IPv4Network | IPv6Network, AddressClass, str]]:
    """Yield the table behind the classes, for the manual and its test."""
    for written, kind, whose in _TABLE:
        yield ip_network(written), kind, whose
