"""
Entries of category lists in their normal form: what one line of a list says, or why it says nothing.

Lists are written by many hands.  A line that would take a whole country off the web (``com``, ``co.uk``,
``0.0.0.0/0``, an expression that fits everything) is odd, as is one that cannot be read; odd lines are
counted and shown, and never fail a list.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

import re2

from corpproxy.destination.host import normal_host, ordinary_name
from corpproxy.destination.model import Host
from corpproxy.destination.paths import listed_path
from corpproxy.errors import ProtocolError

# Wider networks than these are nobody's: a slip of the keyboard, or somebody's joke.
WIDEST_IPV4_PREFIX = 8
WIDEST_IPV6_PREFIX = 16

# The longest expression of a real list has 700 characters; one of a character or two is a slip (a stray
# ``0`` once took a search engine off the web) and fits by accident.
MAX_EXPRESSION = 4096
MIN_EXPRESSION = 3

# What no list means: an expression that fits all of these fits everything.
_UNLIKE = ("example.com/", "www.w3.org/tr/2008/rec-xml", "203.0.113.7/a?b=1")


class Kind(enum.Enum):
    """What an entry is about."""

    NAME = "name"
    NETWORK = "network"
    URL = "url"
    EXPRESSION = "expression"


class Entry(NamedTuple):
    """
    One entry: a name with all below it, a network, a host with the beginning of a path, or an expression.

    ``text`` is in normal form: lower case A-labels, ``192.0.2.0/24`` (an address alone without ``/32``),
    ``example.com/path``.
    """

    kind: Kind
    text: str


class OddLine(ValueError):
    """A line that says nothing that can be used; the text says why, in words for its author."""


IsPublicSuffix = Callable[[str], bool]


def name_entry(written: str, is_public_suffix: IsPublicSuffix) -> Entry:
    """Read a host name, an address or a network of a list; ``*.name`` and ``.name`` mean ``name``."""
    bare = written[2:] if written.startswith("*.") else written.removeprefix(".")
    name = ordinary_name(bare)
    if name is None:
        if "/" in bare:
            return network_entry(bare)
        host = _host(bare)
        if host.address is not None:
            return network_entry(host.name)
        name = host.name
    if is_public_suffix(name):
        raise OddLine(_too_much(name))
    return Entry(Kind.NAME, name)


def _too_much(name: str) -> str:
    return (
        f"'{name}' takes everything below it, where anybody registers names; the policy's own: can say that"
    )


def network_entry(written: str) -> Entry:
    """Read an address or a network in the usual spelling (``192.0.2.1``, ``2001:db8::/32``)."""
    try:
        network = ip_network(written.strip("[]"), strict=False)
    except ValueError:
        raise OddLine("it is no address and no network in the usual spelling") from None
    widest = WIDEST_IPV4_PREFIX if network.version == 4 else WIDEST_IPV6_PREFIX
    if network.prefixlen < widest:
        raise OddLine(f"'{network}' is too much of the Internet; networks begin at /{widest}")
    return Entry(Kind.NETWORK, network_text(network))


def network_text(network: IPv4Network | IPv6Network) -> str:
    """The text of a network in an entry: an address alone has no prefix length."""
    is_one = network.prefixlen == network.max_prefixlen
    return str(network.network_address if is_one else network)


def url_entry(written: str, is_public_suffix: IsPublicSuffix) -> Entry:
    """
    Read a host and the beginning of a path, with or without scheme and port (which are not kept).

    Without a path, or with ``/`` alone, it means the host.
    """
    rest = _SCHEME.sub("", written)
    end = re.search(r"[/?#]", rest)
    authority, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    authority = _PORT.sub("", authority)
    path = listed_path(path)
    if path in ("", "/"):
        return name_entry(authority, is_public_suffix)
    host = _host(authority)
    if host.address is None and is_public_suffix(host.name):
        raise OddLine(_too_much(host.name))
    return Entry(Kind.URL, host.uri_host + path)


_SCHEME = re.compile(r"\A[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PORT = re.compile(r":[0-9]*\Z")


def expression_entry(written: str) -> Entry:
    """
    Read a regular expression, which is looked for in host and path (without scheme), in any case.

    Only what RE2 can run in linear time is taken: no look-around, no back-references.
    """
    if len(written) > MAX_EXPRESSION:
        raise OddLine(f"an expression of more than {MAX_EXPRESSION} characters")
    if len(written) < MIN_EXPRESSION:
        raise OddLine(f"an expression of fewer than {MIN_EXPRESSION} characters fits by accident")
    expression = compiled(written)
    if all(expression.search(text) for text in _UNLIKE):
        raise OddLine("the expression fits everything")
    return Entry(Kind.EXPRESSION, written)


def expression_options() -> re2.Options:
    """How expressions of lists are read; RE2 is told to keep its opinions off stderr."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    options.never_capture = True
    # For all expressions of all lists together; beyond it RE2 would run without its cache.
    options.max_mem = 64 * 1024 * 1024
    return options


def compiled(written: str) -> re2._Regexp:
    """Compile one expression, or say in an OddLine why it cannot be."""
    try:
        return re2.compile(written, expression_options())
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else ""
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise OddLine(f"no expression that RE2 can run: {said}") from None


def own_entry(written: str) -> Entry:
    """
    Read an entry of the policy itself (``categories: own`` and ``exceptions``).

    It may be a name, an address, a network, or a host with the beginning of a path.  Single words
    and public suffixes are taken as they are meant.  Raises OddLine with what is wrong.
    """
    written = written.strip()
    if not written:
        raise OddLine("it is empty")
    if _is_network(written):
        return Entry(Kind.NETWORK, network_text(ip_network(written.strip("[]"), strict=False)))
    return url_entry(written, _no_suffix) if "/" in written else name_entry(written, _no_suffix)


def _no_suffix(name: str) -> bool:
    return False


def _is_network(written: str) -> bool:
    try:
        ip_network(written.strip("[]"), strict=False)
    except ValueError:
        return False
    return True


def _host(written: str) -> Host:
    try:
        host = normal_host(written)
    except ProtocolError as error:
        raise OddLine(error.message) from None
    if host.address is not None and not _is_usual(written):
        raise OddLine(f"'{written}' is an odd spelling of the address {host.name}")
    return host


def _is_usual(written: str) -> bool:
    try:
        ip_address(written.strip("[]"))
    except ValueError:
        return False
    return True
