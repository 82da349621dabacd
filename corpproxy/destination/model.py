"""The destination of an exchange: host, port, path, and what is known of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


class AddressClass(enum.StrEnum):
    """What kind of network an address belongs to (RFC 6890 and the registries after it)."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    CARRIER_GRADE = "carrier-grade"
    MULTICAST = "multicast"
    METADATA = "metadata"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True)
class Host:
    """
    A host in its one normal form: lower case, A-labels, no trailing dot, no brackets.

    ``address`` is set when the host was written as an IP address; ``name`` is then its canonical text.
    """

    name: str
    address: IPv4Address | IPv6Address | None = None

    @property
    def uri_host(self) -> str:
        """The host as it stands in an authority (RFC 3986, section 3.2.2): IPv6 in brackets."""
        return f"[{self.name}]" if ":" in self.name else self.name


@dataclass(frozen=True, slots=True)
class Match:
    """Why a host or URL has a category: the list that says so and the entry in it that matched."""

    category: str
    list: str
    entry: str


@dataclass(slots=True)
class Destination:
    """
    What is asked for.  It does not change; but one is made for every exchange, and frozen it costs twice.

    ``scheme`` is ``http`` or ``https``; a tunnel is ``https`` unless it goes to port 80.  ``path`` is
    path and query as they were sent, empty for a tunnel.  ``categories`` are sorted;
    ``matches`` is the evidence behind them.
    """

    host: Host
    port: int
    scheme: str
    path: str
    categories: tuple[str, ...] = ()
    matches: tuple[Match, ...] = ()

    @property
    def uri(self) -> str:
        """The target URI; for a tunnel host and port."""
        authority = self.host.uri_host
        if not self.path:
            return f"{authority}:{self.port}"
        if self.port != (443 if self.scheme == "https" else 80):
            authority = f"{authority}:{self.port}"
        return f"{self.scheme}://{authority}{self.path}"
