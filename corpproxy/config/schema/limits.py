"""The tables of limits and waits, of what servers learn, and of names."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from corpproxy.config.schema.leaves import (
    Duration,
    Leaf,
    Number,
    OneOrMany,
    Positive,
    Size,
    SizeOrNone,
    Switch,
    Text,
    wrong,
)
from corpproxy.config.schema.table import Table, as_in, listing, mapping
from corpproxy.exchange.limits import ConnectionLimits, Forwarding, Timeouts
from corpproxy.http1.limits import Limits


class ConnectionsTable(Table):
    """How many connections and tunnels may be open at once; 0 is no limit."""

    total: Number = as_in(ConnectionLimits, "total", "Client connections in all.")
    per_address: Number = as_in(ConnectionLimits, "per_address", "Client connections from one address.")
    per_person: Number = as_in(ConnectionLimits, "per_person", "Client connections of one person.")
    tunnels_per_address: Number = as_in(ConnectionLimits, "tunnels_per_address", "Tunnels from one address.")
    tunnels_per_person: Number = as_in(ConnectionLimits, "tunnels_per_person", "Tunnels of one person.")
    per_server: Number = as_in(ConnectionLimits, "per_server", "Connections to one server, used and kept.")
    kept_per_server: Number = as_in(
        ConnectionLimits, "kept_per_server", "Idle connections kept to one server."
    )


class HttpTable(Table):
    """How long the parts of a message may be."""

    head_octets: Size = as_in(Limits, "head_octets", "A head, its start-line included (431).")
    fields: Positive = as_in(Limits, "fields", "Field lines of one section (431).")
    target_octets: Size = as_in(Limits, "target_octets", "A request target (414).")
    content_octets: SizeOrNone = as_in(
        Limits, "content_octets", "The content of one request (413); 0 is no limit."
    )
    chunk_line_octets: Size = as_in(Limits, "chunk_line_octets", "One line with the size of a chunk (400).")
    chunk_extension_octets: Size = as_in(
        Limits, "chunk_extension_octets", "The chunk extensions of one message together (400)."
    )
    trailer_octets: Size = as_in(Limits, "trailer_octets", "A trailer section (400).")


class TimeoutsTable(Table):
    """How long to wait for each thing."""

    head: Duration = as_in(
        Timeouts, "head", "For a request head to be whole; on a new connection also for its first octet."
    )
    idle: Duration = as_in(Timeouts, "idle", "For the next request on a client connection.")
    connect: Duration = as_in(
        Timeouts, "connect", "For a connection to the server, all its addresses together."
    )
    answer: Duration = as_in(Timeouts, "answer", "For the head of the answer, once the request is sent.")
    content: Duration = as_in(Timeouts, "content", "Between two pieces of content, either way.")
    upstream_idle: Duration = as_in(Timeouts, "upstream_idle", "How long an idle server connection is kept.")
    tunnel_first: Duration = as_in(Timeouts, "tunnel_first", "For the first octets of a tunnel.")
    tunnel_idle: Duration = as_in(Timeouts, "tunnel_idle", "For a tunnel on which nothing moves.")
    tunnel_life: Duration = as_in(Timeouts, "tunnel_life", "For a tunnel in all.")
    drain: Duration = as_in(Timeouts, "drain", "For running exchanges when the service stops.")


def _pseudonym(written: str) -> str:
    # A token (RFC 9110, section 5.6.2): it stands in the Via field.
    if written.lower() == "no":
        return ""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", written):
        raise wrong("bad-name", f"wants a word of letters, digits and dashes, or no; not '{written}'")
    return "corpproxy" if written.lower() == "yes" else written


Pseudonym = Annotated[str, Leaf("name or no", _pseudonym, {"type": ["string", "boolean"]})]


class ForwardingTable(Table):
    """What servers learn of the proxy and of the client."""

    via: Pseudonym = as_in(
        Forwarding, "via", "The name of this proxy in the Via field; ``no`` leaves it out."
    )
    forwarded_for: Switch = as_in(
        Forwarding, "forwarded_for", "Send the client's address in X-Forwarded-For."
    )


def _server(written: str) -> tuple[str, int]:
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?|([0-9.]+)(?::([0-9]{1,5}))?", written)
    address = (match[1] or match[3]) if match else written
    port = int((match[2] or match[4] or 53) if match else 53)
    try:
        ip_address(address)
    except ValueError:
        said = f"wants the address of a name server, as 10.0.0.53 or [2001:db8::53]:5353, not '{written}'"
        raise wrong("bad-address", said) from None
    if not 1 <= port <= 65535:
        raise wrong("out-of-range", f"wants a port from 1 to 65535, not {port}")
    return address, port


def _server_text(server: tuple[str, int]) -> str:
    return f"{server[0]}:{server[1]}"


def _address(written: str) -> str:
    try:
        return str(ip_address(written))
    except ValueError:
        raise wrong("bad-address", f"wants an IP address, not '{written}'") from None


Server = Annotated[tuple[str, int], Leaf("address[:port]", _server, {"type": "string"}, _server_text)]
Address = Annotated[str, Leaf("address", _address, {"type": "string"})]


class NamesTable(Table):
    """How host names are looked up."""

    servers: OneOrMany[Server] = listing("Name servers; those of the system when left out.")
    domains: dict[Text, OneOrMany[Server]] = mapping("Name servers for a domain and all below it.")
    hosts: dict[Text, OneOrMany[Address]] = mapping("Addresses of single names, before ``/etc/hosts``.")
