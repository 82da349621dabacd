"""Values that change nothing, or more than was meant: covered entries, expressions that match everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from corpproxy.config.build_rules import is_range
from corpproxy.config.checks.conditions import each_part, each_time
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nodes import Path, Scalar, node_at
from corpproxy.config.schema.conditions import WhatTable
from corpproxy.counted import counted
from corpproxy.destination.entries import Kind, own_entry
from corpproxy.policy.conditions import UrlPrefix, compile_expression

# Of one list these many entries are told one by one.
MAX_TOLD = 20

# Targets that have nothing in common: an expression that is found in all of them is found in every one.
UNLIKE_TARGETS = (b"http://qj.example/", b"x:443", b"http://[2001:db8::9]:8080/Z?7", b"192.0.2.1:65000")

# An entry by its number, and the earlier or wider one that covers it.
_Covered = tuple[int, str, str]


def check(examined: Examined) -> None:
    """Say which values do nothing where they stand, and which do more than they seem to."""
    for path, part in each_part(examined):
        if isinstance(part, WhatTable):
            _tell(examined, (*path, "domain"), covered_names(part.domain))
            _tell(examined, (*path, "url"), _covered_urls(part.url))
            _expressions(examined, (*path, "expression"), part.expression)
            _https_urls(examined, (*path, "url"), part.url)
        else:
            _tell(examined, (*path, "network"), _covered_networks(part.network))
    _own_categories(examined)
    _unused_calendars(examined)
    _empty_groups(examined)


def _tell(examined: Examined, path: Path, covered: Iterable[_Covered]) -> None:
    """Say which entries of a list another one covers."""
    found = list(covered)
    for number, entry, by in found[:MAX_TOLD]:
        why = "stands here twice" if entry == by else f"is covered by '{by}', which stands here too"
        examined.say((*path, number), "covered-entry", f"'{entry}' {why}; take it out", "hint")
    if len(found) > MAX_TOLD:
        number = found[MAX_TOLD][0]
        more = counted(len(found) - MAX_TOLD, "more entry of this list is", "more entries of this list are")
        said = f"{more} covered by others; take out what is covered"
        examined.say((*path, number), "covered-entry", said, "hint")


def covered_names(names: Sequence[str]) -> Iterator[_Covered]:
    """The names that stand in a list twice, or below another of it."""
    known, seen = set(names), set()
    for number, name in enumerate(names):
        if name in seen:
            yield number, name, name
            continue
        seen.add(name)
        above = name
        while "." in above:
            above = above.partition(".")[2]
            if above in known:
                yield number, name, above
                break


def _covered_urls(urls: Sequence[UrlPrefix]) -> Iterator[_Covered]:
    by_host: dict[str, list[tuple[int, UrlPrefix]]] = {}
    for number, url in enumerate(urls):
        by_host.setdefault(url.host, []).append((number, url))
    for number, url in enumerate(urls):
        for other, wide in _at_or_above(url.host, by_host):
            is_before = other < number if wide == url else other != number
            if is_before and wide.port in (0, url.port) and wide.covers_path(url.path):
                yield number, str(url), str(wide)
                break


def _at_or_above(
    host: str, by_host: dict[str, list[tuple[int, UrlPrefix]]]
) -> Iterator[tuple[int, UrlPrefix]]:
    while True:
        yield from by_host.get(host, ())
        if "." not in host:
            return
        host = host.partition(".")[2]


def _covered_networks(names: Sequence[str]) -> Iterator[_Covered]:
    """Ranges inside others, and names that stand twice; what a name means may change, and covers nothing."""
    ranges = [(number, ip_network(name)) for number, name in enumerate(names) if is_range(name)]
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            yield number, name, name
        seen.add(name)
    known = {one for _, one in ranges}
    for number, narrow in ranges:
        wide = next((one for one in _supernets(narrow) if one in known), None)
        if wide is not None:
            yield number, str(narrow), str(wide)


def _supernets(network: IPv4Network | IPv6Network) -> Iterator[IPv4Network | IPv6Network]:
    while network.prefixlen:
        network = network.supernet()
        yield network


def _expressions(examined: Examined, path: Path, expressions: Sequence[str]) -> None:
    for number, written in enumerate(expressions):
        search = compile_expression(written).search
        if all(search(target) for target in UNLIKE_TARGETS):
            said = f"'{written}' is found in every target, so that it asks nothing; narrow it, or take it out"
            examined.say((*path, number), "matches-everything", said, "warning")
        elif "https://" in written:
            said = (
                f"'{written}' asks for https://, which stands in no target: of https the proxy sees "
                "'host:443'; write the host without it"
            )
            examined.say((*path, number), "never-in-tunnel", said, "warning")


def _https_urls(examined: Examined, path: Path, urls: Sequence[UrlPrefix]) -> None:
    """URLs of https with a path: it is written where it never acts."""
    for number, url in enumerate(urls):
        node = node_at(examined.shaped.root, (*path, number)) or node_at(examined.shaped.root, path)
        written = node.text.strip() if isinstance(node, Scalar) else ""
        if written.lower().startswith(("https://", "wss://")) and url.path != "/":
            said = (
                f"of https the proxy sees host and port, so that '{url.path}' never acts there; "
                f"write '{url.host}' for the whole host, or http:// if that is meant"
            )
            examined.say((*path, number), "never-in-tunnel", said, "warning")


def _own_categories(examined: Examined) -> None:
    categories = examined.model.categories
    for table, entries in (("own", categories.own), ("exceptions", categories.exceptions)):
        for name, written in entries.items():
            names = [entry.text if entry.kind is Kind.NAME else "" for entry in map(own_entry, written)]
            found = ((number, written[number], by) for number, _, by in covered_names(names) if by)
            _tell(examined, ("categories", table, name), found)


def _unused_calendars(examined: Examined) -> None:
    if any(examined.shaped.is_damaged((table,)) for table in ("rules", "exceptions", "identity")):
        return
    used = {name for _, time in each_time(examined) for name in time.calendar}
    if not used <= examined.names_in(("calendars",)):
        # A slip in a name: the calendar that is meant seems to be named nowhere.
        return
    for name in examined.model.calendars:
        if name not in used:
            said = f"calendar '{name}' is named nowhere; name it in a rule's 'when', or take it out"
            examined.say_of_key(("calendars", name), "not-used", said, "hint")


def _empty_groups(examined: Examined) -> None:
    """Groups that rules name and that nobody is in."""
    identity = examined.model.identity
    if identity.groups_file is not None:
        return
    of_networks = {group for network in identity.networks.values() for group in network.groups}
    empty = {name for name, members in identity.groups.items() if not members} - of_networks
    for path, part in each_part(examined):
        if not isinstance(part, WhatTable):
            for number, name in enumerate(part.group):
                if name in empty:
                    said = f"nobody is in group '{name}'; write its people below 'identity: groups:'"
                    examined.say((*path, "group", number), "empty-group", said, "warning")
