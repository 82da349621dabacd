"""
The keys that ask for the host by its name: domain, host and URL.

A policy may name thousands of hosts, and most requests are for others.  The last two labels of a name tell
that at once (`endings`), so that only the few rows that may be meant are looked at label by label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import attrgetter

from corpproxy.destination.model import Host
from corpproxy.destination.paths import normal_path
from corpproxy.policy.column import Bits, Column, Mask, any_of, asked_values, one_of
from corpproxy.policy.conditions import Conditions, UrlPrefix
from corpproxy.policy.model import Facts


def domain(rows: Sequence[Conditions]) -> Column | None:
    """The host, or one above it."""
    asked = [row.what.domain for row in rows]
    return any_of("domain", ("host.name",), asked, lambda facts: _and_above(facts.host))


def host(rows: Sequence[Conditions]) -> Column | None:
    """The host alone."""
    return one_of("host", "host.name", [row.what.host for row in rows], attrgetter("host.name"))


def url(rows: Sequence[Conditions]) -> Column | None:
    """The host, or one above it, and the beginning of the path."""
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
        path: str | None = None
        for name in _and_above(facts.host):
            for prefix, accepting in by_host.get(name, ()):
                if path is None:
                    path = normal_path(facts.path)
                if prefix.port in (0, facts.port) and prefix.covers_path(path):
                    found |= accepting
        return found

    return Column("url", ("host.name", "port", "path"), mask, free)


def endings(rows: Sequence[Conditions]) -> Mask | None:
    """Give the rows that may accept a host with these last two labels, as far as its name is asked for."""
    keys = (
        [row.what.domain for row in rows],
        [row.what.host for row in rows],
        [[prefix.host for prefix in row.what.url] for row in rows],
    )
    all_bits = [Bits([_endings_of(names) for names in key]) for key in keys if any(key)]
    if not all_bits:
        return None
    free, by_ending = -1, dict.fromkeys((ending for bits in all_bits for ending in bits.rows), -1)
    for bits in all_bits:
        free &= bits.free
        for ending in by_ending:
            by_ending[ending] &= bits.rows.get(ending, 0) | bits.free

    def mask(facts: Facts) -> int:
        name = facts.host.name
        # What `_ending` does, without the call: every new host comes by here.
        return by_ending.get(name[name.rfind(".", 0, name.rfind(".")) + 1 :], free)

    return mask


def _endings_of(names: Sequence[str]) -> set[str] | None:
    """The last two labels of the hosts that names may mean; None where these may be any."""
    # Below a name of a single label stands anything at all.
    return {_ending(name) for name in names} if names and all("." in name for name in names) else None


def _ending(name: str) -> str:
    return name[name.rfind(".", 0, name.rfind(".")) + 1 :]


def _and_above(host: Host) -> Iterator[str]:
    """The name of a host, and those of all domains that it is below; an address is below none."""
    name = host.name
    yield name
    if host.address is None:
        while dot := name.find(".") + 1:
            name = name[dot:]
            yield name
