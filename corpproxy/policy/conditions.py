"""
The conditions of the grammar *who* asks for *what* *when*, as they are written in every table.

Each is a value: what a table says, read and checked, before it is compiled (``columns.py``).  A key
that is empty is not asked; all keys that are asked must hold, and any value of one key is enough.
A part may hold others of its kind: ``all_`` of them must hold, one of ``any_`` must, and ``not_`` must not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from typing import Protocol, TypeVar

import re2

from corpproxy.destination.host import normal_host, parse_authority
from corpproxy.destination.model import AddressClass
from corpproxy.destination.paths import normal_path
from corpproxy.errors import ProtocolError
from corpproxy.policy.calendar import Calendar
from corpproxy.policy.networks import IpNetwork


@dataclass(frozen=True, slots=True)
class Who:
    """
    Who asks: names of users, groups, networks and listeners, and whether anyone is named at all.

    ``device`` are names of networks from which somebody asks without signing in.  ``anonymous`` true asks for
    somebody without a name, false for somebody with one.  ``agent`` are RE2 patterns, looked for in the
    User-Agent.  ``called`` is what explanations call this part, such as the list that it comes from.
    """

    user: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    listener: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    anonymous: bool | None = None
    agent: tuple[str, ...] = ()
    called: str = ""
    all_: tuple[Who, ...] = ()
    any_: tuple[Who, ...] = ()
    not_: Who | None = None


@dataclass(frozen=True, slots=True)
class UrlPrefix:
    """
    A host with all below it, a port if one is written, and the beginning of a path in its normal form.

    The beginning ends at a whole segment: ``/news`` covers ``/news``, ``/news/today`` and ``/news?id=1``
    but not ``/newsletter``.  A path of ``/`` covers everything on the host, tunnels too.
    """

    host: str
    port: int
    path: str

    def covers_path(self, path: str) -> bool:
        """Whether a path in normal form, empty for a tunnel, begins so."""
        if self.path == "/":
            return True
        if not path.startswith(self.path):
            return False
        return self.path[-1] in "/?&=" or path[len(self.path) : len(self.path) + 1] in ("", "/", "?")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.path}" if self.port else host + self.path


@dataclass(frozen=True, slots=True, order=True)
class SizeRange:
    """Sizes in octets, ``least`` and ``most`` included; no ``most`` is any size from ``least``."""

    least: int
    most: int | None = None

    def contains(self, octets: int) -> bool:
        """Whether a size lies in it."""
        return self.least <= octets and (self.most is None or octets <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"over {octets_in_words(self.least - 1)}"
        return f"up to {octets_in_words(self.most)}"


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports from one to another, both included."""

    first: int
    last: int

    def __contains__(self, port: object) -> bool:
        return isinstance(port, int) and self.first <= port <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class What:
    """
    What is asked for.

    ``domain`` are hosts in normal form; each means itself and everything below it, one of ``host`` itself
    alone.  ``expression`` are RE2 patterns, looked for anywhere in the target URI (for a tunnel
    ``host:port``).  ``extension`` is that of the last segment of the path, without its dot.  ``method`` and
    ``scheme`` are as on the wire: ``POST``, ``https``.  ``address`` are kinds of network and networks that an
    address of the host belongs to; ``country`` and ``asn`` are those of the address.
    ``media_type`` and ``size`` are of the answer.  ``called`` is as in `Who`.
    """

    category: tuple[str, ...] = ()
    uncategorised: bool | None = None
    domain: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    url: tuple[UrlPrefix, ...] = ()
    expression: tuple[str, ...] = ()
    extension: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    scheme: tuple[str, ...] = ()
    port: tuple[int | PortRange, ...] = ()
    address: tuple[AddressClass | IpNetwork, ...] = ()
    country: tuple[str, ...] = ()
    asn: tuple[int, ...] = ()
    media_type: tuple[str, ...] = ()
    size: tuple[SizeRange, ...] = ()
    called: str = ""
    all_: tuple[What, ...] = ()
    any_: tuple[What, ...] = ()
    not_: What | None = None


Part = Who | What
PartT = TypeVar("PartT", Who, What)


@dataclass(frozen=True, slots=True)
class When:
    """When: a calendar, and what explanations call it: its name, or what it says."""

    name: str
    hours: Calendar


class Conditions(Protocol):
    """What a rule, or the entry of another table, asks; several ``when`` are alternatives."""

    @property
    def who(self) -> Who:
        """Who asks."""

    @property
    def what(self) -> What:
        """What is asked for."""

    @property
    def when(self) -> tuple[When, ...]:
        """The hours, any of them."""

    @property
    def refuses(self) -> bool:
        """Whether it takes something away: what cannot be known then counts as holding."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Conditions alone, for tables that need no more."""

    who: Who = field(default_factory=Who)
    what: What = field(default_factory=What)
    when: tuple[When, ...] = ()
    refuses: bool = False


NO_ONE_IN_PARTICULAR = Who()
NOTHING_IN_PARTICULAR = What()


# The fields of a part that hold others of its kind.
NESTING = ("all_", "any_", "not_")

# The keys of each side, which are its other fields.
KEYS = {
    side: tuple(key.name for key in fields(part) if key.name not in (*NESTING, "called"))
    for side, part in (("who", Who), ("what", What))
}
_ASKABLE = {Who: (*KEYS["who"], *NESTING), What: (*KEYS["what"], *NESTING)}

# The keys that are known only once the head of the answer is there.
ANSWER_KEYS = frozenset({"media_type", "size"})


def asked_keys(conditions: Conditions) -> frozenset[str]:
    """The keys that conditions ask, ``when`` among them, and which of `NESTING` there are."""
    asked = {
        key
        for part in (conditions.who, conditions.what)
        for key in _ASKABLE[type(part)]
        if getattr(part, key) not in ((), None)
    }
    return frozenset(asked | {"when"} if conditions.when else asked)


def asks_nothing(part: Part) -> bool:
    """Whether a part holds for everything."""
    return not any(getattr(part, key) not in ((), None) for key in _ASKABLE[type(part)])


def conditions_of(part: Part, *, refuses: bool = False) -> Entry:
    """A part alone as conditions."""
    return Entry(part, refuses=refuses) if isinstance(part, Who) else Entry(what=part, refuses=refuses)


def parts_of(part: PartT) -> Iterator[PartT]:
    """A part and every one inside it."""
    yield part
    for inner in (*part.all_, *part.any_, *((part.not_,) if part.not_ is not None else ())):
        yield from parts_of(inner)


def demanded(part: PartT) -> Iterator[PartT]:
    """A part and every one inside it that may make it hold: all but what stands below ``not_``."""
    yield part
    for inner in (*part.all_, *part.any_):
        yield from demanded(inner)


def parse_domain(written: str) -> str:
    """
    Read a domain: ``example.com``, or ``.example.com`` and ``*.example.com``, which mean the same.

    Raises ValueError with what is wrong.
    """
    bare = written.strip().removeprefix("*").removeprefix(".")
    if "/" in bare:
        raise ValueError(f"'{written}' is more than a host name; write it under url")
    try:
        return normal_host(bare).name
    except ProtocolError as wrong:
        raise ValueError(f"'{written}' is no host name: {wrong.message}") from None


def parse_ports(written: str) -> int | PortRange:
    """
    Read a port, or a range of them as ``1025-65535``.

    Raises ValueError with what is wrong.
    """
    low, is_range, high = written.replace(" ", "").partition("-")
    ends = [int(end) for end in (low, high or low) if re.fullmatch("[0-9]{1,5}", end)]
    if len(ends) != 2 or not 1 <= ends[0] <= ends[1] <= 65535 or (is_range and not high):
        raise ValueError(f"'{written}' is no port from 1 to 65535 and no range of them such as 1025-65535")
    return ends[0] if ends[0] == ends[1] else PortRange(ends[0], ends[1])


def parse_url(written: str) -> UrlPrefix:
    """
    Read a URL prefix: ``example.com/news``, with or without a scheme, which does not count.

    Raises ValueError with what is wrong.
    """
    _, found, rest = written.strip().partition("://")
    rest = (rest if found else written.strip()).partition("#")[0]
    cut = min((n for n in (rest.find("/"), rest.find("?")) if n >= 0), default=len(rest))
    authority, path = rest[:cut].removeprefix("*").removeprefix("."), rest[cut:]
    try:
        if authority.rpartition("]")[2].find(":") >= 0:
            host, port = parse_authority(authority.encode("utf-8", "replace"))
        else:
            host, port = normal_host(authority), 0
    except ProtocolError as wrong:
        raise ValueError(f"'{written}' is no URL: {wrong.message}") from None
    return UrlPrefix(host.name, port, normal_path(path if path.startswith("/") else "/" + path))


def parse_host(written: str) -> str:
    """Read the name or address of one host; raises ValueError with what is wrong."""
    if written.strip().startswith(("*", ".")):
        raise ValueError(f"'{written}' stands for more than one host; write it under domain")
    return parse_domain(written)


def parse_extension(written: str) -> str:
    """Read the extension of a file, ``exe`` or ``.exe``; raises ValueError with what is wrong."""
    extension = written.strip().removeprefix("*").removeprefix(".").lower()
    if not re.fullmatch(r"[0-9a-z_-]{1,16}(\.[0-9a-z_-]{1,16})?", extension):
        raise ValueError(f"'{written}' is no extension of a file; write it as exe or tar.gz")
    return extension


def parse_media_type(written: str) -> str:
    """Read a media type, ``video/mp4``, or all of one kind, ``video/*``; raises ValueError."""
    media_type = written.strip().lower()
    if not re.fullmatch(r"[0-9a-z!#$&^_.+-]{1,64}/([0-9a-z!#$&^_.+-]{1,64}|\*)", media_type):
        raise ValueError(f"'{written}' is no media type; write it as video/mp4, or video/* for all of a kind")
    return media_type


def parse_country(written: str) -> str:
    """Read the two letters of a country (ISO 3166-1), as ``GB``; raises ValueError with what is wrong."""
    country = written.strip().upper()
    if not re.fullmatch("[A-Z]{2}", country):
        raise ValueError(f"'{written}' is no country; write its two letters, such as GB")
    if country in ("UK", "EL"):
        meant = "GB" if country == "UK" else "GR"
        raise ValueError(f"'{written}' is no country in ISO 3166; write {meant}")
    return country


def parse_address(written: str) -> str:
    """Read an IP address in its normal form; raises ValueError with what is wrong."""
    try:
        return str(ip_address(written.strip()))
    except ValueError:
        raise ValueError(f"'{written}' is no IP address; write it as 203.0.113.7 or 2001:db8::7") from None


def parse_asn(written: str) -> int:
    """Read the number of a network, ``13335`` or ``AS13335``; raises ValueError with what is wrong."""
    number = re.fullmatch("(?:AS|as)?([0-9]{1,10})", written.strip())
    if number is None or not 0 < int(number[1]) < 1 << 32:
        raise ValueError(f"'{written}' is no network number; write it as AS13335")
    return int(number[1])


def parse_size_range(written: str) -> SizeRange:
    """Read ``over 100MiB`` or ``up to 1MiB``; raises ValueError with what is wrong."""
    found = re.fullmatch(r"(over|up to)\s+([0-9]{1,9})(KiB|MiB|GiB|TiB)?", " ".join(written.split()))
    if found is None:
        raise ValueError(f"'{written}' is no range of sizes; write 'over 100MiB' or 'up to 64KiB'")
    octets = int(found[2]) * _OCTETS[found[3] or ""]
    return SizeRange(octets + 1) if found[1] == "over" else SizeRange(0, octets)


def parse_octets(written: str) -> int:
    """Read a size, ``3GiB`` or ``1000``; raises ValueError with what is wrong."""
    found = re.fullmatch(r"([0-9]{1,9})(KiB|MiB|GiB|TiB)?", written.strip())
    if found is None:
        raise ValueError(f"'{written}' is no size; write it as 64KiB, 10MiB or 2GiB")
    return int(found[1]) * _OCTETS[found[2] or ""]


_OCTETS = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "": 1}


def octets_in_words(octets: int) -> str:
    """A size in the largest unit that divides it."""
    unit = next(unit for unit, size in _OCTETS.items() if (octets and octets % size == 0) or size == 1)
    return f"{octets // _OCTETS[unit]}{unit}"


def parse_expression(written: str) -> str:
    """Check a regular expression; raises ValueError with what is wrong (RE2 has no look-around)."""
    compile_expression(written)
    return written


def compile_expression(written: str) -> re2._Regexp:
    """Compile a regular expression for octets in UTF-8; raises ValueError with what is wrong."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(written.encode("utf-8"), options)
    except (re2.error, UnicodeEncodeError) as wrong:
        said = wrong.args[0] if wrong.args else ""
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"'{written}' is no regular expression that RE2 reads: {reason}") from None
