"""
The PAC file: how a browser learns which hosts go through the proxy, compiled from the policy's ``pac:``
table.

The text is for every engine that still runs (the oldest know ECMAScript 3), looks at nothing but the host
(browsers hide the path of an https URI from it), and asks no name server: ``dnsResolve`` and ``isInNet``
stop a browser until the answer comes, and tell the local resolver each name that is visited.  A network in
``direct:`` therefore means addresses that are written as addresses.

What is not in ``direct:`` never leaves past the proxy, not even when no proxy answers: a browser that
finds no DIRECT at the end of the answer shows an error, and that is what fail closed means here.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from corpproxy.destination.host import normal_host
from corpproxy.destination.model import Host
from corpproxy.errors import ProtocolError

MEDIA_TYPE = b"application/x-ns-proxy-autoconfig"

# Chromium gives up on a PAC file past a mebibyte.
MAX_PAC_OCTETS = 1024 * 1024

# The entry of ``direct:`` that means every name without a dot, as Windows writes it.
LOCAL = "<local>"

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/@]+):(?P<port>[0-9]{1,5})\Z")
# A name without a dot.  One number alone is an IPv4 address to some programs (2130706433 is 127.0.0.1),
# no name.
_PLAIN = re.compile(r"(?![0-9]+\Z|0x[0-9a-f]*\Z)[^.:]+\Z")
_PRINTABLE = re.compile(r"[!-~]+\Z")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class PacTable:
    """
    The ``pac:`` table: which proxies, in which order, and what needs none.

    ``proxy`` and then ``fallback`` are tried in order; each is ``host:port``, or ``https host:port`` for
    a proxy that is spoken to over TLS.  Entries of ``direct`` are names (``.hillside.example`` or
    ``hillside.example``: the name itself and all below it), addresses, networks, or ``<local>`` for
    names without a dot.  ``portal`` is the reserved name, which always goes to the proxy.

    Raises ValueError, saying what to write instead, for an entry that is none of these.
    """

    proxy: tuple[str, ...]
    direct: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    portal: str = ""
    chain: tuple[str, ...] = field(init=False, repr=False)
    names: frozenset[str] = field(init=False, repr=False)
    networks: tuple[Network, ...] = field(init=False, repr=False)
    plain_names: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.proxy:
            raise ValueError("no proxy is named; write at least one, such as proxy.example:3128")
        chain = tuple(parse_proxy(entry) for entry in (*self.proxy, *self.fallback))
        direct = [parse_direct(entry) for entry in self.direct if entry != LOCAL]
        if self.portal:
            object.__setattr__(self, "portal", _host(self.portal, self.portal).name)
        object.__setattr__(self, "chain", tuple(dict.fromkeys(chain)))
        object.__setattr__(self, "names", frozenset(entry for entry in direct if isinstance(entry, str)))
        networks = dict.fromkeys(entry for entry in direct if not isinstance(entry, str))
        object.__setattr__(self, "networks", tuple(networks))
        object.__setattr__(self, "plain_names", LOCAL in self.direct)


def parse_proxy(written: str) -> str:
    """Give one proxy as a PAC file names it, or raise ValueError saying what to write."""
    words = written.split()
    keyword = words[0].upper() if len(words) == 2 else "PROXY"
    if keyword == "HTTP":
        keyword = "PROXY"
    if not words or len(words) > 2 or keyword not in {"PROXY", "HTTPS"}:
        raise ValueError(
            f"{written!r} is no proxy; write host:port, or https host:port for a proxy behind TLS"
        )
    if words[-1].upper() == "DIRECT":
        raise ValueError(
            "DIRECT would let a browser go past the proxy when none answers; name a second proxy"
        )
    found = _AUTHORITY.match(words[-1])
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ValueError(f"{written!r} is no proxy; write host and port, such as proxy.example:3128")
    return f"{keyword} {_host(found['host'], written).uri_host}:{int(found['port'])}"


def parse_direct(written: str) -> str | Network:
    """Give one entry of ``direct:`` as a name or a network, or raise ValueError saying what to write."""
    bare = written.removeprefix("[").removesuffix("]")
    if "/" in bare or re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", bare):
        return _network(bare, written)
    if written.startswith("*"):
        raise ValueError(
            f"{written!r}: write {written.lstrip('*.')!r}, which is that name and all names below it"
        )
    host = _host(written.removeprefix("."), written)
    return host.name if host.address is None else ipaddress.ip_network(host.address)


def _network(bare: str, written: str) -> Network:
    try:
        return ipaddress.ip_network(bare)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(bare, strict=False)
    except ValueError:
        raise ValueError(
            f"{written!r} is no address or network; write 10.0.0.0/8, 2001:db8::/32 or a single address"
        ) from None
    raise ValueError(f"{written!r} has bits behind its prefix; write {str(meant)!r}, or the address alone")


def _host(name: str, written: str) -> Host:
    try:
        return normal_host(name)
    except ProtocolError as error:
        raise ValueError(f"{written!r}: {error.message}") from None


def route(table: PacTable, host: str) -> tuple[str, ...]:
    """
    Say what the table means for a host: ``("DIRECT",)``, or the proxies in the order to try them.

    This is the meaning that the compiled text is tested against.  ``host`` is as a browser hands it
    over: any case, perhaps a trailing dot, an IPv6 address with or without brackets.
    """
    if not _PRINTABLE.match(host):
        return table.chain
    name = host.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    if name == table.portal:
        return table.chain
    return ("DIRECT",) if _is_direct(table, name) else table.chain


def _is_direct(table: PacTable, name: str) -> bool:
    address = _literal(name)
    if address is not None:
        return any(address in network for network in table.networks)
    if table.plain_names and _PLAIN.match(name):
        return True
    labels = name.split(".")
    return any(".".join(labels[i:]) in table.names for i in range(len(labels)))


def _literal(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return None if "%" in name else ipaddress.ip_address(name)
    except ValueError:
        return None


_PAC = """\
// Which hosts go through the proxy. Compiled from the pac: table of the policy; edit it there.
// Everything that is not named below goes through the proxy, also when no proxy answers.
var PROXIES = %(proxies)s;
var PORTAL = %(portal)s;
// A name here means itself and all names below it.
var NAMES = %(names)s;
var PLAIN_NAMES = %(plain_names)s;
// Networks: the leading bits that an address must have, under family and number of bits.
var NETWORKS = %(networks)s;
var PREFIXES = %(prefixes)s;

function bitsOf(number, width) {
    var text = number.toString(2);
    while (text.length < width) { text = "0" + text; }
    return text;
}

// The 32 bits of an IPv4 address, or "" when it is none.
function bits4(text) {
    var part = /^(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})$/.exec(text);
    var bits = "", i, number;
    if (!part) { return ""; }
    for (i = 1; i < 5; i++) {
        number = parseInt(part[i], 10);
        if (number > 255 || String(number) !== part[i]) { return ""; }
        bits += bitsOf(number, 8);
    }
    return bits;
}

// The bits of groups of an IPv6 address that stand between colons, or null when one is wrong.
function groups6(text) {
    var groups = text === "" ? [] : text.split(":"), bits = "", i;
    for (i = 0; i < groups.length; i++) {
        if (i === groups.length - 1 && groups[i].indexOf(".") >= 0) {
            groups[i] = bits4(groups[i]);
            if (groups[i] === "") { return null; }
            bits += groups[i];
        } else if (/^[0-9a-f]{1,4}$/.test(groups[i])) {
            bits += bitsOf(parseInt(groups[i], 16), 16);
        } else {
            return null;
        }
    }
    return bits;
}

// The 128 bits of an IPv6 address, or "" when it is none.
function bits6(text) {
    var halves = text.split("::"), head, tail;
    if (halves.length > 2 || text.indexOf(":") < 0) { return ""; }
    if (halves.length === 2 && halves[0].indexOf(".") >= 0) { return ""; }
    head = groups6(halves[0]);
    tail = halves.length === 2 ? groups6(halves[1]) : "";
    if (head === null || tail === null) { return ""; }
    if (halves.length === 1) { return head.length === 128 ? head : ""; }
    if (head.length + tail.length > 112) { return ""; }
    while (head.length + tail.length < 128) { head += "0000000000000000"; }
    return head + tail;
}

function inNetworks(family, bits) {
    var prefixes = PREFIXES[family], i, key;
    for (i = 0; i < prefixes.length; i++) {
        key = family + ":" + prefixes[i] + ":" + bits.substring(0, prefixes[i]);
        if (NETWORKS[key] === 1) { return true; }
    }
    return false;
}

function isDirect(name) {
    var bits = bits4(name), dot;
    if (bits !== "") { return inNetworks("4", bits); }
    bits = bits6(name);
    if (bits !== "") { return inNetworks("6", bits); }
    // One number alone is an IPv4 address to some programs, no name.
    if (PLAIN_NAMES && /^[^.:]+$/.test(name) && !/^(\\d+|0x[0-9a-f]*)$/.test(name)) { return true; }
    while (true) {
        if (NAMES["." + name] === 1) { return true; }
        dot = name.indexOf(".");
        if (dot < 0) { return false; }
        name = name.substring(dot + 1);
    }
}

function FindProxyForURL(url, host) {
    var name = String(host).toLowerCase();
    if (!/^[!-~]+$/.test(host)) { return PROXIES; }
    if (name.charAt(name.length - 1) === ".") { name = name.substring(0, name.length - 1); }
    if (name.charAt(0) === "[") { name = name.substring(1); }
    if (name.charAt(name.length - 1) === "]") { name = name.substring(0, name.length - 1); }
    if (name === PORTAL) { return PROXIES; }
    return isDirect(name) ? "DIRECT" : PROXIES;
}
"""


def compile_pac(table: PacTable) -> bytes:
    """Compile the table to the text of a PAC file; ValueError when it is too long for browsers."""
    text = _PAC % {
        "proxies": json.dumps("; ".join(table.chain)),
        "portal": json.dumps(table.portal),
        "names": _object(f".{name}" for name in table.names),
        "plain_names": json.dumps(table.plain_names),
        "networks": _object(_key(network) for network in table.networks),
        "prefixes": json.dumps({"4": _prefixes(table, 4), "6": _prefixes(table, 6)}),
    }
    octets = text.encode("ascii")
    if len(octets) > MAX_PAC_OCTETS:
        raise ValueError(
            f"the PAC file has {len(octets)} octets and browsers take {MAX_PAC_OCTETS}; shorten direct:"
        )
    return octets


def _object(keys: Iterable[str]) -> str:
    return json.dumps(dict.fromkeys(sorted(keys), 1), indent=4)


def _key(network: Network) -> str:
    bits = format(int(network.network_address), f"0{network.max_prefixlen}b")[: network.prefixlen]
    return f"{network.version}:{network.prefixlen}:{bits}"


def _prefixes(table: PacTable, version: int) -> list[int]:
    return sorted({network.prefixlen for network in table.networks if network.version == version})
