"""What each type of acl asks, in our grammar; what has no counterpart says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from corpproxy.destination.host import normal_host
from corpproxy.errors import ProtocolError
from corpproxy.foreign.addresses import IpNetwork, collapsed, network_text, read_networks
from corpproxy.foreign.conditions import (
    ALWAYS,
    NEVER,
    AllOf,
    Ask,
    Condition,
    Unknown,
    all_of,
    any_of,
    ask,
    negated,
    unknown_in,
)
from corpproxy.foreign.expressions import NoCounterpart, for_host, for_media_type, for_path, for_text
from corpproxy.foreign.squid.acls import Acl, Value
from corpproxy.foreign.squid.lines import Lines
from corpproxy.foreign.squid.ports import Port
from corpproxy.foreign.squid.times import read_spans
from corpproxy.foreign.times import Span
from corpproxy.identity.names import fault_of_name

# Groups of acls inside groups; Squid itself ends at none, and one that contains itself never ends.
MAX_DEPTH = 20

EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@dataclass(slots=True)
class Surroundings:
    """
    What acls are read with: the acls by name, the ports, the names in the password file.

    ``calendars`` are those that were asked for, by name; ``groups`` those that a helper knew the members
    of.
    """

    acls: dict[str, Acl]
    found: Lines
    ports: Sequence[Port] = ()
    people: frozenset[str] | None = None
    group_helpers: dict[str, str] = field(default_factory=dict)
    calendars: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    in_answer: bool = False

    def is_told(self, said: str, *, but_by: Acl) -> bool:
        """Whether another acl has this remark already."""
        return any(said in told for name, told in self.remarks.items() if name != but_by.name)

    def remark(self, acl: Acl, said: str) -> None:
        """Keep a sentence about an acl that the policy tells where it uses it."""
        told = self.remarks.setdefault(acl.name, [])
        if said not in told:
            told.append(said)


def meaning(acl: Acl, around: Surroundings, depth: int = 0) -> Condition:
    """The condition that an acl is, as far as it has one."""
    if acl.type in ("any-of", "all-of"):
        return _group(acl, around, depth)
    if acl.type not in _MEANINGS:
        return Unknown(NO_COUNTERPART.get(acl.type, f"there is no counterpart of acls of type {acl.type}"))
    return _MEANINGS[acl.type](acl, around)


def _group(acl: Acl, around: Surroundings, depth: int) -> Condition:
    """``any-of`` and ``all-of``: each line of an ``all-of`` is one conjunction."""
    if depth >= MAX_DEPTH:
        around.found.say(acl.place, "squid-acl", f"acl '{acl.name}' contains itself")
        return Unknown("it contains itself")
    if acl.type == "any-of":
        return any_of(named(value, around, depth + 1) for value in acl.values)
    wanted = len(acl.lines)
    if wanted > 1:
        around.remark(acl, "its lines are alternatives, as Squid takes them")
    lines = ([value for value in acl.values if value.place.line == line.place.line] for line in acl.lines)
    return any_of(all_of(named(value, around, depth + 1) for value in values) for values in lines)


def named(value: Value, around: Surroundings, depth: int = 0) -> Condition:
    """The condition that a name, perhaps with ``!`` before it, stands for."""
    name = value.text.removeprefix("!")
    acl = around.acls.get(name)
    if acl is None:
        around.found.say(value.place, "squid-acl-missing", f"there is no acl '{name}'")
        return Unknown(f"there is no acl '{name}'")
    found = meaning(acl, around, depth)
    return negated(found) if value.text.startswith("!") else found


# Addresses.


def _networks(acl: Acl, around: Surroundings) -> tuple[list[IpNetwork], list[Value]]:
    """The networks among the values, and the values that are names."""
    networks: list[IpNetwork] = []
    names: list[Value] = []
    for value in acl.values:
        if value.text in ("all", "0.0.0.0/0.0.0.0", "0/0"):
            networks += EVERYTHING
        elif value.text in ("ipv4", "ipv6"):
            networks.append(EVERYTHING[value.text == "ipv6"])
        else:
            try:
                networks += read_networks(value.text)
            except ValueError as wrong:
                if re.fullmatch(r"[0-9.:/-]+", value.text):
                    said = f"'{value.text}' is no address and no network: {wrong}"
                    around.found.say(value.place, "bad-network", said)
                else:
                    names.append(value)
    return collapsed(networks), names


def _src(acl: Acl, around: Surroundings) -> Condition:
    networks, names = _networks(acl, around)
    found: list[Condition] = [
        Unknown(f"Squid looks up '{one.text}' when it starts; write its address") for one in names
    ]
    if set(EVERYTHING) <= set(networks) or (EVERYTHING[0] in networks and acl.name == "all"):
        return ALWAYS
    if networks:
        found.append(Ask("network", tuple(network_text(one) for one in networks), acl.name))
    return any_of(found)


def _dst(acl: Acl, around: Surroundings) -> Condition:
    """As in Squid, one address of a host is enough, and a host that has none is nowhere."""
    networks, names = _networks(acl, around)
    found: list[Condition] = []
    if networks:
        found.append(Ask("address", tuple(network_text(one) for one in networks), acl.name))
    if names:
        found.append(Unknown(f"Squid looks up '{names[0].text}' when it starts; write it as dstdomain"))
    return any_of(found)


# Hosts and URLs.


def _host_names(acl: Acl, around: Surroundings) -> Condition:
    below: list[str] = []
    exact: list[str] = []
    for value in acl.values:
        bare = value.text.removeprefix("*").lstrip(".")
        try:
            host = normal_host(bare).name
        except ProtocolError as wrong:
            said = f"'{value.text}' is no host name: {wrong.message}"
            around.found.say(value.place, "bad-host", said, "warning")
            continue
        (below if value.text.startswith(".") else exact).append(host)
    # Squid's search finds neither twice; nor need it be read twice.
    exact = [one for one in exact if not _is_below(one, set(below))]
    found: list[Condition] = []
    if below:
        found.append(Ask("domain", tuple(dict.fromkeys(below)), acl.name))
    if exact:
        found.append(Ask("host", tuple(dict.fromkeys(exact)), acl.name))
    said = (
        "of an address in a URL Squid looks up the name, by all acls of this type; here it stays an address"
    )
    if "-n" not in acl.flags and acl.type == "dstdomain" and not around.is_told(said, but_by=acl):
        around.remark(acl, said)
    return any_of(found)


def _is_below(name: str, domains: set[str]) -> bool:
    labels = name.split(".")
    return any(".".join(labels[number:]) in domains for number in range(len(labels)))


_Translate = Callable[..., str]


def _expressions(translate: _Translate, key: str) -> Callable[[Acl, Surroundings], Condition]:
    def read(acl: Acl, around: Surroundings) -> Condition:
        found: list[str] = []
        left: list[Condition] = []
        for value in acl.values:
            try:
                found.append(translate(value.text, any_case=value.any_case))
            except NoCounterpart as wrong:
                left.append(Unknown(f"'{value.text}' cannot be said as an expression of RE2: {wrong}"))
        if found:
            left.insert(0, ask(key, found, acl.name))
        return any_of(left)

    return read


def _port(acl: Acl, around: Surroundings) -> Condition:
    ports: list[str] = []
    for value in acl.values:
        low, _, high = value.text.partition("-")
        if not low.isdecimal() or not (high or low).isdecimal() or int(high or low) > 65535:
            around.found.say(value.place, "out-of-range", f"'{value.text}' is no port and no range of ports")
        elif int(high or low) >= max(int(low), 1):
            first, last = max(int(low), 1), int(high or low)
            ports.append(str(first) if first == last else f"{first}-{last}")
    if {"1-65535"} <= set(ports):
        return ALWAYS
    return Ask("port", tuple(dict.fromkeys(ports)), acl.name) if ports else NEVER


_TUNNEL = Ask("method", ("CONNECT",), "CONNECT")


def _proto(acl: Acl, around: Surroundings) -> Condition:
    """Squid gives a tunnel no scheme at all; everything else that a browser sends here is http."""
    names = {value.text.upper() for value in acl.values}
    for name in sorted(names - {"HTTP"}):
        around.remark(acl, f"{name} never comes by itself: https and others come as CONNECT")
    return negated(_TUNNEL) if "HTTP" in names else NEVER


def _method(acl: Acl, around: Surroundings) -> Condition:
    names = tuple(dict.fromkeys(value.text for value in acl.values))
    for value in acl.values:
        if not re.fullmatch("[A-Z0-9!#$%&'*+.^_`|~-]{1,64}", value.text):
            around.found.say(value.place, "bad-method", f"'{value.text}' is no request method")
            return NEVER
    return Ask("method", names, acl.name) if names else NEVER


# When.


def _time(acl: Acl, around: Surroundings) -> Condition:
    try:
        spans = read_spans([value.text for value in acl.values])
    except ValueError as wrong:
        around.found.say(acl.place, "squid-time", str(wrong))
        return Unknown(str(wrong))
    if not spans:
        return NEVER
    around.calendars[acl.name] = tuple(spans)
    return Ask("calendar", (acl.name,), acl.name)


# Who.


def _proxy_auth(acl: Acl, around: Surroundings) -> Condition:
    if any(value.text == "REQUIRED" for value in acl.values):
        return Ask("anonymous", ("no",), acl.name)
    names = [value.text for value in acl.values]
    for value in acl.values:
        if fault := fault_of_name(value.text):
            around.found.say(value.place, "bad-name", f"'{value.text}' cannot sign in here: {fault}")
            return NEVER
    if "-i" in acl.flags or any(value.any_case for value in acl.values):
        wanted = {name.casefold() for name in names}
        alike = sorted(one for one in around.people or () if one.casefold() in wanted)
        names = alike or names
        around.remark(acl, "names are told apart by small and capital letters here")
    return Ask("user", tuple(dict.fromkeys(names)), acl.name) if names else NEVER


def _proxy_auth_regex(acl: Acl, around: Surroundings) -> Condition:
    if any(value.text == "REQUIRED" for value in acl.values):
        return Ask("anonymous", ("no",), acl.name)
    if around.people is None:
        return Unknown("rules name people one by one or by their group, not by an expression")
    patterns: list[re.Pattern[str]] = []
    for value in acl.values:
        try:
            written = for_text(value.text, any_case=value.any_case)
            patterns.append(re.compile(written.replace(r"\z", r"\Z")))
        except (NoCounterpart, re.error) as wrong:
            return Unknown(f"'{value.text}' cannot be read: {wrong}")
    names = sorted(one for one in around.people if any(each.search(one) for each in patterns))
    around.remark(acl, "these are the people of the password file whom the expression found")
    return Ask("user", tuple(names), acl.name) if names else NEVER


def _external(acl: Acl, around: Surroundings) -> Condition:
    """Helpers that look up groups become groups; what others decide is known to them alone."""
    helper = around.group_helpers.get(acl.argument)
    if helper is None:
        return Unknown(f"the helper of external acl '{acl.argument}' decides by itself; it is not asked here")
    names = [value.text for value in acl.values if not fault_of_name(value.text)]
    for name in names:
        around.groups.setdefault(name, helper)
    around.remark(acl, f"{helper} knows who is in the group; write its members into identity: groups")
    return Ask("group", tuple(names), acl.name) if names else Unknown("it names no group")


def _of_listeners(fits: Callable[[Port, str], bool]) -> Callable[[Acl, Surroundings], Condition]:
    def read(acl: Acl, around: Surroundings) -> Condition:
        values = [value.text for value in acl.values]
        names = [port.name for port in around.ports if any(fits(port, value) for value in values)]
        if len(names) == len(around.ports):
            return ALWAYS
        return Ask("listener", tuple(names), acl.name) if names else NEVER

    return read


def _has_number(port: Port, written: str) -> bool:
    low, _, high = written.partition("-")
    return low.isdecimal() and (high or low).isdecimal() and int(low) <= port.number <= int(high or low)


def _local_address(acl: Acl, around: Surroundings) -> Condition:
    if any(port.is_everywhere for port in around.ports):
        return Unknown("a listener on every address does not tell by which it was reached; give each its own")
    networks, _ = _networks(acl, around)
    names = tuple(
        port.name
        for port in around.ports
        if any(ip_network(port.address) in _widened(one, port.address) for one in networks)
    )
    return Ask("listener", names, acl.name) if names else NEVER


def _widened(network: IpNetwork, address: str) -> Iterable[object]:
    """The address's own network when it lies in ``network``."""
    one = ip_network(address)
    inside = one.version == network.version and one.network_address in network
    return (one,) if inside else ()


def _media_type(acl: Acl, around: Surroundings) -> Condition:
    if not around.in_answer:
        around.remark(acl, "before an answer there is no media type, and Squid never finds it here")
        return NEVER
    if any(value.text.endswith("$") for value in acl.values):
        around.remark(
            acl, "what stands behind the media type (charset and the like) and its case do not count here"
        )
    return _expressions(for_media_type, "media_type")(acl, around)


_MEANINGS: dict[str, Callable[[Acl, Surroundings], Condition]] = {
    "src": _src,
    "dst": _dst,
    "dstdomain": _host_names,
    "dstdom_regex": _expressions(for_host, "expression"),
    "url_regex": _expressions(for_text, "expression"),
    "urlpath_regex": _expressions(for_path, "expression"),
    "port": _port,
    "proto": _proto,
    "method": _method,
    "time": _time,
    "proxy_auth": _proxy_auth,
    "proxy_auth_regex": _proxy_auth_regex,
    "browser": _expressions(for_text, "agent"),
    "external": _external,
    "localport": _of_listeners(_has_number),
    "myport": _of_listeners(_has_number),
    "myportname": _of_listeners(lambda port, name: port.name == name),
    "localip": _local_address,
    "myip": _local_address,
    "rep_mime_type": _media_type,
    # Where requests are let through, the server's name is the one that the request has.
    "ssl::server_name": _host_names,
    "ssl::server_name_regex": _expressions(for_host, "expression"),
    # Pages of Squid about itself, which only Squid has.
    "manager": lambda acl, around: NEVER,
}

NO_COUNTERPART = {
    "maxconn": "how many connections an address may have stands in connections: per_address",
    "max_user_ip": "from how many addresses a person comes is not counted",
    "arp": "hardware addresses are not looked up; name the networks of rooms",
    "eui64": "hardware addresses are not looked up; name the networks of rooms",
    "ident": "nobody is asked by the ident protocol; people sign in, or networks have a name",
    "ident_regex": "nobody is asked by the ident protocol; people sign in, or networks have a name",
    "srcdomain": "names of clients are not looked up; name their networks",
    "srcdom_regex": "names of clients are not looked up; name their networks",
    "random": "chance decides nothing; a rule for a share of people has canary:",
    "req_header": "fields of requests are not looked at, except User-Agent",
    "rep_header": "fields of answers are not looked at, except Content-Type",
    "referer_regex": "where a link was followed from is not looked at: every client can write what it likes",
    "req_mime_type": "the media type of what is sent is not looked at",
    "src_as": "network numbers of clients are not looked up; name their networks",
    "dst_as": "network numbers of servers need a file that tells them; write the rule by hand",
    "ext_user": "only a helper of Squid's gives such names",
    "ext_user_regex": "only a helper of Squid's gives such names",
    "urllogin": "names and passwords in URLs are not looked at",
    "user_cert": "clients do not show certificates to this proxy",
    "ca_cert": "clients do not show certificates to this proxy",
    "http_status": "the status of an answer decides nothing",
    "note": "annotations are Squid's own",
    "tag": "annotations are Squid's own",
    "peername": "there are no peers",
    "peername_regex": "there are no peers",
    "hier_code": "there are no peers",
    "at_step": "TLS is not opened",
    "ssl_error": "TLS is not opened",
    "server_cert_fingerprint": "TLS is not opened",
    "connections_encrypted": "TLS is not opened",
    "snmp_community": "there is no SNMP; metrics stand at the admin listener",
}

__all__ = ["AllOf", "Surroundings", "meaning", "named", "unknown_in"]
