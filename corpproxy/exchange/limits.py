"""How many at once, and how long to wait for each thing: the ``connections:`` and ``timeouts:`` tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """
    How many connections and tunnels may be open at once; 0 means no limit.

    A browser opens up to 32 connections through a proxy; a room behind one address opens many times that.
    """

    total: int = 16_000
    per_address: int = 1_000
    per_person: int = 500
    tunnels_per_address: int = 800
    tunnels_per_person: int = 400
    # Upstream connections to one authority: in use and kept, together.  More than one person may have open,
    # so that nobody who asks a slow server for much keeps everybody else from it.
    per_server: int = 512
    kept_per_server: int = 16


@dataclass(frozen=True, slots=True)
class Timeouts:
    """
    How long to wait for each thing, in seconds.

    ``head``: a request head, from its first octet to its end.  ``idle``: a kept client connection without a
    request.  ``connect``: name look-up aside, from the first attempt to a connection.  ``answer``: the head
    of the answer, once the request is sent.  ``content``: between two pieces of content, either way.
    ``upstream_idle``: a kept server connection.  ``tunnel_first``: the first octets of a
    tunnel.  ``tunnel_idle``: a tunnel on which nothing moves.  ``tunnel_life``: a tunnel in all.
    ``drain``: running exchanges when the service stops.
    """

    head: float = 30.0
    idle: float = 120.0
    connect: float = 10.0
    answer: float = 300.0
    content: float = 300.0
    upstream_idle: float = 60.0
    tunnel_first: float = 60.0
    tunnel_idle: float = 900.0
    tunnel_life: float = 86_400.0
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class Forwarding:
    """
    What a server learns of us and of the client: the ``forwarding:`` table.

    ``via`` is the pseudonym in Via (RFC 9110, section 7.6.3), empty to leave the field out;
    ``forwarded_for`` adds the client's address to X-Forwarded-For.
    """

    via: str = "corpproxy"
    forwarded_for: bool = False
